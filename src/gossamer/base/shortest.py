"""The decimal digits of a double, as the Grisu2 method of Loitsch (2010) finds them.

Redis 7.2 and Valkey print doubles with Grisu2, whose digits always read back as the same double but are,
about once in seven hundred times, one digit longer or another neighbour than the shortest that `repr` gives.
Replies are compared to the byte, so the method is followed here and not its ideal.

A positive double is f * 2**e with a 64-bit f. It is multiplied by a cached power of ten so that the product's
exponent lies in [-60, -32]; the digits are then cut off the upper boundary of the rounding interval until
what is left lies within it.

Knows nothing of signs, zero, infinities and layout: those are `numbers.format_double`'s.
"""

import struct
from typing import Final

__all__: Final = ["shortest_digits"]

_MASK32: Final = 0xFFFFFFFF
_FIRST_POWER: Final = -348
_POWER_STEP: Final = 8
_POWER_COUNT: Final = 87
_LOG10_OF_2: Final = 0.30102999566398114
_EXPONENT_LOW: Final = -60
_EXPONENT_HIGH: Final = -32


def _power_of_ten(power: int) -> tuple[int, int]:
    """10**power as (64-bit significand with its top bit set, binary exponent), rounded to nearest."""
    if power >= 0:
        exact = 10**power
        shift = exact.bit_length() - 64
        if shift <= 0:
            return exact << -shift, shift
        significand = (exact + (1 << (shift - 1))) >> shift
    else:
        divisor = 10**-power
        shift = -(divisor.bit_length() + 63)
        numerator = 1 << -shift
        if numerator // divisor >= 1 << 64:
            shift += 1
            numerator >>= 1
        significand = (2 * numerator + divisor) // (2 * divisor)
    if significand >> 64:
        return significand >> 1, shift + 1
    return significand, shift


_POWERS: Final[list[tuple[int, int]]] = [
    _power_of_ten(_FIRST_POWER + _POWER_STEP * index) for index in range(_POWER_COUNT)
]
_TENS: Final[list[int]] = [10**index for index in range(20)]


def _multiply(left: int, right: int) -> int:
    """The upper 64 bits of a 128-bit product, the lower half rounded as the sum of its 32-bit parts."""
    return (left * right + (1 << 63)) >> 64


def shortest_digits(value: float) -> tuple[str, int]:
    """Digits d and exponent k with `value` nearest to int(d) * 10**k; `value` is finite and above zero."""
    bits: int = struct.unpack("<q", struct.pack("<d", value))[0]
    fraction = bits & ((1 << 52) - 1)
    exponent = bits >> 52
    if exponent != 0:
        fraction |= 1 << 52
        exponent -= 1075
    else:
        exponent = -1074

    # The interval of all reals that round to `value`, both ends at the exponent of the upper one.
    upper = 2 * fraction + 1
    upper_exponent = exponent - 1
    shift = 64 - upper.bit_length()
    upper <<= shift
    upper_exponent -= shift
    if fraction == 1 << 52:
        lower = 4 * fraction - 1
        lower_exponent = exponent - 2
    else:
        lower = 2 * fraction - 1
        lower_exponent = exponent - 1
    lower <<= lower_exponent - upper_exponent
    shift = 64 - fraction.bit_length()
    middle = fraction << shift
    exponent -= shift

    index = int((int(-(exponent + _POWER_COUNT) * _LOG10_OF_2) - _FIRST_POWER) / _POWER_STEP)
    while True:
        power, power_exponent = _POWERS[index]
        scaled_exponent = exponent + power_exponent + 64
        if scaled_exponent < _EXPONENT_LOW:
            index += 1
        elif scaled_exponent > _EXPONENT_HIGH:
            index -= 1
        else:
            break
    decimal_exponent = -(_FIRST_POWER + _POWER_STEP * index)

    # One unit inward on both sides makes up for the rounding of the products.
    middle = _multiply(middle, power)
    upper = _multiply(upper, power) - 1
    lower = _multiply(lower, power) + 1
    return _cut_digits(middle, upper, upper - lower, -scaled_exponent, decimal_exponent)


def _cut_digits(middle: int, upper: int, delta: int, point: int, decimal_exponent: int) -> tuple[str, int]:
    """Digits of a number within `delta` below `upper` and as near to `middle` as the last digit allows.

    All are fixed-point numbers with `point` fractional bits.
    """
    distance = upper - middle
    whole = upper >> point
    rest = upper & ((1 << point) - 1)
    digits = 0
    place = 10
    while place > 0:
        digit = whole // _TENS[place - 1]
        digits = digits * 10 + digit
        whole -= digit * _TENS[place - 1]
        place -= 1
        remainder = (whole << point) + rest
        if remainder <= delta:
            unit = _TENS[place] << point
            return _step_back(digits, delta, remainder, unit, distance), decimal_exponent + place
    scale = 1
    while True:
        rest *= 10
        delta *= 10
        scale *= 10
        digits = digits * 10 + (rest >> point)
        rest &= (1 << point) - 1
        place -= 1
        if rest < delta:
            return _step_back(digits, delta, rest, 1 << point, distance * scale), decimal_exponent + place


def _step_back(digits: int, delta: int, remainder: int, unit: int, distance: int) -> str:
    """Lower the last digit while that stays in the interval and comes nearer to the middle."""
    while (
        remainder < distance
        and delta - remainder >= unit
        and (remainder + unit < distance or distance - remainder > remainder + unit - distance)
    ):
        digits -= 1
        remainder += unit
    return str(digits)
