"""A data set with every type and encoding, and the content of a server, to be compared across servers and files.

Must not know: which server holds it. Two contents are equal when two data sets are, whatever their encodings are and
however a server prints a score.
"""

from __future__ import annotations

import random
from typing import Any

from support.wire import Argument, Reply, WireClient

DATABASES = (0, 5, 15)


def commands(seed: int) -> list[tuple[Argument, ...]]:
    """What builds the data set; the same for the same seed."""
    rng = random.Random(seed)
    words = [bytes(rng.choices(range(256), k=rng.choice((1, 8, 30, 90)))) for _ in range(250)]
    found: list[tuple[Argument, ...]] = [("SELECT", 0)]
    for number in range(40):
        found.append(("SET", f"string:{number}", words[number]))
        found.append(("SET", words[100 + number] + b"\x00\r\n", rng.randrange(-(10**12), 10**12)))
    found += [("SET", "big", rng.randbytes(300_000)), ("SET", "repeated", b"abc" * 50_000)]
    found += [("APPEND", "raw", "x"), ("SETRANGE", "sparse", 70_000, "1")]
    found += [("SET", "empty", ""), ("INCRBYFLOAT", "float", "1.5"), ("INCR", "counter"), ("INCR", "counter")]
    for name, size in (("small", 10), ("large", 250)):
        for number in range(size):
            element = words[number] if name == "large" else words[number][:20]
            found.append(("HSET", f"hash:{name}", element, element))
            found.append(("RPUSH", f"list:{name}", element * 20))
            found.append(("SADD", f"set:{name}", element))
            found.append(("SADD", f"integers:{name}", number * number * number - 7000))
            score = rng.choice(("1", "-2.5", "inf", "-inf", "1e30", "0.1", str(number)))
            found.append(("ZADD", f"zset:{name}", score, element))
    found += [("LPOP", "list:large", 3), ("SPOP", "set:large", 2), ("ZPOPMIN", "zset:small")]
    found += stream_commands()
    found += [("MULTI",), ("SET", "unit:1", "a"), ("LPUSH", "unit:2", "b", "c"), ("EXEC",)]
    found += [("EXPIRE", "string:1", 100_000), ("PEXPIREAT", "hash:large", 4_000_000_000_123)]
    found += [("DEL", "string:2"), ("RENAME", "string:3", "renamed"), ("COPY", "zset:large", "copied")]
    found += [("SELECT", 5), ("SET", "elsewhere", 1), ("RPUSH", "list", 1, 2, 3), ("MOVE", "list", 15)]
    return [*found, ("SELECT", 0)]


def stream_commands() -> list[tuple[Argument, ...]]:
    found: list[tuple[Argument, ...]] = []
    for number in range(150):
        found.append(
            ("XADD", "stream", f"{1000 + number}-{number % 3}", "field", number, "other", "x" * (number % 7))
        )
    found += [
        ("XDEL", "stream", "1003-0"),
        ("XTRIM", "stream", "MAXLEN", 140),
        ("XSETID", "stream", "9999-1"),
    ]
    found += [("XGROUP", "CREATE", "stream", "group", "1020-0"), ("XGROUP", "CREATE", "stream", "idle", "$")]
    found.append(("XREADGROUP", "GROUP", "group", "reader", "COUNT", 5, "STREAMS", "stream", ">"))
    found.append(("XGROUP", "CREATECONSUMER", "stream", "group", "nobody"))
    return [*found, ("XADD", "emptied", "5-5", "a", "b"), ("XDEL", "emptied", "5-5")]


def fill(client: WireClient, seed: int = 1) -> None:
    for command in commands(seed):
        reply = client.call(*command)
        assert not reply.is_error, (command, reply)


def change(client: WireClient, number: int) -> None:
    """Some more writes, which differ with the number."""
    for command in (
        ("SET", f"later:{number}", number),
        ("RPUSH", "list:small", f"later-{number}"),
        ("HDEL", "hash:small", f"absent-{number}"),
        ("SELECT", 5),
        ("INCRBY", "elsewhere", number),
        ("SELECT", 0),
        ("ZADD", "zset:large", number, f"later-{number}"),
        ("SET", f"passing:{number}", 1, "EX", 50_000),
    ):
        assert not client.call(*command).is_error, command


def digest(client: WireClient) -> bytes:
    """DEBUG DIGEST: for two servers of one make."""
    return client.call("DEBUG", "DIGEST").raw


def content(client: WireClient) -> dict[tuple[int, bytes], Any]:
    """Type, value and expiry of every key of the databases in use."""
    found: dict[tuple[int, bytes], Any] = {}
    for index in DATABASES:
        client.call("SELECT", index)
        for key in client.call("KEYS", "*").plain():
            kind = client.call("TYPE", key).plain()
            found[index, key] = (kind, value_of(client, key, kind), client.call("PEXPIRETIME", key).plain())
    client.call("SELECT", 0)
    return found


def value_of(client: WireClient, key: bytes, kind: bytes) -> Any:
    if kind == b"string":
        return client.call("GET", key).plain()
    if kind == b"list":
        return client.call("LRANGE", key, 0, -1).plain()
    if kind == b"set":
        return sorted(client.call("SMEMBERS", key).plain())
    if kind == b"hash":
        flat = client.call("HGETALL", key).plain()
        return dict(zip(flat[::2], flat[1::2], strict=True))
    if kind == b"zset":
        flat = client.call("ZRANGE", key, 0, -1, "WITHSCORES").plain()
        return [(member, float(score)) for member, score in zip(flat[::2], flat[1::2], strict=True)]
    assert kind == b"stream"
    return [
        client.call("XRANGE", key, "-", "+").plain(),
        stream_facts(client.call("XINFO", "STREAM", key, "FULL")),
    ]


def stream_facts(full: Reply) -> dict[bytes, Any]:
    """XINFO STREAM without what may differ: how it is stored, and when a consumer was seen."""
    facts = fields_of(full.plain())
    groups = []
    for plain in facts.pop(b"groups"):
        group = fields_of(plain)
        group[b"pending"] = [[row[0], row[1], row[3]] for row in group[b"pending"]]
        group[b"consumers"] = sorted(
            (consumer[b"name"], [row[0] for row in consumer[b"pending"]])
            for consumer in map(fields_of, group[b"consumers"])
        )
        groups.append(group)
    stored = (b"radix-tree-keys", b"radix-tree-nodes", b"entries")
    return {**{name: value for name, value in facts.items() if name not in stored}, b"groups": groups}


def fields_of(flat: list[Any]) -> dict[bytes, Any]:
    return dict(zip(flat[::2], flat[1::2], strict=True))
