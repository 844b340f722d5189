"""DUMP and RESTORE: the very bytes of a payload, and what becomes of good and bad ones."""

from hypothesis import strategies as st

from conformance.arguments import (
    Group,
    command,
    either,
    field,
    floating,
    index,
    integer,
    key,
    many,
    milliseconds,
    options,
    pair,
    score,
    seconds,
    timestamp_ms,
    value,
)
from gossamer.base.limits import Limits
from gossamer.datatypes.hashes import Hash
from gossamer.datatypes.lists import List
from gossamer.datatypes.sets import Set
from gossamer.datatypes.zsets import ZSet
from gossamer.rdb.crc64 import crc64
from gossamer.rdb.payload import dump


def limits_of(compat: int) -> Limits:
    limits = Limits()
    limits.compat = compat
    return limits


OLD = limits_of(70)
WORDS = [b"alpha", b"beta", b"gamma", b"12", b"-70000"]
GOOD = [
    dump(content, 10)
    for content in (
        b"", b"text", b"12345", b"-1", b"repeated " * 30, bytes(range(256)),
        Hash.from_pairs([*WORDS, b"value"], OLD),
        Hash.from_pairs([b"field", b"x" * 100], OLD),
        List.from_elements(WORDS, OLD),
        Set.from_members([b"1", b"2", b"70000"], OLD),
        ZSet.from_entries(WORDS, [1.0, 2.5, 2.5, float("inf"), -3.0], OLD),
        ZSet.from_entries([b"m" * 80, b"n"], [1.0, 0.1], OLD),
    )
]  # fmt: skip


def resealed(body: bytes, version: int = 10) -> bytes:
    body += version.to_bytes(2, "little")
    return body + crc64(body).to_bytes(8, "little")


BAD = [
    b"", b"x" * 9, b"x" * 10, GOOD[1][:-1], GOOD[1] + b"x", b"\x01" + GOOD[1][1:],
    GOOD[3][:-1] + bytes([GOOD[3][-1] ^ 1]), resealed(GOOD[1][:-10], 0xFFFF),
    resealed(b"\x63\x01a"), resealed(b"\x06\x01a"), resealed(b"\x01\x00"), resealed(b"\x04\x01\x01f"),
]  # fmt: skip

payload = st.sampled_from(GOOD * 4 + BAD)
extras = options("REPLACE", ("IDLETIME", index), ("FREQ", index))

COMMANDS = [
    command("DUMP", key, weight=16),
    command("RESTORE", key, milliseconds, payload, extras, weight=8),
    command("RESTORE", key, timestamp_ms, payload, "ABSTTL", extras, weight=4, mangle=False),
    command("RESTORE", key, "0", payload, "REPLACE", weight=6),
    command("SET", key, value, weight=4),
    command("SET", key, integer, weight=2),
    command("APPEND", key, value),
    command("RPUSH", key, many(value), weight=4),
    command("LPUSH", key, many(integer)),
    command("LPOP", key),
    command("SADD", key, many(either("1", "2", "-5", "70000", "9223372036854775807")), weight=4),
    command("SREM", key, either("1", "70000")),
    command("HSET", key, field, value, weight=3),
    command("ZADD", key, pair(score, field), weight=4),
    command("ZADD", key, floating, "member"),
    command("ZREM", key, field),
    command("DEL", key),
    command("EXPIRE", key, seconds),
    command("PTTL", key),
    command("TYPE", key),
    command("OBJECT ENCODING", key),
]

GROUP = Group("dump", COMMANDS)
