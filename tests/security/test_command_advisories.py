"""Published flaws of Redis's and Valkey's commands: what each was, an attack of its kind, what must come of it."""

import time
import tracemalloc
from collections.abc import Sequence
from decimal import Decimal

import pytest

from gossamer.base.glob import match
from support.engines import EngineClient, new_client
from support.wire import Reply

EDGES = [
    2147483647, 2147483648, 4294967295, 4294967296, 9223372036854775807, -2147483648, -2147483649, -4294967296,
    -9223372036854775807, -9223372036854775808,
]  # fmt: skip


def within_memory(
    client: EngineClient, words: Sequence[bytes | str | int], limit_bytes: int = 16 << 20
) -> Reply:
    """The reply, for which no more memory may have been taken."""
    tracemalloc.start()
    try:
        reply = client.call(*words)
        assert tracemalloc.get_traced_memory()[1] < limit_bytes, words
    finally:
        tracemalloc.stop()
    return reply


def filled() -> EngineClient:
    client = new_client()
    client.call("SET", "string", "some text")
    client.call("RPUSH", "list", "3", "1", "2")
    client.call("SADD", "ints", "1", "2", "3")
    client.call("SADD", "set", "a", "b", "c")
    client.call("HSET", "hash", "f", "1", "g", "2")
    client.call("ZADD", "zset", "1", "a", "2", "b")
    client.call("XADD", "stream", "1-1", "f", "v")
    return client


def test_cve_2016_8339() -> None:
    """CONFIG SET client-output-buffer-limit took the wrong class name for an index and wrote out of its table."""
    client = new_client()
    for name in ("master", "primary", "nosuch", "-1", "3", "normal normal"):
        client.call("CONFIG", "SET", "client-output-buffer-limit", f"{name} 3735928559 3405691582 373529054")
    limits = client.answer("CONFIG", "GET", "client-output-buffer-limit")
    assert isinstance(limits, list) and limits[1].startswith(b"normal 0 0 0 ")


def test_cve_2021_21309() -> None:
    """On 32 bits a large proto-max-bulk-len let sizes of strings overflow."""
    client = new_client()
    for size in (2**63 - 1, 2**63, 2**64, -1, 0):
        client.call("CONFIG", "SET", "proto-max-bulk-len", size)
    assert client.call("SETRANGE", "k", 2**62, "x").is_error
    assert client.answer("EXISTS", "k") == 0


@pytest.mark.parametrize("name", ["CVE-2021-29477", "CVE-2021-32625"])
def test_cve_2021_29477_and_2021_32625(name: str) -> None:
    """The table of LCS was sized by a product that overflowed."""
    client = new_client()
    client.call("SET", "a", b"x" * 200_000)
    client.call("SET", "b", b"y" * 200_000)
    for words in (["LEN"], [], ["IDX"], ["IDX", "WITHMATCHLEN"]):
        assert within_memory(client, ["LCS", "a", "b", *words], 64 << 20).is_error


def test_cve_2021_29478() -> None:
    """A huge set-max-intset-entries let the size of an intset overflow."""
    client = new_client()
    for size in EDGES:
        client.call("CONFIG", "SET", "set-max-intset-entries", size)
    client.call("SADD", "s", *range(5000))
    assert client.answer("SCARD", "s") == 5000
    assert client.answer("SISMEMBER", "s", 4999) == 1


def test_cve_2021_32627() -> None:
    """Stream entries larger than a listpack can be, with huge limits set, overflowed its size."""
    client = new_client()
    client.call("CONFIG", "SET", "stream-node-max-bytes", 2**63 - 1)
    client.call("CONFIG", "SET", "stream-node-max-entries", 2**63 - 1)
    large = b"x" * 3_000_000
    for _ in range(4):
        assert not client.call("XADD", "s", "*", "f", large).is_error
    assert [len(entry[1][1]) for entry in client.call("XRANGE", "s", "-", "+").plain()] == [3_000_000] * 4


