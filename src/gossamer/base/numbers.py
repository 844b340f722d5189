"""Numbers as Redis reads and writes them: 64-bit integers, doubles, and the x87 long doubles of INCRBYFLOAT.

Owns the language of each kind (what is a number at all) and its exact text. Knows nothing of replies: a text
that is no number raises `NotANumber`, and the caller words the error.

Python's own `int()` and `float()` accept more (blanks, underscores, other scripts' digits), so every text is
checked byte by byte before one of them sees it.
"""

from typing import Final

from librt.strings import BytesWriter, write_i64_le
from mypy_extensions import i64

from gossamer.base.errors import GossamerError
from gossamer.base.shortest import shortest_digits

__all__: Final = [
    "INT64_MAX",
    "INT64_MIN",
    "NotAnInteger",
    "NotANumber",
    "NotFinite",
    "add_long_double",
    "decimal_bytes",
    "format_double",
    "format_double_17",
    "format_int",
    "is_infinite_long_double",
    "is_int64",
    "is_integral_double",
    "leading_integer",
    "parse_double",
    "parse_int64",
    "to_int64",
    "write_decimal",
]

INT64_MAX: Final = 9223372036854775807
INT64_MIN: Final = -9223372036854775808
LONG_DOUBLE_TEXT_BYTES: Final = 5 * 1024  # a text this long or longer is no long double
_SMALL_INTS: Final = 10000
_SMALL: Final[list[bytes]] = [b"%d" % number for number in range(_SMALL_INTS)]
_HALF_WORD_LIMIT: Final = 100000000  # eight digits fill a 64-bit word
_WORD_LIMIT: Final = 10000000000000000  # sixteen fill two
_FOUR_DIGITS: Final[list[bytes]] = [b"%04d" % number for number in range(_SMALL_INTS)]
_INT64_MAX_TENTH: Final = 922337203685477580
# Integers up to here are printed with all their digits by servers that print the shortest ones otherwise.
_INTEGRAL_LIMIT: Final = 4611686018427387904.0
_INFINITY: Final = float("inf")

_MANTISSA_BITS: Final = 64
_LEAST_EXPONENT: Final = -16445  # of the last bit of a denormal long double
_BIT_LENGTH_LIMIT: Final = 16384  # a long double of this many bits before the point is infinite
_FRACTION_DIGITS: Final = 17
_CHUNK_DIGITS: Final = 4000  # CPython refuses to convert more than 4300 digits at once


class NotANumber(GossamerError):
    """The text is not a number of the kind asked for."""


class NotAnInteger(NotANumber):
    """The text is not a signed 64-bit integer in its one canonical form."""


class NotFinite(GossamerError):
    """A sum is infinite or no number."""


# Integers: an optional minus, then digits without a leading zero. "-0", "+1" and " 1" are no integers.


def parse_int64(data: bytes) -> tuple[bool, i64]:
    """Whether `data` is exactly what printing some signed 64-bit integer gives, and that integer (or 0)."""
    size: i64 = len(data)
    if size == 0 or size > 20:
        return False, 0
    code: i64 = data[0]
    if size == 1:
        if code < 48 or code > 57:
            return False, 0
        return True, code - 48
    position: i64 = 0
    if code == 45:
        code = data[1]
        position = 1
    if code < 49 or code > 57:
        return False, 0
    digits: i64 = size - position
    if digits > 19:
        return False, 0
    stop: i64 = size
    if digits == 19:
        stop -= 1
    value: i64 = code - 48
    index: i64 = position + 1
    while index < stop:
        code = data[index]
        if code < 48 or code > 57:
            return False, 0
        value = value * 10 + (code - 48)
        index += 1
    if position == 1:
        value = -value
    if digits < 19:
        return True, value
    code = data[stop]
    if code < 48 or code > 57:
        return False, 0
    if position == 1:
        if value < -_INT64_MAX_TENTH or (value == -_INT64_MAX_TENTH and code > 56):
            return False, 0
        return True, value * 10 - (code - 48)
    if value > _INT64_MAX_TENTH or (value == _INT64_MAX_TENTH and code > 55):
        return False, 0
    return True, value * 10 + (code - 48)


