"""Scripts in an engine without a server: what they may reach, what ends them, what of them is told."""

import pytest

from gossamer.base.clock import Clock, ManualClock
from gossamer.base.limits import Limits
from gossamer.base.rng import Random64
from gossamer.engine.client import Client
from gossamer.engine.doors import HEARS_REPLICAS, EngineHooks, WriteFeed
from gossamer.engine.engine import Engine
from gossamer.server.command_table import all_commands


class Ticking(Clock):
    """A clock that a script cannot outrun: every look at it takes ten milliseconds."""

    def __init__(self) -> None:
        self.now = 1_700_000_000_000_000

    def now_us(self) -> int:
        self.now += 10_000
        return self.now


class Tape(WriteFeed):
    def __init__(self) -> None:
        self.told: list[bytes] = []

    def begin(self) -> None:
        self.told.append(b"MULTI")

    def feed(self, db_index: int, argv: list[bytes]) -> None:
        self.told.append(b"%d:" % db_index + b" ".join(argv))

    def end(self) -> None:
        self.told.append(b"EXEC")


class Killing(EngineHooks):
    """Somebody else's connection, which kills the script when it is served."""

    def __init__(self) -> None:
        self.engine: Engine | None = None
        self.words = [b"SCRIPT", b"KILL"]
        self.replies: list[bytes] = []
        self.ends = False

    def serve_others(self) -> bool:
        assert self.engine is not None
        for argv in ([b"GET", b"a"], self.words):
            client = self.engine.new_client()
            self.engine.execute(client, list(argv))
            self.replies.append(client.reply.out.getvalue())
            self.engine.free_client(client)
        return not self.ends


def new_engine(clock: Clock | None = None, compat: int = 70) -> Engine:
    limits = Limits()
    limits.compat = compat
    engine = Engine(clock or ManualClock(), limits, Random64(1), 4)
    engine.add_commands(all_commands())
    return engine


def run(engine: Engine, *words: bytes, client: Client | None = None) -> bytes:
    client = client or engine.new_client()
    client.reply.out.truncate(0)
    engine.execute(client, list(words))
    return client.reply.out.getvalue()


def slow_engine() -> tuple[Engine, Killing]:
    engine = new_engine(Ticking())
    hooks = Killing()
    hooks.engine = engine
    engine.hooks = hooks
    return engine, hooks


@pytest.mark.parametrize(
    "body",
    [
        b"while true do end",
        b"while true do pcall(function() while true do end end) end",
        b"local c = coroutine.wrap(function() while true do end end) c()",
        b"local function f() return f() end f()",
        b"return string.rep('x', 10):gsub('.', function() while true do end end)",
        b"setmetatable({}, {__index = function() while true do end end}).x = 1 while true do end",
    ],
)
def test_a_slow_script_lets_others_in_and_can_be_killed(body: bytes) -> None:
    engine, hooks = slow_engine()
    reply = run(engine, b"EVAL", body, b"0")
    assert b"Script killed by user with SCRIPT KILL" in reply
    assert hooks.replies[0].startswith(b"-BUSY Redis is busy running a script")
    assert hooks.replies[1] == b"+OK\r\n"
    assert run(engine, b"EVAL", b"return 1", b"0") == b":1\r\n"
    assert run(engine, b"SCRIPT", b"KILL").startswith(b"-NOTBUSY")


def test_a_script_that_has_written_cannot_be_killed_but_ends_with_the_server() -> None:
    engine, hooks = slow_engine()
    hooks.ends = True
    run(engine, b"EVAL", b"redis.call('SET', 'a', '1') while true do end", b"0")
    assert hooks.replies[1].startswith(b"-UNKILLABLE")


def test_a_slow_function_is_killed_by_its_own_command() -> None:
    engine, hooks = slow_engine()
    code = b"#!lua name=l\nredis.register_function('f', function() while true do end end)"
    assert run(engine, b"FUNCTION", b"LOAD", code) == b"$1\r\nl\r\n"
    hooks.words = [b"FUNCTION", b"KILL"]
    assert b"killed" in run(engine, b"FCALL", b"f", b"0")
    assert b"FUNCTION KILL" in hooks.replies[0]


