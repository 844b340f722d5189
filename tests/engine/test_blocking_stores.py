"""Who waits for a key is served by a command that makes it, and not by one that puts a value in another's place."""

from __future__ import annotations

import pytest

from support.engines import EngineClient, new_engine

STORES = [
    ("BLPOP k 0", "SORT list STORE k"),
    ("BZPOPMIN k 0", "ZUNIONSTORE k 1 zset"),
    ("BZPOPMIN k 0", "ZRANGESTORE k zset 0 -1"),
    ("BZPOPMIN k 0", "GEOSEARCHSTORE k geo FROMMEMBER a BYRADIUS 1 km"),
]


@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize(("wait", "store"), STORES)
def test_a_store_serves_who_waits_for_a_new_key(wait: str, store: str, there: bool) -> None:
    engine = new_engine()
    waiter, writer = EngineClient(engine), EngineClient(engine)
    for line in ("RPUSH list 3 1 2", "ZADD zset 1 a", "GEOADD geo 1 1 a"):
        writer.call(*line.split())
    engine.execute(waiter.client, wait.encode().split())
    if there:
        writer.call("SET", "k", "a string wakes nobody")
    writer.call(*store.split())
    assert (len(waiter.client.reply.out) > 0) != there
    assert (waiter.client.blocked_command is None) != there


def test_a_group_that_goes_with_its_stream_is_told_to_who_waits_for_it() -> None:
    engine = new_engine()
    waiter, writer = EngineClient(engine), EngineClient(engine)
    writer.call("XGROUP", "CREATE", "k", "g", "$", "MKSTREAM")
    writer.call("ZADD", "zset", "1", "a")
    engine.execute(waiter.client, b"XREADGROUP GROUP g c BLOCK 0 STREAMS k >".split())
    writer.call("ZUNIONSTORE", "k", "1", "zset")
    assert waiter.client.reply.out.getvalue().startswith(b"-WRONGTYPE")


@pytest.mark.parametrize("end", ["XGROUP DESTROY k g", "CLIENT UNBLOCK 2 ERROR"])
def test_an_error_that_ends_a_wait_is_counted(end: str) -> None:
    engine = new_engine()
    writer, waiter = EngineClient(engine), EngineClient(engine)
    writer.call("XGROUP", "CREATE", "k", "g", "$", "MKSTREAM")
    engine.execute(waiter.client, b"XREADGROUP GROUP g c BLOCK 0 STREAMS k >".split())
    assert waiter.client.client_id == 2
    writer.call(*end.split())
    told = waiter.client.reply.out.getvalue()
    assert told.startswith(b"-")
    word = told[1:].split()[0]
    assert b"errorstat_%b:count=1\r\n" % word in writer.call("INFO", "errorstats").plain()
    served = [line for line in writer.call("INFO", "commandstats").plain().split() if b"_xreadgroup:" in line]
    assert [line.rsplit(b",", 1)[1] for line in served] == [b"failed_calls=1"]
