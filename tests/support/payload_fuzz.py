"""Fuzzing RESTORE and FUNCTION RESTORE: whatever bytes arrive, they are refused or make a sound value.

Owns: the collection of real payloads of every type and encoding, their damage, and the use of what is taken. As a
program it runs a campaign:

    PYTHONPATH=src:tests python -m support.payload_fuzz --inputs 1000000 --seed 1

Claims, for every input (with a check sum that is right, as an attacker's is): RESTORE answers OK or an error of its
own; a value that it made has as many elements as it says, each once and in order, and its DUMP is taken again; fifty
random commands of its type end in a reply; no bug is logged; memory stays below 16 MB and four times the input.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
import tracemalloc
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from gossamer.base import build
from gossamer.base.errors import CorruptError
from gossamer.base.limits import SANITIZE_ALWAYS, SANITIZE_NOBODY, Limits
from gossamer.datatypes import listpack
from gossamer.datatypes.value import Value
from gossamer.rdb.crc64 import crc64
from gossamer.rdb.input import Input
from gossamer.rdb.output import Output
from gossamer.rdb.payload import restore
from gossamer.rdb.reader import KeyAttributes, Reader, Visitor
from support.engines import EngineClient, StrictHooks, Ticking, new_engine
from support.wire import Reply

DATA = Path(__file__).resolve().parent.parent / "data" / "rdb"
LIBRARIES = [
    b"#!lua name=a\nredis.register_function('f', function(k, a) return a end)",
    b"#!lua name=b\nlocal n = 0 redis.register_function{function_name='g', callback=function() n = n + 1 return n end, "
    b"flags={'no-writes'}}",
]
PAYLOAD_MAX_BYTES = 6000  # of a real payload: larger ones are as good, but slow
COMMANDS_PER_VALUE = 50
MEMORY_EVERY = 50  # inputs between two whose memory is measured
FUNCTIONS_EVERY = 40
MEMORY_BASE_BYTES = 16 << 20
VERSIONS = [1, 6, 9, 10, 11, 11, 11, 12, 80]
EDGE_BYTES = [
    0,
    1,
    2,
    0x1F,
    0x3F,
    0x40,
    0x7F,
    0x80,
    0x81,
    0xBF,
    0xC0,
    0xC1,
    0xC2,
    0xC3,
    0xE0,
    0xF0,
    0xF4,
    0xFD,
    0xFE,
    0xFF,
]
LENGTHS = [
    b"\x80\xff\xff\xff\xff", b"\x80\x7f\xff\xff\xff", b"\x81" + b"\xff" * 8, b"\x81\x7f" + b"\xff" * 7,
    b"\x7f\xff", b"\x00",
    b"\x81\x00\x00\x00\x01\x00\x00\x00\x00", b"\x80\x00\x10\x00\x00", b"\xc3\x05\x80\x7f\xff\xff\xff",
]  # fmt: skip


class Defect(AssertionError):
    """A claim that does not hold."""


class BodyCollector(Visitor):
    """Cuts the bytes of each value out of a file."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.source = Input(data)
        self.previous = 0
        self.bodies: list[bytes] = []

    def on_key(self, key: bytes, value: bytes | Value, attributes: KeyAttributes) -> None:
        end = self.source.position
        part = self.data[self.previous : end]
        self.previous = end
        at = part.find(bytes([len(key)]) + key) if len(key) < 64 else -1
        if at > 0:
            self.bodies.append(part[at - 1 : at] + part[at + 1 + len(key) :])


def real_bodies() -> list[bytes]:
    """The type byte and the bytes of values of every type and encoding that servers have written, each kind often."""
    found: dict[int, list[bytes]] = {}
    for path in sorted(DATA.rglob("*.rdb")):
        collector = BodyCollector(path.read_bytes())
        try:
            Reader(collector.source, collector, Limits()).read_all()
        except CorruptError:
            continue
        for body in collector.bodies:
            if len(body) > PAYLOAD_MAX_BYTES:
                continue
            try:
                restore(sealed(body, 12), Limits())
            except CorruptError:
                continue
            found.setdefault(body[0], []).append(body)
    return [body for kind in sorted(found) for body in sorted(found[kind], key=len)[:12]]


def doubled_bodies(rng: random.Random) -> list[bytes]:
    """Hashes, sets and sorted sets in one listpack whose members repeat."""
    bodies: list[bytes] = []
    for _ in range(60):
        members = [rng.choice(ELEMENTS) for _ in range(rng.randint(2, 12))]
        scores = sorted(rng.choice([0, 1, 1, 2, 5]) for _ in members)
        pairs = [word for member in members for word in (member, rng.choice(ELEMENTS))]
        scored = [
            word for member, score in zip(members, scores, strict=True) for word in (member, b"%d" % score)
        ]
        for kind, words in ((16, pairs), (17, scored), (20, members)):
            output = Output(11, None)
            output.byte(kind)
            output.string(listpack.encode(words))
            bodies.append(output.drain())
    return bodies


