"""Published flaws of Redis's and Valkey's scripting: what each was, an attack of its kind, what must come of it."""

import pytest

from support.engines import EngineClient, new_client


def script(body: str, *words: bytes | str, client: EngineClient | None = None) -> object:
    return (client or new_client()).answer("EVAL", body, "0", *words)


def refused(answer: object) -> bool:
    return isinstance(answer, bytes) and answer.startswith(b"-ERR")


def still_answers(client: EngineClient) -> None:
    assert client.answer("EVAL", "return {1, 'two'}", "0") == [1, b"two"]


def test_cve_2015_4335() -> None:
    """Scripts could load byte code, which is not verified, and with it read and write any memory."""
    client = new_client()
    for loader in ("loadstring(code)", "load(function() local c = code code = nil return c end)"):
        body = "local code = string.dump(function() return 1 end) local f = LOADER return f()"
        body = body.replace("LOADER", loader)
        assert refused(script(body, client=client))
    still_answers(client)


def test_cve_2015_8080() -> None:
    """The length of a number in a struct format overflowed, and the bytes were written beyond a buffer."""
    client = new_client()
    for size in ("2147483648", "4294967297", "18446744073709551617", "33"):
        for call in (
            f"struct.pack('>I{size}', 10)",
            f"struct.unpack('>i{size}', '10')",
            f"struct.size('!{size}d')",
        ):
            assert isinstance(script("return " + call, client=client), bytes)
    still_answers(client)


@pytest.mark.parametrize("body", [
    "return cmsgpack.unpack(string.rep('\\221', 100000))",
    "return cmsgpack.unpack('\\221\\255\\255\\255\\255')",
    "return cmsgpack.unpack('\\223\\255\\255\\255\\255')",
    "return cmsgpack.unpack('\\219\\255\\255\\255\\255abc')",
    "return cmsgpack.unpack_limit('abc', 2147483648, -1)",
    "return cmsgpack.unpack_one('abc', 4294967296)",
    "return #{cmsgpack.unpack(string.rep('\\1', 1000000))}",
])  # fmt: skip
def test_cve_2018_11218(body: str) -> None:
    """cmsgpack took more from the stack than there was when it unpacked."""
    client = new_client()
    assert refused(script(body, client=client))
    still_answers(client)


def test_cve_2018_11219() -> None:
    """Sums of sizes in struct's formats overflowed, so that checks against the data's end passed."""
    client = new_client()
    for call in (
        "struct.unpack('>c2147483647c2147483647I4', 'abc')", "struct.unpack('c0', 'abc')",
        "struct.unpack('I4c0', '\\255\\255\\255\\127abc')", "struct.unpack('I4', 'abcd', 2147483647)",
        "struct.unpack('I4', 'abcd', 4294967295)", "struct.unpack('I4', 'abcd', -2147483648)",
    ):  # fmt: skip
        assert refused(script("return " + call, client=client)), call
    still_answers(client)


def test_cve_2020_14147() -> None:
    """The fix of CVE-2015-8080 was lost: sizes of a struct format near 2^31 again."""
    client = new_client()
    for size in range(2147483640, 2147483656):
        answer = script(f"return struct.pack('>I{size}', '10')", client=client)
        assert refused(answer)
    still_answers(client)


def test_cve_2021_32626() -> None:
    """C functions used more of Lua's stack than they had asked for, deep inside of calls."""
    client = new_client()
    bodies = (
        "local t = {} for i = 1, 7900 do t[i] = 'x' end return redis.call('RPUSH', 'l', unpack(t))",
        "local function f(n) if n == 0 then return #cjson.encode({{{{1}}}}) end return 1 + f(n - 1) end return f(150)",
        "local t = {} local at = t for i = 1, 4000 do at[1] = {} at = at[1] end return t",
        "return cmsgpack.pack(unpack({}, 1, 7900))",
        "return redis.pcall(unpack({}, 1, 7900))",
    )
    for body in bodies:
        client.engine.execute(client.client, [b"EVAL", body.encode(), b"0"])
        client.client.reply.out.truncate(0)
    still_answers(client)


