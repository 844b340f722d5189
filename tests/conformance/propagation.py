"""What a server tells its AOF: Gossamer's feed of writes beside the append only file that a real server writes.

Owns: the two ways to listen, and when two streams mean the same.
Must not know: which commands there are.
Invariant: a stream is a list of effects in order; MULTI and EXEC stand in it as effects of no database, SELECT
does not: each effect bears its database.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from dataclasses import dataclass

from conformance.arguments import Group, Snippet, Step
from conformance.differential import (
    Client,
    ProcessTarget,
    Target,
    pipelined,
    prepare,
    show_argv,
    show_steps,
    stepwise,
)
from conformance.in_process import InProcessTarget
from gossamer.engine.doors import WriteFeed
from support.servers import PEERS, ServerProcess

SMALLEST_TIME_MS = 1_000_000_000_000  # what is above it counts as a Unix time in ms
TIME_TOLERANCE_MS = 3000
CONTEXT = 4
NO_DATABASE = -1
AOF_OPTIONS = (
    *("--appendonly", "yes", "--appendfsync", "no", "--aof-use-rdb-preamble", "no"),
    *("--auto-aof-rewrite-percentage", "0", "--save", "", "--enable-debug-command", "yes"),
)


@dataclass(frozen=True)
class Effect:
    """One command as AOF and replicas see it."""

    database: int
    argv: tuple[bytes, ...]

    def __str__(self) -> str:
        where = "   " if self.database == NO_DATABASE else f"{self.database:2} "
        return where + show_argv(self.argv)


BEGIN = Effect(NO_DATABASE, (b"MULTI",))
END = Effect(NO_DATABASE, (b"EXEC",))


class Recorder(WriteFeed):
    """A feed that remembers."""

    def __init__(self) -> None:
        self.effects: list[Effect] = []
        self.messages: list[Effect] = []

    def begin(self) -> None:
        self.effects.append(BEGIN)

    def feed(self, db_index: int, argv: list[bytes]) -> None:
        self.effects.append(Effect(int(db_index), tuple(argv)))

    def feed_message(self, db_index: int, argv: list[bytes]) -> None:
        self.messages.append(Effect(int(db_index), tuple(argv)))

    def end(self) -> None:
        if self.effects[-1] is BEGIN:  # nothing but messages
            self.effects.pop()
        else:
            self.effects.append(END)

    def take(self) -> list[Effect]:
        """What was fed since the last call."""
        taken, self.effects = self.effects, []
        return taken


class AofReader:
    """Follows the increment that a real server appends to."""

    def __init__(self, server: ServerProcess) -> None:
        (path,) = glob.glob(f"{server.directory}/appendonlydir/*.incr.aof")
        self.file = open(path, "rb")
        self.database = 0

    def close(self) -> None:
        self.file.close()

    def take(self) -> list[Effect]:
        """What was appended since the last call."""
        effects: list[Effect] = []
        for argv in parse(self.file.read()):
            word = argv[0].upper()
            if word == b"SELECT":
                self.database = int(argv[1])
            elif word == b"MULTI":
                effects.append(BEGIN)
            elif word == b"EXEC" and effects[-1] is BEGIN:
                effects.pop()
            elif word == b"EXEC":
                effects.append(END)
            else:
                effects.append(Effect(self.database, tuple(argv)))
        return effects


def parse(data: bytes) -> list[list[bytes]]:
    """Whole commands, one behind the other."""
    commands: list[list[bytes]] = []
    position = 0

    def number(mark: bytes) -> int:
        nonlocal position
        end = data.index(b"\r\n", position)
        assert data[position : position + 1] == mark, data[position : position + 60]
        value = int(data[position + 1 : end])
        position = end + 2
        return value

    while position < len(data):
        argv = []
        for _ in range(number(b"*")):
            size = number(b"$")
            argv.append(data[position : position + size])
            position += size + 2
        commands.append(argv)
    return commands


def same_argument(mine: bytes, other: bytes) -> bool:
    """Equal, or two moments (as such, or as ids of stream entries) that lie no further apart than the runs."""
    if mine == other:
        return True
    mine, other = mine.removesuffix(b"-0"), other.removesuffix(b"-0")
    if not (mine.isdigit() and other.isdigit()):
        return False
    ours, theirs = int(mine), int(other)
    return min(ours, theirs) > SMALLEST_TIME_MS and abs(ours - theirs) <= TIME_TOLERANCE_MS


def same_effect(mine: Effect, other: Effect, random_members: bool) -> bool:
    if mine == other:
        return True
    if mine.database != other.database or len(mine.argv) != len(other.argv):
        return False
    if random_members and mine.argv[0] == other.argv[0] == b"SREM":
        return mine.argv[1] == other.argv[1]
    return all(same_argument(a, b) for a, b in zip(mine.argv, other.argv, strict=True))


def stream_difference(
    ours: Sequence[Effect], theirs: Sequence[Effect], random_members: bool = False
) -> str | None:
    """Where two streams part, with what stands around it."""
    for i in range(max(len(ours), len(theirs))):
        if i < len(ours) and i < len(theirs) and same_effect(ours[i], theirs[i], random_members):
            continue
        shown = []
        for name, stream in (("ours", ours), ("theirs", theirs)):
            shown.append(f"  {name}:")
            for j in range(max(0, i - CONTEXT), min(len(stream), i + CONTEXT)):
                shown.append(f"    {'>' if j == i else ' '} {stream[j]}")
        return f"the streams part at effect {i}\n" + "\n".join(shown)
    return None


def in_order_of_names(stream: Sequence[Effect]) -> list[Effect]:
    """The stream with removals of single keys, as SCAN meets due ones, in order as far as they stand in a row."""
    result: list[Effect] = []
    row: list[Effect] = []
    for effect in (*stream, BEGIN):
        if effect.argv[0] in (b"DEL", b"UNLINK") and len(effect.argv) == 2:
            row.append(effect)
            continue
        result += [*sorted(row, key=lambda removal: removal.argv), effect]
        row = []
    return result[:-1]


def play(target: Target, group: Group, steps: Sequence[Step]) -> None:
    """Carry the steps out, up to the end of their clients."""
    clients: list[Client] = [target.connect() for _ in range(group.clients)]
    target.settle()
    if group.clients > 1:
        stepwise(target, clients, steps)
    else:
        pipelined(clients[0], steps)
    for client in clients:
        client.close()
    target.settle()


class Listening:
    """Gossamer in this process and a real server, both listened to."""

    def __init__(self, compat: str) -> None:
        self.directory_before = os.getcwd()  # a server in process changes to its own
        self.peer = ServerProcess(PEERS[compat], AOF_OPTIONS)
        self.theirs: Target = ProcessTarget(self.peer, compat)
        self.their_aof = AofReader(self.peer)
        self.ours = InProcessTarget(compat)
        self.our_feed = Recorder()
        self.ours.server.engine.feeds.append(self.our_feed)
        for target in (self.ours, self.theirs):
            target.control().call("DEBUG", "SET-ACTIVE-EXPIRE", "0")

    def close(self) -> None:
        os.chdir(self.directory_before)
        self.their_aof.close()
        self.peer.stop()

    def streams(self, group: Group, steps: Sequence[Step]) -> tuple[list[Effect], list[Effect]]:
        """What both tell of the same steps, each from an empty server on."""
        for target in (self.ours, self.theirs):
            prepare(target, group)
            target.settle()
        self.our_feed.take()
        self.their_aof.take()
        play(self.ours, group, steps)
        play(self.theirs, group, steps)
        return self.our_feed.take(), self.their_aof.take()

    def assert_same_streams(self, group: Group, snippets: Sequence[Snippet]) -> None:
        steps = [step for part in snippets for step in part.steps]
        ours, theirs = self.streams(group, steps)
        names = {step.argv[0].upper() for step in steps if step.argv}
        if b"SCAN" in names:
            ours, theirs = in_order_of_names(ours), in_order_of_names(theirs)
        story = stream_difference(ours, theirs, b"SPOP" in names)
        assert story is None, f"{story}\nafter\n{show_steps(steps)}"