@pytest.mark.parametrize("kind", ["hash", "zset", "list"])
def test_cve_2021_32628(kind: str) -> None:
    """Huge limits of ziplist entries let a packed value grow beyond what its header can say."""
    client = new_client()
    for setting in (
        "max-ziplist-value",
        "max-listpack-value",
        "max-ziplist-entries",
        "max-listpack-entries",
        "max-listpack-size",
    ):
        client.call("CONFIG", "SET", f"{kind}-{setting}", 2**31 - 1)
    large = [b"%d" % i + b"x" * 1_000_000 for i in range(5)]
    for item in large:
        words: dict[str, list[bytes | str | int]] = {
            "hash": ["HSET", "k", item, item],
            "zset": ["ZADD", "k", "1", item],
            "list": ["RPUSH", "k", item],
        }
        assert not client.call(*words[kind]).is_error
    dump = client.call("DUMP", "k").plain()
    assert client.answer("RESTORE", "copy", 0, dump) == b"OK"
    reader: dict[str, list[str | int]] = {
        "hash": ["HKEYS", "copy"],
        "zset": ["ZRANGE", "copy", 0, -1],
        "list": ["LRANGE", "copy", 0, -1],
    }
    assert sorted(client.call(*reader[kind]).plain()) == sorted(large)


def test_cve_2021_32687() -> None:
    """An intset of more than its header's count of bytes can say was written out of bounds."""
    client = new_client()
    client.call("CONFIG", "SET", "set-max-intset-entries", 2**31)
    client.call("SADD", "a", *range(0, 3000, 2))
    client.call("SADD", "b", *range(1, 3000, 2))
    assert client.answer("SUNIONSTORE", "c", "a", "b") == 3000
    assert client.answer("SCARD", "c") == 3000


def test_cve_2021_32761() -> None:
    """On 32 bits GETBIT and SETBIT counted bits beyond what a string can hold."""
    client = new_client()
    for offset in (2**32, 2**32 + 7, 2**35, 2**63 - 1, 2**63, -1, -(2**63)):
        commands: list[list[bytes | str | int]] = [
            ["SETBIT", "k", offset, 1],
            ["BITFIELD", "k", "SET", "u8", offset, 1],
        ]
        for words in commands:
            assert within_memory(client, words).is_error
        client.call("GETBIT", "k", offset)
    assert client.answer("EXISTS", "k") == 0


def test_cve_2021_41099() -> None:
    """A large proto-max-bulk-len let the size of a string overflow as it grew."""
    client = new_client()
    client.call("CONFIG", "SET", "proto-max-bulk-len", 2**63 - 1)
    client.call("SET", "k", "x")
    for offset in (2**63 - 1, 2**63 - 2):
        assert within_memory(client, ["SETRANGE", "k", offset, "xyz"]).is_error
    assert client.answer("GET", "k") == b"x"


def test_cve_2022_31144() -> None:
    """XAUTOCLAIM over entries that are deleted wrote beyond its array of them."""
    client = new_client()
    client.call("XGROUP", "CREATE", "s", "g", "$", "MKSTREAM")
    for i in range(1, 301):
        client.call("XADD", "s", f"{i}-1", "f", "v")
    client.call("XREADGROUP", "GROUP", "g", "c", "COUNT", 300, "STREAMS", "s", ">")
    client.call("XTRIM", "s", "MAXLEN", 0)
    reply = client.call("XAUTOCLAIM", "s", "g", "d", 0, "0-0", "COUNT", 100)
    assert [len(part) for part in reply.plain()[1:]] == [0, 100]


@pytest.mark.parametrize("count", EDGES + [0, 1, 2**60, 2**61 + 1])
def test_cve_2022_35951(count: int) -> None:
    """XAUTOCLAIM multiplied its COUNT, which overflowed, and took too little memory."""
    client = new_client()
    client.call("XGROUP", "CREATE", "s", "g", "$", "MKSTREAM")
    client.call("XADD", "s", "1-1", "f", "v")
    client.call("XREADGROUP", "GROUP", "g", "c", "STREAMS", "s", ">")
    reply = within_memory(client, ["XAUTOCLAIM", "s", "g", "d", 0, "0-0", "COUNT", count])
    assert reply.is_error or [entry[0] for entry in reply.plain()[1]] == [b"1-1"]


