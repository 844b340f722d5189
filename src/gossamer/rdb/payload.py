"""DUMP payloads: one value with its type, the version of its writer, and a check sum.

    | type | value ... | version u16 LE | CRC64 u64 LE |

A payload is refused when its version is above the reader's own (`max_version`), when the sum is wrong, when
bytes remain behind the value, or when the value is damaged or empty.
"""

from typing import Final

from librt.strings import read_i16_le, read_i64_le
from mypy_extensions import i64

from gossamer.base.errors import CorruptError
from gossamer.base.limits import Limits
from gossamer.datatypes.value import Value
from gossamer.rdb.crc64 import crc64
from gossamer.rdb.format import PAYLOAD_FOOTER_BYTES, TYPE_LAST, VERSION_LAST, VERSION_VALKEY
from gossamer.rdb.input import Input
from gossamer.rdb.lzf import Compressor
from gossamer.rdb.output import Output
from gossamer.rdb.values import Decoder, value_type_of, write_value

# Its table is scratch space; nothing of one payload shows in another.
_COMPRESSOR: Final = Compressor()

_TWO_TO_64: Final = 1 << 64


def dump(value: bytes | Value, version: int, compress: bool = True) -> bytes:
    """The payload of a value."""
    output = Output(version, _COMPRESSOR if compress else None)
    output.byte(value_type_of(value, version))
    write_value(output, value)
    body = output.drain() + version.to_bytes(2, "little")
    return body + crc64(body).to_bytes(8, "little")


def is_sound(payload: bytes, max_version: int = VERSION_LAST, look_at_sum: bool = True) -> bool:
    """Whether footer, version and check sum of a payload are right."""
    size: i64 = len(payload)
    if size < PAYLOAD_FOOTER_BYTES:
        return False
    version = i64(read_i16_le(payload, size - 10)) & 0xFFFF
    if version > max_version and version != VERSION_VALKEY:
        return False
    stated = int(read_i64_le(payload, size - 8))
    if not look_at_sum:
        return True
    if stated < 0:
        stated += _TWO_TO_64
    return stated == crc64(payload[: size - 8])


def restore(payload: bytes, limits: Limits, deep: bool = True) -> bytes | Value:
    """The value of a payload for which `is_sound` holds; CorruptError if it is damaged all the same."""
    size: i64 = len(payload) - PAYLOAD_FOOTER_BYTES
    source = Input(payload[:size], None, -1, deep)
    decoder = Decoder(limits, i64(read_i16_le(payload, size)) == VERSION_VALKEY)
    value_type = source.byte()
    if value_type > TYPE_LAST:
        raise source.fail_at("Value of a type that is not known", 0)
    value = decoder.read(source, value_type)
    if not source.at_end():
        raise source.fail("Bytes remain behind the value")
    if not isinstance(value, bytes) and value.length() == 0 and value.type_name() != b"stream":
        raise CorruptError("Value is empty", 0)
    return value
