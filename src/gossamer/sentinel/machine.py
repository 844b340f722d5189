"""The Sentinel as one state machine: what happened comes in, and everything is moved forward at every tick.

Owns the order of things in a tick, TILT, and which part hears of a reply. No socket, clock, chance or file: see
doors.py for who calls what.

Invariants: a tick finds every instance in the state in which the last call left it; nothing calls back into the
machine from a door. In TILT (the clock jumped, or this process stood still) everything is watched and nothing decided.
"""

from __future__ import annotations

from typing import Final

from gossamer.resp.reply_reader import ErrorReply
from gossamer.sentinel import failover, hello, links, monitoring, roles, server_info, voting
from gossamer.sentinel.core import SentinelCore
from gossamer.sentinel.doors import LOG_WARNING, Reply, SentinelDoor
from gossamer.sentinel.instances import (
    FAILOVER_SELECT_SLAVE,
    FAILOVER_UPDATE_CONFIG,
    HELLO_CHANNEL,
    REQUEST_INFO,
    REQUEST_IS_DOWN,
    REQUEST_PING,
    Connection,
    Instance,
    Request,
    SentinelState,
)

LOWEST_HZ: Final = 10
RUN_ID_DIGITS: Final = 40
_HEX: Final = b"0123456789abcdef"


class Sentinel(SentinelCore):
    """One Sentinel."""

    def __init__(self, state: SentinelState, door: SentinelDoor) -> None:
        super().__init__(state, door)

    # -- time ---------------------------------------------------------------------------------------------

    def start(self, now_ms: int) -> None:
        """Once, before the first tick. OSError where a new id cannot be kept."""
        self.now_ms = now_ms
        state = self.state
        state.previous_tick_ms = now_ms
        if not state.my_id:
            state.my_id = bytes(_HEX[self.door.random_below(16)] for _ in range(RUN_ID_DIGITS))
            self.door.save()
        self.door.log(LOG_WARNING, b"Sentinel ID is " + state.my_id)
        for primary in state.primaries.values():
            self.event(LOG_WARNING, b"+monitor", primary, b" quorum %d" % primary.quorum)

    def tick(self, now_ms: int) -> int:
        """Move everything forward; in how many ms the next tick is due.

        The pause is a random one, so that Sentinels which began together do not ask for votes together for ever.
        """
        self.now_ms = now_ms
        self.check_tilt()
        for primary in list(self.state.primaries.values()):
            self.handle_primary(primary)
        if self.unsaved and self.may_save():
            self.save()
        return 1000 // (LOWEST_HZ + self.door.random_below(LOWEST_HZ))

    def check_tilt(self) -> None:
        state = self.state
        passed_ms = self.now_ms - state.previous_tick_ms
        state.previous_tick_ms = self.now_ms
        if passed_ms < 0 or passed_ms > state.timings.tilt_trigger:
            state.tilt = True
            state.tilt_start_ms = self.now_ms
            self.announce(LOG_WARNING, b"+tilt", b"#tilt mode entered", None)
        elif state.tilt and self.now_ms - state.tilt_start_ms >= state.timings.tilt_period:
            state.tilt = False
            self.announce(LOG_WARNING, b"-tilt", b"#tilt mode exited", None)

    # -- one instance at a time ---------------------------------------------------------------------------

    def handle_primary(self, primary: Instance) -> None:
        self.handle(primary)
        if not self.state.tilt:
            self.decide(primary)
            voting.ask_others(self, primary, False)
        for replica in list(primary.replicas.values()):
            self.handle(replica)
        for sentinel in list(primary.sentinels.values()):
            self.handle(sentinel)
        if primary.failover_state == FAILOVER_UPDATE_CONFIG:
            failover.switch_to_promoted(self, primary)

    def decide(self, primary: Instance) -> None:
        """Is it down, is there to be a failover, and what is its next step?"""
        voting.check_objectively_down(self, primary)
        if failover.start_if_needed(self, primary):
            voting.ask_others(self, primary, True)
        failover.advance(self, primary)

    def handle(self, instance: Instance) -> None:
        """What is the same for all three kinds."""
        if instance.link.disconnected:
            links.reconnect(self, instance)
        monitoring.send_periodic(self, instance)
        if not self.state.tilt:
            monitoring.check_subjectively_down(self, instance)

    # -- what arrives -------------------------------------------------------------------------------------

    def on_reply(self, connection: Connection, request: Request, reply: Reply, now_ms: int) -> None:
        """The answer to a command that was sent."""
        self.now_ms = now_ms
        link = connection.link
        if link.commands is not connection:
            return
        link.pending_commands -= 1
        kind, instance = request.kind, request.instance
        if kind == REQUEST_PING:
            if instance.link is link:
                monitoring.on_ping_reply(self, instance, reply)
        elif instance.removed:
            return
        elif kind == REQUEST_INFO:
            if isinstance(reply, bytes):
                roles.react(self, instance, server_info.refresh(self, instance, reply))
                primary = instance.primary
                if (
                    primary is not None
                    and primary.failover_state == FAILOVER_SELECT_SLAVE
                    and not self.state.tilt
                ):
                    failover.advance(self, primary)  # the choice waits for this
        elif kind == REQUEST_IS_DOWN:
            primary = instance.primary
            if primary is None or primary.address is not request.address:
                return  # it is about a server that is the primary no more
            voting.on_is_down_reply(self, instance, reply)
            if not self.state.tilt:
                self.decide(primary)  # clients wait: not at the next tick

    def on_message(self, connection: Connection, value: Reply, now_ms: int) -> None:
        """Something arrived on the messages connection: a reply to what was said there, or a message."""
        self.now_ms = now_ms
        if connection.link.messages is not connection:
            return
        if connection.greetings > 0:
            connection.greetings -= 1
            if connection.greetings == 0 and isinstance(value, ErrorReply):
                links.close(self, connection)  # the last of them is the subscription: it is tried again
        if not isinstance(value, list):
            return
        connection.link.last_message_ms = now_ms
        if len(value) == 3 and value[0] == b"message" and value[1] == HELLO_CHANNEL:
            message = value[2]
            if isinstance(message, bytes):
                hello.receive(self, message)

    def on_lost(self, connection: Connection, reason: str, now_ms: int) -> None:
        """A connection could not be made, or is gone."""
        self.now_ms = now_ms
        links.forget(connection)