def is_int64(data: bytes) -> bool:
    """The question alone of parse_int64(), which takes it half the time."""
    size: i64 = len(data)
    if size == 0 or size > 20:
        return False
    first: i64 = data[0]
    if size == 1:
        return 48 <= first <= 57
    position: i64 = 0
    if first == 45:
        first = data[1]
        position = 1
    if first < 49 or first > 57:
        return False
    digits: i64 = size - position
    if digits > 19:
        return False
    index: i64 = position
    while index < size:
        code: i64 = data[index]
        if code < 48 or code > 57:
            return False
        index += 1
    if digits < 19:
        return True
    head: i64 = 0
    index = position
    while index < size - 1:
        head = head * 10 + (data[index] - 48)
        index += 1
    if head != _INT64_MAX_TENTH:
        return head < _INT64_MAX_TENTH
    last: i64 = data[size - 1]
    return last <= 55 + position


def to_int64(data: bytes) -> i64:
    """The signed 64-bit integer that `data` spells; raises NotAnInteger."""
    found, value = parse_int64(data)
    if not found:
        raise NotAnInteger
    return value


def format_int(value: i64) -> bytes:
    """The decimal text of `value`."""
    if 0 <= value < _SMALL_INTS:
        return _SMALL[value]
    if 0 <= value < _SMALL_INTS * _SMALL_INTS:
        high: i64 = value // _SMALL_INTS
        return _SMALL[high] + _FOUR_DIGITS[value - high * _SMALL_INTS]
    return str(value).encode()


def decimal_bytes(value: i64) -> i64:
    """Length of the decimal text of `value`."""
    if value <= -_WORD_LIMIT or value >= _WORD_LIMIT:
        return len(format_int(value))
    size: i64 = 1
    if value < 0:
        value = -value
        size = 2
    bound: i64 = 10
    while bound <= value:
        bound *= 10
        size += 1
    return size


def write_decimal(out: BytesWriter, value: i64) -> None:
    """Append the decimal text of `value`, without an object for it."""
    if value <= -_WORD_LIMIT or value >= _WORD_LIMIT:
        out.write(format_int(value))
        return
    if value < 0:
        out.append(45)
        value = -value
    if value >= _HALF_WORD_LIMIT:
        upper: i64 = value // _HALF_WORD_LIMIT
        _write_digits(out, upper, decimal_bytes(upper))
        _write_digits(out, value - upper * _HALF_WORD_LIMIT, 8)
    else:
        _write_digits(out, value, decimal_bytes(value))


def _write_digits(out: BytesWriter, value: i64, digits: i64) -> None:
    """Up to eight digits in one store, the last one in the highest byte; what is too much is cut off."""
    word: i64 = 0
    left: i64 = digits
    while left > 0:
        rest: i64 = value // 10
        word = (word << 8) | (value - rest * 10 + 48)
        value = rest
        left -= 1
    write_i64_le(out, word)
    out.truncate(len(out) - (8 - digits))


# Doubles: what strtod takes as a whole (decimal, hexadecimal, infinity), without blanks before it.


def parse_double(data: bytes) -> float:
    """The double that `data` spells, nearest even; raises NotANumber (also beyond range, and for nan)."""
    size: i64 = len(data)
    if 0 < size <= 15:
        index: i64 = 0
        small: i64 = 0
        while index < size:
            code: i64 = data[index]
            if code < 48 or code > 57:
                break
            small = small * 10 + (code - 48)
            index += 1
        else:
            return float(small)
    shape = _number_shape(data)
    if shape == _DECIMAL:
        value = float(data)
        if value - value != 0.0 or (value == 0.0 and _has_significand(data)):
            raise NotANumber
        return value
    if shape == _INFINITE:
        return -_INFINITY if data[0] == 45 else _INFINITY
    if shape == _HEXADECIMAL:
        return _parse_hexadecimal(data)
    raise NotANumber


_NO_NUMBER: Final = 0
_DECIMAL: Final = 1
_HEXADECIMAL: Final = 2
_INFINITE: Final = 3


def _number_shape(data: bytes) -> i64:
    """Which language of strtod the whole of `data` belongs to."""
    size: i64 = len(data)
    index: i64 = 0
    if size > 0 and (data[0] == 43 or data[0] == 45):
        index = 1
    if index >= size:
        return _NO_NUMBER
    if data[index] | 32 == 105:
        word = data[index:].lower()
        return _INFINITE if word == b"inf" or word == b"infinity" else _NO_NUMBER
    hexadecimal = index + 1 < size and data[index] == 48 and data[index + 1] | 32 == 120
    if hexadecimal:
        index += 2
    digits: i64 = 0
    points: i64 = 0
    while index < size:
        code: i64 = data[index]
        if 48 <= code <= 57 or (hexadecimal and 97 <= code | 32 <= 102):
            digits += 1
        elif code == 46 and points == 0:
            points = 1
        else:
            break
        index += 1
    if digits == 0:
        return _NO_NUMBER
    if index < size:
        if data[index] | 32 != (112 if hexadecimal else 101):
            return _NO_NUMBER
        index += 1
        if index < size and (data[index] == 43 or data[index] == 45):
            index += 1
        if index >= size:
            return _NO_NUMBER
        while index < size:
            if data[index] < 48 or data[index] > 57:
                return _NO_NUMBER
            index += 1
    return _HEXADECIMAL if hexadecimal else _DECIMAL


