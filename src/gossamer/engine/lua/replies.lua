-- Replies: RESP bytes <-> what a script sees. Pure functions, which know nothing of the world of scripts.
--
--   decode(bytes, at)                                        a value, and where the next reply begins
--   encode(value, out, depth, protocol, script_protocol)     appends the reply for a value to the list `out`

local byte, find, format, gsub, sub = string.byte, string.find, string.format, string.gsub, string.sub
local floor, next, rawget, tonumber, type = math.floor, next, rawget, tonumber, type

-- RESP bytes -> the value that a script sees. Answers the value and where the next one begins.
local function decode(bytes, at)
  local mark = byte(bytes, at)
  local stop = find(bytes, "\r\n", at, true)
  local line = sub(bytes, at + 1, stop - 1)
  if mark == 36 then -- $
    local size = tonumber(line)
    if size < 0 then
      return false, stop + 2
    end
    return sub(bytes, stop + 2, stop + 1 + size), stop + 4 + size
  elseif mark == 58 then -- :
    return tonumber(line), stop + 2
  elseif mark == 43 then -- +
    return { ok = line }, stop + 2
  elseif mark == 45 then -- -
    return { err = line, ignore_error_stats_update = true }, stop + 2
  elseif mark == 42 then -- *
    local count = tonumber(line)
    if count < 0 then
      return false, stop + 2
    end
    local array = {}
    at = stop + 2
    for i = 1, count do
      array[i], at = decode(bytes, at)
    end
    return array, at
  elseif mark == 95 then -- _
    return nil, stop + 2
  elseif mark == 35 then -- #
    return line == "t", stop + 2
  elseif mark == 44 then -- ,
    local number = tonumber(line)
    if line == "inf" then
      number = 1 / 0
    elseif line == "-inf" then
      number = -1 / 0
    elseif line == "nan" then
      number = 0 / 0
    end
    return { double = number }, stop + 2
  elseif mark == 40 then -- (
    return { big_number = line }, stop + 2
  elseif mark == 61 then -- =
    local size = tonumber(line)
    local text = sub(bytes, stop + 2, stop + 1 + size)
    return { verbatim_string = { format = sub(text, 1, 3), string = sub(text, 5) } }, stop + 4 + size
  elseif mark == 37 then -- %
    local map = {}
    at = stop + 2
    for _ = 1, tonumber(line) do
      local key, value
      key, at = decode(bytes, at)
      value, at = decode(bytes, at)
      if key ~= nil then
        map[key] = value
      end
    end
    return { map = map }, at
  elseif mark == 124 then -- |, which says something of the reply behind it that scripts do not see
    at = stop + 2
    for _ = 1, 2 * tonumber(line) do
      local _, behind = decode(bytes, at)
      at = behind
    end
    return decode(bytes, at)
  elseif mark == 126 then -- ~
    local set = {}
    at = stop + 2
    for _ = 1, tonumber(line) do
      local member
      member, at = decode(bytes, at)
      if member ~= nil then
        set[member] = true
      end
    end
    return { set = set }, at
  end
  return nil, stop + 2
end

local NESTED_MAX = 2660 -- where the C stack of Redis's Lua ends

-- One line, up to a NUL, where a string of the real servers ends.
local function flat(text)
  local nul = find(text, "\0", 1, true)
  if nul then
    text = sub(text, 1, nul - 1)
  end
  return (gsub(text, "[\r\n]", " "))
end

local function integer(number)
  if number ~= number or number >= 9223372036854775808 or number < -9223372036854775808 then
    return "-9223372036854775808"
  end
  return format("%.0f", number < 0 and -floor(-number) or floor(number))
end

local function double(number)
  if number ~= number then
    return "nan"
  elseif number == 1 / 0 then
    return "inf"
  elseif number == -1 / 0 then
    return "-inf"
  elseif number == floor(number) and number > -1e17 and number < 1e17 then
    return format("%.0f", number)
  end
  return format("%.17g", number)
end

local encode

-- A table with one of the special fields; false where it has none.
local function encode_special(value, out, depth, protocol, script_protocol)
  local field = rawget(value, "err")
  if type(field) == "string" then
    out[#out + 1] = "-" .. flat(field) .. "\r\n"
    return true
  end
  field = rawget(value, "ok")
  if type(field) == "string" then
    out[#out + 1] = "+" .. flat(field) .. "\r\n"
    return true
  end
  field = rawget(value, "double")
  if type(field) == "number" then
    local text = double(field)
    out[#out + 1] = protocol == 3 and "," .. text .. "\r\n" or "$" .. #text .. "\r\n" .. text .. "\r\n"
    return true
  end
  field = rawget(value, "map")
  if type(field) == "table" then
    local head = #out + 1
    out[head] = ""
    local count = 0
    for key, item in next, field do
      encode(key, out, depth + 1, protocol, script_protocol)
      encode(item, out, depth + 1, protocol, script_protocol)
      count = count + 1
    end
    out[head] = protocol == 3 and "%" .. count .. "\r\n" or "*" .. count * 2 .. "\r\n"
    return true
  end
  field = rawget(value, "set")
  if type(field) == "table" then
    local head = #out + 1
    out[head] = ""
    local count = 0
    for key in next, field do
      encode(key, out, depth + 1, protocol, script_protocol)
      count = count + 1
    end
    out[head] = (protocol == 3 and "~" or "*") .. count .. "\r\n"
    return true
  end
  field = rawget(value, "big_number")
  if type(field) == "string" then
    local text = flat(field)
    out[#out + 1] = protocol == 3 and "(" .. text .. "\r\n" or "$" .. #text .. "\r\n" .. text .. "\r\n"
    return true
  end
  field = rawget(value, "verbatim_string")
  if type(field) == "table" then
    local kind, text = rawget(field, "format"), rawget(field, "string")
    if type(kind) == "string" and type(text) == "string" then
      if protocol == 3 then
        out[#out + 1] = "=" .. #text + 4 .. "\r\n" .. sub(kind .. "   ", 1, 3) .. ":" .. text .. "\r\n"
      else
        out[#out + 1] = "$" .. #text .. "\r\n" .. text .. "\r\n"
      end
      return true
    end
  end
  return false
end

function encode(value, out, depth, protocol, script_protocol)
  if depth > NESTED_MAX then
    out[#out + 1] = "-ERR reached lua stack limit\r\n"
    return
  end
  local kind = type(value)
  if kind == "string" then
    out[#out + 1] = "$" .. #value .. "\r\n" .. value .. "\r\n"
  elseif kind == "number" then
    out[#out + 1] = ":" .. integer(value) .. "\r\n"
  elseif kind == "boolean" then
    if script_protocol == 3 and protocol == 3 then
      out[#out + 1] = value and "#t\r\n" or "#f\r\n"
    elseif value then
      out[#out + 1] = ":1\r\n"
    elseif script_protocol == 3 then
      out[#out + 1] = ":0\r\n"
    else
      out[#out + 1] = protocol == 3 and "_\r\n" or "$-1\r\n"
    end
  elseif kind == "table" then
    if not encode_special(value, out, depth, protocol, script_protocol) then
      local head = #out + 1
      out[head] = ""
      local count = 0
      while true do
        local item = rawget(value, count + 1)
        if item == nil then
          break
        end
        count = count + 1
        encode(item, out, depth + 1, protocol, script_protocol)
      end
      out[head] = "*" .. count .. "\r\n"
    end
  else
    out[#out + 1] = protocol == 3 and "_\r\n" or "$-1\r\n"
  end
end

return decode, encode
