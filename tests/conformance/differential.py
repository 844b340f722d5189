"""The differential harness: one random sequence of commands, two servers, every reply compared to the byte.

Owns: how a sequence is carried out on a target, what of the end state is compared, how a difference is told.
Must not know: what commands there are (groups/) and which differences are allowed (comparison.py).
Invariants: both targets start empty and with the same settings; a step is over on a target before the next
one of another client begins; nothing is compared that time or chance may change.

HOW TO WRITE A GROUP. One file `groups/<group>.py` that ends in `GROUP`; nothing to register, the suite finds
it:

    from conformance.arguments import Group, about_one_key, command, count, key, many, member, options, pair

    def spop_law(replies):                       # judges ONE server's replies to the snippet below
        before, taken, after, _ = (set(map(bytes, r.plain())) if r.items() else set() for r in replies)
        assert taken <= before and after == before - taken

    COMMANDS = [
        command("ZADD", key, options("NX", "XX", "GT", "LT", "CH"), many(pair(score, member)), weight=6),
        command("ZSCORE", key, member),
        about_one_key(("SMEMBERS", key), ("SPOP", key, count), ("SMEMBERS", key), ("DEL", key), law=spop_law),
    ]
    GROUP = Group("zsets", COMMANDS, config=SMALL_ENCODINGS)

Strategies for arguments stand in arguments.py: `key`, `value`, `member`, `field`, `score`, `integer` (every
edge and much that is no integer), `floating`, `index`, `count`, `seconds`, `pattern`, `either`, `optional`,
`options`, `many`, `counted` (numkeys), and any hypothesis strategy of bytes. A command whose choice is random
goes into `about_one_key(..., ("DEL", key))`. Blocking commands need `Group(clients=3)` and `command(...,
client=None)`: then every client's output is compared after every step; use timeout 0 or 100, and a sequence
may end while blocked. A reply whose order or value is unspecified gets a rule in comparison.RULES.

RUN IT. `pytest tests/conformance -k zsets`. Environment:
    GOSSAMER_EXAMPLES=5000    sequences per group and protocol (default 12; from there on seeds are random)
    GOSSAMER_SUBJECT=...      what is compared with the real server: gossamer (default, a process), in-process,
                              or "redis:7.0", "valkey:8.0": a second real server
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from typing import Protocol

from conformance.arguments import Group, Snippet, Step
from conformance.comparison import UNIX_TIME_MS, equivalent, same_length
from support.servers import ServerProcess
from support.wire import Reply, WireClient, encode

DATABASES = 3  # those that sequences touch
SENTINEL = b"=== end of the sequence ==="
TTL_TOLERANCE_MS = 2000
LOOKS_AGAIN = 3
PACKED = (b"listpack", b"ziplist", b"intset")  # encodings whose order is defined


class Client(Protocol):
    """One connection, over a socket or in process."""

    closed_by_server: bool

    def send_raw(self, data: bytes) -> None: ...
    def available(self) -> list[Reply]: ...
    def read(self, timeout_s: float | None = None) -> Reply: ...
    def call(self, *argv: bytes | str) -> Reply: ...
    def pipeline(self, commands: Sequence[Sequence[bytes | str]]) -> list[Reply]: ...
    def close(self) -> None: ...


class Target(Protocol):
    """A server under comparison."""

    name: str

    def connect(self) -> Client: ...
    def control(self) -> Client:
        """A connection that sequences do not use."""
        ...

    def settle(self) -> None:
        """Return once everything sent so far is processed and its output has been written."""
        ...

    def alive(self) -> bool:
        """False when the server has ended."""
        ...

    def explain(self) -> str:
        """What the server logged, for the report of a failure."""
        ...


class ProcessTarget:
    """A server process."""

    def __init__(self, server: ServerProcess, name: str) -> None:
        self.server = server
        self.name = name
        self._control: WireClient | None = None

    def connect(self) -> WireClient:
        return self.server.client()

    def control(self) -> WireClient:
        if self._control is None or self._control.closed_by_server:
            self._control = self.server.client()
        return self._control

    def settle(self) -> None:
        # The first answer comes from a loop iteration in which all earlier input was read; the second from a
        # later one, so the first one's output is on the wire.
        control = self.control()
        control.call("PING")
        control.call("PING")

    def alive(self) -> bool:
        return self.server.process is not None and self.server.process.poll() is None

    def explain(self) -> str:
        status = self.server.process.poll() if self.server.process is not None else None
        return "" if status is None else f"{self.name} ended with status {status}\n{self.server.log_tail()}"


class Outcome:
    """What one target did with a sequence. `observed[i][c]`: the replies that client c received by step i."""

    def __init__(
        self, steps: Sequence[Step], observed: list[list[list[Reply]]], content: dict[str, object]
    ) -> None:
        self.steps = steps
        self.observed = observed
        self.content = content


class TargetFailed(AssertionError):
    """A target stopped answering."""


def prepare(target: Target, group: Group) -> None:
    """Empty databases, the group's settings."""
    commands: list[Sequence[bytes | str]] = [("FLUSHALL",)]
    commands += [("CONFIG", "SET", name, setting) for name, setting in (group.config or {}).items()]
    commands += group.before
    target.control().pipeline(commands)


