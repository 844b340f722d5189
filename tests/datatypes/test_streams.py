"""Streams: ranges, deleting and trimming against a plain list, ids, pending rows, and the bytes of a node."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from librt.strings import BytesWriter

from gossamer.base.limits import Limits
from gossamer.datatypes import listpack
from gossamer.datatypes.pending_rows import PendingRows, Tally
from gossamer.datatypes.stream_ids import (
    ID_MAX,
    ID_MIN,
    NUMBER_MAX,
    NotAnId,
    format_id,
    make_id,
    next_id,
    parse_id,
    previous_id,
)
from gossamer.datatypes.streams import Stream

LIMITS = Limits()
LIMITS.stream_node_max_entries = 3


def ids_of(
    stream: Stream, start: bytes = ID_MIN, stop: bytes = ID_MAX, count: int = 0, back: bool = False
) -> list[bytes]:
    ids: list[bytes] = []
    stream.write_range(BytesWriter(), start, stop, count, back, ids)
    return ids


def filled(*numbers: int) -> Stream:
    stream = Stream()
    for number in numbers:
        stream.append(make_id(number, 0), [b"f", b"%d" % number], 0, 2, LIMITS)
    return stream


# -- ids --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"5", (5, 7)),
        (b"5-3", (5, 3)),
        (b"0-0", (0, 0)),
        (b" 5-\t3", (5, 3)),
        (b"+5-+3", (5, 3)),
        (b"005-0003", (5, 3)),
        (b"5--0", (5, 0)),
        (b"5--03", (5, NUMBER_MAX - 2)),
        (b"5-3\x00junk", (5, 3)),
        (b"18446744073709551615-18446744073709551615", (NUMBER_MAX, NUMBER_MAX)),
        (b"9223372036854775808-1", (1 << 63, 1)),
        (b"0" * 100 + b"7-1", (7, 1)),
    ],
)
def test_an_id_is_read_as_redis_reads_it(text: bytes, expected: tuple[int, int]) -> None:
    assert parse_id(text, 7, True) == make_id(*expected)


@pytest.mark.parametrize(
    "text",
    [
        b"", b"-", b"+", b"x", b"5-", b"-5", b"5-x", b"5--3", b"1-1-1", b"5 ", b"18446744073709551616", b"5-1_0",
        b"\xd9\xa1", b"0" * 127 + b"7", b"5-*", b"$", b">",
    ],
)  # fmt: skip
def test_what_spells_no_id_is_refused(text: bytes) -> None:
    with pytest.raises(NotAnId):
        parse_id(text, 0, True)


def test_the_ends_stand_for_ids_unless_strict() -> None:
    assert (parse_id(b"-", 0, False), parse_id(b"+", 0, False)) == (ID_MIN, ID_MAX)


@pytest.mark.parametrize("numbers", [(0, 1), (5, 0), (5, NUMBER_MAX), (1 << 62, 1 << 62), (NUMBER_MAX, 3)])
def test_ids_have_neighbours(numbers: tuple[int, int]) -> None:
    stream_id = make_id(*numbers)
    assert previous_id(next_id(stream_id)) == stream_id
    assert previous_id(stream_id) < stream_id < next_id(stream_id)
    assert format_id(stream_id) == b"%d-%d" % numbers


# -- the bytes of a node ----------------------------------------------------------------------------------


def node_of(stream: Stream) -> list[bytes]:
    stream.settle()
    return listpack.entries(stream.nodes[0])


def test_entries_with_the_fields_of_the_first_hold_values_alone() -> None:
    stream = Stream()
    stream.append(make_id(1, 1), [b"a", b"x"], 0, 2, LIMITS)
    stream.append(make_id(1, 2), [b"a", b"y"], 0, 2, LIMITS)
    stream.append(make_id(3, 0), [b"b", b"z"], 0, 2, LIMITS)
    master = [b"3", b"0", b"1", b"a", b"0"]
    same = [b"2", b"0", b"0", b"x", b"4", b"2", b"0", b"1", b"y", b"4"]
    assert node_of(stream) == master + same + [b"0", b"2", b"-1", b"1", b"b", b"z", b"6"]


def test_a_deleted_entry_stays_with_a_flag() -> None:
    stream = filled(1, 2)
    assert stream.delete(make_id(1, 0))
    assert node_of(stream)[:7] == [b"1", b"1", b"1", b"f", b"0", b"3", b"0"]
    assert stream.max_deleted_id == make_id(1, 0)


def test_a_node_goes_with_its_last_live_entry() -> None:
    stream = filled(1, 2, 3, 4)
    for number in (1, 3, 2):
        stream.delete(make_id(number, 0))
    assert stream.node_ids == [make_id(4, 0)]


def test_deleted_entries_fill_a_node_too() -> None:
    stream = filled(1, 2, 3)
    stream.delete(make_id(2, 0))
    stream.append(make_id(9, 0), [b"f", b"v"], 0, 2, LIMITS)
    assert stream.node_ids == [make_id(1, 0), make_id(9, 0)]


def test_a_count_that_outgrows_its_byte_keeps_the_node_sound() -> None:
    limits = Limits()
    limits.stream_node_max_entries = 0
    stream = Stream()
    for number in range(1, 300):
        stream.append(make_id(number, 0), [b"f", b"v"], 0, 2, limits)
        if number % 50 == 0:
            stream.settle()
    stream.settle()
    listpack.validate(stream.nodes[0])
    assert node_of(stream)[0] == b"299"


# -- against a plain list ---------------------------------------------------------------------------------

OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(1, 3)),
        st.tuples(st.just("delete"), st.integers(0, 40)),
        st.tuples(st.just("length"), st.integers(0, 20)),
        st.tuples(st.just("below"), st.integers(0, 40)),
        st.tuples(st.just("range"), st.integers(0, 40)),
    ),
    max_size=60,
)


@settings(max_examples=150, deadline=None)
@given(OPERATIONS)
def test_a_stream_is_an_ordered_list(operations: list[tuple[str, int]]) -> None:
    stream = Stream()
    model: list[bytes] = []
    last = 0
    for name, number in operations:
        stream_id = make_id(number, 0)
        if name == "add":
            last += number
            stream.append(make_id(last, 0), [b"f", b"v"] * number, 0, 2, LIMITS)
            model.append(make_id(last, 0))
        elif name == "delete":
            assert stream.delete(stream_id) == (stream_id in model)
            model = [other for other in model if other != stream_id]
            stream.renew_first_id()
        elif name == "length":
            assert stream.trim_to_length(number, False, 0) == max(0, len(model) - number)
            model = model[max(0, len(model) - number) :]
        elif name == "below":
            assert stream.trim_below(stream_id, False, 0) == sum(other < stream_id for other in model)
            model = [other for other in model if other >= stream_id]
        else:
            stop = make_id(number + 5, 0)
            inside = [other for other in model if stream_id <= other <= stop]
            assert ids_of(stream, stream_id, stop) == inside
            assert ids_of(stream, stream_id, stop, 2, True) == inside[::-1][:2]
            assert stream.contains(stream_id) == (stream_id in model)
        assert stream.entry_count == len(model)
        assert stream.first_id == (model[0] if model else ID_MIN)
        assert stream.last_entry_id() == (model[-1] if model else ID_MIN)
        assert stream.nodes_bytes == sum(len(node) for node in stream.nodes)
    assert ids_of(stream) == model == ids_of(stream, back=True)[::-1]
    assert ids_of(stream.copy()) == model


def test_trimming_approximately_removes_whole_nodes() -> None:
    stream = filled(*range(1, 11))
    assert stream.trim_to_length(5, True, 0) == 3
    assert stream.trim_below(make_id(8, 0), True, 2) == 0
    assert stream.trim_below(make_id(8, 0), True, 3) == 3
    assert ids_of(stream) == [make_id(number, 0) for number in range(7, 11)]


# -- pending entries --------------------------------------------------------------------------------------


def test_rows_are_an_ordered_map() -> None:
    tally = Tally()
    rows = PendingRows(24, tally)
    model: dict[bytes, bytes] = {}
    chance = random.Random(5)
    for _ in range(4000):
        stream_id = make_id(chance.randrange(500), 0)
        if chance.random() < 0.6:
            row = stream_id + chance.randbytes(8)
            assert rows.put(row) == (stream_id not in model)
            model[stream_id] = row
        else:
            assert rows.remove(stream_id) == (model.pop(stream_id, None) is not None)
        assert rows.count == len(model)
        assert rows.find(stream_id) == model.get(stream_id)
    assert rows.rows() == [model[stream_id] for stream_id in sorted(model)]
    start = make_id(250, 0)
    assert rows.rows_from(start, 10) == [model[key] for key in sorted(model) if key >= start][:10]
    assert tally.bytes == rows.bytes_held()
    assert rows.copy(Tally()).rows() == rows.rows()
    rows.clear()
    assert tally.bytes == 0


def test_an_entry_is_pending_for_one_consumer() -> None:
    stream = filled(1, 2, 3)
    group = stream.add_group(b"g", ID_MIN, 0)
    first, second = group.add_consumer(b"first", 1, -1), group.add_consumer(b"second", 1, -1)
    for number in (1, 2):
        group.deliver(make_id(number, 0), first, 10)
    group.deliver(make_id(2, 0), second, 20)
    assert (first.pending.count, second.pending.count, group.pending.count) == (1, 1, 2)
    twin = stream.copy().groups[b"g"]
    group.remove_consumer(second)
    assert group.pending.rows_from(ID_MIN, 9)[0][:16] == make_id(1, 0)
    assert (group.pending.count, twin.pending.count, twin.consumers[b"second"].pending.count) == (1, 2, 1)


def test_memory_is_accounted_to_the_last_byte() -> None:
    stream = filled(1, 2, 3)
    before = stream.memory_bytes()
    group = stream.add_group(b"g", ID_MIN, 0)
    consumer = group.add_consumer(b"c", 1, -1)
    for number in range(1, 200):
        group.deliver(make_id(number, 0), consumer, 1)
    assert stream.memory_bytes() > before + 199 * 56
    stream.remove_group(b"g")
    assert stream.memory_bytes() == before