def test_cve_2022_0543() -> None:
    """Debian's build left `package` in the sandbox, and with it every shared library of the system."""
    client = new_client()
    for name in (
        "package",
        "require",
        "module",
        "io",
        "debug",
        "python",
        "dofile",
        "loadfile",
        "getfenv",
        "setfenv",
    ):
        answer = script(f"return {name}", client=client)
        assert b"nonexistent global variable" in answer, name  # type: ignore[operator]
        assert script(f"return type(rawget(_G, '{name}'))", client=client) == b"nil"
    assert refused(script("return loadstring('return package')()", client=client))


def test_cve_2022_24735() -> None:
    """A script could replace library functions, which then ran with the rights of the next caller."""
    client = new_client()
    for attack in (
        "string.format = function() return 'mine' end", "redis.call = nil", "rawset(string, 'format', 1)",
        "setmetatable(_G, {})", "getmetatable(_G).__index = {}", "getmetatable('').__index = {}",
        "getmetatable('').__index.format = 1", "table.insert(_G, 1)", "getmetatable(_G).__newindex = nil",
        "rawset(getmetatable(''), '__index', {})", "setmetatable(string, {})", "cjson.encode = 1",
        "table.sort(redis)", "table.remove(string)", "_G.tostring = 1", "tostring = 1", "rawset(_G, 'tostring', 1)",
    ):  # fmt: skip
        client.answer("EVAL", f"pcall(function() {attack} end) return 1", "0")
    probe = "return {string.format('%d', 7), tostring(8), ('x'):rep(2), cjson.encode(1), type(redis.call)}"
    assert script(probe, client=client) == [b"7", b"8", b"xx", b"1", b"function"]


def test_cve_2022_24736() -> None:
    """A crafted script made the server follow a null pointer; scripts that cannot be compiled are only refused."""
    client = new_client()
    for body in (
        "\0",
        "\x1bLua",
        "#",
        "return",
        "a" * 70000,
        "(" * 70000,
        "local " + "a," * 300 + "b",
        "--[[",
        "[==[",
    ):
        client.call("EVAL", body, "0")
        client.call("SCRIPT", "LOAD", body)
        client.call("FUNCTION", "LOAD", "#!lua name=l\n" + body)
    still_answers(client)


def test_cve_2022_24834() -> None:
    """The buffers of cjson and cmsgpack overflowed when a script let them encode gigabytes."""
    client = new_client()
    body = "local s = string.rep('\\1', 3e8) return #LIBRARY({s, s, s, s})"
    for library in ("cjson.encode", "cmsgpack.pack"):
        answer = script(body.replace("LIBRARY", library), client=client)
        assert refused(answer), answer
    still_answers(client)


@pytest.mark.parametrize(
    "digits", ["-2147483648", "2147483648", "-2147483649", "4294967295", "-9223372036854775808"]
)
def test_cve_2024_31449(digits: str) -> None:
    """bit.tohex negated the least integer, which stays negative, and wrote below its buffer."""
    answer = script(f"return bit.tohex(65535, {digits})")
    assert isinstance(answer, bytes) and answer.lower() in (b"0000ffff", b"ffff", b"f", b"")


def test_cve_2024_46981() -> None:
    """A script could make the collector run finalizers of its own while the runtime was torn down."""
    client = new_client()
    assert b"nonexistent global" in script("return newproxy(true)", client=client)  # type: ignore[operator]
    body = "setmetatable({}, {__gc = function() redis.call('SET', 'k', 'v') end}) collectgarbage() return 1"
    assert script(body, client=client) == 1
    client.call("SCRIPT", "FLUSH")
    client.call("FUNCTION", "FLUSH")
    assert client.answer("EXISTS", "k") == 0
    still_answers(client)