def carry_out(
    target: Target, group: Group, snippets: Sequence[Snippet], protocol: int, with_digest: bool
) -> Outcome:
    """Run a sequence from an empty server; replies and final content."""
    steps = [step for part in snippets for step in part.steps]
    clients: list[Client] = []
    try:
        prepare(target, group)
        for _ in range(group.clients):
            client = target.connect()
            clients.append(client)
            if protocol == 3:
                client.call("HELLO", "3")
        target.settle()  # every connection is accepted
        observed = stepwise(target, clients, steps) if group.clients > 1 else pipelined(clients[0], steps)
        for client in clients:
            client.close()
        target.settle()
        content = content_of(target)
        if with_digest:
            content["DEBUG DIGEST"] = target.control().call("DEBUG", "DIGEST").raw
        return Outcome(steps, observed, content)
    except (OSError, EOFError) as error:
        raise TargetFailed(f"{target.name}: {error!r}\n{show_steps(steps)}\n{target.explain()}") from error
    finally:
        for client in clients:
            client.close()


def pipelined(client: Client, steps: Sequence[Step]) -> list[list[list[Reply]]]:
    """All at once; the n-th reply that is no push belongs to the n-th step."""
    requests = [encode(step.argv) for step in steps]
    client.send_raw(b"".join(requests) + encode(["RESET"]) + encode(["ECHO", SENTINEL]))
    replies: list[Reply] = []
    try:
        while True:
            reply = client.read()
            if reply.value == SENTINEL:
                replies.pop()  # RESET's
                break
            replies.append(reply)
    except ConnectionError:
        pass
    except TimeoutError as error:
        answered = len(replies)
        blamed = steps[answered].argv if answered < len(steps) else b"RESET"
        raise OSError(f"no reply to {blamed!r}") from error
    observed: list[list[list[Reply]]] = []
    for reply in replies:
        if reply.is_push and observed:
            observed[-1][0].append(reply)
        else:
            observed.append([[reply]])
    return observed


def stepwise(target: Target, clients: Sequence[Client], steps: Sequence[Step]) -> list[list[list[Reply]]]:
    """One step at a time; after each, what every client has received."""
    observed: list[list[list[Reply]]] = []
    for step in steps:
        clients[step.client].send_raw(encode(step.argv))
        target.settle()
        received = [client.available() for client in clients]
        for _ in range(LOOKS_AGAIN):
            if any(received):
                break
            # Blocked, or silenced; or the kernel carried the barrier past the step.
            time.sleep(0.002)
            target.settle()
            received = [client.available() for client in clients]
        observed.append(received)
    return observed


READERS: dict[bytes, Sequence[str]] = {
    b"string": ("GET",),
    b"list": ("LRANGE", "0", "-1"),
    b"set": ("SMEMBERS",),
    b"hash": ("HGETALL",),
    b"zset": ("ZRANGE", "0", "-1", "WITHSCORES"),
    b"stream": ("XINFO", "STREAM", "FULL", "COUNT", "0"),
}


