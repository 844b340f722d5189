-- Patterns in Lua itself: the rules of string.find and its kin of Lua 5.1, where the library's own could run too long.
--
--   is_plain(pattern)             whether it stands for itself alone
--   analyse(pattern)              what it is made of, and what matching it may cost; see below
--   matcher(pattern, subject)     a function (at) -> where a match that begins there ends, or nil; and one
--                                 (number, first, last) -> a capture; and one that tells how many there are
--
-- The library's matcher backtracks in C: a script that waits for it hears of no SCRIPT KILL, and one that makes it
-- recurse for each of a hundred thousand quantifiers takes the process with it. This one is watched as all of Lua.
-- A pattern ends at its first zero byte, as in Lua 5.1.

local byte, char, find, sub = string.byte, string.char, string.find, string.sub
local error = error

local SINGLE, REPEAT, SHORTEST, OPTION, OPEN, CLOSE, BALANCE, FRONTIER, BACK, FINISH, WRONG =
  1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
local CAPTURES_MAX = 32
local UNFINISHED, POSITION = -1, -2
local KNOWN_MAX = 500

-- Which bytes a class matches: asked of the library, byte by byte, once per class.
local function members(class)
  local set = {}
  local anchored = "^" .. class
  for code = 0, 255 do
    if find(char(code), anchored) then
      set[code] = true
    end
  end
  return set
end

-- Where the class ends that begins at `at`; nil and what is wrong.
local function class_end(pattern, at)
  local letter = sub(pattern, at, at)
  at = at + 1
  if letter == "%" then
    if at > #pattern then
      return nil, "malformed pattern (ends with '%')"
    end
    return at + 1
  elseif letter == "[" then
    if sub(pattern, at, at) == "^" then
      at = at + 1
    end
    repeat
      if at > #pattern then
        return nil, "malformed pattern (missing ']')"
      end
      local inner = sub(pattern, at, at)
      at = at + 1
      if inner == "%" and at <= #pattern then
        at = at + 1
      end
    until sub(pattern, at, at) == "]"
    return at + 1
  end
  return at
end

local KINDS = { ["*"] = REPEAT, ["+"] = REPEAT, ["-"] = SHORTEST, ["?"] = OPTION }

-- One part of a pattern from `at`: the part and where the next begins.
local function part_at(pattern, at)
  local letter, following = sub(pattern, at, at), sub(pattern, at + 1, at + 1)
  if letter == "(" then
    local is_position = following == ")"
    return { kind = OPEN, length = is_position and POSITION or UNFINISHED }, at + (is_position and 2 or 1)
  elseif letter == ")" then
    return { kind = CLOSE }, at + 1
  elseif letter == "$" and at == #pattern then
    return { kind = FINISH }, at + 1
  elseif letter == "%" and following == "b" then
    if at + 3 > #pattern then
      return { kind = WRONG, problem = "unbalanced pattern" }, #pattern + 1
    end
    return { kind = BALANCE, opening = byte(pattern, at + 2), closing = byte(pattern, at + 3) }, at + 4
  elseif letter == "%" and find(following, "^%d") then
    return { kind = BACK, number = byte(following) - 48 }, at + 2
  end
  local is_frontier = letter == "%" and following == "f"
  if is_frontier then
    at = at + 2
    if sub(pattern, at, at) ~= "[" then
      return { kind = WRONG, problem = "missing '[' after '%f' in pattern" }, #pattern + 1
    end
  end
  local stop, problem = class_end(pattern, at)
  if not stop then
    return { kind = WRONG, problem = problem }, #pattern + 1
  end
  local part = { kind = is_frontier and FRONTIER or SINGLE, class = sub(pattern, at, stop - 1) }
  if not is_frontier then
    local suffix = sub(pattern, stop, stop)
    local kind = KINDS[suffix]
    if kind then
      part.kind, part.minimum = kind, suffix == "+" and 1 or 0
      stop = stop + 1
    end
  end
  return part, stop
end

local known, known_count = {}, 0

-- Whether nothing in a pattern has a meaning of its own, as string.find sees it.
local function is_plain(pattern)
  local zero = find(pattern, "\0", 1, true)
  return not find(zero and sub(pattern, 1, zero - 1) or pattern, "[%^%$%*%+%?%.%(%[%%%-]")
end

