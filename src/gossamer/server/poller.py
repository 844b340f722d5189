"""Waiting for sockets: epoll where the system has it, the standard library's best choice elsewhere."""

import select
import selectors
from typing import Final

READ: Final = 1  # the values of EPOLLIN and EPOLLOUT
WRITE: Final = 4


class Poller:
    """Which descriptors are ready: (descriptor, mask) pairs, where anything that is not WRITE alone means read."""

    def set(self, descriptor: int, mask: int, known: bool) -> None:
        """Watch a descriptor for READ, WRITE or both; `known` when it is watched already."""
        raise NotImplementedError

    def remove(self, descriptor: int) -> None:
        raise NotImplementedError

    def poll(self, timeout_s: float) -> list[tuple[int, int]]:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError


class EpollPoller(Poller):
    """Linux."""

    def __init__(self) -> None:
        self.epoll = select.epoll()

    def set(self, descriptor: int, mask: int, known: bool) -> None:
        if known:
            self.epoll.modify(descriptor, mask)
        else:
            self.epoll.register(descriptor, mask)

    def remove(self, descriptor: int) -> None:
        self.epoll.unregister(descriptor)

    def poll(self, timeout_s: float) -> list[tuple[int, int]]:
        return self.epoll.poll(timeout_s, 256)

    def close(self) -> None:
        self.epoll.close()


class SelectorPoller(Poller):
    """Any other system."""

    def __init__(self) -> None:
        self.selector = selectors.DefaultSelector()

    def set(self, descriptor: int, mask: int, known: bool) -> None:
        events = (selectors.EVENT_READ if mask & READ else 0) | (selectors.EVENT_WRITE if mask & WRITE else 0)
        if known:
            self.selector.modify(descriptor, events)
        else:
            self.selector.register(descriptor, events)

    def remove(self, descriptor: int) -> None:
        self.selector.unregister(descriptor)

    def poll(self, timeout_s: float) -> list[tuple[int, int]]:
        ready: list[tuple[int, int]] = []
        for key, events in self.selector.select(timeout_s):
            mask = (READ if events & selectors.EVENT_READ else 0) | (
                WRITE if events & selectors.EVENT_WRITE else 0
            )
            ready.append((key.fd, mask))
        return ready

    def close(self) -> None:
        self.selector.close()


def new_poller() -> Poller:
    """The best poller of this system."""
    return EpollPoller() if hasattr(select, "epoll") else SelectorPoller()