def reading(kind: bytes, key: bytes) -> list[bytes]:
    name, *rest = READERS[kind]
    words = [word.encode() for word in rest]
    return [name.encode(), words[0], key, *words[1:]] if kind == b"stream" else [name.encode(), key, *words]


def content_of(target: Target) -> dict[str, object]:
    """Every key of the databases in use: type, encoding, expiry, value; in a form that can be compared with
    `==`.

    Values in a packed encoding keep their order; those in hash tables, which have none, are sorted.
    """
    control = target.control()
    content: dict[str, object] = {}
    listing = control.pipeline(
        list(itertools.chain.from_iterable((("SELECT", str(db)), ("KEYS", "*")) for db in range(DATABASES)))
    )
    for db in range(DATABASES):
        keys: list[bytes] = sorted(listing[2 * db + 1].plain() or [])
        if not keys:
            continue
        about = control.pipeline(
            [("SELECT", str(db))]
            + [argv for key in keys for argv in (("TYPE", key), ("OBJECT", "ENCODING", key), ("PTTL", key))]
        )[1:]
        kinds = [about[3 * i].plain() for i in range(len(keys))]
        values = control.pipeline([reading(kind, key) for kind, key in zip(kinds, keys, strict=True)])
        for i, key in enumerate(keys):
            encoding = about[3 * i + 1].plain()
            value = comparable(kinds[i], encoding, values[i].plain())
            content[f"db{db} {key!r}"] = (kinds[i], encoding, about[3 * i + 2].plain(), value)
    control.call("SELECT", "0")
    return content


def comparable(kind: bytes, encoding: bytes, value: object) -> object:
    if kind == b"stream":
        return without_times(value)
    if isinstance(value, list) and encoding not in PACKED:
        if kind == b"set":
            return sorted(value)
        if kind == b"hash":
            return sorted(zip(value[::2], value[1::2], strict=True))
    return value


def without_times(value: object) -> object:
    """What XINFO STREAM FULL tells, but for points in time."""
    if isinstance(value, list):
        return [without_times(item) for item in value]
    return "a time" if isinstance(value, int) and value > UNIX_TIME_MS else value


def content_differences(ours: dict[str, object], theirs: dict[str, object]) -> list[str]:
    found = []
    for name in sorted(ours.keys() | theirs.keys()):
        mine, other = ours.get(name), theirs.get(name)
        if mine == other:
            continue
        if isinstance(mine, tuple) and isinstance(other, tuple) and close_in_time(mine, other):
            continue
        found.append(f"  {name}\n    ours:   {mine!r}\n    theirs: {other!r}")
    return found


def close_in_time(mine: tuple[object, ...], other: tuple[object, ...]) -> bool:
    """Equal but for a TTL that differs by no more than the run took."""
    ttl, their_ttl = mine[2], other[2]
    if not (isinstance(ttl, int) and isinstance(their_ttl, int)) or min(ttl, their_ttl) < 0:
        return False
    return mine[:2] + mine[3:] == other[:2] + other[3:] and abs(ttl - their_ttl) <= TTL_TOLERANCE_MS


def show_argv(argv: Sequence[bytes]) -> str:
    return " ".join(
        repr(word)[1:] if len(word) < 120 else f"{word[:40]!r}...({len(word)} bytes)" for word in argv
    )


def show_steps(steps: Sequence[Step]) -> str:
    return "\n".join(f"  {step.client}> {show_argv(step.argv)}" for step in steps)


def step_differs(step: Step, ours: list[list[Reply]], theirs: list[list[Reply]]) -> bool:
    for client, (mine, other) in enumerate(zip(ours, theirs, strict=True)):
        if len(mine) != len(other):
            return True
        argv = step.argv if client == step.client else ()
        if not all(equivalent(argv, a, b) for a, b in zip(mine, other, strict=True)):
            if step.judged and all(same_length(argv, a, b) for a, b in zip(mine, other, strict=True)):
                continue
            if unordered_burst(step.argv, mine, other):
                continue
            return True
    return False


