"""Arguments with a NUL in error texts: the real servers show them up to there."""

from __future__ import annotations

import pytest

from conformance.conftest import Pair
from support.wire import Argument

pytestmark = pytest.mark.peers

NUL = b"a\x00b"
REQUESTS: list[list[Argument]] = [
    [NUL],
    [b"no\x00such", b"x\x00y", b"z"],
    ["CLIENT", NUL],
    ["CLIENT", "KILL", "TYPE", NUL],
    ["CLIENT", "KILL", "USER", NUL],
    ["CLIENT", "LIST", "TYPE", NUL],
    ["CLIENT", "SETNAME", NUL],
    ["CLIENT", "SETNAME", b"a b\x00"],
    ["CLIENT", "SETINFO", NUL, "x"],
    ["CLIENT", "SETINFO", "lib-name", NUL],
    ["CONFIG", "SET", NUL, "x"],
    ["CONFIG", "SET", "maxmemory", NUL],
    ["CONFIG", "SET", "hz", "10", NUL, "x"],
    ["CONFIG", "GET", NUL],
    ["DEBUG", NUL],
    ["OBJECT", NUL],
    ["FUNCTION", "LOAD", b"#!lua name=\x00x\n"],
    ["FUNCTION", "LOAD", b"#!l\x00ua name=x\n"],
    ["FUNCTION", NUL],
    ["ACL", "SETUSER", "x", NUL],
    ["ACL", "CAT", NUL],
    ["ACL", "DRYRUN", NUL, "get"],
    ["ACL", "DRYRUN", "default", NUL],
    ["HELLO", "2", NUL],
    ["COMMAND", "INFO", NUL, "no-such", "config|no-such"],
    ["COMMAND", "DOCS", NUL],
    ["XGROUP", "SETID", NUL, NUL, "0"],
    ["XREADGROUP", "GROUP", NUL, "c", "STREAMS", NUL, ">"],
    ["EVAL", b"error('a\\0b')", "0"],
    ["EVAL", b"return redis.error_reply('a\\0b')", "0"],
    ["EVAL", b"return {1, {err='a\\0b'}}", "0"],
    ["EVAL", b"return redis.status_reply('a\\0b')", "0"],
    ["EVAL", b"return redis.call('a\\0b')", "0"],
    ["EVAL", b"return redis.pcall('a\\0b')", "0"],
    ["EVAL", b"#!lua flags=a\x00b\nreturn 1", "0"],
    ["EVAL", b"#!\x00lua\nreturn 1", "0"],
    ["XAUTOCLAIM", NUL, NUL, "c", "0", "0"],
]


@pytest.mark.parametrize("compat", ["redis:7.0", "valkey:8.0"])
def test_errors_show_arguments_up_to_a_nul(compat: str, targets: Pair) -> None:
    ours, theirs = targets(compat)
    wrong = []
    for request in REQUESTS:
        words = [word if isinstance(word, bytes) else str(word) for word in request]
        mine, other = ours.control().call(*words), theirs.control().call(*words)
        if mine != other:
            wrong.append(f"{request}: {mine}, the real server says {other}")
    for target in (ours, theirs):
        target.control().call("RESET")
        target.control().call("ACL", "DELUSER", "x")
    assert not wrong, "\n".join(wrong)
