"""Scripts: what they see and may do, how their results become replies, and how they fail."""

from conformance.arguments import Group, command, either, integer, key, many, member, value

# A script with a name of its own for every trait that is compared.
SCRIPTS = (
    # replies
    "return 1", "return 3.99", "return -3.99", "return 'text'", "return true", "return false", "return nil", "return",
    "return {1,2,{3,'x',false},nil,5}", "return {ok='FINE'}", "return {err='MY problem'}", "return {err='a\\nb'}",
    "return {double=3.25}", "return {map={a=1}}", "return {set={a=true}}", "return {big_number='123'}",
    "return {verbatim_string={format='txt',string='v'}}", "return {double='x'}", "return {map=1}",
    "redis.setresp(3) return true", "redis.setresp(3) return false", "redis.setresp(3) return {double=1e20}",
    "return redis.status_reply('S')", "return redis.error_reply('E')", "return redis.error_reply('MY E')",
    "return redis.error_reply('-MY E')", "return redis.error_reply()", "return {1e15, 2^53, -2^53}",
    "return KEYS", "return ARGV", "return {KEYS[1], ARGV[1], #KEYS, #ARGV}",
    "return setmetatable({}, {__index={1,2}})",
    # commands
    "return redis.call('GET', KEYS[1])", "return redis.pcall('GET', KEYS[1])",
    "return redis.call('SET', KEYS[1], ARGV[1])", "return redis.call('INCR', KEYS[1])",
    "return redis.pcall('INCR', KEYS[1])", "return redis.call('LPUSH', KEYS[1], unpack(ARGV))",
    "return redis.call('LRANGE', KEYS[1], 0, -1)", "return redis.call('TYPE', KEYS[1])",
    "return redis.call('HSET', KEYS[1], 'f', ARGV[1])", "return redis.call('HGETALL', KEYS[1])",
    "redis.setresp(3) return redis.call('HGETALL', KEYS[1])",
    "redis.setresp(3) return redis.call('ZSCORE', KEYS[1], 'a')", "return redis.call('ZADD', KEYS[1], 1.5, 'a')",
    "redis.setresp(3) local t = redis.call('SMEMBERS', KEYS[1]) local n = 0 "
    "for _ in pairs(t.set) do n = n + 1 end return n",
    "return redis.call('SADD', KEYS[1], unpack(ARGV))", "return redis.call('DEL', KEYS[1])",
    "return redis.call('EXISTS', KEYS[1], KEYS[1])", "return redis.call('ECHO', 3.5)",
    "return redis.call('ECHO', 2^60)",
    "return redis.call('SELECT', 1)", "redis.call('SELECT', 1) return redis.call('SET', KEYS[1], 'in one')",
    "return redis.call('NOSUCH')", "return redis.call('GET')", "return redis.call()", "return redis.pcall()",
    "return redis.call({})", "return redis.call('SET', KEYS[1], true)", "return redis.call('SUBSCRIBE', 'x')",
    "return redis.call('BLPOP', KEYS[1], 0)", "return redis.call('MULTI')",
    "return redis.call('EVAL', 'return 1', 0)",
    "redis.call('SET', KEYS[1], 'a') return redis.call('INCR', KEYS[1])",
    "local ok, e = pcall(redis.call, 'INCR', 'nosuch', 'x') return {ok, e}",
    "local e = redis.pcall('INCR', KEYS[1], 'x') return e.err or e",
    "redis.set_repl(redis.REPL_NONE) return redis.call('SET', KEYS[1], 'unseen')", "return redis.set_repl(9)",
    "return redis.replicate_commands()", "return redis.acl_check_cmd('GET', 'k')",
    # the world
    "x = 1", "return x", "local x = 1 return x", "redis.call = nil", "string.len = nil", "_G.x = 1",
    "rawset(_G, 'x', 1)", "table.insert(redis, 1)", "return {pcall(table.insert, _G, 'x')}",
    "return {pcall(rawset, redis, 'x', 1)}", "table.insert(KEYS, 3) return KEYS", "table.remove(redis) return 1",
    "return {pcall(setmetatable, _G, {})}",
    "setmetatable(_G, {})", "return tostring(rawget(_G, 'x'))", "return type(getmetatable(''))",
    "KEYS[1] = 'k' return KEYS",
    "return pcall(function() undefined() end)", "return os", "return debug", "return io",
    "return loadstring('return 1 + 1')()", "return loadstring('x = 1')()", "return loadstring('nonsense here')",
    "return load(function() return nil end)", "return select('#', 1, nil, nil)", "return type(redis.call)",
    "return {pcall(error, 'boo')}", "return {pcall(error, {err='boo'})}", "error('boo')", "error({err='BOO x'})",
    "error()",
    "local function f() error('deep') end\nf()", "\n\nreturn nosuch", "if true then", "return 1 2", "end",
    "local a = {} return a.b.c", "return 1 .. {}", "return #nil", "return tonumber('0x10')", "return unpack({1,2,3})",
    "return string.format('%d %s %5.2f', 3, 'x', 1.5)", "return ('x'):rep(3)", "return string.rep('ab', 3)",
    "local t = {3,1,2} table.sort(t) return t", "return table.concat({1,2,3}, '-')", "return math.floor(3.7)",
    "return math.max(1, 5, 3)", "math.randomseed(3) return tostring(math.random())", "return math.random(5, 1)",
    "math.randomseed(11) return {math.random(100), math.random(100), math.random(7, 9)}", "return math.huge",
    "local c = coroutine.create(function(a) coroutine.yield(a + 1) return 9 end) local _, x = coroutine.resume(c, 1) "
    "local _, y = coroutine.resume(c) return {x, y, coroutine.status(c)}",
    "return coroutine.wrap(function() return 5 end)()", "return redis.sha1hex('')", "return redis.sha1hex('abc')",
    "return redis.REDIS_VERSION_NUM > 0", "return redis.LOG_WARNING", "return redis.log(5, 'x')",
    "return redis.nosuch",
    # libraries
    "return cjson.encode({1,2,{a='x'}})", "return cjson.encode({})", "return cjson.decode(ARGV[1])",
    "return cjson.decode('{\"a\":[1,2,null],\"b\":\"\\\\u00e9\"}').a",
    "return cjson.encode(cjson.decode('[1.5,true,null]'))",
    "return cjson.encode(1/0)", "return cjson.encode({[1]=1,[50]=2})", "return cjson.encode('\"/\\1')",
    "return cmsgpack.pack({1,'a',1.5,-7})", "return cmsgpack.unpack(cmsgpack.pack({1,{2},'x'}))",
    "return cmsgpack.unpack(ARGV[1])",
    "return struct.pack('>IhB', 1, -2, 255)", "return {struct.unpack('<i4', '\\1\\0\\0\\0')}",
    "return struct.pack('q')",
    "return bit.band(0xff, 0x0f)", "return bit.bxor(1, 3, 7)", "return bit.lshift(1, 31)", "return bit.tohex(-1)",
    # the first line
    "#!lua\nreturn 1", "#!lua flags=no-writes\nreturn redis.call('SET', KEYS[1], '1')",
    "#!lua flags=nosuch\nreturn 1",
    "#!lua name=x\nreturn 1", "#!luax\nreturn 1", "#!lua", "#!lua flags=no-writes,allow-stale\nreturn 5",
)  # fmt: skip
script = either(*SCRIPTS)
count = either("0", "1", "1", "1", "1", "2", "-1", "x", "100")
argument = either("1", "2", "x", "[1,2]", '{"a":1}', "nosuch json", "\\147\\1\\2\\3", "", "3.5")
KEPT = "return redis.call('GET', KEYS[1])"

