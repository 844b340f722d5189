"""Function libraries: loading, listing, calling, dumping."""

from conformance.arguments import Group, command, either, key, many, value


def library(name: str, body: str) -> str:
    return f"#!lua name={name}\n{body}"


ONE = "redis.register_function('f1', function(keys, args) return {keys, args} end)"
LIBRARIES = (
    library("one", ONE),
    library("two", "redis.register_function('f1', function() return 2 end)"),
    library("one", "redis.register_function('f2', function(k) return redis.call('GET', k[1]) end)"),
    library(
        "three",
        "local n = 0\nredis.register_function{function_name='f3', callback=function() n = n + 1 return n end, "
        "description='counts', flags={'no-writes'}}",
    ),
    library(
        "three", "redis.register_function('f3', function(k, a)\n  return redis.call('SET', k[1], a[1])\nend)"
    ),
    library("bad", "return 1"),
    library("bad", "nonsense here"),
    library("bad", "x = 1"),
    library("bad", "redis.register_function('a b', function() end)"),
    library("bad", "redis.register_function('f', 1)"),
    library("bad", "redis.register_function()"),
    library("bad", "redis.register_function{function_name='f', callback=function() end, flags={'nosuch'}}"),
    library("bad", "redis.register_function{function_name='f', callback=function() end, nosuch=1}"),
    library("bad", "redis.call('SET', 'a', 'b')"),
    library("bad", "error('boo')"),
    library("b-d", ONE),
    "#!lua\nx",
    "#!nosuch name=x\ny",
    "#!lua name=x name=y\nz",
    "#!lua foo=bar\nz",
    "no first line",
    "#!lua name=x",
)
code = either(*LIBRARIES)
function = either("f1", "f1", "f2", "f3", "nosuch")
count = either("0", "1", "1", "1", "-1", "x", "9")

COMMANDS = [
    command("FUNCTION LOAD", code, weight=8, mangle=False),
    command("FUNCTION LOAD REPLACE", code, weight=8, mangle=False),
    command("FUNCTION LOAD", either("NOSUCH"), code, weight=1, mangle=False),
    command("FUNCTION DELETE", either("one", "two", "three", "nosuch"), weight=2),
    command("FUNCTION FLUSH", many(either("SYNC", "ASYNC", "x"), 0, 1), weight=1),
    command("FUNCTION KILL", weight=1),
    command("FUNCTION STATS", weight=2),
    command("FUNCTION HELP", weight=1),
    command(
        "FUNCTION RESTORE", either("", "x", "\x00" * 12), many(either("FLUSH", "APPEND", "x"), 0, 1), weight=1
    ),
    command(
        "FUNCTION LIST",
        either("LIBRARYNAME"),
        either("one", "thr*", "TWO"),
        many(either("WITHCODE"), 0, 1),
        weight=3,
    ),
    command("FUNCTION LIST", either("LIBRARYNAME", "x", "WITHCODE x"), weight=2),
    command("FCALL", function, either("1"), key, value, weight=8),
    command("FCALL", function, count, key, value, weight=2),
    command("FCALL_RO", function, either("1"), key, weight=3),
    command("SET", key, value, weight=3),
    command("LPUSH", key, value, weight=1),
]

GROUP = Group("functions", COMMANDS, before=(("FUNCTION", "FLUSH"),))
