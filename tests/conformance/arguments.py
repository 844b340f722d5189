"""Strategies for the arguments of commands: small pools that collide, and the edges of every kind of number.

Owns: the vocabulary in which a group file describes its commands. Every strategy yields one argument
(`bytes`) or several (`tuple[bytes, ...]`).
Must not know: servers, replies.

A group file reads like a grammar:

    COMMANDS = [
        command("GET", key),
        command("APPEND", key, value),
        command("SET", key, value, options("NX", "XX", "GET", ("EX", seconds)), weight=4),
        command("MSET", many(pair(key, value), 1, 3)),
    ]
    GROUP = Group("strings", COMMANDS)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

Argument = st.SearchStrategy[bytes] | st.SearchStrategy[tuple[bytes, ...]]
Spelled = Argument | str | bytes | tuple[Any, ...]


def raw(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode()


def either(*choices: str | bytes) -> st.SearchStrategy[bytes]:
    """One of these words, as spelled here."""
    return st.sampled_from([raw(choice) for choice in choices])


def weighted(*choices: tuple[int, st.SearchStrategy[bytes]]) -> st.SearchStrategy[bytes]:
    """One of these strategies, each as often as its weight says."""
    table = [index for index, (weight, _) in enumerate(choices) for _ in range(weight)]
    return st.sampled_from(table).flatmap(lambda index: choices[index][1])


def word(text: str | bytes) -> st.SearchStrategy[bytes]:
    """A keyword in upper, rarely in lower or mixed case."""
    upper = raw(text).upper()
    return st.sampled_from([upper] * 6 + [upper.lower(), upper.capitalize()])


# Keys: few, so that commands of all groups meet on them; empty and binary ones included.
KEYS = [
    b"a",
    b"b",
    b"c",
    b"d",
    b"e",
    b"{t}1",
    b"",
    b"\x00\xff\r\n",
    b"key:with:a:rather:long:name:over:44:bytes:long",
]
key = st.sampled_from(KEYS[:3] * 6 + KEYS[3:6] * 3 + KEYS[6:])

SHORT = [
    b"",
    b"0",
    b"1",
    b"-1",
    b"10",
    b"x",
    b"foo",
    b"bar",
    b"hello world",
    b"\x00\x01\xfe\xff",
    b"\r\n",
    b"3.5",
]
LONG = [b"y" * 20, b"q" * 44, b"q" * 45, b"z" * 64, b"z" * 65, b"w" * 200, b"ab" * 600]
value = st.sampled_from(SHORT * 3 + LONG)

member = st.sampled_from(
    [
        b"a",
        b"b",
        b"c",
        b"d",
        b"e",
        b"f",
        b"1",
        b"2",
        b"3",
        b"10",
        b"-5",
        b"",
        b"\x00\xff",
        b"A",
        b"ab",
        b"abc",
    ]
    * 2
    + [
        b"m" * 64,
        b"m" * 65,
        b"32767",
        b"-32768",
        b"65536",
        b"2147483648",
        b"9223372036854775807",
        b"01",
        b"1.0",
    ]
)
field = member

INTEGER_EDGES = [
    b"0", b"1", b"-1", b"2", b"-2", b"127", b"128", b"-128", b"-129", b"255", b"256", b"32767", b"32768",
    b"-32768", b"-32769", b"65535", b"65536", b"2147483647", b"2147483648", b"-2147483648", b"-2147483649",
    b"4294967295", b"4294967296", b"9223372036854775806", b"9223372036854775807", b"9223372036854775808",
    b"-9223372036854775807", b"-9223372036854775808", b"-9223372036854775809", b"18446744073709551615",
    b"18446744073709551616",
]  # fmt: skip
NOT_INTEGERS = [
    b"", b" 1", b"1 ", b"+1", b"01", b"-0", b"1.0", b"1e3", b"0x10", b"1_000", b"abc", b"\xd9\xa1", b"nan",
    b"--1", b"99999999999999999999999", b"1\x00", b"-", b"+",
]  # fmt: skip
integer = st.sampled_from(INTEGER_EDGES * 3 + NOT_INTEGERS)

FLOAT_EDGES = [
    b"0", b"-0", b"0.0", b"1", b"-1", b"1.5", b"-1.5", b"0.1", b"0.2", b"3.0", b"1e3", b"1E-3", b"1e300",
    b"-1e300", b"1e308", b"1.7976931348623157e308", b"5e-324", b"2.2250738585072014e-308",
    b"123456789.123456789", b"9007199254740993", b"17179869184.5", b"0.30000000000000004",
    b"100000000000000000000", b"1e17", b"1e21", b"9223372036854775807", b"-9223372036854775808",
    b"3.14159265358979323846", b"1234567890123456789",
]  # fmt: skip
INFINITIES = [b"inf", b"-inf", b"+inf", b"infinity", b"-Infinity", b"INF"]
NOT_FLOATS = [
    b"", b"nan", b"-nan", b"NaN", b" 1", b"1 ", b"1_0", b"abc", b"1e", b"1.2.3", b"1e400", b"-1e400",
    b"0x10", b".5", b"5.", b"+1.5", b"0x1p3", b"1\x00", b"--1", b"1e-400",
]  # fmt: skip
floating = st.sampled_from(FLOAT_EDGES * 3 + INFINITIES * 2 + NOT_FLOATS)
SMALL_SCORES = [b"0", b"1", b"2", b"3", b"-1", b"1.5", b"2.5", b"10"]
score = st.sampled_from(SMALL_SCORES * 8 + FLOAT_EDGES + INFINITIES + NOT_FLOATS[:6])


def number(*common: int) -> st.SearchStrategy[bytes]:
    """One of these numbers, rarely an edge or no number at all."""
    return weighted((9, st.sampled_from([b"%d" % n for n in common])), (1, integer))


index = number(0, 1, 2, 3, 5, -1, -2, -3, -5, 100, -100)
count = number(0, 1, 2, 3, 10, -1, -2, -10)
offset = number(0, 1, 2, 5, 20, 100, -1)


def life(shortest: int, *common: int) -> st.SearchStrategy[bytes]:
    """A time to live that is over at once or outlasts the test run: nothing expires while servers are compared."""
    lasting = [edge for edge in INTEGER_EDGES if not 0 < int(edge) < shortest]
    usual = st.sampled_from([b"%d" % n for n in common])
    return weighted((9, usual), (1, st.sampled_from(lasting * 3 + NOT_INTEGERS)))


seconds = life(100, 100, 1000, 100000, 0, -1, -100)
milliseconds = life(100_000, 100_000, 1_000_000, 0, -1, -100)
timestamp = number(4_000_000_000, 4_100_000_000, 1, 0, -1)
timestamp_ms = number(4_000_000_000_000, 4_100_000_000_000, 1, 0, -1)
database = st.sampled_from(
    [b"0", b"1", b"2", b"0", b"1", b"2", b"15", b"16", b"-1", b"x", b"9223372036854775808"]
)
pattern = either(
    "*",
    "a*",
    "?",
    "[ab]",
    "[^a]",
    "[a-c]*",
    "\\*",
    "",
    "nothing",
    "*[",
    "a\\",
    "[",
    "**",
    "*\x00*",
    "[b-a]",
    "\\",
)


def spelled(part: Spelled) -> Argument:
    """A literal becomes a strategy: a str is a keyword (case varies), bytes stand as they are, a tuple is
    a sequence."""
    if isinstance(part, str):
        return word(part)
    if isinstance(part, bytes):
        return st.just(part)
    if isinstance(part, tuple):
        return sequence(*part)
    return part


def flat(value: bytes | tuple[bytes, ...]) -> tuple[bytes, ...]:
    return (value,) if isinstance(value, bytes) else value


def sequence(*parts: Spelled) -> st.SearchStrategy[tuple[bytes, ...]]:
    """These arguments one after the other."""
    strategies = [spelled(part) for part in parts]
    return st.tuples(*strategies).map(lambda values: tuple(item for value in values for item in flat(value)))


pair = sequence


def many(part: Spelled, minimum: int = 1, maximum: int = 4) -> st.SearchStrategy[tuple[bytes, ...]]:
    """The argument several times over."""
    return st.lists(sequence(part), min_size=minimum, max_size=maximum).map(
        lambda values: tuple(item for value in values for item in value)
    )


def optional(*parts: Spelled) -> st.SearchStrategy[tuple[bytes, ...]]:
    """These arguments or none."""
    return st.one_of(st.just(()), sequence(*parts))


def options(*parts: Spelled, maximum: int = 3) -> st.SearchStrategy[tuple[bytes, ...]]:
    """Some of these options in any order, sometimes twice, rarely with a word that is none of them."""
    pool = [sequence(part) for part in parts] * 4 + [sequence("NOSUCHOPTION")]
    chosen = st.lists(st.sampled_from(range(len(pool))), max_size=maximum)

    @st.composite
    def draw_options(draw: st.DrawFn) -> tuple[bytes, ...]:
        return tuple(item for position in draw(chosen) for item in draw(pool[position]))

    return draw_options()


def counted(part: Spelled, minimum: int = 1, maximum: int = 3) -> st.SearchStrategy[tuple[bytes, ...]]:
    """`numkeys key [key ...]`: the number is right, rarely wrong."""

    def with_count(items: tuple[bytes, ...], lie: bytes | None) -> tuple[bytes, ...]:
        return (b"%d" % len(items) if lie is None else lie, *items)

    lies: list[bytes | None] = [None] * 20 + [b"0", b"-1", b"1", b"2", b"100", b"x"]
    return st.builds(with_count, many(part, minimum, maximum), st.sampled_from(lies))


ANYONE = -1  # a step whose client the sequence draws


@dataclass(frozen=True)
class Step:
    """One command of one client. judged: a law speaks on its reply, of which only the shape is compared."""

    argv: tuple[bytes, ...]
    client: int = 0
    judged: bool = False


# A law judges one server's replies to a snippet's steps; it raises AssertionError. `replies[i]` is a
# wire.Reply.
Law = Callable[[Sequence[Any]], None]


@dataclass(frozen=True)
class Snippet:
    """Steps that belong together, with a law that each server's replies must obey on its own."""

    steps: tuple[Step, ...]
    law: Law | None = None


