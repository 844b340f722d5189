"""Consumer groups: who reads a stream together, up to where, and what was delivered and not acknowledged yet.

Owns groups, consumers and their pending entries; knows neither the stream nor keys and clients.

    row of a group's pending entries:     id | delivery time in ms | delivery count | number of the consumer
    row of a consumer's pending entries:  id

Invariants: every pending entry of a group is pending for exactly one consumer, the one whose number stands in its
row; a consumer's number belongs to it alone as long as the group lives.
"""

from typing import Final, final

from librt.strings import BytesWriter, read_i64_le, write_i64_le
from mypy_extensions import i64

from gossamer.datatypes.pending_rows import PendingRows, Tally
from gossamer.datatypes.stream_ids import ID_BYTES
from gossamer.datatypes.value import BYTES_OVERHEAD, OBJECT_BYTES

ENTRIES_READ_UNKNOWN: Final = -1
NEVER_MS: Final = -1

GROUP_ROW_BYTES: Final = ID_BYTES + 3 * 8
# The objects behind a group and behind a consumer, with their share of the dictionaries.
GROUP_BYTES: Final = 3 * OBJECT_BYTES + BYTES_OVERHEAD + 4 * 64 + 100
CONSUMER_BYTES: Final = 2 * OBJECT_BYTES + BYTES_OVERHEAD + 2 * 64 + 200


@final
class PendingEntry:
    """What a group knows of one entry that was delivered and not acknowledged."""

    def __init__(self, delivery_time_ms: i64, delivery_count: i64, consumer_number: i64) -> None:
        self.delivery_time_ms: i64 = delivery_time_ms
        self.delivery_count: i64 = delivery_count
        self.consumer_number: i64 = consumer_number

    @staticmethod
    def of_row(row: bytes) -> "PendingEntry":
        return PendingEntry(read_i64_le(row, 16), read_i64_le(row, 24), read_i64_le(row, 32))

    def row(self, stream_id: bytes) -> bytes:
        writer = BytesWriter()
        writer.write(stream_id)
        write_i64_le(writer, self.delivery_time_ms)
        write_i64_le(writer, self.delivery_count)
        write_i64_le(writer, self.consumer_number)
        return writer.getvalue()


@final
class Consumer:
    """A member of a group; `active_time_ms` is NEVER_MS until it was given an entry."""

    def __init__(
        self, name: bytes, number: i64, seen_time_ms: i64, active_time_ms: i64, tally: Tally
    ) -> None:
        self.name: bytes = name
        self.number: i64 = number
        self.seen_time_ms: i64 = seen_time_ms
        self.active_time_ms: i64 = active_time_ms
        self.pending: PendingRows = PendingRows(ID_BYTES, tally)


@final
class ConsumerGroup:
    """`entries_read` is the logical position of `last_id` in the stream, or ENTRIES_READ_UNKNOWN."""

    def __init__(self, last_id: bytes, entries_read: i64, tally: Tally) -> None:
        self.last_id: bytes = last_id
        self.entries_read: i64 = entries_read
        self.tally: Tally = tally
        self.pending: PendingRows = PendingRows(GROUP_ROW_BYTES, tally)
        self.consumers: dict[bytes, Consumer] = {}
        self.names: dict[i64, bytes] = {}
        self.next_number: i64 = 0

    def add_consumer(self, name: bytes, seen_time_ms: i64, active_time_ms: i64) -> Consumer:
        """A new member under a name that is free."""
        consumer = Consumer(name, self.next_number, seen_time_ms, active_time_ms, self.tally)
        self.next_number += 1
        self.consumers[name] = consumer
        self.names[consumer.number] = name
        self.tally.bytes += CONSUMER_BYTES + len(name)
        return consumer

    def remove_consumer(self, consumer: Consumer) -> None:
        """Let a member go; what it owes is forgotten."""
        for stream_id in consumer.pending.rows():
            self.pending.remove(stream_id)
        consumer.pending.clear()
        del self.consumers[consumer.name]
        del self.names[consumer.number]
        self.tally.bytes -= CONSUMER_BYTES + len(consumer.name)

    def owner(self, entry: PendingEntry) -> Consumer:
        return self.consumers[self.names[entry.consumer_number]]

    def find_pending(self, stream_id: bytes) -> PendingEntry | None:
        row = self.pending.find(stream_id)
        return None if row is None else PendingEntry.of_row(row)

    def assign(self, stream_id: bytes, entry: PendingEntry, consumer: Consumer) -> None:
        """Make an entry pending for a consumer, whoever owed it before."""
        if entry.consumer_number != consumer.number:
            if entry.consumer_number >= 0:
                self.owner(entry).pending.remove(stream_id)
            entry.consumer_number = consumer.number
            consumer.pending.put(stream_id)
        self.pending.put(entry.row(stream_id))

    def deliver(self, stream_id: bytes, consumer: Consumer, now_ms: i64) -> None:
        """Make an entry pending for the consumer that it is given to, as delivered once."""
        pending = self.pending
        if pending.count > 0 and stream_id <= pending.last_id():
            known = self.find_pending(stream_id)
            if known is not None and known.consumer_number != consumer.number:
                self.owner(known).pending.remove(stream_id)
        pending.put(PendingEntry(now_ms, 1, consumer.number).row(stream_id))
        consumer.pending.put(stream_id)

    def acknowledge(self, stream_id: bytes) -> bool:
        """Forget a pending entry; False if it is not pending."""
        row = self.pending.take(stream_id)
        if row is None:
            return False
        self.owner(PendingEntry.of_row(row)).pending.remove(stream_id)
        return True

    def copy(self, tally: Tally) -> "ConsumerGroup":
        """An independent group with the same content, which counts in another tally."""
        twin = ConsumerGroup(self.last_id, self.entries_read, tally)
        for name, consumer in self.consumers.items():
            twin.next_number = consumer.number
            other = twin.add_consumer(name, consumer.seen_time_ms, consumer.active_time_ms)
            other.pending = consumer.pending.copy(tally)
        twin.next_number = self.next_number
        twin.pending = self.pending.copy(tally)
        return twin