def unordered_burst(argv: Sequence[bytes], mine: list[Reply], other: list[Reply]) -> bool:
    """Several messages of one step, whose order is open.

    PUBLISH finds the patterns of a client in any order; UNSUBSCRIBE and its kin without a channel give the
    names up in any order, while the counts fall alike; keyspace events of one command keep their order.
    """
    if argv[0].upper() in (b"PUBLISH", b"SPUBLISH"):
        return sorted(reply.raw for reply in mine) == sorted(reply.raw for reply in other)
    if argv[0].upper() == b"EXEC":  # the confirmations of a queued UNSUBSCRIBE run on behind the array
        return sorted(b"".join(r.raw for r in mine)) == sorted(b"".join(r.raw for r in other))
    if len(argv) != 1 or not argv[0].upper().endswith(b"UNSUBSCRIBE"):
        return False
    names = [sorted(r.items()[1].raw for r in replies if len(r.items()) == 3) for replies in (mine, other)]
    counts = [[r.items()[2].raw for r in replies if len(r.items()) == 3] for replies in (mine, other)]
    return names[0] == names[1] and counts[0] == counts[1]


def difference(ours: Outcome, theirs: Outcome) -> str | None:
    """The first step whose replies differ, or differing content; told with everything that led to it."""
    for position in range(max(len(ours.observed), len(theirs.observed))):
        if position >= min(len(ours.observed), len(theirs.observed)):
            fewer = "ours" if len(ours.observed) < len(theirs.observed) else "theirs"
            steps = show_steps(ours.steps[: position + 1])
            return f"after step {position} {fewer} closed the connection\n{steps}"
        step = ours.steps[position] if position < len(ours.steps) else Step((b"(unasked)",))
        mine, other = ours.observed[position], theirs.observed[position]
        if step_differs(step, mine, other):
            return (
                f"replies differ at step {position}: {show_argv(step.argv)}\n"
                f"    ours:   {mine if len(mine) > 1 else mine[0]}\n"
                f"    theirs: {other if len(other) > 1 else other[0]}\n"
                f"after\n{show_steps(ours.steps[:position])}"
            )
    changed = content_differences(ours.content, theirs.content)
    if changed:
        return "the content differs after\n" + show_steps(ours.steps) + "\n" + "\n".join(changed)
    return None


def obey_laws(outcome: Outcome, snippets: Sequence[Snippet], name: str) -> None:
    """Each law judges its snippet's replies; a sequence that was queued in MULTI is not judged."""
    position = 0
    for part in snippets:
        span = outcome.observed[position : position + len(part.steps)]
        position += len(part.steps)
        if part.law is None:
            continue
        replies = [observed[step.client][0] for observed, step in zip(span, part.steps, strict=True)]
        if any(reply.is_error or reply.raw == b"+QUEUED\r\n" for reply in replies):
            continue
        try:
            part.law(replies)
        except AssertionError as error:
            shown = "\n".join(
                f"  {show_argv(s.argv)} -> {r!r}" for s, r in zip(part.steps, replies, strict=True)
            )
            raise AssertionError(f"{name} breaks a law: {error}\n{shown}") from error


def assert_same(
    ours: Target,
    theirs: Target,
    group: Group,
    snippets: Sequence[Snippet],
    protocol: int,
    with_digest: bool = False,
) -> None:
    """Run the sequence on both targets; AssertionError with the story when they differ.

    with_digest: compare DEBUG DIGEST too, which only servers of one make have in common.
    """
    reference = carry_out(theirs, group, snippets, protocol, with_digest)
    subject = carry_out(ours, group, snippets, protocol, with_digest)
    story = difference(subject, reference)
    if story is not None:
        raise AssertionError(
            f"{ours.name} against {theirs.name}, RESP{protocol}: {story}\n{ours.explain()[-600:]}"
        )
    obey_laws(reference, snippets, theirs.name)
    obey_laws(subject, snippets, ours.name)