def _has_significand(data: bytes) -> bool:
    """Whether a decimal has a digit above zero before its exponent."""
    for code in data:
        if 49 <= code <= 57:
            return True
        if code | 32 == 101:
            return False
    return False


def _parse_hexadecimal(data: bytes) -> float:
    try:
        value = float.fromhex(data.decode("ascii"))
    except OverflowError:
        raise NotANumber from None
    if value == 0.0 and _rational(data)[1] != 0:
        raise NotANumber
    return value


def is_integral_double(value: float) -> bool:
    """Whether Redis prints `value` as an integer with all its digits, and stores it so in a listpack."""
    if not -_INTEGRAL_LIMIT <= value <= _INTEGRAL_LIMIT:
        return False
    return value == float(int(value))


def format_double_17(value: float) -> bytes:
    """Seventeen significant digits, trailing zeros dropped (C's "%.17g"): how Redis 7.0 replies a double."""
    return b"%.17g" % value


def format_double(value: float, compat: i64) -> bytes:
    """A double as the server of that `compat` replies it: 7.0 in 17 digits, later ones in shortest digits."""
    if value == 0.0:
        return b"-0" if str(value) == "-0.0" else b"0"
    if compat < 72:
        if -_SMALL_INTS < value < _SMALL_INTS and value == float(int(value)):
            return format_int(i64(int(value)))
        return b"%.17g" % value
    if -_INTEGRAL_LIMIT <= value <= _INTEGRAL_LIMIT and value == float(int(value)):
        return format_int(i64(int(value)))
    if value - value != 0.0:
        if value != value:
            return b"nan"
        return b"inf" if value > 0.0 else b"-inf"
    sign = ""
    if value < 0.0:
        sign = "-"
        value = -value
    digits, exponent = shortest_digits(value)
    count = len(digits)
    first_exponent = exponent + count - 1  # of the first digit
    if exponent >= 0 and first_exponent < count + 7:
        text = sign + digits + "0" * exponent
    elif exponent < 0 and (exponent > -7 or -4 < first_exponent < 4):
        if first_exponent < 0:
            text = sign + "0." + "0" * (-first_exponent - 1) + digits
        else:
            text = sign + digits[: count + exponent] + "." + digits[count + exponent :]
    else:
        text = sign + digits[0]
        if count > 1:
            text += "." + digits[1:]
        text += "e" + ("+" if first_exponent > 0 else "") + str(first_exponent)
    return text.encode()


# Long doubles: 64-bit significand, nearest even, as on x86. A number is the exact significand * 2**exponent.


def is_infinite_long_double(data: bytes) -> bool:
    """Whether `data` spells an infinity; raises NotANumber when it is no long double at all."""
    if len(data) < LONG_DOUBLE_TEXT_BYTES and _number_shape(data) == _INFINITE:
        return True
    _parse_long_double(data)
    return False


def add_long_double(left: bytes, right: bytes) -> bytes:
    """The text of the sum of two long doubles: seventeen places after the point, trailing zeros dropped.

    Raises NotANumber when either is no long double, NotFinite when the sum is not finite.
    """
    left_infinite = is_infinite_long_double(left)
    if is_infinite_long_double(right) or left_infinite:
        raise NotFinite
    left_significand, left_exponent = _parse_long_double(left)
    right_significand, right_exponent = _parse_long_double(right)
    exponent = min(left_exponent, right_exponent)
    total = (left_significand << (left_exponent - exponent)) + (
        right_significand << (right_exponent - exponent)
    )
    significand, exponent = _round_significand(total, exponent, 0)
    if _is_too_large(significand, exponent):
        raise NotFinite
    return _format_long_double(significand, exponent)


