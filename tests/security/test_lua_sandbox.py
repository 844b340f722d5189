"""Attacks on the sandbox of scripts: what can be reached, what can be held up, what can be left behind."""

import pytest

from support.engines import EngineClient, killed_client, new_client, new_engine


def still_answers(client: EngineClient) -> None:
    assert client.answer("EVAL", "return {1, 'two'}", "0") == [1, b"two"]


# Calls every function that can be reached with every kind of argument, and looks at all that comes back.
EXPLORE = """
  local seen, found, queue, calls = {}, {}, {}, 0
  local function look(value, path)
    local kind = type(value)
    if kind == 'userdata' and value ~= cjson.null or kind == 'thread' and not string.find(path, 'coroutine')
    then
      found[#found + 1] = path .. ' ' .. tostring(value)
    elseif kind == 'string' and (string.find(value, 'Traceback') or string.find(value, 'python')) then
      found[#found + 1] = path .. ' ' .. value
    end
    if (kind == 'table' or kind == 'function') and not seen[value] then
      seen[value] = true
      queue[#queue + 1] = { value, path }
    end
  end
  local samples = {
    {}, { 0/0, 'x' }, { -1 }, { 'x' }, { 'x', 'y' }, { {} }, { {}, {} }, { function() end }, { nil, nil }, { true },
    { 1e308, 'x' }, { 2^63 }, { 'GET', {} }, { 'GET', function() end }, { 'GET', cjson.null }, { 'PING', true },
    { print_nothing }, { _G }, { string }, { cjson.null }, { '\255\254' }, { 0, 0, 0, 0 }, { 'x', 'x', 'x', 'x' },
  }
  look(_G, '_G') look(getmetatable(''), 'meta') look(getmetatable(_G), 'meta') look(getmetatable(redis), 'meta')
  while #queue > 0 do
    local value, path = unpack(table.remove(queue))
    if type(value) == 'table' then
      for k, v in pairs(value) do look(k, path .. '?') look(v, path .. '.' .. tostring(k)) end
      look(getmetatable(value), path .. '<meta>')
    elseif calls < 4000 then
      for i, sample in ipairs(samples) do
        calls = calls + 1
        local results = { pcall(value, unpack(sample, 1, 4)) }
        for _, result in pairs(results) do look(result, path .. '(' .. i .. ')') end
        local function body() return value(unpack(sample, 1, 4)) end
        local _, handled = xpcall(body, function(e) look(e, path) return e end)
        look(handled, path .. '(' .. i .. ')')
        pcall(function()
          local inside = coroutine.create(value)
          look(select(2, coroutine.resume(inside, unpack(sample, 1, 4))), path .. ' inside')
        end)
      end
    end
  end
  return found
"""


@pytest.mark.parametrize("compat", [70, 80])
def test_no_object_of_the_host_comes_out_of_any_function(compat: int) -> None:
    client = new_client(compat)
    body = EXPLORE.replace("print_nothing", "nil")
    assert client.answer("EVAL", body, "0") == []
    still_answers(client)


def test_an_error_of_the_log_is_no_object_of_the_host() -> None:
    client = new_client()
    for level in ("0/0", "1/0", "-1/0", "1e300", "2^63", "-2^63"):
        answer = client.answer("EVAL", f"local ok, e = pcall(redis.log, {level}, 'x') return type(e)", "0")
        assert answer == b"string", level
    for level in ("3.5", "-0.5", "0", "3"):
        assert client.answer("EVAL", f"return pcall(redis.log, {level}, 'x')", "0") == 1


@pytest.mark.parametrize("body", [
    "while true do pcall(function() while true do end end) end",
    "while true do pcall(pcall, pcall, function() while true do end end) end",
    "xpcall(function() while true do end end, function() while true do end end)",
    "while true do xpcall(function() while true do end end, function(e) while true do end end) end",
    "while true do coroutine.resume(coroutine.create(function() while true do end end)) end",
    "local function f() coroutine.wrap(f)() end while true do pcall(f) end",
    "local c = coroutine.wrap(function() while true do coroutine.yield() end end) while true do c() end",
    "local function a() for i = 1, 1500 do end end local function b() for i = 1, 2000 do coroutine.wrap(a)() end end "
    "while true do coroutine.wrap(b)() end",
    "string.gsub(string.rep('x', 1e5), '.', function() for i = 1, 1e6 do end end)",
    "local t = {} for i = 1, 1e5 do t[i] = 0 end while true do table.sort(t) end",
    "local t = {} for i = 1, 500 do t[i] = i end table.sort(t, function() while true do end end)",
    "return setmetatable({}, {__index = function() while true do end end}).x",
    "local t = {} for i = 1, 4 do t[i] = t end return t",
    "local t = {} for i = 1, 8 do t[i] = t end return cmsgpack.pack(t)",
    "local t = {} t.t = t cjson.encode_max_depth(2147483647) while true do pcall(cjson.encode, t) end",
    "cjson.encode_sparse_array(true, 0, 0) while true do pcall(cjson.encode, {[1e15] = 1}) end",
    "load(function() return ' ' end)",
    "return string.rep('x', 1e8):gsub('', string.rep('y', 100))",
    "local f = 'while true do end' while true do pcall(loadstring(f)) end",
    "string.find(string.rep('a', 1e6), string.rep('a', 5e5) .. 'b', 1, true) while true do end",
])  # fmt: skip
def test_what_runs_for_ever_can_be_killed(body: str) -> None:
    client = killed_client()
    assert "Script killed by user with SCRIPT KILL" in str(client.answer("EVAL", body, "0"))
    still_answers(client)
    still_answers(client)


