"""The bounded twins of Lua's library functions: they answer as the library does, only never without end."""

import random
from typing import Any

import pytest

from gossamer.engine.lua import source_of

PIECES = [
    "a", "b", ".", "%a", "%d", "%W", "[ab]", "[^a]", "[%d-]", "[a-c]", "[]a]", "(", ")", "()", "%1", "%b()", "%f[%a]",
    "%%", "%.", "x", "^", "$", "%z", "[", "%", "]", "%bx",
]  # fmt: skip
SUFFIXES = ["", "", "", "*", "+", "-", "?"]
SUBJECTS = [
    "",
    "a",
    "aab",
    "abcabc",
    "a(b(c)d)e",
    "12-34",
    "hello world 42",
    "aaaaaaaaab",
    "x=1, y=22",
    "a\0b",
]

COMPARE = """
local own, name = ...
local library = string[name]
local function told(ok, ...)
  if ok then return "ok", ... end
  return "error", (string.gsub(tostring((...)), "^[%w_]+:%d+: ", ""))
end
local function all(iterate, ...)
  local found = {}
  local ok, problem = pcall(function(...)
    for a, b, c in iterate(...) do
      found[#found + 1] = tostring(a) .. "," .. tostring(b) .. "," .. tostring(c)
      if #found > 50 then break end
    end
  end, ...)
  return table.concat(found, ";") .. (ok and "" or string.gsub(tostring(problem), "^[%w_]+:%d+: ", ""))
end
return function(...)
  local f, g = own[name], library
  local one, other = {}, {}
  if name == "gmatch" then
    one[1], other[1] = all(f, ...), all(g, ...)
  else
    one, other = { told(pcall(f, ...)) }, { told(pcall(g, ...)) }
  end
  local count = math.max(#one, #other)
  for i = 1, count do
    if one[i] ~= other[i] then
      return tostring(one[i]) .. " instead of " .. tostring(other[i])
    end
  end
  return nil
end
"""


def bounded_strings(steps_max: bytes = b"0") -> tuple[Any, Any]:
    """A runtime and the bounded functions; with no steps allowed, all patterns go their own way."""
    lupa = pytest.importorskip("lupa.lua51")
    runtime = lupa.LuaRuntime(encoding=None)
    source = source_of("bounds")
    assert b"STEPS_MAX = 3e7" in source
    patterns = runtime.execute(source_of("patterns"))
    bounds = runtime.execute(source.replace(b"STEPS_MAX = 3e7", b"STEPS_MAX = " + steps_max), *patterns)
    return runtime, bounds


def random_pattern(rng: random.Random) -> bytes:
    text = rng.choice(["", "", "^"])
    text += "".join(rng.choice(PIECES) + rng.choice(SUFFIXES) for _ in range(rng.randint(0, 5)))
    if rng.random() < 0.2:
        text += "$"
    return text.encode("latin-1")


@pytest.mark.parametrize("name", ["find", "match", "gmatch", "gsub"])
def test_patterns_match_as_in_the_library(name: str) -> None:
    runtime, bounds = bounded_strings()
    compare = runtime.execute(COMPARE, bounds[b"string"], name.encode())
    rng = random.Random(name)
    for _ in range(3000):
        pattern, subject = random_pattern(rng), rng.choice(SUBJECTS).encode("latin-1")
        extra: list[object] = []
        if name == "gsub":
            extra = [rng.choice([b"<%0>", b"%1", b"", b"%%", b"%2", b"z"])]
            if rng.random() < 0.3:
                extra.append(rng.randint(-1, 3))
        elif name != "gmatch" and rng.random() < 0.3:
            extra = [rng.randint(-4, 6)]
        difference = compare(subject, pattern, *extra)
        assert difference is None, (pattern, subject, extra, difference)


def test_long_plain_searches_find_what_the_library_finds() -> None:
    runtime, bounds = bounded_strings()
    source = source_of("bounds").replace(b"COMPARED_MAX = 1e9", b"COMPARED_MAX = 20")
    bounds = runtime.execute(source, *runtime.execute(source_of("patterns")))
    bounds[b"check"] = runtime.eval("function() end")
    compare = runtime.execute(COMPARE, bounds[b"string"], b"find")
    rng = random.Random(1)
    for _ in range(500):
        subject = bytes(rng.choice(b"ab") for _ in range(rng.randint(0, 60)))
        wanted = bytes(rng.choice(b"ab") for _ in range(rng.randint(1, 5)))
        assert compare(subject, wanted, rng.randint(-5, 30), True) is None, (subject, wanted)


@pytest.mark.parametrize("text, count", [(b"", 9), (b"ab", 0), (b"ab", -1), (b"ab", 3), (b"abc", 700_001)])
def test_rep_repeats(text: bytes, count: int) -> None:
    _, bounds = bounded_strings()
    assert bounds[b"string"][b"rep"](text, count) == text * count


def test_sorting_many_elements_is_sorting() -> None:
    runtime, bounds = bounded_strings()
    words = [random.Random(i).randint(0, 10**6) for i in range(5000)]
    table = runtime.table_from(words)
    bounds[b"table"][b"sort"](table)
    assert list(table.values()) == sorted(words)
