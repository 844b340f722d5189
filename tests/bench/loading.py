"""Filling servers with data fast: requests in large pipelines, replies counted but not kept."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator

from support.wire import Argument, WireClient, encode

PIPELINE_BYTES = 1 << 18
ELEMENTS_PER_COMMAND = 500

WORDS = ("amber", "birch", "cedar", "delta", "ember", "flint", "grove", "heath", "inlet", "jetty")


def send_all(client: WireClient, requests: Iterable[bytes]) -> None:
    """Send encoded requests and read a reply for each; an error reply ends it."""
    batch: list[bytes] = []
    size = 0
    for request in requests:
        batch.append(request)
        size += len(request)
        if size >= PIPELINE_BYTES:
            exchange(client, batch)
            batch, size = [], 0
    if batch:
        exchange(client, batch)


def exchange(client: WireClient, batch: list[bytes]) -> None:
    client.send_raw(b"".join(batch))
    for _ in batch:
        reply = client.read()
        if reply.is_error:
            raise RuntimeError(f"while loading: {reply!r}")


def bulks(values: Iterable[bytes]) -> bytes:
    return b"".join([b"$%d\r\n%s\r\n" % (len(value), value) for value in values])


def strings(count: int) -> Iterator[bytes]:
    """Keys of 16 bytes with values of 4."""
    for number in range(count):
        yield b"*3\r\n$3\r\nSET\r\n$16\r\nkey:%012d\r\n$4\r\n%04d\r\n" % (number, number % 10_000)


def ten_members(command: bytes, members: Callable[[int], list[bytes]], count: int) -> Iterator[bytes]:
    """Keys of 16 bytes, each with the members that the function gives for its number."""
    for number in range(count):
        values = members(number)
        head = b"*%d\r\n" % (2 + len(values)) + bulks([command])
        yield head + b"$16\r\nkey:%012d\r\n" % number + bulks(values)


def rotated(number: int) -> list[bytes]:
    return [b"%s%d" % (word.encode(), (number + index) % 97) for index, word in enumerate(WORDS)]


def hash_members(number: int) -> list[bytes]:
    return [
        part for index, word in enumerate(rotated(number)) for part in (word, b"%d" % (number % 1000 + index))
    ]


def zset_members(number: int) -> list[bytes]:
    return [
        part for index, word in enumerate(rotated(number)) for part in (b"%d" % (number % 1000 + index), word)
    ]


def integer_members(number: int) -> list[bytes]:
    return [b"%d" % ((number * 7 + index * 131) % 30_000) for index in range(10)]


SMALL_VALUES: dict[str, Callable[[int], Iterator[bytes]]] = {
    "strings": strings,
    "hashes": lambda count: ten_members(b"HSET", hash_members, count),
    "lists": lambda count: ten_members(b"RPUSH", rotated, count),
    "sets of integers": lambda count: ten_members(b"SADD", integer_members, count),
    "sets of words": lambda count: ten_members(b"SADD", rotated, count),
    "sorted sets": lambda count: ten_members(b"ZADD", zset_members, count),
}


def in_chunks(command: str, key: str, arguments: Iterable[Argument], per_element: int = 1) -> Iterator[bytes]:
    """The variadic command again and again until all arguments are sent."""
    chunk: list[Argument] = []
    for argument in arguments:
        chunk.append(argument)
        if len(chunk) == ELEMENTS_PER_COMMAND * per_element:
            yield encode([command, key, *chunk])
            chunk = []
    if chunk:
        yield encode([command, key, *chunk])


def elements(count: int) -> Iterator[bytes]:
    """Members as redis-benchmark names them, in a shuffled order that is the same every time."""
    numbers = list(range(count))
    random.Random(1).shuffle(numbers)
    for number in numbers:
        yield b"element:%012d" % number


def large_list(key: str, count: int) -> Iterator[bytes]:
    return in_chunks("RPUSH", key, (b"xxx" for _ in range(count)))


def large_set(key: str, count: int) -> Iterator[bytes]:
    return in_chunks("SADD", key, elements(count))


def large_hash(key: str, count: int) -> Iterator[bytes]:
    return in_chunks("HSET", key, (part for member in elements(count) for part in (member, b"xxx")), 2)


def large_zset(key: str, count: int) -> Iterator[bytes]:
    scored = (part for score, member in enumerate(elements(count)) for part in (b"%d" % score, member))
    return in_chunks("ZADD", key, scored, 2)


LARGE_VALUES: dict[str, Callable[[str, int], Iterator[bytes]]] = {
    "list": large_list,
    "hash": large_hash,
    "set": large_set,
    "sorted set": large_zset,
}
