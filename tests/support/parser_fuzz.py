"""Fuzzing the request parser: whatever arrives, and however it is cut, the same requests come out.

Owns: the making of broken input and the comparison of two ways to feed it. As a program it runs a campaign:

    PYTHONPATH=src:tests python -m support.parser_fuzz --inputs 1000000 --seed 1

Claims, for every input: no exception but ProtocolError escapes; the requests, the protocol error and what is
left over do not depend on where the input was cut; the parser never holds more bytes than it was fed.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Sequence

from gossamer.base import build
from gossamer.base.errors import ProtocolError
from gossamer.base.limits import Limits
from gossamer.resp.parser import RequestParser

WORDS = [
    b"GET",
    b"set",
    b"PING",
    b"k",
    b"",
    b"value",
    b"\r\n",
    b"\x00",
    b"$5",
    b"*2\r\n",
    b'"',
    b"'",
    b"\\x",
    b"a b",
]
LENGTHS = [
    b"0", b"1", b"2", b"3", b"5", b"9", b"10", b"16384", b"16385", b"-1", b"-0", b"-2", b"00", b"01", b"+1",
    b" 1", b"1 ", b"", b"2147483647", b"2147483648", b"536870912", b"536870913", b"9223372036854775807",
    b"9223372036854775808", b"99999999999999999999", b"1e3", b"0x1", b"1_0", b"a", b"\xd9\xa1", b"32768",
    b"32769",
]  # fmt: skip
PIECES = [
    b"\r", b"\n", b"\r\n", b"*", b"$", b"*1\r\n", b"$1\r\n", b"$-1\r\n", b"*0\r\n", b"*-1\r\n", b"\x00",
    b"\xff", b'"', b"'", b"\\", b" ", b"PING\r\n", b"\n\n", b"+OK\r\n", b":1\r\n", b"%1\r\n",
]  # fmt: skip
# Around the parser's thresholds: inline and count lines, unauthenticated arguments, arguments read in pieces.
LARGE = [16383, 16384, 16385, 32766, 32767, 32768, 32769, 65534, 65535, 65536, 65537, 70000]


class Outcome:
    """What came of an input: requests, protocol error, and how many bytes are held."""

    def __init__(self, requests: list[list[bytes]], error: bytes | None, held: int, fed: int) -> None:
        self.requests = requests
        self.error = error
        self.held = held
        self.fed = fed

    def same(self, other: Outcome) -> bool:
        return self.requests == other.requests and self.error == other.error

    def __repr__(self) -> str:
        return f"{self.requests!r}, error {self.error!r}"


class Defect(AssertionError):
    """A claim that does not hold."""


def valid_request(rng: random.Random) -> bytes:
    words = [rng.choice(WORDS) for _ in range(rng.randint(1, 4))]
    if rng.random() < 0.3:
        return b" ".join(words) + rng.choice([b"\r\n", b"\n"])
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


def large_request(rng: random.Random) -> bytes:
    size = rng.choice(LARGE)
    filler = bytes([rng.choice(b"x1 -")]) * size
    return rng.choice(
        [
            b"*2\r\n$3\r\nGET\r\n$%d\r\n%s\r\n" % (size, filler),
            b"SET k " + filler + b"\r\n",
            b"*" + filler + b"\r\n",
            b"*1\r\n$" + filler + b"\r\n",
            filler,
            b"*1\r\n$" + filler,
        ]
    )


def mutate(rng: random.Random, data: bytes) -> bytes:
    """One small damage."""
    at = rng.randrange(len(data) + 1)
    how = rng.randrange(6)
    if how == 0:
        return data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]
    if how == 1:
        return data[:at] + rng.choice(PIECES) + data[at:]
    if how == 2:
        return data[:at] + data[at + rng.randint(1, 4) :]
    if how == 3:
        return data[:at]
    if how == 4:
        end = at + rng.randint(1, 12)
        return data[:end] + data[at:end] + data[end:]
    mark = data.find(rng.choice([b"*", b"$"]), at)
    end = data.find(b"\r", mark)
    if mark < 0 or end < 0:
        return data + rng.choice(PIECES)
    return data[: mark + 1] + rng.choice(LENGTHS) + data[end:]


def make_input(rng: random.Random) -> bytes:
    if rng.random() < 0.001:
        return large_request(rng) + valid_request(rng)
    data = b"".join(valid_request(rng) for _ in range(rng.randint(1, 3)))
    for _ in range(rng.choice([0, 1, 1, 1, 2, 3])):
        data = mutate(rng, data)
    return data


def cuts(rng: random.Random, size: int) -> list[int]:
    """Where to cut: everywhere, once, or here and there."""
    how = rng.random()
    if how < 0.25 and size <= 300:
        return list(range(1, size))
    if how < 0.6:
        return [rng.randrange(size + 1)]
    return sorted(rng.randrange(size + 1) for _ in range(rng.randint(2, 6)))


def parse(limits: Limits, authenticated: bool, pieces: Sequence[bytes]) -> Outcome:
    """Feed the pieces; stop at the first protocol error, as the server does."""
    parser = RequestParser(limits)
    parser.authenticated = authenticated
    requests: list[list[bytes]] = []
    fed = 0
    for piece in pieces:
        parser.feed(piece)
        fed += len(piece)
        try:
            while True:
                argv = parser.next()
                if argv is None:
                    break
                requests.append(argv)
        except ProtocolError as error:
            return Outcome(requests, error.reason, 0, fed)
        if parser.buffered_bytes() > fed:
            raise Defect(f"holds {parser.buffered_bytes()} bytes of {fed}")
    return Outcome(requests, None, parser.buffered_bytes(), fed)


def check(data: bytes, positions: Sequence[int], limits: Limits, authenticated: bool) -> None:
    """Defect unless the whole input and its pieces are parsed alike."""
    whole = parse(limits, authenticated, [data])
    bounds = [0, *positions, len(data)]
    pieces = [data[start:end] for start, end in zip(bounds, bounds[1:], strict=False)]
    split = parse(limits, authenticated, pieces)
    if not whole.same(split):
        shown = data if len(data) < 400 else data[:100] + b"..." + data[-100:]
        raise Defect(
            f"cut at {list(positions)[:20]}, authenticated {authenticated}: {shown!r} ({len(data)} bytes)\n"
            f"  whole: {str(whole)[:600]}\n  split: {str(split)[:600]}"
        )
    if any(not argv for argv in whole.requests):
        raise Defect(f"an empty request: {data!r}")


def campaign(inputs: int, seed: int, progress: bool = False) -> int:
    """Check that many inputs; the number of protocol errors among them."""
    rng = random.Random(seed)
    limits = Limits()
    errors = 0
    started = time.monotonic()
    for number in range(inputs):
        data = make_input(rng)
        authenticated = rng.random() < 0.8
        check(data, cuts(rng, len(data)), limits, authenticated)
        errors += parse(limits, authenticated, [data]).error is not None
        if progress and (number + 1) % 100_000 == 0:
            rate = (number + 1) / (time.monotonic() - started)
            print(f"{number + 1} inputs, {errors} refused, {rate:.0f}/s", flush=True)
    return errors


def main() -> int:
    arguments = argparse.ArgumentParser(description="Fuzz the request parser.")
    arguments.add_argument("--inputs", type=int, default=1_000_000)
    arguments.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    options = arguments.parse_args()
    print(
        f"fuzzing {build.mode()} gossamer.resp.parser: {options.inputs} inputs, seed {options.seed}",
        flush=True,
    )
    try:
        refused = campaign(options.inputs, options.seed, progress=True)
    except Defect as defect:
        print(f"DEFECT {defect}")
        return 1
    print(f"no defect in {options.inputs} inputs, {refused} of them refused")
    return 0


if __name__ == "__main__":
    sys.exit(main())
