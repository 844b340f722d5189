"""The stream says what redis-server says for the same writes, and its ids vouch only for true prefixes."""

from gossamer.replication.stream import NO_ID, Stream


def told(stream: Stream) -> bytes:
    stream.seal()
    backlog = stream.backlog
    assert backlog is not None
    return b"".join(backlog.blocks)


def test_a_database_is_selected_once() -> None:
    stream = Stream(b"a" * 40)
    stream.open(1000)
    stream.feed(0, [b"SET", b"k", b"v"])
    stream.feed(0, [b"DEL", b"k"])
    stream.feed(3, [b"DEL", b"k"])
    assert told(stream) == (
        b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n*2\r\n$3\r\nDEL\r\n$1\r\nk\r\n"
        b"*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n*2\r\n$3\r\nDEL\r\n$1\r\nk\r\n"
    )


def test_offsets_count_every_byte_also_those_not_sealed() -> None:
    stream = Stream(b"a" * 40)
    stream.open(1000)
    stream.feed_ping()
    assert stream.offset() == 14
    stream.seal()
    stream.feed_acknowledgement_request()
    assert stream.offset() == 14 + 37
    stream.close()
    assert stream.offset() == 51
    stream.open(1000)
    assert stream.backlog is not None and stream.backlog.first == 52


def test_a_promoted_history_vouches_for_its_past_and_no_more() -> None:
    stream = Stream(b"a" * 40)
    stream.open(1000)
    stream.feed_ping()
    stream.promote(b"b" * 40)
    assert stream.vouches_for(b"a" * 40, 15)
    assert not stream.vouches_for(b"a" * 40, 16)
    assert stream.vouches_for(b"b" * 40, 16)
    stream.change_id(b"c" * 40)
    assert stream.second_id == NO_ID
    assert not stream.vouches_for(b"a" * 40, 1)
