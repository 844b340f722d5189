-- The library `bit`: operations on 32-bit integers, with the rules of Lua BitOp (results are signed).
-- Lua 5.1 has no integers: numbers are worked on a nibble at a time.

local error, floor, format, select, tonumber, type = error, math.floor, string.format, select, tonumber, type
local sub, upper = string.sub, string.upper

local AND, OR, XOR = {}, {}, {}
for a = 0, 15 do
  for b = 0, 15 do
    local both, either, one = 0, 0, 0
    for _, weight in ipairs({ 1, 2, 4, 8 }) do
      local in_a, in_b = floor(a / weight) % 2 == 1, floor(b / weight) % 2 == 1
      if in_a and in_b then
        both = both + weight
      end
      if in_a or in_b then
        either = either + weight
      end
      if in_a ~= in_b then
        one = one + weight
      end
    end
    AND[a * 16 + b], OR[a * 16 + b], XOR[a * 16 + b] = both, either, one
  end
end

local MAGIC = 6755399441055744 -- 2^52 + 2^51: adding it rounds to the nearest integer, halves to even

local function unsigned(value, place, name)
  local number = tonumber(value)
  if number == nil or type(value) == "table" then
    local got = value == nil and "no value" or type(value)
    error(format("bad argument #%d to '%s' (number expected, got %s)", place, name, got), 3)
  end
  if number > -2147483648.5 and number < 4294967295.5 then
    number = number + MAGIC - MAGIC
  elseif number ~= number or number == 1 / 0 or number == -1 / 0 then
    return 0
  else
    number = floor(number)
  end
  return number % 4294967296
end

local function signed(number)
  if number >= 2147483648 then
    return number - 4294967296
  end
  return number
end

local function combine(results, a, b)
  local result, weight = 0, 1
  for _ = 1, 8 do
    local low_a, low_b = a % 16, b % 16
    result = result + results[low_a * 16 + low_b] * weight
    a, b, weight = (a - low_a) / 16, (b - low_b) / 16, weight * 16
  end
  return result
end

local bit = {}

local function folding(name, results)
  bit[name] = function(...)
    local result = unsigned((...), 1, name)
    for i = 2, select("#", ...) do
      result = combine(results, result, unsigned((select(i, ...)), i, name))
    end
    return signed(result)
  end
end

folding("band", AND)
folding("bor", OR)
folding("bxor", XOR)

function bit.tobit(value)
  return signed(unsigned(value, 1, "tobit"))
end

function bit.bnot(value)
  return signed(4294967295 - unsigned(value, 1, "bnot"))
end

local function left(number, count)
  return number % 2 ^ (32 - count) * 2 ^ count
end

local function right(number, count)
  return floor(number / 2 ^ count)
end

function bit.lshift(value, count)
  return signed(left(unsigned(value, 1, "lshift"), unsigned(count, 2, "lshift") % 32))
end

function bit.rshift(value, count)
  return signed(right(unsigned(value, 1, "rshift"), unsigned(count, 2, "rshift") % 32))
end

function bit.arshift(value, count)
  return floor(signed(unsigned(value, 1, "arshift")) / 2 ^ (unsigned(count, 2, "arshift") % 32))
end

function bit.rol(value, count)
  local number, by = unsigned(value, 1, "rol"), unsigned(count, 2, "rol") % 32
  return signed(left(number, by) + right(number, 32 - by))
end

function bit.ror(value, count)
  local number, by = unsigned(value, 1, "ror"), unsigned(count, 2, "ror") % 32
  return signed(right(number, by) + left(number, 32 - by) % 4294967296)
end

function bit.bswap(value)
  local number = unsigned(value, 1, "bswap")
  local result = 0
  for _ = 1, 4 do
    local low = number % 256
    result, number = result * 256 + low, (number - low) / 256
  end
  return signed(result)
end

function bit.tohex(value, ...)
  local number = unsigned(value, 1, "tohex")
  local digits = 8
  if select("#", ...) > 0 then
    digits = signed(unsigned((...), 2, "tohex"))
  end
  local text = format("%08x", number)
  if digits < 0 then
    digits, text = -digits, upper(text)
  end
  if digits >= 8 then
    return text
  end
  return sub(text, 9 - digits)
end

return bit
