-- The functions of Lua's own libraries that could harm the process or hold it for long, held to bounds.
--
-- Lua looks at the clock between instructions of a script, so whatever takes long inside one call of the library
-- cannot be ended: patterns that backtrack, strings of nothing repeated without end, an order chosen to be slow. And
-- a few calls of Lua 5.1 are unsound for numbers near 2^31 or patterns of great length. Ordinary calls go to the
-- library as they are. `bounds.check` is called between pieces of long work; the sandbox sets it.

local analyse, matcher, is_plain = ...
local byte, find, format, gmatch, gsub, match, rep, sub =
  string.byte, string.find, string.format, string.gmatch, string.gsub, string.match, string.rep, string.sub
local error, pcall, select, tonumber, tostring, type, unpack = error, pcall, select, tonumber, tostring, type, unpack
local concat, floor, insert, sort = table.concat, math.floor, table.insert, table.sort
local collectgarbage = collectgarbage

local STEPS_MAX = 3e7 -- of the library's matcher, at some nanoseconds each
local QUANTIFIERS_MAX = 150 -- each is a level of recursion in C
local COMPARED_MAX = 1e9 -- bytes that a search for a plain string may compare
local REPLACED_MAX = 1e8 -- bytes that gsub may make
local REPEATED_MAX = 536870912 -- bytes
local UNPACKED_MAX = 7997 -- what Lua's stack for C holds beside three arguments
local WHOLE_MAX = 7999 -- and beside one
local SORTED_MAX = 2000 -- elements, which the library orders by itself
local SHIFTED_MAX = 1e6

local bounds = { string = {}, table = {} }

local function wrong(place, name, expected, count, value)
  local got = place > count and "no value" or type(value)
  error(format("bad argument #%d to '%s' (%s expected, got %s)", place, name, expected, got), 3)
end

local function is_text(value)
  local kind = type(value)
  return kind == "string" or kind == "number"
end

-- Whether the library may look for this pattern in that many bytes.
local function is_cheap(pattern, size)
  local known = analyse(pattern)
  if known.wrong or known.loops + known.options > QUANTIFIERS_MAX then
    return false
  end
  local steps = (known.anchored and 1 or size) * 2 ^ known.options
  if #pattern > 100 then
    steps = steps * #pattern / 100
  end
  for _ = 1, known.loops do
    steps = steps * size
  end
  return steps <= STEPS_MAX
end

local function captures(match_end, capture, level, first, whole_if_none)
  local count = level()
  if count == 0 and whole_if_none then
    return capture(1, first, match_end - 1)
  end
  local found = {}
  for i = 1, count do
    found[i] = capture(i, first, match_end - 1)
  end
  return unpack(found, 1, count)
end

local OWN = { "^malformed ", "^invalid ", "^too many captures", "^unfinished ", "^missing ", "^unbalanced " }

-- A problem of the call itself has no place yet: it gets that of the script. Others were thrown by a script's function.
local function told(ok, ...)
  if ok then
    return ...
  end
  local problem = ...
  for i = 1, #OWN do
    if type(problem) == "string" and find(problem, OWN[i]) then
      error(problem, 3)
    end
  end
  error(problem, 0)
end

local function search(text, pattern, init, is_find)
  local size = #text
  local run, capture, level = matcher(pattern, text)
  local at = init
  local is_anchored = analyse(pattern).anchored
  repeat
    local stop = run(at)
    if stop then
      if is_find then
        return at, stop - 1, captures(stop, capture, level, at, false)
      end
      return captures(stop, capture, level, at, true)
    end
    at = at + 1
  until is_anchored or at > size + 1
  return nil
end

-- Where a search begins: 1 .. size + 1, as the library counts.
local function beginning(init, size)
  init = init == nil and 1 or floor(init)
  if init < 0 then
    init = size + init + 1
  end
  return init < 1 and 1 or init > size + 1 and size + 1 or init
end

