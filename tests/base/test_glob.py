"""Claims about `gossamer.base.glob`, checked against a real server's HSCAN MATCH and COMMAND LIST."""

import random
import time

import pytest

from gossamer.base.glob import match
from support.servers import ServerAbsent, ServerPool
from support.wire import WireClient


@pytest.mark.parametrize(
    ("pattern", "data", "nocase", "matches"),
    [
        (b"", b"", False, True),
        (b"*", b"", False, False),
        (b"*", b"anything\x00\xff", False, True),
        (b"h?llo", b"hallo", False, True),
        (b"h[ae]llo", b"hillo", False, False),
        (b"h[^e]llo", b"hallo", False, True),
        (b"h[a-c]llo", b"hbllo", False, True),
        (b"h[c-a]llo", b"hbllo", False, True),
        (b"H[A-C]LLO", b"hbllo", True, True),
        (b"H[A-C]LLO", b"hbllo", False, False),
        (b"\\*", b"*", False, True),
        (b"\\*", b"x", False, False),
        (b"a\\", b"a\\", False, True),
        (b"[abc", b"b", False, True),
        (b"[", b"[", False, False),
        (b"[^]", b"a", False, True),
        (b"[]x", b"x", False, False),
        (b"[\\]]", b"]", False, True),
        (b"[a-\xff]", b"b", False, False),
        (b"a**b***", b"aXb", False, True),
        (b"*ab*ab", b"abxabab", False, True),
        (b"news.*", b"news.", False, True),
    ],
)
def test_patterns_match_as_in_redis(pattern: bytes, data: bytes, nocase: bool, matches: bool) -> None:
    assert match(pattern, data, nocase) is matches


def test_many_stars_do_not_explode() -> None:
    start = time.perf_counter()
    assert not match(b"a*" * 50 + b"b", b"a" * 2000, False)
    assert not match(b"*a" * 200 + b"b", b"a" * 400, False)
    assert time.perf_counter() - start < 5


def random_bytes(rng: random.Random, alphabet: bytes, longest: int) -> bytes:
    return bytes(rng.choice(alphabet) for _ in range(rng.randrange(longest + 1)))


def peer_client(servers: ServerPool, compat: str) -> WireClient:
    try:
        return servers.get("peer", compat).client()
    except ServerAbsent as absent:
        pytest.skip(f"{absent} is not installed")


@pytest.mark.peers
@pytest.mark.parametrize("compat", ["redis:7.0", "valkey:8.0"])
def test_random_patterns_match_what_the_real_server_matches(servers: ServerPool, compat: str) -> None:
    rng = random.Random(20)
    fields = {random_bytes(rng, b"aabbcABC-]^[\\\xff\x80*?", 6) for _ in range(100)}
    with peer_client(servers, compat) as client:
        client.call("DEL", "glob:hash")
        client.call("HSET", "glob:hash", *[part for field in fields for part in (field, b"1")])
        for _ in range(1500):
            pattern = random_bytes(rng, b"aabcC*?[]^-\\\x80\xff*", 8)
            if pattern == b"*":
                continue  # the commands take it as no pattern at all
            reply = client.call("HSCAN", "glob:hash", "0", "MATCH", pattern, "COUNT", "10000").plain()
            matched = {field for field in fields if match(pattern, field, False)}
            assert set(reply[1][::2]) == matched, pattern
        client.call("DEL", "glob:hash")


@pytest.mark.peers
@pytest.mark.parametrize("compat", ["redis:7.0", "valkey:8.0"])
def test_random_patterns_ignore_case_as_the_real_server_does(servers: ServerPool, compat: str) -> None:
    rng = random.Random(21)
    with peer_client(servers, compat) as client:
        names = set(client.call("COMMAND", "LIST").plain())
        for _ in range(300):
            pattern = random_bytes(rng, b"AsetGEiHx**?[[]]^-\\|", 8)
            reply = client.call("COMMAND", "LIST", "FILTERBY", "PATTERN", pattern).plain()
            assert set(reply) == {name for name in names if match(pattern, name, True)}, pattern