@dataclass(frozen=True)
class Entry:
    """A strategy for a snippet and how often it is taken."""

    strategy: st.SearchStrategy[Snippet]
    weight: int = 1


def command(
    name: str, *parts: Spelled, weight: int = 2, mangle: bool = True, client: int | None = 0
) -> Entry:
    """A command by its grammar.

    name: may hold a subcommand ("OBJECT ENCODING"). mangle: now and then arguments are dropped, doubled or
    added; say False where that could block, hang or randomize. client: who sends it, None for any client of
    the group.
    """
    whole = sequence(*name.split(" "), *parts)
    if mangle:
        whole = mangled(whole)
    sender = ANYONE if client is None else client
    return Entry(whole.map(lambda argv: Snippet((Step(argv, sender),))), weight)


def mangled(argv_strategy: st.SearchStrategy[tuple[bytes, ...]]) -> st.SearchStrategy[tuple[bytes, ...]]:
    """The same command line, now and then with the wrong number of arguments."""

    def mangle(argv: tuple[bytes, ...], how: int) -> tuple[bytes, ...]:
        if how == 0 and len(argv) > 1:
            return argv[:-1]
        if how == 1:
            return (*argv, b"extra")
        if how == 2 and len(argv) > 1:
            return (*argv, argv[-1])
        if how == 3:
            return argv[:1]
        if how == 4 and len(argv) > 2:
            return argv[:2] + argv[3:]
        return argv

    return st.builds(mangle, argv_strategy, st.sampled_from([9] * 95 + [0, 1, 2, 3, 4]))