-- { parts; loops: quantifiers that can be taken back any number of times; options: those that can be once;
--   anchored; wrong: something in it is malformed; plain: as is_plain says }
local function analyse(pattern)
  local result = known[pattern]
  if result then
    return result
  end
  local zero = find(pattern, "\0", 1, true)
  local text = zero and sub(pattern, 1, zero - 1) or pattern
  local parts, loops, options, wrong = {}, 0, 0, false
  local anchored = byte(text) == 94
  local at, open, begun = anchored and 2 or 1, 0, 0
  while at <= #text do
    local part
    part, at = part_at(text, at)
    local kind = part.kind
    parts[#parts + 1] = part
    if kind == REPEAT or kind == SHORTEST or kind == BALANCE then
      loops = loops + 1
    elseif kind == OPTION then
      options = options + 1
    elseif kind == OPEN then
      begun = begun + 1
      open = open + (part.length == UNFINISHED and 1 or 0)
    elseif kind == CLOSE then
      open = open - 1
    end
    wrong = wrong or kind == WRONG or open < 0 or kind == BACK and (part.number < 1 or part.number > begun)
  end
  wrong = wrong or open ~= 0 or begun > CAPTURES_MAX
  local last = parts[#parts]
  if last and last.kind == REPEAT then
    loops = loops - 1 -- nothing behind it can make it go back
  end
  result = { parts = parts, loops = loops, options = options, anchored = anchored, wrong = wrong, plain = is_plain(text) }
  if #pattern < 1000 then
    if known_count >= KNOWN_MAX then
      known, known_count = {}, 0
    end
    known[pattern], known_count = result, known_count + 1
  end
  return result
end

local function set_of(part)
  local set = part.set
  if not set then
    set = members(part.class)
    part.set = set
  end
  return set
end

local function matcher(pattern, subject)
  local parts = analyse(pattern).parts
  local starts, lengths, level = {}, {}, 0
  local size = #subject
  local from

  local function repeated(part, i, at)
    local set, stop = set_of(part), at
    while true do
      local code = byte(subject, stop)
      if not code or not set[code] then
        break
      end
      stop = stop + 1
    end
    while stop >= at + part.minimum do
      local found = from(i + 1, stop)
      if found then
        return found
      end
      stop = stop - 1
    end
    return nil
  end

  local function shortest(part, i, at)
    local set = set_of(part)
    while true do
      local found = from(i + 1, at)
      if found then
        return found
      end
      local code = byte(subject, at)
      if not code or not set[code] then
        return nil
      end
      at = at + 1
    end
  end

  local function opened(part, i, at)
    if level >= CAPTURES_MAX then
      error("too many captures", 0)
    end
    level = level + 1
    starts[level], lengths[level] = at, part.length
    local found = from(i + 1, at)
    if not found then
      level = level - 1
    end
    return found
  end

  local function closed(i, at)
    local open = level
    while open > 0 and lengths[open] ~= UNFINISHED do
      open = open - 1
    end
    if open == 0 then
      error("invalid pattern capture", 0)
    end
    lengths[open] = at - starts[open]
    local found = from(i + 1, at)
    if not found then
      lengths[open] = UNFINISHED
    end
    return found
  end

  local function balanced(part, at)
    if byte(subject, at) ~= part.opening then
      return nil
    end
    local depth = 1
    while true do
      at = at + 1
      local code = byte(subject, at)
      if not code then
        return nil
      elseif code == part.closing then
        depth = depth - 1
        if depth == 0 then
          return at + 1
        end
      elseif code == part.opening then
        depth = depth + 1
      end
    end
  end

  local function again(part, at)
    local number = part.number
    if number < 1 or number > level or lengths[number] == UNFINISHED then
      error("invalid capture index", 0)
    end
    local length = lengths[number]
    if length < 0 or size - at + 1 < length then
      return nil
    end
    local captured = sub(subject, starts[number], starts[number] + length - 1)
    return captured == sub(subject, at, at + length - 1) and at + length or nil
  end

  function from(i, at)
    while true do
      local part = parts[i]
      if part == nil then
        return at
      end
      local kind = part.kind
      if kind == SINGLE then
        local code = byte(subject, at)
        if not code or not set_of(part)[code] then
          return nil
        end
        at = at + 1
      elseif kind == REPEAT then
        return repeated(part, i, at)
      elseif kind == SHORTEST then
        return shortest(part, i, at)
      elseif kind == OPTION then
        local code = byte(subject, at)
        if code and set_of(part)[code] then
          local found = from(i + 1, at + 1)
          if found then
            return found
          end
        end
      elseif kind == OPEN then
        return opened(part, i, at)
      elseif kind == CLOSE then
        return closed(i, at)
      elseif kind == FINISH then
        return at == size + 1 and at or nil
      elseif kind == FRONTIER then
        local set = set_of(part)
        if set[at > 1 and byte(subject, at - 1) or 0] or not set[byte(subject, at) or 0] then
          return nil
        end
      elseif kind == BALANCE or kind == BACK then
        at = (kind == BALANCE and balanced or again)(part, at)
        if not at then
          return nil
        end
      else
        error(part.problem, 0)
      end
      i = i + 1
    end
  end

  local function match(at)
    level = 0
    return from(1, at)
  end

  -- The capture of that number; `first` and `last` of the whole match stand for the first where there is none.
  local function capture(number, first, last)
    if number > level then
      if number ~= 1 then
        error("invalid capture index", 0)
      end
      return sub(subject, first, last)
    end
    local length = lengths[number]
    if length == UNFINISHED then
      error("unfinished capture", 0)
    elseif length == POSITION then
      return starts[number]
    end
    return sub(subject, starts[number], starts[number] + length - 1)
  end

  return match, capture, function()
    return level
  end
end

return analyse, matcher, is_plain
