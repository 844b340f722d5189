-- The library `cmsgpack`: values <-> MessagePack, with the rules of the library of that name that Redis has.
-- A table whose keys are 1..n is an array, any other a map. Tables deeper than 16 become nil.

local byte, ceil, char, concat, floor, format, sub =
  string.byte, math.ceil, string.char, table.concat, math.floor, string.format, string.sub
local error, frexp, ldexp, next, pcall, select, tonumber, tostring, type, unpack_values =
  error, math.frexp, math.ldexp, next, pcall, select, tonumber, tostring, type, unpack

local NESTED_MAX = 16

local cmsgpack = {
  _NAME = "cmsgpack",
  _VERSION = "lua-cmsgpack 0.4.0",
  _COPYRIGHT = "Gossamer's own",
  _DESCRIPTION = "MessagePack C implementation for Lua",
}

local function big_endian(number, size)
  local bytes = {}
  for i = size, 1, -1 do
    local low = number % 256
    bytes[i] = char(low)
    number = (number - low) / 256
  end
  return concat(bytes)
end

-- Two's complement of eight bytes, exact for what a double can hold.
local function negative(number, size)
  local complement = -number - 1
  local bytes = {}
  for i = size, 1, -1 do
    local low = complement % 256
    bytes[i] = char(255 - low)
    complement = (complement - low) / 256
  end
  return concat(bytes)
end

local function fraction_and_exponent(number)
  local mantissa, power = frexp(number)
  return mantissa * 2, power - 1
end

local function double_bytes(number)
  local sign = 0
  if number < 0 or number == 0 and 1 / number < 0 then
    sign, number = 1, -number
  end
  local exponent, fraction
  if number ~= number then
    sign, exponent, fraction = 1, 2047, 2 ^ 51
  elseif number == 1 / 0 then
    exponent, fraction = 2047, 0
  elseif number == 0 then
    exponent, fraction = 0, 0
  else
    local mantissa, power = fraction_and_exponent(number)
    if power < -1022 then
      exponent, fraction = 0, ldexp(number, 1074)
    else
      exponent, fraction = power + 1023, (mantissa - 1) * 2 ^ 52
    end
  end
  local high = sign * 2147483648 + exponent * 1048576 + floor(fraction / 4294967296)
  return big_endian(high, 4) .. big_endian(fraction % 4294967296, 4)
end

-- The four bytes of a number that single precision holds exactly; nil where it does not.
local function single_bytes(number)
  local sign = 0
  if number < 0 or number == 0 and 1 / number < 0 then
    sign, number = 1, -number
  end
  if number ~= number then
    return nil
  elseif number == 1 / 0 then
    return big_endian(sign * 2147483648 + 255 * 8388608, 4)
  elseif number == 0 then
    return big_endian(sign * 2147483648, 4)
  end
  local mantissa, power = fraction_and_exponent(number)
  local exponent, fraction
  if power > 127 then
    return nil
  elseif power < -126 then
    exponent, fraction = 0, ldexp(number, 149)
  else
    exponent, fraction = power + 127, (mantissa - 1) * 8388608
  end
  if fraction ~= floor(fraction) then
    return nil
  end
  return big_endian(sign * 2147483648 + exponent * 8388608 + fraction, 4)
end