def test_a_library_that_loads_for_ever_is_given_up() -> None:
    engine, _ = slow_engine()
    reply = run(engine, b"FUNCTION", b"LOAD", b"#!lua name=l\nwhile true do end")
    assert b"FUNCTION LOAD timeout" in reply
    assert run(engine, b"FUNCTION", b"LIST") == b"*0\r\n"


def test_what_a_script_wrote_is_told_as_one_unit_and_the_script_is_not() -> None:
    engine = new_engine()
    tape = Tape()
    engine.feeds.append(tape)
    run(
        engine,
        b"EVAL",
        b"redis.call('SET', 'a', '1') redis.call('INCR', 'n') return redis.call('GET', 'a')",
        b"0",
    )
    run(engine, b"EVAL", b"return redis.call('INCR', 'n')", b"0")
    run(engine, b"EVAL", b"redis.set_repl(redis.REPL_NONE) redis.call('SET', 'unseen', '1')", b"0")
    run(engine, b"EVAL", b"redis.call('SELECT', 2) redis.call('SET', 'b', '1')", b"0")
    assert tape.told == [
        b"MULTI", b"0:SET a 1", b"0:INCR n", b"EXEC", b"0:INCR n", b"2:SET b 1",
    ]  # fmt: skip


class ReplicaTape(Tape):
    def hears(self) -> int:
        return HEARS_REPLICAS


def test_a_script_chooses_who_hears_of_its_effects() -> None:
    engine = new_engine()
    file, replicas = Tape(), ReplicaTape()
    engine.feeds += [file, replicas]
    script = b"""
        redis.set_repl(redis.REPL_AOF) redis.call('SET', 'file', '1')
        redis.set_repl(redis.REPL_REPLICA) redis.call('SET', 'replicas', '1')
        redis.set_repl(redis.REPL_NONE) redis.call('SET', 'nobody', '1')
        redis.set_repl(redis.REPL_ALL) redis.call('SET', 'all', '1')
    """
    run(engine, b"EVAL", script, b"0")
    run(engine, b"SET", b"after", b"1")
    assert file.told == [b"MULTI", b"0:SET file 1", b"0:SET all 1", b"EXEC", b"0:SET after 1"]
    assert replicas.told == [b"MULTI", b"0:SET replicas 1", b"0:SET all 1", b"EXEC", b"0:SET after 1"]


def test_what_a_script_wrote_before_it_failed_stays_and_is_told() -> None:
    engine = new_engine()
    tape = Tape()
    engine.feeds.append(tape)
    assert run(engine, b"EVAL", b"redis.call('SET', 'a', '1') error('later')", b"0").startswith(b"-ERR")
    assert tape.told == [b"0:SET a 1"]
    assert run(engine, b"GET", b"a") == b"$1\r\n1\r\n"


def test_in_a_transaction_the_effects_of_a_script_are_part_of_its_unit() -> None:
    engine = new_engine()
    tape = Tape()
    engine.feeds.append(tape)
    client = engine.new_client()
    for words in ([b"MULTI"], [b"INCR", b"n"], [b"EVAL", b"return redis.call('INCR', 'n')", b"0"], [b"EXEC"]):
        run(engine, *words, client=client)
    assert tape.told == [b"MULTI", b"0:INCR n", b"0:INCR n", b"EXEC"]


def test_time_stands_still_in_a_script() -> None:
    engine = new_engine(Ticking())
    engine.begin_iteration()
    body = b"redis.call('SET', 'k', 'v', 'PX', 5) for _ = 1, 99 do redis.call('PING') end return redis.call('GET', 'k')"
    assert run(engine, b"EVAL", body, b"0") == b"$1\r\nv\r\n"
    engine.begin_iteration()
    assert run(engine, b"GET", b"k") == b"$-1\r\n"