def _parse_long_double(data: bytes) -> tuple[int, int]:
    if len(data) >= LONG_DOUBLE_TEXT_BYTES:
        raise NotANumber
    shape = _number_shape(data)
    if shape != _DECIMAL and shape != _HEXADECIMAL:
        raise NotANumber
    base, significand, scale = _rational(data)
    if significand == 0:
        return 0, 0
    # Far outside the range the power would only cost time; one bit more or less decides nothing there.
    magnitude = scale + (len(data) if base == 10 else significand.bit_length())
    if scale > 40000 or magnitude < -40000:
        raise NotANumber
    if base == 2:
        significand, exponent = _round_significand(significand, scale, 0)
    elif scale >= 0:
        significand, exponent = _round_significand(significand * 10**scale, 0, 0)
    else:
        divisor = 10**-scale
        shift = max(0, _MANTISSA_BITS + 2 + divisor.bit_length() - abs(significand).bit_length())
        quotient, remainder = divmod(abs(significand) << shift, divisor)
        quotient, exponent = _round_significand(quotient, -shift, 1 if remainder else 0)
        significand = quotient if significand > 0 else -quotient
    if significand == 0 or _is_too_large(significand, exponent):
        raise NotANumber
    return significand, exponent


def _rational(data: bytes) -> tuple[int, int, int]:
    """A decimal or hexadecimal text as (base, significand, exponent): significand * base**exponent."""
    text = data.decode("ascii").lower()
    negative = text.startswith("-")
    text = text.lstrip("+-")
    hexadecimal = text.startswith("0x")
    if hexadecimal:
        text = text[2:]
    digits, _, power = text.partition("p" if hexadecimal else "e")
    whole, _, fraction = digits.partition(".")
    exponent = 0
    if power:
        # Twenty digits decide as well as twenty thousand.
        magnitude = power.lstrip("+-").lstrip("0")[:20] or "0"
        exponent = -int(magnitude) if power.startswith("-") else int(magnitude)
    if hexadecimal:
        significand = int(whole + fraction, 16)
        exponent -= 4 * len(fraction)
    else:
        significand = _long_int(whole + fraction)
        exponent -= len(fraction)
    return (2 if hexadecimal else 10), (-significand if negative else significand), exponent


def _long_int(digits: str) -> int:
    value = 0
    for start in range(0, len(digits), _CHUNK_DIGITS):
        chunk = digits[start : start + _CHUNK_DIGITS]
        value = value * 10 ** len(chunk) + int(chunk)
    return value


def _round_significand(significand: int, exponent: int, below: int) -> tuple[int, int]:
    """The nearest long double (ties to even); `below` tells that the exact number is a little larger."""
    magnitude = abs(significand)
    excess = max(magnitude.bit_length() - _MANTISSA_BITS, _LEAST_EXPONENT - exponent)
    if excess <= 0:
        return significand, exponent
    kept = magnitude >> excess
    rest = magnitude - (kept << excess)
    half = 1 << (excess - 1)
    if rest > half or (rest == half and (below or kept & 1)):
        kept += 1
    return (kept if significand >= 0 else -kept), exponent + excess


def _is_too_large(significand: int, exponent: int) -> bool:
    return significand != 0 and significand.bit_length() + exponent > _BIT_LENGTH_LIMIT


def _format_long_double(significand: int, exponent: int) -> bytes:
    scaled = abs(significand) * 10**_FRACTION_DIGITS
    if exponent >= 0:
        scaled <<= exponent
    else:
        whole = scaled >> -exponent
        rest = scaled - (whole << -exponent)
        half = 1 << (-exponent - 1)
        scaled = whole + 1 if rest > half or (rest == half and whole & 1) else whole
    if scaled == 0:
        return b"0"
    text = _long_text(scaled).rjust(_FRACTION_DIGITS + 1, "0")
    whole_text = text[:-_FRACTION_DIGITS]
    fraction_text = text[-_FRACTION_DIGITS:].rstrip("0")
    if fraction_text:
        whole_text += "." + fraction_text
    return (("-" if significand < 0 else "") + whole_text).encode()


def _long_text(value: int) -> str:
    chunk = 10**_CHUNK_DIGITS
    if value < chunk:
        return str(value)
    upper, lower = divmod(value, chunk)
    return _long_text(upper) + str(lower).rjust(_CHUNK_DIGITS, "0")


def leading_integer(word: bytes) -> i64:
    """The number that a word begins with, as the C library's atoi reads it."""
    sign: i64 = -1 if word[:1] == b"-" else 1
    value: i64 = 0
    for c in word[1 if word[:1] in (b"-", b"+") else 0 :]:
        if not 48 <= c <= 57 or value > 1 << 31:
            break
        value = value * 10 + c - 48
    return sign * value
