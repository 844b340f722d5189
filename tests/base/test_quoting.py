"""Claims about `gossamer.base.quoting`, checked against the inline commands of a real server."""

import random
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossamer.base.quoting import quote, split_arguments
from support.servers import ServerAbsent, ServerPool


def test_every_byte_is_quoted_as_redis_quotes_it() -> None:
    assert quote(b"a\"\\\n\r\t\a\b'") == b'"a\\"\\\\\\n\\r\\t\\a\\b\'"'
    assert quote(b"\x00\x0b\x1f\x7f\xff~ ") == b'"\\x00\\x0b\\x1f\\x7f\\xff~ "'


@given(st.lists(st.binary()))
def test_what_was_quoted_is_split_into_itself(arguments: list[bytes]) -> None:
    assert split_arguments(b" ".join(map(quote, arguments))) == arguments


@pytest.mark.parametrize(
    ("line", "arguments"),
    [
        (b"", []),
        (b" \t\v ", []),
        (b"set  key\tvalue\r\n", [b"set", b"key", b"value"]),
        (b'a"b c"', [b"ab c"]),
        (b"'it\\'s' \"\"", [b"it's", b""]),
        (b'"\\x41\\xzz\\x4"', [b"Axzzx4"]),
        (b"a\vb", [b"a\vb"]),
        (b"a\\nb", [b"a\\nb"]),
        (b'"abc', None),
        (b"'abc\\'", None),
        (b'"a"b', None),
        (b"\"a\"'b'", None),
        (b'"\\', None),
        (b"one\0 two", [b"one"]),
    ],
)
def test_lines_are_split_as_redis_splits_them(line: bytes, arguments: list[bytes] | None) -> None:
    assert split_arguments(line) == arguments


@pytest.mark.peers
@pytest.mark.parametrize("compat", ["redis:7.0", "valkey:8.0"])
def test_random_lines_are_split_as_the_real_server_splits_them(servers: ServerPool, compat: str) -> None:
    try:
        port = servers.get("peer", compat).port
    except ServerAbsent as absent:
        pytest.skip(f"{absent} is not installed")
    rng = random.Random(22)
    for _ in range(500):
        line = bytes(rng.choice(b"aab\"' \\\\xn1f\t\v\fr\"'tb@") for _ in range(rng.randrange(14)))
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(
                b"DEL quoting:list\nRPUSH quoting:list x " + line + b"\nLRANGE quoting:list 1 -1\n"
            )
            connection.shutdown(socket.SHUT_WR)
            data = b""
            while chunk := connection.recv(65536):
                data += chunk
        arguments = split_arguments(line)
        answer = data.split(b"\r\n", 1)[1]
        if arguments is None:
            assert answer.startswith(b"-ERR Protocol error: unbalanced quotes"), line
        else:
            bulks = b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in arguments)
            assert answer == b":%d\r\n*%d\r\n%s" % (len(arguments) + 1, len(arguments), bulks), line