def test_cve_2022_35977() -> None:
    """SETRANGE and SORT took more memory than there is and ended the process."""
    client = filled()
    for edge in EDGES:
        assert within_memory(client, ["SETRANGE", "string", edge, "x"]).is_error
        for count in EDGES:
            reply = within_memory(client, ["SORT", "list", "LIMIT", edge, count])
            assert reply.is_error or len(reply.plain()) <= 3


@pytest.mark.parametrize(
    "pattern", ["a*" * 30 + "b", "*a" * 1000 + "*b", "[a" * 5000, "\\*" * 5000 + "*", "?*" * 500 + "b"]
)
def test_cve_2022_36021(pattern: str) -> None:
    """Patterns of many stars took exponential time."""
    client = new_client()
    client.call("SET", "a" * 10_000, "1")
    started = time.monotonic()
    client.call("KEYS", pattern)
    client.call("SCAN", "0", "MATCH", pattern)
    client.call("COMMAND", "LIST", "FILTERBY", "PATTERN", pattern)
    client.call("FUNCTION", "LIST", "LIBRARYNAME", pattern)
    client.call("CONFIG", "GET", pattern)
    assert time.monotonic() - started < 5


def test_cve_2024_31228() -> None:
    """A pattern of enough stars overflowed the stack of the recursive matcher."""
    text = b"a" * 1000
    started = time.monotonic()
    for pattern in (b"*" * 300_000 + b"b", b"*?" * 100_000, b"a*" * 100_000, b"[" * 300_000, b"\\" * 300_000):
        match(pattern, text, False)
    client = new_client()
    client.call("ACL", "SETUSER", "u", "on", "nopass", b"~" + b"*a" * 50_000, "+@all")
    client.call("PSUBSCRIBE", b"*a" * 50_000)
    assert client.call("ACL", "DRYRUN", "u", "GET", "a" * 100).raw
    assert time.monotonic() - started < 10


RANDOM_COUNTS = [-(2**63), -(2**63) + 1, -(2**62), -(2**62) - 1, 2**63 - 1, 2**62]


@pytest.mark.parametrize("count", RANDOM_COUNTS)
@pytest.mark.parametrize("words", [["HRANDFIELD", "hash"], ["ZRANDMEMBER", "zset"]])
def test_cve_2023_22458(words: list[str], count: int) -> None:
    """HRANDFIELD and ZRANDMEMBER with a count whose double overflows ended the process."""
    client = filled()
    option = "WITHVALUES" if words[0] == "HRANDFIELD" else "WITHSCORES"
    reply = within_memory(client, [*words, count, option])
    assert reply.is_error or len(reply.plain()) <= 4
    if count > 0 or count == -(2**63):
        within_memory(client, [*words, count])


@pytest.mark.parametrize("count", [-(2**63), 2**63 - 1, 2**63, -(2**63) - 1])
@pytest.mark.parametrize(
    "words",
    [["SRANDMEMBER", "set"], ["SRANDMEMBER", "ints"], ["ZRANDMEMBER", "zset"], ["HRANDFIELD", "hash"]],
)
def test_cve_2023_25155(words: list[str], count: int) -> None:
    """SRANDMEMBER, ZRANDMEMBER and HRANDFIELD negated the least integer, which stays negative."""
    reply = within_memory(filled(), [*words, count])
    assert reply.is_error or len(reply.plain()) <= 4


def test_cve_2023_28425() -> None:
    """MSETNX that names a key twice ended the process."""
    client = new_client()
    assert client.answer("MSETNX", "k", "1", "k", "2") == 1
    assert client.answer("GET", "k") == b"2"
    assert client.answer("MSETNX", "k", "3", "l", "4", "l", "5") == 0
    assert client.answer("EXISTS", "l") == 0


