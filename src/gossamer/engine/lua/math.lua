-- The library `math`, whose random numbers are those of every Redis with the same seed.

local error, floor, format, select, tonumber, type = error, math.floor, string.format, select, tonumber, type

-- Random numbers as Redis makes them: the 48-bit congruential generator of drand48, so that a seed gives the same
-- numbers in every server. Kept in two halves of 24 bits, which doubles multiply exactly.
local state_high, state_low = 0, 0x330E

local function seed(number)
  number = number % 4294967296
  local high = floor(number / 256)
  state_high, state_low = high % 16777216, (number % 256) * 65536 + 0x330E
end

local function random_31_bits()
  -- 0x5DEECE66D is 0x5DE * 2^24 + 0xECE66D
  local low = state_low * 0xECE66D + 0xB
  local carry = floor(low / 16777216)
  local high = (state_high * 0xECE66D) % 16777216 + (state_low * 0x5DE) % 16777216 + carry
  state_low = low % 16777216
  state_high = high % 16777216
  return state_high * 128 + floor(state_low / 131072)
end

local math_library = {}
for name, value in next, math do
  math_library[name] = value
end
function math_library.randomseed(number)
  if type(tonumber(number)) ~= "number" then
    local got = number == nil and "no value" or type(number)
    error(format("bad argument #1 to 'randomseed' (number expected, got %s)", got), 2)
  end
  seed(floor(tonumber(number)))
end

function math_library.random(...)
  local count = select("#", ...)
  local low, high = ...
  local fraction = random_31_bits() % 2147483647 / 2147483647
  if count == 0 then
    return fraction
  end
  low, high = tonumber(low), tonumber(high)
  if count == 1 then
    low, high = 1, low
    if not high then
      error(format("bad argument #1 to 'random' (number expected, got %s)", type((...))), 2)
    end
    if high < 1 then
      error("bad argument #1 to 'random' (interval is empty)", 2)
    end
  elseif count == 2 then
    if low == nil or high == nil then
      local place = low == nil and 1 or 2
      error(
        format("bad argument #%d to 'random' (number expected, got %s)", place, type((select(place, ...)))), 2
      )
    end
    if low > high then
      error("bad argument #2 to 'random' (interval is empty)", 2)
    end
  else
    error("wrong number of arguments", 2)
  end
  low, high = floor(low), floor(high)
  return floor(fraction * (high - low + 1)) + low
end

return math_library