def snippet(*commands: Sequence[Spelled], law: Law | None = None, weight: int = 1, client: int = 0) -> Entry:
    """Several commands in a row that are never mangled; `law` judges their replies."""
    strategies = [sequence(*parts) for parts in commands]
    together = st.tuples(*strategies).map(
        lambda argvs: Snippet(tuple(Step(argv, client, law is not None) for argv in argvs), law)
    )
    return Entry(together, weight)


@st.composite
def _about_one_key(
    draw: st.DrawFn, keys: st.SearchStrategy[bytes], commands: Sequence[Sequence[Any]], law: Law | None
) -> Snippet:
    chosen = draw(keys)
    steps = []
    for parts in commands:
        filled = [st.just(chosen) if part is key else part for part in parts]
        steps.append(Step(draw(sequence(*filled)), judged=law is not None))
    return Snippet(tuple(steps), law)


def about_one_key(*commands: Sequence[Any], law: Law | None = None, weight: int = 1) -> Entry:
    """Several commands in a row in which every `key` is the same key: the frame for a random command.

    A command that picks at random leaves two servers with different content, so the key is deleted at the
    end:

        about_one_key(("SMEMBERS", key), ("SPOP", key, count), ("SMEMBERS", key), ("DEL", key), law=spop_law)
    """
    return Entry(_about_one_key(key, commands, law), weight)