@pytest.mark.parametrize(
    "increment", ["inf", "-inf", "nan", "1e308", "-1e308", "1.7976931348623157e308", "infinity"]
)
def test_cve_2023_28856(increment: str) -> None:
    """HINCRBYFLOAT stored what is no number, and the next access ended the process."""
    client = new_client()
    client.call("HSET", "h", "f", "1e308")
    client.call("HINCRBYFLOAT", "h", "f", increment)
    value = client.answer("HGET", "h", "f")
    assert isinstance(value, bytes) and b"n" not in value and Decimal(value.decode()).is_finite()
    assert client.call("HINCRBYFLOAT", "h", "f", "0").raw
    assert not client.call("HGETALL", "h").is_error


def test_cve_2023_36824() -> None:
    """Counting the keys of a command with many of them wrote beyond its array."""
    client = new_client()
    for count in (100, 256, 257, 1000, 70_000):
        keys = [f"k{i}" for i in range(count)]
        assert client.answer("COMMAND", "GETKEYS", "MSET", *(w for k in keys for w in (k, "v"))) == [
            k.encode() for k in keys
        ]
        assert len(client.call("COMMAND", "GETKEYSANDFLAGS", "EVAL", "x", count, *keys).plain()) == count
        assert client.call("COMMAND", "GETKEYS", "ZUNION", count + 1, *keys).is_error
        client.call("ACL", "SETUSER", "u", "on", "nopass", "+@all", "~k*")
        assert client.answer("ACL", "DRYRUN", "u", "MGET", *keys) == b"OK"


def test_cve_2023_41056() -> None:
    """Buffers that are resized lost count of how much they hold."""
    client = new_client()
    for size in (16_383, 16_384, 16_385, 32_767, 32_768, 65_536, 1_048_576):
        client.call("SET", "k", b"x" * size)
        client.call("APPEND", "k", b"y" * size)
        assert client.answer("STRLEN", "k") == 2 * size
        assert client.answer("GET", "k") == b"x" * size + b"y" * size


def hyperloglog(registers: bytes) -> bytes:
    return b"HYLL\x01\x00\x00\x00" + b"\x00" * 7 + b"\x80" + registers


@pytest.mark.parametrize("registers", [
    b"\x7f\xff" * 8, b"\x7f\xff" * 200_000, b"\x3f" * 1000, b"\xff" * 100_000, b"", b"\x7f", b"\x40",
    b"\x7f\xff" * 131_073,
])  # fmt: skip
def test_cve_2025_32023(registers: bytes) -> None:
    """Runs of a sparse HyperLogLog that sum up to more than there are registers led to writes out of bounds."""
    client = new_client()
    client.call("SET", "h", hyperloglog(registers))
    client.call("PFADD", "other", "a")
    for words in (["PFCOUNT", "h"], ["PFCOUNT", "h", "other"], ["PFMERGE", "m", "other", "h"]):
        assert client.call(*words).is_error
    client.call("PFADD", "h", *range(50))
    assert len(client.answer("GET", "h")) < 2 * len(registers) + 20_000  # type: ignore[arg-type]
    assert client.call("PFDEBUG", "GETREG", "h").is_error


def test_cve_2025_62507() -> None:
    """XACKDEL with more ids than it had room for on the stack wrote beyond it."""
    client = new_client()
    client.call("XGROUP", "CREATE", "s", "g", "$", "MKSTREAM")
    ids = [f"{i}-1" for i in range(1, 501)]
    for entry in ids:
        client.call("XADD", "s", entry, "f", "v")
    client.call("XREADGROUP", "GROUP", "g", "c", "COUNT", 500, "STREAMS", "s", ">")
    assert client.answer("XACKDEL", "s", "g", "IDS", 500, *ids) == [1] * 500
    assert client.answer("XLEN", "s") == 0


def test_cve_2018_12326() -> None:
    """redis-cli copied a long host name into a short buffer: the address of a client takes no more than it may."""
    client = new_client()
    assert client.call("CLIENT", "KILL", "ADDR", "x" * 100_000).raw
    assert client.call("CLIENT", "KILL", "x" * 100_000).is_error
