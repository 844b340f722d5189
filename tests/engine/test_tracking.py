"""Client-side caching on an engine without sockets: what it costs, and whom it forgets."""

import pytest

from gossamer.base.clock import ManualClock
from gossamer.base.limits import Limits
from gossamer.base.rng import Random64
from gossamer.engine.client import Client
from gossamer.engine.config_commands import EngineSettings
from gossamer.engine.engine import Engine
from gossamer.server.command_table import all_commands


@pytest.fixture
def engine() -> Engine:
    limits = Limits()
    engine = Engine(ManualClock(), limits, Random64(1), 2)
    engine.add_commands(all_commands())
    return engine


def ask(client: Client, text: str) -> bytes:
    client.engine.execute(client, text.encode().split())
    answer = client.reply.out.getvalue()
    client.reply.out.truncate(0)
    return answer


def tracking(engine: Engine, options: str = "") -> Client:
    client = engine.new_client()
    ask(client, "HELLO 3")
    assert ask(client, f"CLIENT TRACKING ON {options}") == b"+OK\r\n"
    return client


def test_who_does_not_track_costs_nothing(engine):
    client = engine.new_client()
    ask(client, "SET k v")
    ask(client, "GET k")
    assert client.gate == 0
    assert not engine.tracking.active and not engine.tracking.table


def test_a_key_is_told_once_to_each_who_read_it(engine):
    readers = [tracking(engine), tracking(engine)]
    writer = engine.new_client()
    for reader in readers:
        ask(reader, "MGET a b")
    ask(writer, "SET a 1")
    ask(writer, "SET a 2")
    for reader in readers:
        assert reader.reply.out.getvalue() == b">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\na\r\n"
    assert list(engine.tracking.table) == [b"b"]
    assert engine.tracking.items == 2


def test_nothing_is_left_of_clients_that_are_gone(engine):
    reader, listener = tracking(engine), tracking(engine, "BCAST PREFIX p")
    ask(reader, "GET k")
    for client in (reader, listener):
        engine.free_client(client)
    assert engine.tracking.clients == 0
    assert not engine.tracking.prefixes
    ask(engine.new_client(), "SET k 1")
    assert not engine.tracking.table
    assert engine.tracking.items == 0
    assert not engine.tracking.active


def test_opting_in_counts_for_one_command_or_one_transaction(engine):
    reader = tracking(engine, "OPTIN")
    ask(reader, "GET a")
    ask(reader, "CLIENT CACHING YES")
    ask(reader, "GET b")
    ask(reader, "GET c")
    ask(reader, "CLIENT CACHING YES")
    ask(reader, "MULTI")
    ask(reader, "GET d")
    ask(reader, "GET e")
    ask(reader, "EXEC")
    ask(reader, "GET f")
    assert sorted(engine.tracking.table) == [b"b", b"d", b"e"]


def test_opting_out_counts_for_one_command(engine):
    reader = tracking(engine, "OPTOUT")
    ask(reader, "CLIENT CACHING NO")
    ask(reader, "GET a")
    ask(reader, "GET b")
    assert list(engine.tracking.table) == [b"b"]


def test_what_a_script_reads_its_caller_tracks(engine):
    pytest.importorskip("lupa")
    reader = tracking(engine)
    words = [b"EVAL", b"return redis.call('get', KEYS[1])", b"1", b"k"]
    engine.execute(reader, words)
    assert list(engine.tracking.table) == [b"k"]


def test_a_message_to_oneself_follows_the_reply(engine):
    reader = tracking(engine)
    ask(reader, "GET k")
    assert ask(reader, "APPEND k x") == b":1\r\n>2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n"
    ask(reader, "GET k")
    ask(reader, "CLIENT TRACKING ON NOLOOP")
    assert ask(reader, "APPEND k x") == b":2\r\n"


@pytest.mark.parametrize(("compat", "keys"), [(70, [b"a", b"b"]), (72, [b"c"]), (80, [b"c"])])
def test_in_7_0_a_script_that_reads_anything_reads_the_keys_that_it_names(compat, keys):
    pytest.importorskip("lupa")
    limits = Limits()
    limits.compat = compat
    engine = Engine(ManualClock(), limits, Random64(1), 2)
    engine.add_commands(all_commands())
    reader = tracking(engine)
    engine.execute(reader, [b"EVAL", b"redis.call('ping')", b"2", b"a", b"b"])
    assert list(engine.tracking.table) == []
    engine.execute(reader, [b"EVAL", b"return redis.call('get', 'c')", b"2", b"a", b"b"])
    assert list(engine.tracking.table) == keys


def test_a_table_that_is_to_be_smaller_shrinks_at_once(engine):
    reader = tracking(engine, "NOLOOP")
    EngineSettings(engine, engine.config).connect()
    ask(reader, "MGET a b c")
    assert ask(reader, "CONFIG SET tracking-table-max-keys 1").count(b"invalidate") == 2
    assert len(engine.tracking.table) == 1


def test_an_emptied_database_empties_the_table_though_nobody_tracks_any_more(engine):
    client = tracking(engine)
    ask(client, "SET k v")
    ask(client, "GET k")
    ask(client, "CLIENT TRACKING OFF")
    assert engine.tracking.table
    ask(client, "FLUSHALL")
    assert not engine.tracking.table
