-- The library `cjson`: values <-> JSON, with the rules, limits and error texts of the library of that name in Redis.
-- A table whose keys are positive integers is an array (too many holes are refused), any other an object.

local byte, char, concat, find, floor, format, gsub, sub =
  string.byte, string.char, table.concat, string.find, math.floor, string.format, string.gsub, string.sub
local error, lower, next, pcall, select, tonumber, tostring, type =
  error, string.lower, next, pcall, select, tonumber, tostring, type

local null = newproxy()

local ESCAPES = { ['"'] = '\\"', ["\\"] = "\\\\", ["/"] = "\\/", ["\b"] = "\\b", ["\f"] = "\\f", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }
for code = 0, 31 do
  local letter = char(code)
  ESCAPES[letter] = ESCAPES[letter] or format("\\u%04x", code)
end
ESCAPES["\127"] = "\\u007f"

local settings = {
  sparse_convert = false,
  sparse_ratio = 2,
  sparse_safe = 10,
  encode_depth = 1000,
  decode_depth = 1000,
  precision = 14,
  keep_buffer = true,
  encode_invalid = false,
  decode_invalid = true,
}

-- Encoding ----------------------------------------------------------------------------------------------------

local encode_value

local function fail(kind, reason)
  error(format("Cannot serialise %s: %s", kind, reason), 0)
end

local function quoted(text)
  return '"' .. gsub(text, '[%c"\\/\127]', ESCAPES) .. '"'
end

local function encode_number(number)
  if number ~= number or number == 1 / 0 or number == -1 / 0 then
    if settings.encode_invalid == "null" then
      return "null"
    elseif not settings.encode_invalid then
      fail("number", "must not be NaN or Inf")
    end
    return number ~= number and "nan" or number > 0 and "inf" or "-inf"
  end
  return format("%." .. settings.precision .. "g", number)
end

-- How long the array is that a table stands for; -1 for an object.
local function array_length(t)
  local highest, count = 0, 0
  for key in next, t do
    if type(key) ~= "number" or key < 1 or floor(key) ~= key then
      return -1
    end
    if key > highest then
      highest = key
    end
    count = count + 1
  end
  if settings.sparse_ratio > 0 and highest > count * settings.sparse_ratio and highest > settings.sparse_safe then
    if not settings.sparse_convert then
      fail("table", "excessively sparse array")
    end
    return -1
  end
  return highest
end

