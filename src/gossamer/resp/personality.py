"""Whom the server answers as (`compat`): the names and versions that clients are told."""

from typing import Final


class Personality:
    """One of the servers that Gossamer can pass for."""

    def __init__(self, name: str, number: int, server: bytes, version: bytes) -> None:
        self.name = name  # the value of the directive `compat`
        self.number = number  # Limits.compat
        self.server = server  # HELLO's `server`
        self.version = version
        self.master_word = b"master"
        self.is_valkey = server == b"valkey"


PERSONALITIES: Final = (
    Personality("redis:7.0", 70, b"redis", b"7.0.15"),
    Personality("redis:7.2", 72, b"redis", b"7.2.4"),
    Personality("valkey:8.0", 80, b"valkey", b"8.0.1"),
)


def personality_of(number: int) -> Personality:
    """The personality whose Limits.compat is `number`."""
    for personality in PERSONALITIES:
        if personality.number == number:
            return personality
    raise ValueError(f"no such personality: {number}")