@pytest.mark.parametrize("bounds", [
    "0, 2147483647", "-2147483648, 2147483647", "-1, 2147483647", "1, 2147483648", "1, 4294967296", "-5e9, 5e9",
    "1, 1e308", "-1e308, 1e308", "1, 1/0", "-1/0, 1/0", "0/0, 5", "1, 8001",
])  # fmt: skip
def test_cve_2025_46817(bounds: str) -> None:
    """The number of values that unpack returns overflowed, and it wrote beyond Lua's stack."""
    client = new_client()
    answer = script(f"return {{unpack({{1, 2, 3}}, {bounds})}}", client=client)
    assert b"too many results to unpack" in answer  # type: ignore[operator]
    still_answers(client)


@pytest.mark.parametrize(
    "value", ["''", "1", "true", "nil", "print", "cjson.null", "coroutine.create(function() end)"]
)
def test_cve_2025_46818(value: str) -> None:
    """Scripts could change the metatables of strings and other basic types, for the scripts of other users too."""
    client = new_client()
    attack = (
        f"pcall(function() local m = getmetatable({value}) m.__index = function() return 'mine' end end)"
        f"pcall(function() rawset(getmetatable({value}), '__index', function() return 'mine' end) end)"
        f"pcall(function() getmetatable({value}).__index.upper = function() return 'mine' end end)"
        f"pcall(function() setmetatable({value}, {{}}) end) return 1"
    )
    client.call("EVAL", attack, "0")
    assert script("return {('a'):upper(), pcall(function() return (5).x end)}", client=client)[0] == b"A"  # type: ignore
    assert refused(script("return (nil).x", client=client))


def test_cve_2025_46819() -> None:
    """The lexer counted the signs of a long bracket in too few bits, and read beyond the text."""
    client = new_client()
    for text in (
        "[" + "=" * 100000,
        "[" + "=" * 100000 + "[",
        "--[" + "=" * 100000 + "[ ]",
        "return [=[ ]==]",
    ):
        assert refused(script(text, client=client))
        client.answer("EVAL", "return loadstring(ARGV[1]) and 1 or 0", "0", text)
    whole = "return #[" + "=" * 50000 + "[abc]" + "=" * 50000 + "]"
    assert script(whole, client=client) == 3
    still_answers(client)


def test_cve_2025_49844() -> None:
    """The parser did not hold on to the name of the chunk, which the collector could take while it parsed."""
    client = new_client()
    body = """
      collectgarbage('setpause', 0) collectgarbage('setstepmul', 1e6)
      local text = string.rep('local x = {"' .. string.rep('y', 50) .. '"} ', 150) .. ' error("here")'
      for i = 1, 50 do
        local f = loadstring(text .. i, '@' .. string.rep('n', i) .. i .. '\\0' .. i)
        local ok, problem = pcall(f or error)
        local g = loadstring('\\0' .. text)
        local _, why = loadstring('x =' .. i .. '= 1', '@' .. i .. '\\0')
        if not string.find(why, '^' .. i .. ':1:') then return why end
      end
      return 'sound'
    """
    assert script(body, client=client) == b"sound"
    still_answers(client)


def test_cve_2025_67733() -> None:
    """Line ends or zero bytes in the text of an error let a script put replies of its own into the stream."""
    client = new_client()
    for protocol in ("2", "3"):
        client.call("HELLO", protocol)
        for text in ("a\\r\\n+OK", "a\\0\\r\\nb", "\\r\\n$5\\r\\nhello", "-a\\nb", "\\0"):
            for body in (
                f"return redis.error_reply('{text}')", f"return redis.status_reply('{text}')",
                f"return {{err = '{text}'}}", f"return {{ok = '{text}'}}", f"error('{text}')",
                f"error({{err = '{text}'}})", f"return {{big_number = '{text}'}}",
                f"return redis.pcall('{text}')", f"return redis.call('EVAL', '{text}')", f"nosuch['{text}']()",
                f"redis.setresp(3) return {{verbatim_string = {{format = 't\\r\\n', string = '{text}'}}}}",
            ):  # fmt: skip
                reply = client.call("EVAL", body, "0")
                line = reply.raw.split(b"\r\n")[0] + b"\r\n"
                assert reply.raw == client.client.reply.out.getvalue()
                if line[:1] in (b"-", b"+", b"("):
                    assert reply.raw == line and b"\n" not in line[:-2] and b"\r" not in line[:-2], body