local function pack_number(number, out)
  local bytes
  if number == floor(number) and number >= -9223372036854775808 and number < 9223372036854775808 then
    if number >= 0 then
      if number <= 127 then
        bytes = char(number)
      elseif number <= 255 then
        bytes = "\204" .. char(number)
      elseif number <= 65535 then
        bytes = "\205" .. big_endian(number, 2)
      elseif number <= 4294967295 then
        bytes = "\206" .. big_endian(number, 4)
      else
        bytes = "\207" .. big_endian(number, 8)
      end
    elseif number >= -32 then
      bytes = char(256 + number)
    elseif number >= -128 then
      bytes = "\208" .. negative(number, 1)
    elseif number >= -32768 then
      bytes = "\209" .. negative(number, 2)
    elseif number >= -2147483648 then
      bytes = "\210" .. negative(number, 4)
    else
      bytes = "\211" .. negative(number, 8)
    end
  else
    local single = single_bytes(number)
    bytes = single and "\202" .. single or "\203" .. double_bytes(number)
  end
  out[#out + 1] = bytes
end

local function pack_string(text, out)
  local size = #text
  if size < 32 then
    out[#out + 1] = char(160 + size)
  elseif size <= 255 then
    out[#out + 1] = "\217" .. char(size)
  elseif size <= 65535 then
    out[#out + 1] = "\218" .. big_endian(size, 2)
  else
    out[#out + 1] = "\219" .. big_endian(size, 4)
  end
  out[#out + 1] = text
end

local function array_length(t)
  local count, highest = 0, 0
  for key in next, t do
    if type(key) ~= "number" or key <= 0 or key ~= floor(key) then
      return nil
    end
    count = count + 1
    if key > highest then
      highest = key
    end
  end
  return highest == count and count or nil
end

local pack_value

local function pack_table(t, out, depth)
  local count = array_length(t)
  if count then
    if count <= 15 then
      out[#out + 1] = char(144 + count)
    elseif count <= 65535 then
      out[#out + 1] = "\220" .. big_endian(count, 2)
    else
      out[#out + 1] = "\221" .. big_endian(count, 4)
    end
    for i = 1, count do
      pack_value(t[i], out, depth + 1)
    end
    return
  end
  count = 0
  for _ in next, t do
    count = count + 1
  end
  if count <= 15 then
    out[#out + 1] = char(128 + count)
  elseif count <= 65535 then
    out[#out + 1] = "\222" .. big_endian(count, 2)
  else
    out[#out + 1] = "\223" .. big_endian(count, 4)
  end
  for key, value in next, t do
    pack_value(key, out, depth + 1)
    pack_value(value, out, depth + 1)
  end
end

function pack_value(value, out, depth)
  local kind = type(value)
  if kind == "string" then
    pack_string(value, out)
  elseif kind == "number" then
    pack_number(value, out)
  elseif kind == "boolean" then
    out[#out + 1] = value and "\195" or "\194"
  elseif kind == "table" and depth < NESTED_MAX then
    pack_table(value, out, depth)
  else
    out[#out + 1] = "\192"
  end
end

function cmsgpack.pack(...)
  local count = select("#", ...)
  if count == 0 then
    error("bad argument #0 to 'pack' (MessagePack pack needs input.)", 2)
  end
  local out = {}
  for i = 1, count do
    pack_value((select(i, ...)), out, 0)
  end
  return concat(out)
end

-- Reading -----------------------------------------------------------------------------------------------------

local MISSING = "Missing bytes in input."
local BAD = "Bad data format in input."

local function expect(data, at, size)
  if at + size - 1 > #data then
    error(MISSING, 0)
  end
end

local function number_at(data, at, size)
  local number = 0
  for i = at, at + size - 1 do
    number = number * 256 + byte(data, i)
  end
  return number
end

local function signed_at(data, at, size)
  if byte(data, at) < 128 then
    return number_at(data, at, size)
  end
  local complement = 0
  for i = at, at + size - 1 do
    complement = complement * 256 + 255 - byte(data, i)
  end
  return -complement - 1
end

local function single_at(data, at)
  local bits = number_at(data, at, 4)
  local sign = bits >= 2147483648 and -1 or 1
  local exponent, fraction = floor(bits / 8388608) % 256, bits % 8388608
  if exponent == 255 then
    return fraction == 0 and sign * (1 / 0) or 0 / 0
  elseif exponent == 0 then
    return sign * ldexp(fraction, -149)
  end
  return sign * ldexp(fraction + 8388608, exponent - 150)
end

local function double_at(data, at)
  local high, low = number_at(data, at, 4), number_at(data, at + 4, 4)
  local sign = high >= 2147483648 and -1 or 1
  local exponent = floor(high / 1048576) % 2048
  local fraction = high % 1048576 * 4294967296 + low
  if exponent == 2047 then
    return fraction == 0 and sign * (1 / 0) or 0 / 0
  elseif exponent == 0 then
    return sign * ldexp(fraction, -1074)
  end
  return sign * ldexp(fraction + 2 ^ 52, exponent - 1075)
end

local UNSIGNED = { [204] = 1, [205] = 2, [206] = 4, [207] = 8 }
local SIGNED = { [208] = 1, [209] = 2, [210] = 4, [211] = 8 }
local TEXTS = { [217] = 1, [218] = 2, [219] = 4, [196] = 1, [197] = 2, [198] = 4 }
local ARRAYS = { [220] = 2, [221] = 4 }
local MAPS = { [222] = 2, [223] = 4 }
local DEPTH_MAX = 4000 -- before the stack ends

local read

local function read_text(data, at, size)
  expect(data, at, size)
  return sub(data, at, at + size - 1), at + size
end

local function read_array(data, at, count, depth)
  local array = {}
  for i = 1, count do
    array[i], at = read(data, at, depth + 1)
  end
  return array, at
end

local function read_map(data, at, count, depth)
  local map = {}
  for _ = 1, count do
    local key, value
    key, at = read(data, at, depth + 1)
    value, at = read(data, at, depth + 1)
    if key == nil or key ~= key then
      error(BAD, 0)
    end
    map[key] = value
  end
  return map, at
end

function read(data, at, depth)
  if depth > DEPTH_MAX then
    error(BAD, 0)
  end
  expect(data, at, 1)
  local mark = byte(data, at)
  at = at + 1
  if mark <= 127 then
    return mark, at
  elseif mark <= 143 then
    return read_map(data, at, mark - 128, depth)
  elseif mark <= 159 then
    return read_array(data, at, mark - 144, depth)
  elseif mark <= 191 then
    return read_text(data, at, mark - 160)
  elseif mark >= 224 then
    return mark - 256, at
  elseif mark == 192 then
    return nil, at
  elseif mark == 194 or mark == 195 then
    return mark == 195, at
  end
  local size = UNSIGNED[mark]
  if size then
    expect(data, at, size)
    return number_at(data, at, size), at + size
  end
  size = SIGNED[mark]
  if size then
    expect(data, at, size)
    return signed_at(data, at, size), at + size
  end
  if mark == 202 then
    expect(data, at, 4)
    return single_at(data, at), at + 4
  elseif mark == 203 then
    expect(data, at, 8)
    return double_at(data, at), at + 8
  end
  size = TEXTS[mark]
  if size then
    expect(data, at, size)
    return read_text(data, at + size, number_at(data, at, size))
  end
  size = ARRAYS[mark]
  if size then
    expect(data, at, size)
    return read_array(data, at + size, number_at(data, at, size), depth)
  end
  size = MAPS[mark]
  if size then
    expect(data, at, size)
    return read_map(data, at + size, number_at(data, at, size), depth)
  end
  error(BAD, 0)
end

local function text_argument(name, count, value)
  if type(value) == "number" then
    return tostring(value)
  elseif type(value) ~= "string" then
    local got = count == 0 and "no value" or type(value)
    error(format("bad argument #1 to '%s' (string expected, got %s)", name, got), 3)
  end
  return value
end

local function integer_argument(name, place, count, value)
  local number = tonumber(value)
  if not number then
    local got = count < place and "no value" or type(value)
    error(format("bad argument #%d to '%s' (number expected, got %s)", place, name, got), 3)
  end
  return number < 0 and ceil(number) or floor(number)
end

local RESULTS_MAX = 7000 -- before the stack ends

local function unpack_some(data, limit, offset, wants_offset, level)
  if limit < 0 or offset < 0 then
    error(format("Invalid request to unpack with offset of %d and limit of %d.", offset, #data), level)
  elseif offset > #data then
    error(format("Start offset %d greater than input length %d.", offset, #data), level)
  end
  local results, count, at = {}, 0, offset + 1
  while at <= #data and (limit == 0 or count < limit) do
    if count >= RESULTS_MAX then
      error(BAD, level)
    end
    count = count + 1
    local ok, value, stop = pcall(read, data, at, 0)
    if not ok then
      error(value, level)
    end
    results[count], at = value, stop
  end
  if wants_offset then
    return at > #data and -1 or at - 1, unpack_values(results, 1, count)
  end
  return unpack_values(results, 1, count)
end

function cmsgpack.unpack(...)
  return unpack_some(text_argument("unpack", select("#", ...), ...), 0, 0, false, 3)
end

function cmsgpack.unpack_one(...)
  local count, data, offset = select("#", ...), ...
  offset = offset == nil and 0 or integer_argument("unpack_one", 2, count, offset)
  return unpack_some(text_argument("unpack_one", count, data), 1, offset, true, 3)
end

function cmsgpack.unpack_limit(...)
  local count, data, limit, offset = select("#", ...), ...
  limit = integer_argument("unpack_limit", 2, count, limit)
  offset = offset == nil and 0 or integer_argument("unpack_limit", 3, count, offset)
  return unpack_some(text_argument("unpack_limit", count, data), limit, offset, true, 3)
end

return cmsgpack