def sealed(body: bytes, version: int) -> bytes:
    """A payload: the body, the version, and the check sum that fits."""
    whole = body + version.to_bytes(2, "little")
    return whole + crc64(whole).to_bytes(8, "little")


def damage(rng: random.Random, body: bytes, others: Sequence[bytes]) -> bytes:
    """One damage."""
    at = rng.randrange(len(body) + 1)
    how = rng.randrange(9)
    if how == 0 and at < len(body):
        return body[:at] + bytes([body[at] ^ (1 << rng.randrange(8))]) + body[at + 1 :]
    if how == 1:
        return body[:at] + bytes([rng.choice(EDGE_BYTES)]) + body[at + 1 :]
    if how == 2:
        return body[:at] + rng.choice(LENGTHS) + body[at + rng.randrange(3) :]
    if how == 3:
        return body[: max(1, at)]
    if how == 4:
        other = rng.choice(others)
        cut = rng.randrange(len(other) + 1)
        return body[:at] + other[cut : cut + rng.randint(1, 40)] + body[at + rng.choice([0, 0, 5, 40]) :]
    if how == 5:
        end = at + rng.randint(1, 20)
        return body[:end] + body[at:end] + body[end:]
    if how == 6:
        return body[:at] + body[at + rng.randint(1, 8) :]
    if how == 7:
        return bytes([rng.randrange(32)]) + body[1:]
    place = rng.randrange(max(1, min(len(body), 12)))  # headers: sizes and counts stand in front
    return body[:place] + bytes([rng.randrange(256)]) + body[place + 1 :]


ELEMENTS = [b"a", b"b", b"1", b"-5", b"", b"x" * 70, b"\x00\xff", b"member-1", b"9223372036854775807"]
NUMBERS = [b"0", b"1", b"-1", b"2", b"5", b"-3", b"100"]
FLOATS = [b"0", b"1.5", b"-2", b"inf", b"-inf", b"1e300"]
IDS = [b"-", b"+", b"0", b"1-1", b"5", b"1526919030474-55", b"18446744073709551615-18446744073709551615"]
# Words of a command: k key, e element, n number, f float, i stream id; others as they stand.
GENERAL = [
    "TYPE k",
    "OBJECT ENCODING k",
    "DUMP k",
    "COPY k other REPLACE",
    "EXPIRE k 1000",
    "PERSIST k",
    "MEMORY USAGE k",
]
BY_TYPE = {
    b"string": [
        "GET k", "STRLEN k", "APPEND k e", "GETRANGE k n n", "SETRANGE k 3 e", "INCR k", "INCRBYFLOAT k f", "GETEX k",
        "BITCOUNT k n n", "SETBIT k 77 1", "GETBIT k n", "BITPOS k 1 n n", "PFCOUNT k", "PFADD k e",
        "LCS k other LEN",
        "BITFIELD k INCRBY i5 3 n", "SETNX k e",
    ],
    b"list": [
        "LLEN k", "LRANGE k n n", "LINDEX k n", "LPUSH k e", "RPUSH k e e", "LPOP k", "RPOP k 2",
        "LSET k n e", "LREM k n e",
        "LTRIM k n n", "LINSERT k BEFORE e e", "LPOS k e COUNT 0", "LMOVE k k LEFT RIGHT", "SORT k ALPHA",
        "RPOPLPUSH k other",
    ],
    b"set": [
        "SCARD k", "SMEMBERS k", "SADD k e e", "SREM k e", "SISMEMBER k e", "SMISMEMBER k e e", "SPOP k",
        "SRANDMEMBER k n",
        "SSCAN k 0 COUNT 5", "SINTER k other", "SUNIONSTORE other k other", "SDIFF k other",
        "SMOVE k other e", "SORT k ALPHA",
    ],
    b"hash": [
        "HLEN k", "HGETALL k", "HSET k e e", "HDEL k e", "HGET k e", "HEXISTS k e", "HINCRBY k e n",
        "HINCRBYFLOAT k e f",
        "HKEYS k", "HVALS k", "HSTRLEN k e", "HSCAN k 0 COUNT 5", "HRANDFIELD k n WITHVALUES", "HSETNX k e e",
        "HEXPIRE k 100 FIELDS 1 e", "HTTL k FIELDS 1 e", "HPERSIST k FIELDS 1 e",
    ],
    b"zset": [
        "ZCARD k", "ZRANGE k n n WITHSCORES", "ZADD k f e", "ZREM k e", "ZSCORE k e", "ZRANK k e",
        "ZREVRANK k e", "ZINCRBY k 1 e",
        "ZCOUNT k f f", "ZRANGEBYSCORE k -inf +inf", "ZRANGEBYLEX k - +", "ZPOPMIN k", "ZPOPMAX k 2",
        "ZSCAN k 0 COUNT 5",
        "ZREMRANGEBYRANK k n n", "ZREMRANGEBYSCORE k f f", "ZUNIONSTORE other 2 k other", "ZRANDMEMBER k n",
        "ZLEXCOUNT k - +",
        "ZINTER 2 k other", "ZDIFFSTORE other 2 k other", "GEOSEARCH k FROMLONLAT 1 1 BYRADIUS 9 km",
    ],
    b"stream": [
        "XLEN k", "XRANGE k i i COUNT 20", "XREVRANGE k i i COUNT 20", "XADD k * e e", "XDEL k i", "XTRIM k MAXLEN 5",
        "XTRIM k MINID ~ i", "XINFO STREAM k FULL", "XINFO GROUPS k", "XGROUP CREATE k g 0", "XGROUP SETID k g i",
        "XREADGROUP GROUP g c COUNT 3 STREAMS k >", "XPENDING k g", "XPENDING k g - + 10", "XCLAIM k g d 0 i",
        "XAUTOCLAIM k g d 0 0 COUNT 5", "XACK k g i", "XSETID k i", "XREAD COUNT 3 STREAMS k i", "XGROUP DESTROY k g",
        "XGROUP DELCONSUMER k g c", "XINFO CONSUMERS k g",
    ],
}  # fmt: skip
POOLS = {"e": ELEMENTS, "n": NUMBERS, "f": FLOATS, "i": IDS, "k": [b"k"]}


