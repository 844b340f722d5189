"""A small seeded generator of random numbers (xoshiro128** of Blackman and Vigna).

Invariant: the same seed gives the same sequence, interpreted and compiled; every intermediate fits an i64.
Not for secrets.
"""

from typing import Final, final

from mypy_extensions import i64

__all__: Final = ["Random64"]

_MASK32: Final = 0xFFFFFFFF
_HEX: Final = b"0123456789abcdef"


@final
class Random64:
    """Random integers and fractions from a seed of up to 64 bits."""

    def __init__(self, seed: int) -> None:
        self._a: i64 = 0
        self._b: i64 = 0
        self._c: i64 = 0
        self._d: i64 = 0
        self.seed(seed)

    def seed(self, seed: int) -> None:
        """Begin the sequence of `seed` anew."""
        state = seed & 0xFFFFFFFFFFFFFFFF
        words: list[int] = []
        # SplitMix64 spreads near seeds far apart and never leaves all words zero.
        for _ in range(2):
            state = (state + 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
            mixed = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
            mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
            mixed ^= mixed >> 31
            words += [mixed & _MASK32, mixed >> 32]
        self._a = i64(words[0])
        self._b = i64(words[1])
        self._c = i64(words[2])
        self._d = i64(words[3])

    def next_u32(self) -> i64:
        """Uniform over 0 to 2**32 - 1."""
        a: i64 = self._a
        b: i64 = self._b
        c: i64 = self._c ^ a
        d: i64 = self._d ^ b
        scaled: i64 = (b * 5) & _MASK32
        scaled = ((scaled << 7) & _MASK32) | (scaled >> 25)
        self._a = a ^ d
        self._b = b ^ c
        self._c = c ^ ((b << 9) & _MASK32)
        self._d = ((d << 11) & _MASK32) | (d >> 21)
        return (scaled * 9) & _MASK32

    def below(self, limit: i64) -> i64:
        """Uniform over 0 to limit - 1, without bias; `limit` is above zero."""
        assert limit > 0
        if limit <= 0x7FFFFFFF:
            # The upper half of the product is uniform once the lower halves that occur too often are refused.
            product: i64 = self.next_u32() * limit
            low: i64 = product & _MASK32
            if low < limit:
                threshold: i64 = (0x100000000 - limit) % limit
                while low < threshold:
                    product = self.next_u32() * limit
                    low = product & _MASK32
            return product >> 32
        ceiling: i64 = 0x4000000000000000 // limit * limit if limit <= 0x4000000000000000 else limit
        bits: i64 = 30 if limit <= 0x4000000000000000 else 31
        while True:
            drawn: i64 = ((self.next_u32() >> (32 - bits)) << 32) | self.next_u32()
            if drawn < ceiling:
                return drawn % limit

    def distinct_below(self, limit: i64, count: i64) -> list[int]:
        """So many different numbers from 0 to limit - 1, every choice and order equally likely."""
        assert count <= limit
        drawn: list[int] = []
        if count * 3 < limit:
            seen: set[int] = set()
            while len(drawn) < count:
                number = self.below(limit)
                if number not in seen:
                    seen.add(number)
                    drawn.append(number)
            return drawn
        drawn = list(range(limit))
        index: i64 = 0
        while index < count:
            other: i64 = index + self.below(limit - index)
            drawn[index], drawn[other] = drawn[other], drawn[index]
            index += 1
        return drawn[:count]

    def fraction(self) -> float:
        """Uniform over [0, 1), in steps of 2**-53."""
        high: i64 = self.next_u32() >> 5
        low: i64 = self.next_u32() >> 6
        return float(high * 0x4000000 + low) * (1.0 / 9007199254740992.0)

    def hex_digits(self, count: i64) -> bytes:
        """So many lowercase hexadecimal digits, as run and node identifiers have them."""
        digits = bytearray()
        index: i64 = 0
        while index < count:
            digits.append(_HEX[self.next_u32() & 15])
            index += 1
        return bytes(digits)