COMMANDS = [
    command("EVAL", script, either("1"), key, many(argument, 0, 2), weight=20, mangle=False),
    command("EVAL", script, count, key, argument, weight=3, mangle=False),
    command("EVAL_RO", script, either("1"), key, argument, weight=4, mangle=False),
    command("SCRIPT LOAD", either(KEPT, "return 1", "bad bad"), mangle=False),
    command("EVALSHA", either("4e6d8fc8bb01276962cce5371fa795a7763657ae", "e0e1f9fabfc9d4800c877a703b823ac0578ff8db",
                              "E0E1F9FABFC9D4800C877A703B823AC0578FF8DB", "x"), either("1"), key),
    command("EVALSHA_RO", either("e0e1f9fabfc9d4800c877a703b823ac0578ff8db", "f" * 40), either("0")),
    command("SCRIPT EXISTS", many(either("e0e1f9fabfc9d4800c877a703b823ac0578ff8db", "x"), 1, 2)),
    command("SCRIPT FLUSH", many(either("SYNC", "ASYNC", "x"), 0, 1), weight=1),
    command("SCRIPT KILL", weight=1),
    command("SCRIPT HELP", weight=1),
    command("SET", key, value, weight=4),
    command("SET", key, integer),
    command("LPUSH", key, many(member)),
    command("HSET", key, member, value),
    command("ZADD", key, either("1", "2.5"), either("a")),
    command("SADD", key, many(member)),
    command("MULTI", weight=1),
    command("EXEC", weight=1),
]  # fmt: skip

GROUP = Group("scripting", COMMANDS, before=(("SCRIPT", "FLUSH"),))