def spelled(rng: random.Random, line: str) -> list[bytes]:
    return [rng.choice(POOLS[word]) if word in POOLS else word.encode() for word in line.split()]


def listed(client: EngineClient, *words: str) -> list[object]:
    value = client.call(*words).plain()
    if not isinstance(value, list):
        raise Defect(f"{words} is answered {value!r:.200}")
    return value


def check_value(client: EngineClient, kind: bytes) -> None:
    """As many elements as it says, each once, in the order of its type."""
    if kind == b"list":
        count, items = client.answer("LLEN", "k"), listed(client, "LRANGE", "k", "0", "-1")
    elif kind == b"set":
        count, items = client.answer("SCARD", "k"), listed(client, "SMEMBERS", "k")
    elif kind == b"hash":
        count, items = client.answer("HLEN", "k"), listed(client, "HKEYS", "k")
    elif kind == b"zset":
        count, items = client.answer("ZCARD", "k"), listed(client, "ZRANGE", "k", "0", "-1")
        scored = listed(client, "ZRANGE", "k", "0", "-1", "WITHSCORES")
        scores = [float(score) for score in scored[1::2]]  # type: ignore[arg-type]
        if scores != sorted(scores) or any(score != score for score in scores):
            raise Defect("scores are out of order")
    elif kind == b"stream":
        items = [tuple(entry[0].split(b"-")) for entry in client.call("XRANGE", "k", "-", "+").plain()]
        count = client.answer("XLEN", "k")
        if items != sorted(items, key=lambda entry: (int(entry[0]), int(entry[1]))):  # type: ignore[index]
            raise Defect("entries are out of order")
    else:
        count, items = client.answer("STRLEN", "k"), [b"x"] * len(client.call("GET", "k").plain())
    if count != len(items) or kind not in (b"list", b"string") and len(set(map(str, items))) != len(items):
        raise Defect(
            f"a {kind!r} of {count} elements holds {len(items)}, {len(set(map(str, items)))} of them different"
        )


def is_bug(reply: Reply) -> bool:
    return reply.is_error and b"internal error" in reply.raw.lower()