@pytest.mark.parametrize("subject, pattern", [
    ("string.rep('a', 100000)", "'.-.-.-b'"), ("string.rep('a', 100000)", "string.rep('a*', 30) .. 'b'"),
    ("string.rep('a', 400000)", "string.rep('a?', 400000) .. 'b'"), ("string.rep('(', 100000)", "'.*%b()x'"),
    ("string.rep('a', 300000)", "string.rep('a', 150000) .. 'b'"),
])  # fmt: skip
@pytest.mark.parametrize(
    "call", ["string.find(S, P)", "string.match(S, P)", "string.gsub(S, P, '')", "string.gmatch(S, P)()"]
)
def test_patterns_of_lua_can_be_killed_and_do_not_end_the_process(
    call: str, subject: str, pattern: str
) -> None:
    client = killed_client()
    body = f"local S, P = {subject}, {pattern} return {call}"
    answer = str(client.answer("EVAL", body, "0"))
    killed = "Script killed by user" in answer
    assert killed or "stack overflow" in answer or answer in ("None", "b''"), answer
    still_answers(client)


@pytest.mark.parametrize("body", [
    "local t = {} for i = 1, 1e9 do t[i] = string.rep('x', 1e7) .. i end",
    "local s = 'x' while true do s = s .. s end",
    "collectgarbage('stop') local t = {} for i = 1, 1e9 do t[i] = string.rep('x', 1e6) .. i end",
    "local t = {} local n = 1e8 while n >= 1 do if not pcall(function() t[#t + 1] = string.rep('x', n) .. #t end) then "
    "n = n / 2 end end return redis.call('PING')",
    "return string.rep('x', 2^40)",
    "return table.insert({}, -2147483648, 1)",
])  # fmt: skip
def test_a_script_that_fills_its_memory_fails_alone(body: str) -> None:
    client = new_client()
    client.call("SET", "k", b"x" * 20_000_000)
    assert str(client.answer("EVAL", body, "0")).startswith(("b'-ERR", 'b"-ERR'))
    still_answers(client)
    assert client.answer("EVAL", "return #ARGV[1]", "0", b"x" * 100_000_000) == 100_000_000
    assert client.answer("EVAL", "return #redis.call('GET', 'k')", "0") == 20_000_000


def test_the_collector_is_set_back_behind_a_script() -> None:
    client = new_client()
    client.call("EVAL", "collectgarbage('stop') collectgarbage('setpause', 10000) return 1", "0")
    for _ in range(60):
        assert client.answer("EVAL", "return #string.rep('x', 2e7)", "0") == 20_000_000
    still_answers(client)


@pytest.mark.parametrize("count", [7990, 8100, 60_000])
def test_a_script_takes_any_number_of_keys_and_arguments(count: int) -> None:
    client = new_client()
    words = [b"%d" % i for i in range(count)]
    answer = client.answer("EVAL", "return {#KEYS, #ARGV, KEYS[#KEYS], ARGV[1]}", "10", *words)
    assert answer == [10, count - 10, b"9", b"10"]
    code = "#!lua name=l\nredis.register_function('f', function(keys, args) return {#keys, #args, args[#args]} end)"
    client.call("FUNCTION", "LOAD", code)
    assert client.answer("FCALL", "f", "10", *words) == [10, count - 10, b"%d" % (count - 1)]


def test_deep_recursion_ends_with_an_error() -> None:
    client = new_client()
    for body in (
        "local function f() return 1 + f() end return f()", "return loadstring(string.rep('(', 1e5) .. '1')()",
        "return cjson.decode(string.rep('[', 1e6))", "local f f = function() return pcall(f) end return f()",
        "return loadstring('return ' .. string.rep('{', 1e5))()", "return string.gsub('x', 'x', string.gsub)",
        "local function f() return string.gsub('x', 'x', f) end return f()",
        "cjson.decode_max_depth(2147483647) return cjson.decode(string.rep('[', 1e6))",
        "local t = setmetatable({}, {}) getmetatable(t).__index = t return t.x",
        "local t = setmetatable({}, {}) getmetatable(t).__index = function(_, k) return t[k] end return t.x",
    ):  # fmt: skip
        client.call("EVAL", body, "0")
        still_answers(client)


def test_one_users_script_leaves_nothing_for_anothers() -> None:
    engine = new_engine()
    admin, guest = EngineClient(engine), EngineClient(engine)
    admin.call("ACL", "SETUSER", "guest", "on", "nopass", "~public:*", "+eval", "+get", "+auth")
    admin.call("SET", "secret", "1")
    guest.call("AUTH", "guest", "")
    attack = (
        "pcall(function() redis.call = function() end end) pcall(rawset, redis, 'call', 1) "
        "pcall(table.insert, KEYS, 'secret') pcall(setmetatable, _G, {__index = error}) "
        "pcall(function() redis.pcall('GET', 'secret') end) return pcall(redis.call, 'GET', 'secret')"
    )
    assert guest.answer("EVAL", attack, "0") is None
    assert "No permissions to access a key" in str(
        guest.answer("EVAL", "return redis.call('GET', 'secret')", "0")
    )
    assert admin.answer("EVAL", "return redis.call('GET', 'secret')", "0") == b"1"
    assert admin.answer("EVAL", "return {#KEYS, #ARGV}", "0") == [0, 0]
