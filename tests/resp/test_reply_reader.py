"""Replies are read alike however they are cut, within bounds, and rubbish is refused."""

import pytest

from gossamer.base.errors import ProtocolError
from gossamer.resp.reply_reader import NOTHING, ErrorReply, PushReply, ReplyReader

REPLIES = [
    (b"+OK\r\n", b"OK"),
    (b"+\r\n", b""),
    (b"-ERR no such thing\r\n", ErrorReply(b"ERR no such thing")),
    (b":-9223372036854775808\r\n", -(2**63)),
    (b"$0\r\n\r\n", b""),
    (b"$6\r\na\r\nb\r\n\r\n", b"a\r\nb\r\n"),
    (b"$-1\r\n", None),
    (b"*-1\r\n", None),
    (b"_\r\n", None),
    (b"*0\r\n", []),
    (b"*3\r\n*0\r\n*2\r\n:1\r\n$-1\r\n+x\r\n", [[], [1, None], b"x"]),
    (b"%2\r\n+a\r\n:1\r\n+b\r\n*1\r\n:2\r\n", [b"a", 1, b"b", [2]]),
    (b"~2\r\n+a\r\n+b\r\n", [b"a", b"b"]),
    (b">2\r\n+message\r\n%0\r\n", PushReply([b"message", []])),
    (b"|1\r\n+ttl\r\n:5\r\n*1\r\n|1\r\n+k\r\n+v\r\n:9\r\n", [9]),
    (b"#t\r\n", True),
    (b"#f\r\n", False),
    (b",-1.5\r\n", -1.5),
    (b",inf\r\n", float("inf")),
    (b"(-36893488147419103232\r\n", -(2**65)),
    (b"=8\r\ntxt:a\r\nb\r\n", b"a\r\nb"),
    (b"!5\r\nERR x\r\n", ErrorReply(b"ERR x")),
]
STREAM = b"".join(wire for wire, _ in REPLIES)
VALUES = [value for _, value in REPLIES]

RUBBISH = [
    b"x\r\n", b"\r\n", b"+OK\n", b":1_000\r\n", b":\r\n", b": 1\r\n", b"$x\r\n", b"$-2\r\n", b"*-2\r\n", b"%-1\r\n",
    b"$3\r\nabcd\r\n", b"#x\r\n", b",x\r\n", b"(1_0\r\n", b"_x\r\n", b"=3\r\ntxt\r\n", b"!-1\r\n", b"$?\r\n",
    b"*1\r\n" * 40,
]  # fmt: skip


def drain(reader: ReplyReader) -> list[object]:
    found: list[object] = []
    while True:
        value = reader.next()
        if value is NOTHING:
            return found
        found.append(value)


@pytest.mark.parametrize(("wire", "value"), REPLIES, ids=lambda each: repr(each)[:30])
def test_every_kind_of_reply_has_its_value(wire: bytes, value: object) -> None:
    reader = ReplyReader()
    reader.feed(wire)
    assert drain(reader) == [value]
    assert reader.buffered_bytes() == 0


def test_a_stream_is_read_alike_wherever_it_is_cut() -> None:
    for cut in range(len(STREAM) + 1):
        reader = ReplyReader()
        reader.feed(STREAM[:cut])
        found = drain(reader)
        reader.feed(STREAM[cut:])
        assert found + drain(reader) == VALUES, cut


def test_a_stream_is_read_alike_byte_by_byte() -> None:
    reader = ReplyReader()
    found: list[object] = []
    for at in range(len(STREAM)):
        reader.feed(STREAM[at : at + 1])
        found += drain(reader)
    assert found == VALUES


@pytest.mark.parametrize("wire", RUBBISH, ids=lambda wire: repr(wire)[:30])
def test_rubbish_is_refused(wire: bytes) -> None:
    reader = ReplyReader()
    with pytest.raises(ProtocolError):
        for at in range(len(wire)):
            reader.feed(wire[at : at + 1])
            drain(reader)


@pytest.mark.parametrize(
    "wire", [b"$101\r\n", b"*101\r\n", b"*30\r\n" + b":123\r\n" * 20, b"*2\r\n$60\r\n" + b"x" * 60]
)
def test_a_reply_beyond_the_limit_is_refused(wire: bytes) -> None:
    reader = ReplyReader(100)
    with pytest.raises(ProtocolError):
        reader.feed(wire + b"\r\n$60\r\n")
        drain(reader)


def test_a_line_without_end_is_refused() -> None:
    reader = ReplyReader()
    with pytest.raises(ProtocolError):
        for _ in range(70):
            reader.feed(b"+" + b"x" * 1023)
            drain(reader)


def test_the_limit_counts_one_reply_not_the_stream() -> None:
    reader = ReplyReader(100)
    reader.feed(b"$80\r\n" + b"x" * 80 + b"\r\n")
    reader.feed(b"$80\r\n" + b"y" * 80 + b"\r\n")
    assert drain(reader) == [b"x" * 80, b"y" * 80]


def test_a_long_string_in_pieces_is_joined_once() -> None:
    reader = ReplyReader()
    reader.feed(b"$3000000\r\n")
    assert reader.next() is NOTHING
    for _ in range(3000):
        reader.feed(b"z" * 1000)
        assert reader.next() is NOTHING
    reader.feed(b"\r\n")
    assert reader.next() == b"z" * 3_000_000