local function encode_table(t, out, depth)
  depth = depth + 1
  if depth > settings.encode_depth then
    error(format("Cannot serialise, excessive nesting (%d)", depth), 0)
  end
  local length = array_length(t)
  if length > 0 then
    out[#out + 1] = "["
    for i = 1, length do
      if i > 1 then
        out[#out + 1] = ","
      end
      encode_value(t[i], out, depth)
    end
    out[#out + 1] = "]"
    return
  end
  out[#out + 1] = "{"
  local first = true
  for key, value in next, t do
    if not first then
      out[#out + 1] = ","
    end
    first = false
    if type(key) == "number" then
      out[#out + 1] = '"' .. encode_number(key) .. '":'
    elseif type(key) == "string" then
      out[#out + 1] = quoted(key) .. ":"
    else
      fail(type(key), "table key must be a number or string")
    end
    encode_value(value, out, depth)
  end
  out[#out + 1] = "}"
end

function encode_value(value, out, depth)
  local kind = type(value)
  if kind == "string" then
    out[#out + 1] = quoted(value)
  elseif kind == "number" then
    out[#out + 1] = encode_number(value)
  elseif kind == "boolean" then
    out[#out + 1] = value and "true" or "false"
  elseif kind == "table" then
    encode_table(value, out, depth)
  elseif value == nil or value == null then
    out[#out + 1] = "null"
  else
    fail(kind, "type not supported")
  end
end

-- Decoding ----------------------------------------------------------------------------------------------------

local NAMES = {
  ["{"] = "T_OBJ_BEGIN", ["}"] = "T_OBJ_END", ["["] = "T_ARR_BEGIN", ["]"] = "T_ARR_END", [":"] = "T_COLON",
  [","] = "T_COMMA",
}
local UNESCAPES = { b = "\b", f = "\f", n = "\n", r = "\r", t = "\t", ['"'] = '"', ["\\"] = "\\", ["/"] = "/" }

local function utf8(code)
  if code < 0x80 then
    return char(code)
  elseif code < 0x800 then
    return char(0xC0 + floor(code / 64), 0x80 + code % 64)
  elseif code < 0x10000 then
    return char(0xE0 + floor(code / 4096), 0x80 + floor(code / 64) % 64, 0x80 + code % 64)
  end
  return char(
    0xF0 + floor(code / 262144), 0x80 + floor(code / 4096) % 64, 0x80 + floor(code / 64) % 64, 0x80 + code % 64
  )
end

local function wrong(expected, found, at)
  error(format("Expected %s but found %s at character %d", expected, found, at), 0)
end

-- A string behind its opening quote. Answers it and where it ended; nil, what is wrong and where.
local function read_string(text, at)
  local pieces = {}
  while true do
    local stop = find(text, '["\\]', at)
    if not stop then
      return nil, "unexpected end of string", #text + 1
    end
    pieces[#pieces + 1] = sub(text, at, stop - 1)
    if byte(text, stop) == 34 then
      return concat(pieces), stop + 1
    end
    local letter = sub(text, stop + 1, stop + 1)
    if letter == "u" then
      local digits = sub(text, stop + 2, stop + 5)
      if not find(digits, "^%x%x%x%x$") then
        return nil, "invalid unicode escape code", stop
      end
      local code = tonumber(digits, 16)
      at = stop + 6
      if code >= 0xD800 and code < 0xE000 then
        local low = find(text, "^\\u%x%x%x%x", at) and tonumber(sub(text, at + 2, at + 5), 16)
        if code >= 0xDC00 or not low or low < 0xDC00 or low > 0xDFFF then
          return nil, "invalid unicode escape code", stop
        end
        code = (code - 0xD800) * 1024 + (low - 0xDC00) + 0x10000
        at = at + 6
      end
      pieces[#pieces + 1] = utf8(code)
    else
      local plain = UNESCAPES[letter]
      if not plain then
        return nil, "invalid escape code", stop
      end
      pieces[#pieces + 1] = plain
      at = stop + 2
    end
  end
end

-- The next token: its kind, its value, where it begins, where the next begins.
local function token(text, at)
  at = find(text, "[^ \t\n\r]", at) or #text + 1
  local letter = sub(text, at, at)
  local name = NAMES[letter]
  if name then
    return name, nil, at, at + 1
  elseif letter == "" then
    return "T_END", nil, at, at
  elseif letter == '"' then
    local value, stop, place = read_string(text, at + 1)
    if value == nil then
      return "T_ERROR", stop, place, at
    end
    return "T_STRING", value, at, stop
  elseif find(letter, "[-%d]") or settings.decode_invalid and find(letter, "[+iInN]") then
    if find(text, "^null", at) then
      return "T_NULL", nil, at, at + 4
    end
    local _, stop = find(text, "^[+-]?0[xX]%x+", at)
    if not stop then
      _, stop = find(text, "^[+-]?%d+%.?%d*[eE][+-]?%d+", at)
    end
    if not stop then
      _, stop = find(text, "^[+-]?%d+%.?%d*", at)
    end
    if stop then
      local words = sub(text, at, stop)
      if not settings.decode_invalid and (find(words, "^-?0[%dxX]") or find(words, "^%+")) then
        return "T_ERROR", "invalid number", at, at
      end
      local negative = byte(words) == 45
      local number = tonumber((gsub(words, "^[+-]", "")))
      return "T_NUMBER", negative and -number or number, at, stop + 1
    end
    local sign, word = 1, lower(sub(text, at, at + 8))
    local skip = 0
    if find(word, "^[+-]") then
      sign, skip = byte(word) == 45 and -1 or 1, 1
      word = sub(word, 2)
    end
    if settings.decode_invalid and find(word, "^infinity") then
      return "T_NUMBER", sign / 0, at, at + skip + 8
    elseif settings.decode_invalid and find(word, "^inf") then
      return "T_NUMBER", sign / 0, at, at + skip + 3
    elseif settings.decode_invalid and find(word, "^nan") then
      return "T_NUMBER", -(0 / 0), at, at + skip + 3
    end
    return "T_ERROR", find(letter, "[-%d]") and "invalid number" or "invalid token", at, at
  elseif find(text, "^true", at) then
    return "T_BOOLEAN", true, at, at + 4
  elseif find(text, "^false", at) then
    return "T_BOOLEAN", false, at, at + 5
  elseif find(text, "^null", at) then
    return "T_NULL", nil, at, at + 4
  end
  return "T_ERROR", "invalid token", at, at
end

local function found(kind, value)
  return kind == "T_ERROR" and value or kind
end

local read_value

local function deeper(depth, at)
  if depth > settings.decode_depth then
    error(format("Found too many nested data structures (%d) at character %d", depth, at), 0)
  end
end

local function read_object(text, at, depth, begin)
  deeper(depth, begin)
  local object = {}
  local kind, value, place, stop = token(text, at)
  if kind == "T_OBJ_END" then
    return object, stop
  end
  while true do
    if kind ~= "T_STRING" then
      wrong("object key string", found(kind, value), place)
    end
    local key = value
    kind, value, place, stop = token(text, stop)
    if kind ~= "T_COLON" then
      wrong("colon", found(kind, value), place)
    end
    kind, value, place, stop = token(text, stop)
    object[key], stop = read_value(text, kind, value, place, stop, depth)
    kind, value, place, stop = token(text, stop)
    if kind == "T_OBJ_END" then
      return object, stop
    elseif kind ~= "T_COMMA" then
      wrong("comma or object end", found(kind, value), place)
    end
    kind, value, place, stop = token(text, stop)
  end
end

local function read_array(text, at, depth, begin)
  deeper(depth, begin)
  local array = {}
  local kind, value, place, stop = token(text, at)
  if kind == "T_ARR_END" then
    return array, stop
  end
  local i = 1
  while true do
    array[i], stop = read_value(text, kind, value, place, stop, depth)
    kind, value, place, stop = token(text, stop)
    if kind == "T_ARR_END" then
      return array, stop
    elseif kind ~= "T_COMMA" then
      wrong("comma or array end", found(kind, value), place)
    end
    kind, value, place, stop = token(text, stop)
    i = i + 1
  end
end

function read_value(text, kind, value, place, stop, depth)
  if kind == "T_STRING" or kind == "T_NUMBER" or kind == "T_BOOLEAN" then
    return value, stop
  elseif kind == "T_OBJ_BEGIN" then
    return read_object(text, stop, depth + 1, place)
  elseif kind == "T_ARR_BEGIN" then
    return read_array(text, stop, depth + 1, place)
  elseif kind == "T_NULL" then
    return null, stop
  end
  wrong("value", found(kind, value), place)
end

-- The library -------------------------------------------------------------------------------------------------

local cjson = { _NAME = "cjson", _VERSION = "2.1.0", null = null }

local function only_argument(name, ...)
  if select("#", ...) ~= 1 then
    error(format("bad argument #1 to '%s' (expected 1 argument)", name), 3)
  end
end

function cjson.encode(...)
  only_argument("encode", ...)
  local out = {}
  local ok, problem = pcall(encode_value, (...), out, 0)
  if not ok then
    error(problem, 2)
  end
  return concat(out)
end

local function decode(text)
  local kind, value, place, stop = token(text, 1)
  value, stop = read_value(text, kind, value, place, stop, 0)
  local extra
  kind, extra, place = token(text, stop)
  if kind ~= "T_END" then
    wrong("the end", found(kind, extra), place)
  end
  return value
end

function cjson.decode(...)
  only_argument("decode", ...)
  local text = ...
  if type(text) == "number" then
    text = tostring(text)
  elseif type(text) ~= "string" then
    error(format("bad argument #1 to 'decode' (string expected, got %s)", type(text)), 2)
  end
  if #text >= 2 and (byte(text, 1) == 0 or byte(text, 2) == 0) then
    error("JSON parser does not support UTF-16 or UTF-32", 2)
  end
  local ok, value = pcall(decode, text)
  if not ok then
    error(value, 2)
  end
  return value
end

local function whole(name, place, value, low, high)
  local number = tonumber(value)
  if number == nil then
    error(format("bad argument #%d to '%s' (number expected, got %s)", place, name, type(value)), 3)
  elseif number < low or number > high then
    error(format("bad argument #%d to '%s' (expected integer between %d and %d)", place, name, low, high), 3)
  end
  return floor(number)
end

local function whole_setting(name, field, low, high)
  cjson[name] = function(value)
    if value ~= nil then
      settings[field] = whole(name, 1, value, low, high)
    end
    return settings[field]
  end
end

whole_setting("encode_max_depth", "encode_depth", 1, 2147483647)
whole_setting("decode_max_depth", "decode_depth", 1, 2147483647)
whole_setting("encode_number_precision", "precision", 1, 14)

function cjson.encode_keep_buffer(value)
  if value ~= nil then
    settings.keep_buffer = value and value ~= "off"
  end
  return settings.keep_buffer
end

function cjson.encode_invalid_numbers(value)
  if value ~= nil then
    settings.encode_invalid = value == "null" and "null" or value == true or value == "on"
  end
  return settings.encode_invalid
end

function cjson.decode_invalid_numbers(value)
  if value ~= nil then
    settings.decode_invalid = value == true or value == "on"
  end
  return settings.decode_invalid
end

function cjson.encode_sparse_array(convert, ratio, safe)
  if convert ~= nil then
    settings.sparse_convert = convert == true or convert == "on"
  end
  if ratio ~= nil then
    settings.sparse_ratio = whole("encode_sparse_array", 2, ratio, 0, 2147483647)
  end
  if safe ~= nil then
    settings.sparse_safe = whole("encode_sparse_array", 3, safe, 0, 2147483647)
  end
  return settings.sparse_convert, settings.sparse_ratio, settings.sparse_safe
end

function cjson.new()
  return cjson
end

return cjson