# Values of each type on the shared keys, so that every group meets wrong types.
SEEDS = [
    command("SET", key, value, mangle=False),
    command("RPUSH", key, many(value, 1, 6), mangle=False),
    command("SADD", key, many(member, 1, 6), mangle=False),
    command("HSET", key, many(pair(field, value), 1, 6), mangle=False),
    command("ZADD", key, many(pair(st.sampled_from(SMALL_SCORES), member), 1, 6), mangle=False),
    command("DEL", key, mangle=False),
]

# Thresholds small enough that a handful of elements changes the encoding.
SMALL_ENCODINGS = {
    "hash-max-listpack-entries": "4",
    "hash-max-listpack-value": "32",
    "set-max-intset-entries": "4",
    "set-max-listpack-entries": "5",
    "set-max-listpack-value": "32",
    "zset-max-listpack-entries": "4",
    "zset-max-listpack-value": "32",
    "list-max-listpack-size": "4",
}


@dataclass(frozen=True)
class Group:
    """What the harness needs to know of a command group.

    clients: above 1 the steps are sent one by one and every client's output is compared after each step
    (blocking, pub/sub, WATCH); with 1 they are pipelined. seeds: mix in values of every type. config: CONFIG
    SET before each sequence (unknown parameters are ignored). length: most snippets in a sequence. before: what
    makes both servers alike where FLUSHALL does not.
    """

    name: str
    commands: list[Entry]
    clients: int = 1
    seeds: bool = True
    config: dict[str, str] | None = None
    length: int = 40
    before: tuple[tuple[str, ...], ...] = ()

    def entries(self) -> list[Entry]:
        return self.commands + SEEDS if self.seeds else self.commands

    def _assigned(self, draw: st.DrawFn, part: Snippet) -> Snippet:
        """The snippet with a client for each step that left it open."""
        if all(step.client != ANYONE for step in part.steps):
            return part
        sender = draw(st.integers(0, self.clients - 1)) if self.clients > 1 else 0
        return Snippet(tuple(Step(step.argv, sender, step.judged) for step in part.steps), part.law)

    def sequences(self) -> st.SearchStrategy[list[Snippet]]:
        entries = self.entries()
        own = sum(entry.weight for entry in self.commands)
        # Seeds take about a fifth of a sequence, however many commands the group has.
        share = max(1, round(own / 4 / sum(entry.weight for entry in SEEDS)))
        table: list[int] = []
        for position, entry in enumerate(entries):
            table += [position] * (entry.weight if position < len(self.commands) else entry.weight * share)

        @st.composite
        def draw_sequence(draw: st.DrawFn) -> list[Snippet]:
            chosen = draw(st.lists(st.sampled_from(table), min_size=1, max_size=self.length))
            return [self._assigned(draw, draw(entries[position].strategy)) for position in chosen]

        return draw_sequence()
