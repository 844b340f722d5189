"""Payloads of streams that were tampered with: refused, or a sound stream that survives whatever is done to it."""

import random

import pytest
from librt.strings import BytesWriter

from gossamer.base.errors import CorruptError
from gossamer.base.limits import Limits
from gossamer.datatypes import listpack
from gossamer.datatypes.stream_groups import PendingEntry
from gossamer.datatypes.stream_ids import ID_MAX, ID_MIN, NUMBER_MAX, make_id, next_id
from gossamer.datatypes.streams import Stream
from gossamer.persistence.stream_commands import commands_of_stream
from gossamer.rdb.payload import dump, restore

LIMITS = Limits()
LIMITS.stream_node_max_entries = 4
MUTATIONS = 1500


def grown_stream() -> Stream:
    stream = Stream()
    for number in range(1, 20):
        argv = [b"f", b"%d" % number] if number % 5 else [b"f", b"x", b"g", b"y" * number]
        stream.append(make_id(number, number % 3), argv, 0, 30, LIMITS)
    for number in (2, 9, 10, 11):
        stream.delete(make_id(number, number % 3))
    group = stream.add_group(b"g", make_id(12, 0), 7)
    first, second = group.add_consumer(b"c", 1000, 2000), group.add_consumer(b"d", 1000, -1)
    for number in range(1, 8):
        group.deliver(make_id(number, number % 3), first if number % 2 else second, 5000)
    return stream


def exercise(stream: Stream) -> None:
    """What clients may do; each step must leave counts and orders right."""
    forwards: list[bytes] = []
    backwards: list[bytes] = []
    assert stream.write_range(BytesWriter(), ID_MIN, ID_MAX, 0, False, forwards) == stream.entry_count
    assert stream.write_range(BytesWriter(), ID_MIN, ID_MAX, 0, True, backwards) == stream.entry_count
    assert forwards == sorted(set(forwards)) == backwards[::-1]
    assert commands_of_stream(b"k", stream)
    assert len(stream.copy().entries()) == stream.entry_count
    for group in stream.groups.values():
        owed = group.pending.rows()
        assert len(owed) == sum(consumer.pending.count for consumer in group.consumers.values())
        for row in owed:
            assert group.owner(PendingEntry.of_row(row)).pending.find(row[:16]) is not None
            assert group.acknowledge(row[:16])
        assert group.pending.count == 0
    if stream.last_id != ID_MAX:
        stream.append(next_id(stream.last_id), [b"f", b"v"], 0, 2, LIMITS)
        assert stream.last_entry_id() == stream.last_id
    for stream_id in forwards[::3]:
        assert stream.delete(stream_id)
        assert not stream.contains(stream_id)
    stream.trim_to_length(2, False, 0)
    assert stream.entry_count == min(2, stream.entry_count) == len(stream.entries())
    restored = restore(dump(stream, 11), LIMITS)
    assert isinstance(restored, Stream)
    assert [entry.flat for entry in restored.entries()] == [entry.flat for entry in stream.entries()]
    stream.trim_below(ID_MAX, False, 0)
    assert stream.entry_count <= 1


@pytest.mark.parametrize("version", [9, 10, 11])
def test_a_mutated_payload_is_refused_or_sound(version: int) -> None:
    payload = dump(grown_stream(), version, False)
    chance = random.Random(version)
    refused = 0
    for _ in range(MUTATIONS):
        damaged = bytearray(payload)
        for _ in range(chance.choice([1, 1, 1, 2, 4])):
            at = chance.randrange(1, len(damaged) - 10)
            if chance.random() < 0.3:
                damaged[at : at + 1] = chance.choice([b"", bytes(damaged[at : at + 4]), b"\x00"])
            else:
                damaged[at] = chance.choice([0, 1, 127, 128, 255, damaged[at] ^ 1, damaged[at] ^ 128])
        try:
            value = restore(bytes(damaged), LIMITS)
        except CorruptError:
            refused += 1
            continue
        assert isinstance(value, Stream)
        exercise(value)
    assert refused > MUTATIONS // 2


def test_the_undamaged_payload_is_sound() -> None:
    stream = restore(dump(grown_stream(), 11), LIMITS)
    assert isinstance(stream, Stream)
    exercise(stream)


def with_node(node: bytes, last_id: bytes = make_id(9, 9)) -> bytes:
    """A payload whose only node is this one, behind the id 1-1."""
    stream = Stream()
    stream.append_node(make_id(1, 1), node)
    stream.entry_count = listpack.integer_at(node, 6) if listpack.count(node) and node[6] < 128 else 0
    stream.last_id = last_id
    return dump(stream, 10)


def words(text: str) -> bytes:
    return listpack.encode([word.encode() for word in text.split()])


@pytest.mark.parametrize(
    "node",
    [
        words(""),
        words("0 0 1 f 0"),
        words("1 0 1 f 0 2 0 0 v"),
        words("1 0 1 f 0 2 0 0 v 5"),
        words("1 0 1 f 1 2 0 0 v 4"),
        words("2 0 1 f 0 2 0 0 v 4"),
        words("1 1 1 f 0 2 0 0 v 4"),
        words("1 0 9 f 0 2 0 0 v 4"),
        words("1 0 -1 0 2 0 0 v 4"),
        words("1 0 1 f 0 4 0 0 v 4"),
        words("1 0 1 f 0 0 0 0 99 f v 6"),
        words("1 0 1 f 0 2 x 0 v 4"),
        words("2 0 1 f 0 2 1 0 v 4 2 0 0 v 4"),
        words("2 0 1 f 0 2 1 0 v 4 2 1 0 v 4"),
        words("1 0 1 f 0 2 -1 0 v 4"),
        words("1 0 1 f 0 2 20 0 v 4"),
    ],
)
def test_a_node_that_contradicts_itself_is_refused(node: bytes) -> None:
    with pytest.raises(CorruptError):
        restore(with_node(node), LIMITS)


def test_an_entry_whose_distance_wraps_is_read() -> None:
    stream = Stream()
    stream.append(make_id(1, NUMBER_MAX), [b"f", b"1"], 0, 2, LIMITS)
    stream.append(make_id(NUMBER_MAX, 0), [b"f", b"2"], 0, 2, LIMITS)
    restored = restore(dump(stream, 11), LIMITS)
    assert isinstance(restored, Stream)
    assert [entry.stream_id for entry in restored.entries()] == [
        make_id(1, NUMBER_MAX),
        make_id(NUMBER_MAX, 0),
    ]
