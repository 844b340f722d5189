"""redis-py, as its users have it, in both protocols, against a Gossamer process."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from support.servers import ServerAbsent, ServerPool

redis = pytest.importorskip("redis", reason="redis-py is absent")

pytestmark = pytest.mark.peers


@pytest.fixture
def port(servers: ServerPool) -> int:
    try:
        return servers.get("gossamer", "redis:7.0").port
    except ServerAbsent as absent:
        pytest.skip(f"{absent} is absent")


@pytest.fixture(params=[2, 3])
def client(port: int, request: pytest.FixtureRequest) -> Iterator[Any]:
    with redis.Redis(port=port, protocol=request.param, decode_responses=True) as connection:
        connection.flushall()
        yield connection


def test_strings_and_counters(client: Any) -> None:
    assert client.set("greeting", "hello", ex=100)
    assert client.get("greeting") == "hello"
    assert 98 <= client.ttl("greeting") <= 100
    assert client.set("greeting", "other", nx=True) is None
    assert client.incr("hits") == 1
    assert client.incrbyfloat("rate", 1.5) == 1.5
    assert client.mget("greeting", "nothing") == ["hello", None]
    assert client.getex("greeting", persist=True) == "hello"
    assert client.ttl("greeting") == -1


def test_hashes_lists_sets_and_sorted_sets(client: Any) -> None:
    client.hset("h", mapping={"a": "1", "b": "2"})
    assert client.hgetall("h") == {"a": "1", "b": "2"}
    client.rpush("l", "x", "y", "z")
    assert client.lrange("l", 0, -1) == ["x", "y", "z"]
    assert client.lmove("l", "m", "LEFT", "RIGHT") == "x"
    client.sadd("s", "one", "two")
    assert client.smembers("s") == {"one", "two"}
    assert client.smismember("s", ["one", "three"]) == [1, 0]
    client.zadd("z", {"low": 1, "high": 2.5})
    assert [member for member, _ in map(tuple, client.zrange("z", 0, -1, withscores=True))] == ["low", "high"]
    assert client.zscore("z", "high") == 2.5


def test_a_pipeline_and_a_transaction(client: Any) -> None:
    with client.pipeline(transaction=False) as pipeline:
        for number in range(1000):
            pipeline.set(f"key:{number}", number)
        assert pipeline.execute() == [True] * 1000
    assert client.dbsize() == 1000
    with client.pipeline() as pipeline:
        pipeline.watch("key:1")
        pipeline.multi()
        pipeline.incr("key:1")
        pipeline.get("key:1")
        assert pipeline.execute() == [2, "2"]


def test_a_watched_key_that_changes_aborts_the_transaction(client: Any) -> None:
    with client.pipeline() as pipeline:
        pipeline.watch("k")
        client.set("k", "changed")
        pipeline.multi()
        pipeline.set("k", "mine")
        with pytest.raises(redis.WatchError):
            pipeline.execute()
    assert client.get("k") == "changed"


def test_errors_keep_their_class(client: Any) -> None:
    client.set("k", "text")
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        client.lpush("k", "x")
    with pytest.raises(redis.ResponseError, match="not an integer"):
        client.incr("k")


def test_pubsub(client: Any) -> None:
    with client.pubsub() as pubsub:
        pubsub.subscribe("news")
        pubsub.psubscribe("n*")
        assert pubsub.get_message(timeout=5)["type"] == "subscribe"
        assert pubsub.get_message(timeout=5)["type"] == "psubscribe"
        assert client.publish("news", "hello") == 2
        first, second = pubsub.get_message(timeout=5), pubsub.get_message(timeout=5)
        assert {first["type"], second["type"]} == {"message", "pmessage"}
        assert first["data"] == second["data"] == "hello"


def test_a_blocking_pop_is_served_by_another_client(client: Any, port: int) -> None:
    got: list[Any] = []

    def wait() -> None:
        with redis.Redis(port=port, decode_responses=True) as other:
            got.append(other.blpop("queue", timeout=10))

    waiter = threading.Thread(target=wait)
    waiter.start()
    client.rpush("queue", "job")
    waiter.join(15)
    assert got and list(got[0]) == ["queue", "job"]


def test_scanning_finds_every_key_once(client: Any) -> None:
    client.mset({f"key:{number}": number for number in range(2000)})
    assert sorted(client.scan_iter(count=100)) == sorted(f"key:{number}" for number in range(2000))
    client.hset("hash", mapping={str(number): number for number in range(1000)})
    assert len(dict(client.hscan_iter("hash"))) == 1000


def test_server_commands_parse(client: Any) -> None:
    assert client.ping() is True
    info = client.info()
    assert "redis_version" in info and info["tcp_port"]
    assert client.config_get("maxmemory")["maxmemory"] == "0"
    assert client.client_list()[0]["db"] == "0"
    assert client.client_info()["cmd"].startswith("client")
    assert "get" in client.command()
    assert client.command_count() > 100
    assert client.command_getkeys("MSET", "a", "b", "c", "d") == ["a", "c"]
    assert client.time()[0] > 1_600_000_000
    assert isinstance(client.slowlog_get(), list)
    assert client.object("encoding", "nothing") is None
    assert client.lastsave() is not None
    assert client.dbsize() == 0


def test_dump_and_restore(client: Any, port: int) -> None:
    with redis.Redis(port=port) as raw:
        raw.zadd("z", {"a": 1, "b": 2})
        payload = raw.dump("z")
        raw.restore("copy", 0, payload)
        assert raw.zrange("copy", 0, -1) == [b"a", b"b"]


def test_the_async_client(port: int) -> None:
    async def session(protocol: int) -> None:
        from redis import asyncio as aioredis

        client: Any
        async with aioredis.Redis(port=port, protocol=protocol, decode_responses=True) as client:
            await client.flushall()
            await asyncio.gather(*(client.incr("hits") for _ in range(100)))
            assert await client.get("hits") == "100"
            async with client.pipeline(transaction=True) as pipeline:
                pipeline.set("a", 1)
                pipeline.get("a")
                assert await pipeline.execute() == [True, "1"]
            async with client.pubsub() as pubsub:
                await pubsub.subscribe("news")
                await pubsub.get_message(timeout=5)
                await client.publish("news", "hello")
                message = await pubsub.get_message(timeout=5)
                assert message is not None and message["data"] == "hello"
            waiting = asyncio.ensure_future(client.blpop(["queue"], timeout=10))
            await client.rpush("queue", "job")
            popped = await waiting
            assert popped is not None and list(popped) == ["queue", "job"]

    for protocol in (2, 3):
        asyncio.run(session(protocol))
