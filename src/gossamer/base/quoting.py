"""Quoted text: how Redis shows bytes in MONITOR, logs and configuration files, and reads lines.

Inside double quotes \\n \\r \\t \\b \\a stand for control bytes, \\xHH for any byte, and a backslash before
anything else for that byte; inside single quotes only \\' is special. A quoted part may begin amid a word
(`a"b c"` is one argument) but must end it.
"""

from typing import Final

from mypy_extensions import i64

__all__: Final = ["quote", "split_arguments"]

_DOUBLE: Final = 34
_SINGLE: Final = 39
_BACKSLASH: Final = 92
_BLANKS: Final = b" \t\n\v\f\r"
_WORD_ENDS: Final = b" \t\n\r"
_ESCAPES: Final[dict[int, bytes]] = {
    92: b"\\\\",
    34: b'\\"',
    10: b"\\n",
    13: b"\\r",
    9: b"\\t",
    7: b"\\a",
    8: b"\\b",
}
_PRINTED: Final[list[bytes]] = [
    _ESCAPES.get(code, bytes([code]) if 32 <= code < 127 else b"\\x%02x" % code) for code in range(256)
]
_CONTROLS: Final[dict[int, int]] = {110: 10, 114: 13, 116: 9, 98: 8, 97: 7}


def quote(data: bytes) -> bytes:
    """`data` within double quotes, everything but printable ASCII escaped."""
    parts = [b'"']
    for code in data:
        parts.append(_PRINTED[code])
    parts.append(b'"')
    return b"".join(parts)


def split_arguments(line: bytes) -> list[bytes] | None:
    """The arguments of a line; None when a quote is not closed, or not followed by a blank or the end.

    As in a C string, the line ends at its first zero byte.
    """
    end = line.find(b"\0")
    if end >= 0:
        line = line[:end]
    size: i64 = len(line)
    position: i64 = 0
    arguments: list[bytes] = []
    while True:
        while position < size and line[position] in _BLANKS:
            position += 1
        if position == size:
            return arguments
        argument = bytearray()
        position = _read_argument(line, position, argument)
        if position < 0:
            return None
        arguments.append(bytes(argument))


def _read_argument(line: bytes, position: i64, argument: bytearray) -> i64:
    """Append one argument's bytes; returns where it ends, -1 when its quotes are not balanced."""
    size: i64 = len(line)
    while position < size:
        code: i64 = line[position]
        position += 1
        if code in _WORD_ENDS:
            return position - 1
        if code == _DOUBLE or code == _SINGLE:
            if code == _DOUBLE:
                position = _read_double_quoted(line, position, argument)
            else:
                position = _read_single_quoted(line, position, argument)
            if position < 0 or (position < size and line[position] not in _BLANKS):
                return -1
            return position
        argument.append(code)
    return position


def _read_double_quoted(line: bytes, position: i64, argument: bytearray) -> i64:
    """Append what stands before the closing quote; returns the position after it, or -1."""
    size: i64 = len(line)
    while position < size:
        code: i64 = line[position]
        position += 1
        if code == _DOUBLE:
            return position
        if code == _BACKSLASH and position < size:
            code = line[position]
            position += 1
            if code == 120 and position + 1 < size:
                high: i64 = _hex_value(line[position])
                low: i64 = _hex_value(line[position + 1])
                if high >= 0 and low >= 0:
                    code = high * 16 + low
                    position += 2
            else:
                code = _CONTROLS.get(code, code)
        argument.append(code)
    return -1


def _read_single_quoted(line: bytes, position: i64, argument: bytearray) -> i64:
    """As _read_double_quoted, for single quotes."""
    size: i64 = len(line)
    while position < size:
        code: i64 = line[position]
        position += 1
        if code == _SINGLE:
            return position
        if code == _BACKSLASH and position < size and line[position] == _SINGLE:
            code = _SINGLE
            position += 1
        argument.append(code)
    return -1


def _hex_value(code: i64) -> i64:
    if 48 <= code <= 57:
        return code - 48
    code |= 32
    if 97 <= code <= 102:
        return code - 87
    return -1