class Fuzzer:
    """One engine, used for a while, and what came of the inputs."""

    def __init__(self, rng: random.Random, deep: bool = True) -> None:
        self.rng = rng
        self.deep = deep  # without it a value may hold a member twice, and still must do no harm
        self.bodies = real_bodies() if deep else doubled_bodies(rng)
        self.client = EngineClient(new_engine())
        self.client.engine.limits.sanitize_dump_payload = SANITIZE_ALWAYS if deep else SANITIZE_NOBODY
        self.taken: Counter[str] = Counter()
        self.refused = 0
        self.commands = 0
        self.measured = 0
        self.most_memory = 0
        self.functions_taken = 0
        lua = EngineClient(new_engine(Ticking(), hooks=StrictHooks()))
        for library in LIBRARIES:
            lua.call("FUNCTION", "LOAD", library)
        self.lua = lua
        self.library_body: bytes = lua.call("FUNCTION", "DUMP").plain()[:-10]

    def damaged(self, body: bytes) -> bytes:
        for _ in range(self.rng.choice([1, 1, 1, 2, 3])):
            body = damage(self.rng, body, self.bodies)
        return sealed(body, self.rng.choice(VERSIONS))

    def one(self, number: int) -> None:
        if number % FUNCTIONS_EVERY == 0:
            self.restore_functions()
            return
        payload = self.damaged(self.rng.choice(self.bodies))
        self.client.call("FLUSHALL")
        if number % MEMORY_EVERY == 1:
            self.measure(payload)
            self.client.call("DEL", "k")
        try:
            reply = self.client.call("RESTORE", "k", "0", payload)
            if reply.is_error:
                if not reply.raw.startswith((b"-ERR Bad data format", b"-ERR DUMP payload version")):
                    raise Defect(f"answered {reply.raw!r}")
                self.refused += 1
                return
            self.use(payload)
        except (AssertionError, ValueError, TypeError, LookupError, AttributeError) as defect:
            raise Defect(f"payload {payload.hex()}: {defect!r} {defect.__cause__!r}") from defect

    def measure(self, payload: bytes) -> None:
        tracemalloc.start()
        try:
            self.client.call("RESTORE", "k", "0", payload)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        self.measured += 1
        self.most_memory = max(self.most_memory, peak)
        if peak > MEMORY_BASE_BYTES + 4 * len(payload):
            raise Defect(f"payload {payload.hex()} took {peak} bytes")

    def use(self, payload: bytes) -> None:
        client, rng = self.client, self.rng
        kind = client.answer("TYPE", "k")
        assert isinstance(kind, bytes)
        if kind == b"none":
            return  # it had expired
        encoding = client.answer("OBJECT", "ENCODING", "k")
        self.taken[f"{kind.decode()} {encoding.decode() if isinstance(encoding, bytes) else encoding}"] += 1
        if self.deep:
            check_value(client, kind)
        again = client.call("DUMP", "k").plain()
        if again is None:
            return  # a hash all of whose fields had expired
        if client.answer("RESTORE", "other", "0", again) != b"OK":
            raise Defect("what it became is not taken again")
        for _ in range(COMMANDS_PER_VALUE):
            line = rng.choice(BY_TYPE[kind] if rng.random() < 0.9 else GENERAL)
            argv = spelled(rng, line)
            reply = client.call(*argv)
            self.commands += 1
            if is_bug(reply):
                raise Defect(f"{argv!r} is answered {reply.raw!r}")
        if self.deep and client.answer("TYPE", "k") == kind:
            check_value(client, kind)

    def restore_functions(self) -> None:
        payload = self.damaged(self.library_body)
        self.lua.call("FUNCTION", "FLUSH")
        try:
            reply = self.lua.call("FUNCTION", "RESTORE", payload)
            if not reply.is_error:
                self.functions_taken += 1
            names = [library[1] for library in self.lua.call("FUNCTION", "LIST").plain()]
            if reply.is_error and names:
                raise Defect(f"refused, but {names!r} are there")
            for word in ("f", "g"):
                self.lua.call("FCALL", word, "0", "x")
            self.lua.call("FUNCTION", "DUMP")
        except AssertionError as defect:
            raise Defect(f"functions {payload.hex()}: {defect!r} {defect.__cause__!r}") from defect


def campaign(inputs: int, seed: int, progress: bool = False, deep: bool = True) -> Fuzzer:
    """Try that many inputs; what came of them."""
    fuzzer = Fuzzer(random.Random(seed), deep)
    started = time.monotonic()
    for number in range(inputs):
        fuzzer.one(number)
        if progress and (number + 1) % 20_000 == 0:
            rate = (number + 1) / (time.monotonic() - started)
            print(f"{number + 1} inputs, {fuzzer.refused} refused, {rate:.0f}/s", flush=True)
    return fuzzer


def main() -> int:
    arguments = argparse.ArgumentParser(description="Fuzz RESTORE and FUNCTION RESTORE.")
    arguments.add_argument("--inputs", type=int, default=1_000_000)
    arguments.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    options = arguments.parse_args()
    print(f"fuzzing RESTORE, {build.mode()}: {options.inputs} inputs, seed {options.seed}", flush=True)
    try:
        fuzzer = campaign(options.inputs, options.seed, progress=True)
    except Defect as defect:
        print(f"DEFECT {defect}")
        return 1
    for name, count in sorted(fuzzer.taken.items()):
        print(f"{count:8} taken as {name}")
    print(f"{fuzzer.functions_taken:8} taken as function libraries")
    print(
        f"no defect: {fuzzer.refused} refused, {fuzzer.commands} commands on what was taken; at most "
        f"{fuzzer.most_memory} bytes in {fuzzer.measured} measured"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
