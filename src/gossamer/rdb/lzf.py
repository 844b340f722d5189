"""LZF, the compression of RDB strings. Pure; knows nothing of RDB.

The compressed stream is a row of instructions:

    000LLLLL <L+1 bytes>                      copy the next L+1 bytes
    LLLooooo oooooooo             (L in 1-6)  repeat L+2 bytes from `o`+1 bytes back
    111ooooo LLLLLLLL oooooooo                repeat L+9 bytes from `o`+1 bytes back

Three bytes give 264 at most, so a declared length above 88 times the input is refused before any work.

The compressor makes the choices of the library that Redis uses (same hash, same greedy rule, same limits), so
that equal strings give equal DUMP payloads.
"""

from typing import Final, final

from librt.strings import BytesWriter
from librt.vecs import vec
from mypy_extensions import i32, i64, u8

from gossamer.base.errors import CorruptError

_HASH_SLOTS: Final = 65536
_MAX_LITERAL: Final = 32
_MAX_DISTANCE: Final = 8192
_MAX_MATCH: Final = 264
_MAX_RATIO: Final = 88
_STAMP_LIMIT: Final = 0x7FFFFFFF


def decompress(data: bytes, size: i64, offset: i64 = -1) -> bytes:
    """The `size` bytes that `data` stands for, or CorruptError; `offset` tells where `data` begins."""
    count: i64 = len(data)
    if size < 0 or size > count * _MAX_RATIO:
        raise CorruptError("LZF length out of proportion", int(offset))
    writer = BytesWriter()
    position: i64 = 0
    made: i64 = 0
    while position < count:
        control: i64 = data[position]
        position += 1
        if control < 32:
            run = control + 1
            if position + run > count or made + run > size:
                raise CorruptError("LZF literal outside its bounds", int(offset))
            if run < 8:
                stop = position + run
                while position < stop:
                    writer.append(u8(data[position]))
                    position += 1
            else:
                writer.write(data[position : position + run])
                position += run
            made += run
            continue
        match = control >> 5
        if match == 7:
            if position >= count:
                raise CorruptError("LZF instruction cut short", int(offset))
            match += data[position]
            position += 1
        match += 2
        if position >= count:
            raise CorruptError("LZF instruction cut short", int(offset))
        source = made - ((control & 31) << 8) - data[position] - 1
        position += 1
        if source < 0 or made + match > size:
            raise CorruptError("LZF repetition outside its bounds", int(offset))
        made += match
        while match > 0:
            writer.append(writer[source])
            source += 1
            match -= 1
    if made != size:
        raise CorruptError("LZF data gives another length than declared", int(offset))
    return writer.getvalue()


@final
class Compressor:
    """A compressor with its hash table, kept between calls.

    A slot holds `base + position` of the last place with that hash. `base` grows with every call by the size
    of the input, so slots of earlier inputs are below it and the table needs no clearing.
    """

    def __init__(self) -> None:
        self.table: vec[i32] = vec[i32]([0] * _HASH_SLOTS)
        self.base: i64 = 1

    def compress(self, data: bytes) -> bytes | None:
        """The compressed form, at least four bytes shorter than `data`; None when there is none."""
        size: i64 = len(data)
        room = size - 4
        if room <= 0:
            return None
        if size >= _STAMP_LIMIT - 1:
            return None
        if self.base + size >= _STAMP_LIMIT:
            self.table = vec[i32]([0] * _HASH_SLOTS)
            self.base = 1
        base = self.base
        self.base = base + size
        table = self.table
        writer = BytesWriter()
        position: i64 = 0
        literal: i64 = 0  # where the current run of literals begins
        made: i64 = 1  # bytes of output, the current run with its control byte included
        last = size - 2
        while position < last:
            byte0: i64 = data[position]
            byte1: i64 = data[position + 1]
            byte2: i64 = data[position + 2]
            hashed = (byte0 << 16) | (byte1 << 8) | byte2
            slot = ((hashed >> 8) - hashed * 5) & 0xFFFF
            reference = i64(table[slot]) - base
            table[slot] = i32(base + position)
            distance = position - reference - 1
            if (
                reference <= 0
                or distance >= _MAX_DISTANCE
                or data[reference + 2] != byte2
                or data[reference + 1] != byte1
                or data[reference] != byte0
            ):
                if made >= room:
                    return None
                position += 1
                made += 1
                if position - literal == _MAX_LITERAL:
                    _write_literals(writer, data, literal, position)
                    literal = position
                    made += 1
                continue
            run = position - literal
            if made + 4 >= room and made + 4 - (1 if run == 0 else 0) >= room:
                return None
            if run > 0:
                _write_literals(writer, data, literal, position)
            else:
                made -= 1
            length = _match_length(data, reference, position, size)
            code = length - 2
            if code < 7:
                writer.append(u8((distance >> 8) + (code << 5)))
                made += 3
            else:
                writer.append(u8((distance >> 8) + 224))
                writer.append(u8(code - 7))
                made += 4
            writer.append(u8(distance & 0xFF))
            position += length
            literal = position
            if position >= last:
                break
            # The last two places inside the match are remembered, no others.
            place = position - 2
            while place < position:
                hashed = (i64(data[place]) << 16) | (i64(data[place + 1]) << 8) | data[place + 2]
                table[((hashed >> 8) - hashed * 5) & 0xFFFF] = i32(base + place)
                place += 1
        if made + 3 > room:
            return None
        while literal < size:
            stop = literal + _MAX_LITERAL
            if stop > size:
                stop = size
            _write_literals(writer, data, literal, stop)
            literal = stop
        return writer.getvalue()


def _write_literals(writer: BytesWriter, data: bytes, start: i64, stop: i64) -> None:
    writer.append(u8(stop - start - 1))
    if stop - start < 8:
        while start < stop:
            writer.append(u8(data[start]))
            start += 1
    else:
        writer.write(data[start:stop])


def _match_length(data: bytes, reference: i64, position: i64, size: i64) -> i64:
    """How many bytes to repeat, given that three agree.

    A long match may run to the very end of the input, but a short one (no more than 16 bytes to gain) stops
    two bytes before it: an oddity of the original that decides which bytes come out.
    """
    limit = size - position - 2
    if limit > _MAX_MATCH:
        limit = _MAX_MATCH
    length: i64 = 3
    if limit > 16:
        while length < 19:
            if data[reference + length] != data[position + length]:
                return length
            length += 1
    while length < limit and data[reference + length] == data[position + length]:
        length += 1
    return length