def test_nothing_that_a_script_leaves_behind_is_there_for_the_next() -> None:
    engine = new_engine()
    for body in (
        b"table.insert(string, 'left')", b"rawset(KEYS, 'left', 1)", b"pcall(function() left = 1 end)",
        b"pcall(rawset, _G, 'left', 1)", b"pcall(function() redis.left = 1 end)", b"table.insert(_G, 'left')",
    ):  # fmt: skip
        run(engine, b"EVAL", body, b"0")
    probe = b"return {rawget(_G, 'left'), string[1], rawget(_G, 1), redis.call('ECHO', 'sound')}"
    assert run(
        engine, b"EVAL", b"return {tostring(rawget(_G, 'left')), tostring(string[1]), #KEYS}", b"0"
    ) == (b"*3\r\n$3\r\nnil\r\n$3\r\nnil\r\n:0\r\n")
    assert run(engine, b"EVAL", probe, b"0").startswith(b"*0")


def test_a_script_cannot_take_all_memory() -> None:
    engine = new_engine()
    body = b"local t = {} for i = 1, 1e9 do t[i] = string.rep('x', 1e7) .. i end"
    assert run(engine, b"EVAL", body, b"0").startswith(b"-ERR")
    assert run(engine, b"EVAL", b"return 'sound'", b"0") == b"$5\r\nsound\r\n"


def test_no_value_of_the_host_is_reachable() -> None:
    engine = new_engine()
    body = b"""
    local seen, found = {}, {}
    local function visit(value, path)
      local kind = type(value)
      if kind == 'userdata' and path ~= '_G.cjson.null' or kind == 'thread' then found[#found + 1] = path end
      if kind ~= 'table' or seen[value] then return end
      seen[value] = true
      for k, v in pairs(value) do visit(k, path .. '.?') visit(v, path .. '.' .. tostring(k)) end
      visit(getmetatable(value), path .. '<meta>')
    end
    visit(_G, '_G')
    visit(getmetatable(''), 'string<meta>')
    local ok, problem = pcall(redis.call, 'NOSUCH')
    visit(problem, 'error')
    return found
    """
    assert run(engine, b"EVAL", body, b"0") == b"*0\r\n"
    for name in (
        b"python",
        b"debug",
        b"io",
        b"package",
        b"require",
        b"dofile",
        b"loadfile",
        b"newproxy",
        b"getfenv",
    ):
        assert b"nonexistent global" in run(engine, b"EVAL", b"return " + name, b"0"), name


@pytest.mark.parametrize(
    "body",
    [
        b"return loadstring(string.dump(function() return 1 end))()",
        b"return load(coroutine.wrap(function() coroutine.yield(string.dump(function() end)) end))()",
    ],
)
def test_byte_code_is_refused(body: bytes) -> None:
    assert run(new_engine(), b"EVAL", body, b"0").startswith(b"-ERR")


def test_only_the_tail_calls_of_the_main_function_are_straightened() -> None:
    deep = b"local function f(n) if n == 0 then return 'done' end return f(n - 1) end return f(300000)"
    assert run(new_engine(), b"EVAL", deep, b"0") == b"$4\r\ndone\r\n"


def test_scripts_that_eval_brought_are_forgotten_oldest_first_since_valkey_8() -> None:
    engine = new_engine(compat=80)
    kept = run(engine, b"SCRIPT", b"LOAD", b"return 'kept'").split(b"\r\n")[1]
    first = b"return 0"
    run(engine, b"EVAL", first, b"0")
    for number in range(1, 520):
        run(engine, b"EVAL", b"return %d" % number, b"0")
    assert len(engine.scripts.known) <= 501
    assert run(engine, b"SCRIPT", b"EXISTS", kept) == b"*1\r\n:1\r\n"
    assert engine.scripts.evicted > 0


@pytest.mark.parametrize(
    ("command", "body"),
    [
        (b"get", b"return redis.call('get')"),
        (b"subscribe", b"return redis.call('subscribe', 'x')"),
        (b"set", b"#!lua flags=no-writes\nreturn redis.call('set', 'x', 'y')"),
    ],
)
def test_what_a_script_may_not_call_counts_as_rejected(command: bytes, body: bytes) -> None:
    engine = new_engine()
    assert run(engine, b"EVAL", body, b"0").startswith(b"-ERR")
    refused = engine.commands[command]
    assert (refused.calls, refused.rejected_calls, refused.failed_calls) == (0, 1, 0)
