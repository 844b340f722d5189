"""Every command with every edge in every argument: the real server's reply, to the byte.

What arguments a command takes is read from its own documentation (COMMAND DOCS): a call that fits is made up, then one
argument after the other is replaced by the edges of its type, dropped, doubled, or followed by one too many.
GOSSAMER_EXAMPLES says how many made-up calls per command are varied (default 1, and then only some of the edges).
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conformance.arguments import Group, Snippet, Step
from conformance.conftest import Pair
from conformance.differential import Target, carry_out, content_differences, show_argv, step_differs
from gossamer.engine import command_docs

pytestmark = pytest.mark.peers

EXAMPLES = int(os.environ.get("GOSSAMER_EXAMPLES", "1"))
CAMPAIGN = "GOSSAMER_EXAMPLES" in os.environ
SAMPLED = 60  # variations of a call in the suite
SEQUENCE = 400  # commands between two fresh starts

GROUPS = (
    "string", "hash", "list", "set", "sorted-set", "stream", "bitmap", "hyperloglog", "geo", "generic", "pubsub",
    "transactions", "scripting",
)  # fmt: skip
# They block, end the connection or the process, touch other servers, or have a test of their own (test_waiting_...,
# groups/): edges of theirs would stop the sequence.
LEFT_OUT = {
    "blpop", "brpop", "brpoplpush", "blmove", "blmpop", "bzpopmin", "bzpopmax", "bzmpop", "xread",
    "xreadgroup", "wait",
    "waitaof", "subscribe", "psubscribe", "ssubscribe", "unsubscribe", "punsubscribe", "sunsubscribe",
    "migrate", "multi",
    "exec", "script|kill", "function|kill", "script|debug", "object|freq", "restore", "randomkey",
    "function|stats", "pfselftest",
}  # fmt: skip
OPEN_CONTENT = (b"spop", b"xadd")  # what is left is chance's, and the clock's
RANDOM_MANY = {"srandmember", "hrandfield", "zrandmember"}  # a huge negative count asks for as many elements
TIMES = {"seconds", "milliseconds", "unix-time-seconds", "unix-time-milliseconds", "ttl"}

KEYS = [b"string", b"number", b"list", b"set", b"ints", b"hash", b"zset", b"stream", b"geo", b"hll", b"none"]
SEEDS = (
    b"SET string text", b"SET number 10", b"RPUSH list a 1 b 2", b"SADD set a b c", b"SADD ints 1 2 3",
    b"HSET hash f v n 5 member x", b"ZADD zset 1 a 2 b 3.5 member", b"XADD stream 1-1 f v", b"XADD stream 2-1 f v",
    b"XGROUP CREATE stream group 0", b"GEOADD geo 13.361389 38.115556 a 15.087269 37.502669 member",
    b"PFADD hll a b c",
)  # fmt: skip
TYPE_OF_GROUP = {
    "string": [b"string", b"number"], "hash": [b"hash"], "list": [b"list"], "set": [b"set", b"ints"],
    "sorted-set": [b"zset"], "stream": [b"stream"], "bitmap": [b"string", b"number"], "hyperloglog": [b"hll"],
    "geo": [b"geo"],
}  # fmt: skip

ANY_EDGES = [b"", b"\x00\xff\r\n", b"nosuchword", b"x" * 100]
INTEGER_EDGES = [
    b"0", b"1", b"-1", b"2", b"2147483647", b"2147483648", b"-2147483648", b"-2147483649", b"4294967295",
    b"4294967296",
    b"9223372036854775806", b"9223372036854775807", b"9223372036854775808", b"-9223372036854775807",
    b"-9223372036854775808", b"-9223372036854775809", b"18446744073709551616", b"1.0", b"+1", b" 1", b"01",
    b"-0", b"1e3",
    b"0x10",
]  # fmt: skip
FLOAT_EDGES = [
    b"nan",
    b"-nan",
    b"inf",
    b"-inf",
    b"+inf",
    b"infinity",
    b"1e400",
    b"-1e400",
    b"1e-400",
    b"5e-324",
    b"1.5",
]
EDGES: dict[str, list[bytes]] = {
    "key": [*KEYS, b"", b"\x00\xff"],
    "string": [*ANY_EDGES, b"0", b"-1", b"9223372036854775808", b"(1", b"[a", b"-", b"+", b"5-*", b"1-1"],
    "integer": [*INTEGER_EDGES, *FLOAT_EDGES[:3], *ANY_EDGES],
    "time": [edge for edge in INTEGER_EDGES if edge not in (b"1", b"2")]
    + ANY_EDGES,  # nothing expires meanwhile
    "double": [*INTEGER_EDGES, *FLOAT_EDGES, *ANY_EDGES],
    "pattern": [b"*", b"", b"[", b"\\", b"[a-", b"*" * 50, b"?", b"\x00*"],
    "word": [*ANY_EDGES, b"1"],
}
USUAL: dict[str, list[bytes]] = {
    "string": [b"a", b"member", b"f", b"n", b"1", b"group", b"c"], "integer": [b"1", b"2", b"0", b"5"],
    "double": [b"1", b"2.5"], "pattern": [b"*", b"a*"],
}  # fmt: skip
NAMED: dict[str, list[bytes]] = {
    "id": [b"1-1", b"2-1", b"*", b"3-3"], "start": [b"0", b"-", b"1"], "end": [b"-1", b"+", b"2"], "cursor": [b"0"],
    "min": [b"0", b"-inf", b"-", b"[a"], "max": [b"5", b"+inf", b"+", b"(c"], "script": [b"return {KEYS, ARGV}"],
    "group": [b"group"], "groupname": [b"group"], "type": [b"string"],
    "encoding": [b"u8", b"i5"], "offset": [b"0", b"7", b"#2"], "element": [b"a", b"1"], "bit": [b"0", b"1"],
    "destination-db": [b"1", b"2"], "db": [b"1"], "longitude": [b"13.5"], "latitude": [b"38.1"],
    "value": [b"0", b"1", b"a"],
}  # fmt: skip

DOCS: dict[str, dict[str, Any]] = json.loads(
    (Path(command_docs.__file__).parent / "command_docs.json").read_text(encoding="utf-8")
)
Slot = tuple[str, bytes]  # what kind of argument, and the word


class Maker:
    """Makes calls up from the documentation of a command."""

    def __init__(self, rng: random.Random, group: str) -> None:
        self.rng = rng
        self.keys = TYPE_OF_GROUP.get(group, KEYS)

    def word(self, argument: dict[str, Any]) -> Slot:
        kind = argument["type"]
        if kind == "key":
            return kind, self.rng.choice(self.keys if self.rng.random() < 0.9 else KEYS)
        if argument["name"] in TIMES or kind == "unix-time":
            return "time", b"4000000000"
        usual = NAMED.get(argument["name"]) or USUAL.get(kind) or USUAL["string"]
        return kind, self.rng.choice(usual)

    def spell(self, arguments: list[dict[str, Any]]) -> list[Slot]:
        slots: list[Slot] = []
        for position, argument in enumerate(arguments):
            flags = argument.get("flags", ())
            if "optional" in flags and self.rng.random() < 0.5:
                continue
            times = self.rng.randint(1, 2) if "multiple" in flags else 1
            if argument["name"] == "numkeys":
                slots.append(("integer", b"1"))
                continue
            if position and arguments[position - 1]["name"] == "numkeys":
                times = 1
            for turn in range(times):
                if "token" in argument and (turn == 0 or "multiple_token" in flags):
                    slots.append(("word", argument["token"].encode()))
                slots += self.one(argument)
        return slots

    def one(self, argument: dict[str, Any]) -> list[Slot]:
        if argument["type"] == "pure-token":
            return []
        if argument["type"] == "oneof":
            return self.spell([{**self.rng.choice(argument["arguments"]), "flags": ()}])
        if argument["type"] == "block":
            return self.spell(argument["arguments"])
        return [self.word(argument)]


def variations(name: str, slots: list[Slot]) -> Iterator[tuple[bytes, ...]]:
    """The call as it is, and with one thing about it at an edge."""
    words = [part.encode() for part in name.split("|")]
    values = [value for _, value in slots]
    yield (*words, *values)
    for position, (kind, value) in enumerate(slots):
        for edge in EDGES.get(kind, EDGES["string"]):
            if name in RANDOM_MANY and edge.lstrip(b" ").startswith(b"-") and len(edge) > 3:
                continue
            yield (*words, *values[:position], edge, *values[position + 1 :])
        yield (*words, *values[:position], *values[position + 1 :])
        yield (*words, *values[:position], value, *values[position:])
        yield (*words, *values[:position], value.lower(), *values[position + 1 :])
        yield (*words, *values[:position])
    yield (*words, *values, b"extra")
    yield (*words, *values, *values[1:])


def tried_commands(theirs: Target) -> list[str]:
    """The commands and subcommands that the real server has, of the groups that are tried."""
    names = []
    for entry in theirs.control().call("COMMAND").plain():
        for name in [sub[0] for sub in entry[9]] or [entry[0]]:
            text = name.decode()
            if text not in LEFT_OUT and documented(text).get("group") in GROUPS:
                names.append(text)
    return sorted(names)


def documented(name: str) -> dict[str, Any]:
    docs: dict[str, Any] = DOCS.get(name, {})
    return docs


def sequence_of(rng: random.Random, name: str) -> list[tuple[bytes, ...]]:
    docs = documented(name)
    found: list[tuple[bytes, ...]] = []
    for _ in range(EXAMPLES):
        calls = list(variations(name, Maker(rng, docs["group"]).spell(docs.get("arguments", []))))
        found += calls if CAMPAIGN else rng.sample(calls, min(SAMPLED, len(calls)))
    # Whether a time to live grows depends on the moment.
    return [
        call
        for call in found
        if not (name in ("expire", "pexpire") and {b"GT", b"LT", b"gt", b"lt"} & set(call))
    ]


def differences(ours: Target, theirs: Target, calls: list[tuple[bytes, ...]]) -> list[str]:
    """Every call whose replies differ, told in one line."""
    group = Group(
        "edges",
        [],
        config={"proto-max-bulk-len": "1048576"},
        before=(("FUNCTION", "FLUSH"), ("SCRIPT", "FLUSH")),
    )
    found = []
    for start in range(0, len(calls), SEQUENCE):
        steps = [Step(tuple(seed.split())) for seed in SEEDS] + [
            Step(call) for call in calls[start : start + SEQUENCE]
        ]
        snippets = [Snippet((step,)) for step in steps]
        theirs_did = carry_out(theirs, group, snippets, 2, False)
        ours_did = carry_out(ours, group, snippets, 2, False)
        for step, mine, other in zip(steps, ours_did.observed, theirs_did.observed, strict=False):
            if step_differs(step, mine, other):
                found.append(f"{show_argv(step.argv)}: {str(mine)[:150]} instead of {str(other)[:150]}")
        if not found and calls[start][0] not in OPEN_CONTENT:
            found += content_differences(ours_did.content, theirs_did.content)
    return found


@pytest.mark.parametrize("compat", ["redis:7.0", "valkey:8.0"])
def test_every_edge_of_every_argument_is_answered_as_by_the_real_server(compat: str, targets: Pair) -> None:
    ours, theirs = targets(compat)
    names = tried_commands(theirs)
    assert len(names) > 180
    story = []
    tried = 0
    for name in names:
        ours, theirs = targets(compat)
        calls = sequence_of(random.Random(name if not CAMPAIGN else None), name)
        tried += len(calls)
        found = differences(ours, theirs, calls)
        if found:
            story.append(f"{name}: {len(found)} of {len(calls)}\n    " + "\n    ".join(found[:4]))
    print(f"{compat}: {len(names)} commands, {tried} calls")
    assert not story, f"{len(story)} of {len(names)} commands\n" + "\n".join(story)