local function plain_search(text, wanted, at)
  local window = floor(COMPARED_MAX / 10 / #wanted) + 1
  while at + #wanted - 1 <= #text do
    local first = find(sub(text, at, at + window + #wanted - 2), wanted, 1, true)
    if first then
      return at + first - 1, at + first + #wanted - 2
    end
    at = at + window
    bounds.check()
  end
  return nil
end

function bounds.string.find(...)
  local text, pattern, init, literally = ...
  if not is_text(text) then
    wrong(1, "find", "string", select("#", ...), text)
  elseif not is_text(pattern) then
    wrong(2, "find", "string", select("#", ...), pattern)
  elseif init ~= nil and tonumber(init) == nil then
    wrong(3, "find", "number", select("#", ...), init)
  end
  text, pattern = tostring(text), tostring(pattern)
  if literally or #pattern < 1000 and analyse(pattern).plain or #pattern >= 1000 and is_plain(pattern) then
    if #text * #pattern <= COMPARED_MAX then
      return find(text, pattern, init, true)
    end
    return plain_search(text, pattern, beginning(init, #text))
  elseif is_cheap(pattern, #text) then
    return find(text, pattern, init)
  end
  return told(pcall(search, text, pattern, beginning(init, #text), true))
end

function bounds.string.match(...)
  local text, pattern, init = ...
  if not is_text(text) then
    wrong(1, "match", "string", select("#", ...), text)
  elseif not is_text(pattern) then
    wrong(2, "match", "string", select("#", ...), pattern)
  elseif init ~= nil and tonumber(init) == nil then
    wrong(3, "match", "number", select("#", ...), init)
  end
  text, pattern = tostring(text), tostring(pattern)
  if is_cheap(pattern, #text) then
    return match(text, pattern, init)
  end
  return told(pcall(search, text, pattern, beginning(init, #text), false))
end

function bounds.string.gmatch(...)
  local text, pattern = ...
  if not is_text(text) then
    wrong(1, "gmatch", "string", select("#", ...), text)
  elseif not is_text(pattern) then
    wrong(2, "gmatch", "string", select("#", ...), pattern)
  end
  text, pattern = tostring(text), tostring(pattern)
  if byte(pattern) == 94 then -- no anchor here: `^` stands for itself
    pattern = "%" .. pattern
  end
  if is_cheap(pattern, #text) then
    return gmatch(text, pattern)
  end
  local run, capture, level = matcher(pattern, text)
  local at = 1
  local function following()
    while at <= #text + 1 do
      local first, stop = at, run(at)
      if stop then
        at = stop == first and stop + 1 or stop
        return captures(stop, capture, level, first, true)
      end
      at = at + 1
    end
    return nil
  end
  return function()
    return told(pcall(following))
  end
end
bounds.string.gfind = bounds.string.gmatch

-- What takes the place of a match, by a text with %0 to %9.
local function filled(replacement, capture, level, first, last)
  return (gsub(replacement, "%%(.?)", function(letter)
    if letter == "0" then
      return sub(capture.subject, first, last)
    elseif find(letter, "^%d") then
      return (capture.get(tonumber(letter), first, last))
    end
    return letter
  end))
end

local function substitute(text, pattern, replacement, most)
  local run, get, level = matcher(pattern, text)
  local capture = { subject = text, get = get }
  local out, count, at = {}, 0, 1
  local kind = type(replacement)
  local is_anchored = analyse(pattern).anchored
  while count < most do
    local stop = run(at)
    if stop then
      count = count + 1
      local value
      if kind == "function" then
        value = replacement(captures(stop, get, level, at, true))
      elseif kind == "table" then
        value = replacement[get(1, at, stop - 1)]
      else
        value = filled(tostring(replacement), capture, level, at, stop - 1)
      end
      if not value then
        value = sub(text, at, stop - 1)
      elseif not is_text(value) then
        error(format("invalid replacement value (a %s)", type(value)), 0)
      end
      out[#out + 1] = value
    end
    if stop and stop > at then
      at = stop
    elseif at <= #text then
      out[#out + 1] = sub(text, at, at)
      at = at + 1
    else
      break
    end
    if is_anchored then
      break
    end
  end
  out[#out + 1] = sub(text, at)
  return concat(out), count
end

function bounds.string.gsub(...)
  local text, pattern, replacement, most = ...
  if not is_text(text) then
    wrong(1, "gsub", "string", select("#", ...), text)
  elseif not is_text(pattern) then
    wrong(2, "gsub", "string", select("#", ...), pattern)
  end
  local kind = type(replacement)
  if kind ~= "string" and kind ~= "number" and kind ~= "function" and kind ~= "table" then
    error("bad argument #3 to 'gsub' (string/function/table expected)", 2)
  elseif most ~= nil and tonumber(most) == nil then
    wrong(4, "gsub", "number", select("#", ...), most)
  end
  text, pattern = tostring(text), tostring(pattern)
  most = most and tonumber(most) or #text + 1
  local most_bytes = #text * (kind == "string" and #replacement + 1 or 1)
  if most_bytes <= REPLACED_MAX and is_cheap(pattern, #text) then
    return told(pcall(gsub, text, pattern, replacement, most))
  end
  return told(pcall(substitute, text, pattern, replacement, most))
end

function bounds.string.rep(...)
  local text, count = ...
  if not is_text(text) then
    wrong(1, "rep", "string", select("#", ...), text)
  elseif tonumber(count) == nil then
    wrong(2, "rep", "number", select("#", ...), count)
  end
  text, count = tostring(text), floor(tonumber(count))
  local size = #text * count
  if size <= 1e6 then
    return size > 0 and rep(text, count) or ""
  elseif size > REPEATED_MAX then
    error("resulting string too large", 2)
  end
  local result = ""
  while true do -- doubling, which copies by blocks
    if count % 2 == 1 then
      result = result .. text
    end
    count = floor(count / 2)
    if count == 0 then
      return result
    end
    text = text .. text
  end
end

-- The library counts in 32 bits and takes what overflows for few.
function bounds.unpack(...)
  local t, first, last = ...
  if type(t) ~= "table" then
    wrong(1, "unpack", "table", select("#", ...), t)
  elseif first ~= nil and tonumber(first) == nil then
    wrong(2, "unpack", "number", select("#", ...), first)
  elseif last ~= nil and tonumber(last) == nil then
    wrong(3, "unpack", "number", select("#", ...), last)
  end
  first, last = floor(tonumber(first) or 1), floor(tonumber(last) or #t)
  if first > last then
    return
  end
  if first == 1 and last == #t and last <= WHOLE_MAX then
    return unpack(t)
  end
  if not (last - first < UNPACKED_MAX and first >= -2147483648 and last <= 2147483647) then
    error("too many results to unpack", 2)
  end
  return unpack(t, first, last)
end

local function less(a, b)
  return a < b
end

function bounds.table.sort(...)
  local t, order = ...
  if type(t) ~= "table" then
    wrong(1, "sort", "table", select("#", ...), t)
  elseif order ~= nil and type(order) ~= "function" then
    wrong(2, "sort", "function", select("#", ...), order)
  end
  if order == nil and #t > SORTED_MAX then
    order = less -- instructions, between which the clock is looked at
  end
  told(pcall(sort, t, order))
end

function bounds.table.insert(...)
  local t, position = ...
  local count = select("#", ...)
  if type(t) ~= "table" then
    wrong(1, "insert", "table", count, t)
  elseif bounds.protected[t] then
    error("Attempt to modify a readonly table", 0)
  elseif count == 3 then
    position = tonumber(position)
    if position == nil then
      wrong(2, "insert", "number", count, (select(2, ...)))
    elseif not (#t - position < #t + SHIFTED_MAX) or position > 2147483646 then
      error("bad argument #2 to 'insert' (position out of bounds)", 2)
    end
    return insert(t, position, (select(3, ...)))
  elseif count ~= 2 then
    error("wrong number of arguments to 'insert'", 2)
  end
  return insert(t, position)
end

-- The collector belongs to all scripts: what one has set is set back behind it.
local OPTIONS = { stop = true, restart = true, collect = true, count = true, step = true, setpause = true, setstepmul = true }
bounds.is_touched = false

function bounds.collectgarbage(option, argument)
  if option ~= nil and not OPTIONS[option] then
    if not is_text(option) then
      error(format("bad argument #1 to 'collectgarbage' (string expected, got %s)", type(option)), 2)
    end
    error(format("bad argument #1 to 'collectgarbage' (invalid option '%s')", option), 2)
  end
  bounds.is_touched = true
  return collectgarbage(option, tonumber(argument))
end

function bounds.restore()
  if bounds.is_touched then
    bounds.is_touched = false
    collectgarbage("restart")
    collectgarbage("setpause", 200)
    collectgarbage("setstepmul", 200)
  end
end

return bounds
