-- The library `struct`: values <-> bytes by a format, as Roberto Ierusalimschy's library has it.
--
--   > < =       big, little, native byte order        ! !n     align to n (8)
--   x           a byte of padding                     b B h H l L T i In f d   numbers
--   s           a string that ends in a zero byte     cN c0    N bytes; c0 takes its length from the number before
--   ' '         nothing

local byte, char, concat, find, floor, format, sub = string.byte, string.char, table.concat, string.find, math.floor, string.format, string.sub
local error, frexp, ldexp, rep, select, tonumber, tostring, type, unpack =
  error, math.frexp, math.ldexp, string.rep, select, tonumber, tostring, type, unpack

local SIZE_MAX = 32
local ALIGN_DEFAULT = 8
local SIZES = { b = 1, B = 1, h = 2, H = 2, l = 8, L = 8, T = 8, f = 4, d = 8, i = 4, I = 4 }

local function number_in(pattern, at, default)
  local _, stop, digits = find(pattern, "^(%d+)", at)
  if not stop then
    return default, at
  end
  local number = tonumber(digits)
  if number > 2147483647 then
    error("integral size overflow", 4)
  end
  return number, stop + 1
end

-- One option of a format: its letter, its size in bytes, where the next begins.
local function option(pattern, at)
  local letter = sub(pattern, at, at)
  at = at + 1
  if letter == "i" or letter == "I" then
    local size
    size, at = number_in(pattern, at, 4)
    if size > SIZE_MAX then
      error(format("integral size %d is larger than limit of %d", size, SIZE_MAX), 3)
    end
    return letter, size, at
  elseif letter == "c" then
    local size
    size, at = number_in(pattern, at, 1)
    return letter, size, at
  elseif letter == "x" then
    return letter, 1, at
  end
  return letter, SIZES[letter] or 0, at
end

local function padding(letter, size, align, total)
  if size == 0 or letter == "c" or letter == "x" then
    return 0
  end
  if size > align then
    size = align
  end
  if size > 1 then
    return (size - total % size) % size
  end
  return 0
end

-- What is not a value: byte order, alignment, blanks. Answers the state and whether it was one of them.
local function control(letter, pattern, at, state, name)
  if letter == ">" then
    state.little = false
  elseif letter == "<" or letter == "=" then
    state.little = true
  elseif letter == "!" then
    local align
    align, at = number_in(pattern, at, ALIGN_DEFAULT)
    if align == 0 or floor(ldexp(1, (select(2, frexp(align))) - 1)) ~= align then
      error(format("alignment %d is not a power of 2", align), 3)
    end
    state.align = align
  elseif letter ~= " " then
    error(format("bad argument #1 to '%s' (invalid format option '%s')", name, letter), 3)
  end
  return at
end

local function integer_bytes(number, size, little)
  local bytes = {}
  number = number >= 0 and floor(number) or -floor(-number)
  for i = 1, size do
    local low = number % 256
    bytes[little and i or size + 1 - i] = char(low)
    number = (number - low) / 256
  end
  return concat(bytes)
end

-- IEEE 754: `size` 4 (8 bits of exponent, 23 of fraction) or 8 (11, 52).
local function float_bytes(number, size, little)
  local exponent_bits, fraction_bits = size == 4 and 8 or 11, size == 4 and 23 or 52
  local bias = 2 ^ (exponent_bits - 1) - 1
  local sign = 0
  if number < 0 or number == 0 and 1 / number < 0 then
    sign, number = 1, -number
  end
  local exponent, fraction
  if number ~= number then
    exponent, fraction, sign = 2 ^ exponent_bits - 1, 2 ^ (fraction_bits - 1), 1
  elseif number == 1 / 0 then
    exponent, fraction = 2 ^ exponent_bits - 1, 0
  elseif number == 0 then
    exponent, fraction = 0, 0
  else
    local mantissa, power = frexp(number)
    exponent = power - 1 + bias
    if exponent <= 0 then
      fraction = mantissa * 2 ^ (fraction_bits + exponent)
      exponent = 0
    else
      fraction = (mantissa * 2 - 1) * 2 ^ fraction_bits
    end
    local whole = floor(fraction)
    local rest = fraction - whole
    if rest > 0.5 or rest == 0.5 and whole % 2 == 1 then
      whole = whole + 1
    end
    fraction = whole
    if fraction >= 2 ^ fraction_bits then
      fraction, exponent = fraction - 2 ^ fraction_bits, exponent + 1
    end
    if exponent >= 2 ^ exponent_bits - 1 then
      exponent, fraction = 2 ^ exponent_bits - 1, 0
    end
  end
  local bytes = {}
  local fraction_bytes = size - 2
  for i = 1, fraction_bytes do
    local low = fraction % 256
    bytes[i] = char(low)
    fraction = (fraction - low) / 256
  end
  local top = exponent * 2 ^ (fraction_bits - fraction_bytes * 8) + fraction
  top = top + sign * 32768
  bytes[size - 1], bytes[size] = char(top % 256), char(floor(top / 256))
  if not little then
    for i = 1, size / 2 do
      bytes[i], bytes[size + 1 - i] = bytes[size + 1 - i], bytes[i]
    end
  end
  return concat(bytes)
end

local function integer_of(data, at, size, little, is_signed)
  local number, top = 0, 0
  for i = 1, size do
    local value = byte(data, little and at + size - i or at + i - 1)
    if i == 1 then
      top = value
    end
    number = number * 256 + value
  end
  if is_signed and top >= 128 then
    -- by the complement, so that small negative numbers of eight bytes stay exact
    local complement = 0
    for i = 1, size do
      complement = complement * 256 + 255 - byte(data, little and at + size - i or at + i - 1)
    end
    return -complement - 1
  end
  return number
end

local function float_of(data, at, size, little)
  local bytes = {}
  for i = 1, size do
    bytes[i] = byte(data, little and at + size - i or at + i - 1)
  end
  local sign = bytes[1] >= 128 and -1 or 1
  local exponent_bits, fraction_bits = size == 4 and 8 or 11, size == 4 and 23 or 52
  local bias = 2 ^ (exponent_bits - 1) - 1
  local top = bytes[1] % 128 * 256 + bytes[2]
  local shift = 15 - exponent_bits
  local exponent = floor(top / 2 ^ shift)
  local fraction = top % 2 ^ shift
  for i = 3, size do
    fraction = fraction * 256 + bytes[i]
  end
  if exponent == 2 ^ exponent_bits - 1 then
    return fraction == 0 and sign * (1 / 0) or 0 / 0
  elseif exponent == 0 then
    return sign * ldexp(fraction, 1 - bias - fraction_bits)
  end
  return sign * ldexp(fraction + 2 ^ fraction_bits, exponent - bias - fraction_bits)
end

local function number_argument(value, place, name)
  local number = tonumber(value)
  if number == nil then
    local got = value == nil and "no value" or type(value)
    error(format("bad argument #%d to '%s' (number expected, got %s)", place, name, got), 3)
  end
  return number
end

local function string_argument(value, place, name)
  if type(value) == "number" then
    return tostring(value)
  elseif type(value) ~= "string" then
    local got = value == nil and "no value" or type(value)
    error(format("bad argument #%d to '%s' (string expected, got %s)", place, name, got), 3)
  end
  return value
end

local struct = {}

function struct.pack(...)
  local pattern = string_argument((...), 1, "pack")
  local state = { little = true, align = 1 }
  local pieces, total, place, at = {}, 0, 2, 1
  local function add(bytes)
    pieces[#pieces + 1] = bytes
    total = total + #bytes
  end
  while at <= #pattern do
    local letter, size
    letter, size, at = option(pattern, at)
    add(rep("\0", padding(letter, size, state.align, total)))
    if letter == "x" then
      add("\0")
    elseif letter == "s" or letter == "c" then
      local text = string_argument((select(place, ...)), place, "pack")
      place = place + 1
      if size == 0 then
        size = #text
      end
      if #text < size then
        error(format("bad argument #%d to 'pack' (string too short)", place), 2)
      end
      add(sub(text, 1, size))
      if letter == "s" then
        add("\0")
      end
    elseif letter == "f" or letter == "d" then
      add(float_bytes(number_argument((select(place, ...)), place, "pack"), size, state.little))
      place = place + 1
    elseif SIZES[letter] then
      add(integer_bytes(number_argument((select(place, ...)), place, "pack"), size, state.little))
      place = place + 1
    else
      at = control(letter, pattern, at, state, "pack")
    end
  end
  return concat(pieces)
end

function struct.unpack(...)
  local pattern = string_argument((...), 1, "unpack")
  local data = string_argument((select(2, ...)), 2, "unpack")
  local position = 0
  if select("#", ...) > 2 and select(3, ...) ~= nil then
    position = number_argument((select(3, ...)), 3, "unpack") - 1
    if position < 0 then
      error("bad argument #3 to 'unpack' (offset must be 1 or greater)", 2)
    end
  end
  local state = { little = true, align = 1 }
  local results, count, at = {}, 0, 1
  local function expect(size)
    if size > #data or position > #data - size then
      error("bad argument #2 to 'unpack' (data string too short)", 3)
    end
  end
  while at <= #pattern do
    local letter, size
    letter, size, at = option(pattern, at)
    position = position + padding(letter, size, state.align, position)
    expect(size)
    if letter == "x" then
      position = position + 1
    elseif letter == "c" then
      if size == 0 then
        local last = results[count]
        if count == 0 or type(last) ~= "number" then
          error("format 'c0' needs a previous size", 2)
        end
        size = floor(last)
        results[count], count = nil, count - 1
        if size < 0 then
          error("bad argument #2 to 'unpack' (data string too short)", 2)
        end
        expect(size)
      end
      count = count + 1
      results[count] = sub(data, position + 1, position + size)
      position = position + size
    elseif letter == "s" then
      local stop = find(data, "\0", position + 1, true)
      if not stop then
        error("unfinished string in data", 2)
      end
      count = count + 1
      results[count] = sub(data, position + 1, stop - 1)
      position = stop
    elseif letter == "f" or letter == "d" then
      count = count + 1
      results[count] = float_of(data, position + 1, size, state.little)
      position = position + size
    elseif SIZES[letter] then
      count = count + 1
      local is_signed = letter == "b" or letter == "h" or letter == "l" or letter == "i"
      results[count] = integer_of(data, position + 1, size, state.little, is_signed)
      position = position + size
    else
      at = control(letter, pattern, at, state, "unpack")
    end
  end
  results[count + 1] = position + 1
  return unpack(results, 1, count + 1)
end

function struct.size(...)
  local pattern = string_argument((...), 1, "size")
  local state = { little = true, align = 1 }
  local total, at = 0, 1
  while at <= #pattern do
    local letter, size
    letter, size, at = option(pattern, at)
    if letter == "s" then
      error("bad argument #1 to 'size' (option 's' has no fixed size)", 2)
    elseif letter == "c" and size == 0 then
      error("bad argument #1 to 'size' (option 'c0' has no fixed size)", 2)
    end
    total = total + padding(letter, size, state.align, total) + size
    if not SIZES[letter] and letter ~= "x" and letter ~= "c" then
      at = control(letter, pattern, at, state, "size")
    end
  end
  return total
end

return struct
