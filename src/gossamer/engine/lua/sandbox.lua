-- The world in which scripts run: what they see, how they reach the server, how their results become replies.
--
-- Runs once per runtime, with the host's functions as arguments; answers the functions that the host calls. Those
-- functions live in upvalues of this chunk, and there is no `debug` library in the world of a script, so no script
-- can get hold of an object of the host. A host function never raises: it answers RESP bytes, where an error is an
-- error reply. The global table and the libraries are reached through proxies that nobody can write to.
--
-- Invariants: after a script, nothing that it did to a table that outlives it remains; every way to compile text
-- gives a function whose globals are the proxy; byte code is refused everywhere.

local decode, encode, -- of replies.lua
  bounds, -- of bounds.lua
  memory_max_bytes, verdicts, -- texts by the numbers that host_tick answers
  host_call, host_call_many, host_log, host_sha1, host_tick, host_acl, host_setresp, host_protocol, host_set_repl, host_register,
  constants, for_functions = ...
local error, next, pcall, rawget, rawset, select, setmetatable, tonumber, tostring, type, xpcall =
  error, next, pcall, rawget, rawset, select, setmetatable, tonumber, tostring, type, xpcall
local setfenv, loadstring, getinfo, sethook = setfenv, loadstring, debug.getinfo, debug.sethook
local byte, dump, find, format, sub = string.byte, string.dump, string.find, string.format, string.sub
local concat, floor = table.concat, math.floor
local co_create, co_resume = coroutine.create, coroutine.resume
local count_memory, used_kb = collectgarbage, gcinfo

local READ_ONLY = "Attempt to modify a readonly table"
local ARGUMENTS = "ERR wrong number or type of arguments"
local GLUE = "@gossamer"

-- The host puts values on Lua's stack where no error can be caught: it is asked only while there is memory in reserve.
local memory_max_kb = memory_max_bytes / 1024
local is_ended = false -- the script that runs is to end
local function keep_reserve()
  if used_kb() > memory_max_kb then
    count_memory("collect")
    if used_kb() > memory_max_kb then
      error("not enough memory", 0)
    end
  end
end

-- Tables that nobody can write to -----------------------------------------------------------------------------

local behind = {} -- proxy -> the table behind it
bounds.protected = behind

local function deny()
  error(READ_ONLY, 2)
end

local function refuse()
  error(READ_ONLY, 0)
end

local function protect(real)
  local proxy = setmetatable({}, { __index = real, __newindex = deny, __metatable = false })
  behind[proxy] = real
  return proxy
end

local function expect_table(value, name, count)
  if type(value) ~= "table" then
    local got = count == 0 and "no value" or type(value)
    error(format("bad argument #1 to '%s' (table expected, got %s)", name, got), 3)
  end
end

-- What is global ----------------------------------------------------------------------------------------------

local world = {} -- the globals of every script
local globals_metatable = {
  __index = world,
  __newindex = deny,
  __metatable = protect({}),
}
local globals = setmetatable({}, globals_metatable)
behind[globals] = world
local strict = {
  __index = function(_, name)
    error("Script attempted to access nonexistent global variable '" .. tostring(name) .. "'", 2)
  end,
}
setmetatable(world, strict)

for _, name in ipairs({
  "assert", "error", "gcinfo", "getmetatable", "ipairs", "rawequal", "select", "tonumber", "tostring", "type", "_VERSION",
}) do
  world[name] = _G[name]
end
world._G = globals
world.collectgarbage, world.unpack = bounds.collectgarbage, bounds.unpack

function world.next(t, key)
  expect_table(t, "next", 1)
  return next(behind[t] or t, key)
end

function world.pairs(...)
  local t = ...
  expect_table(t, "pairs", select("#", ...))
  local real = behind[t]
  if real == nil then
    return next, t, nil
  end
  return function(_, key)
    return next(real, key)
  end, t, nil
end

function world.rawget(t, key)
  expect_table(t, "rawget", 1)
  return rawget(behind[t] or t, key)
end

function world.rawset(t, key, value)
  expect_table(t, "rawset", 1)
  if behind[t] then
    refuse()
  end
  return rawset(t, key, value)
end

function world.setmetatable(...)
  local t, metatable = ...
  expect_table(t, "setmetatable", select("#", ...))
  if behind[t] then
    refuse()
  end
  if metatable ~= nil and type(metatable) ~= "table" or select("#", ...) < 2 then
    error("bad argument #2 to 'setmetatable' (nil or table expected)", 2)
  end
  return setmetatable(t, metatable)
end

local function caught(ok, problem, ...)
  if not ok and type(problem) == "table" and type(rawget(problem, "err")) == "string" then
    return false, problem.err
  end
  return ok, problem, ...
end

function world.pcall(...)
  if select("#", ...) == 0 then
    error("bad argument #1 to 'pcall' (value expected)", 2)
  end
  return caught(pcall(...))
end

-- Lua calls the handler inside the hook that ends a script, where nothing is watched: then it is not asked.
function world.xpcall(...)
  local body, handler = ...
  if select("#", ...) < 2 then
    error("bad argument #2 to 'xpcall' (value expected)", 2)
  end
  return xpcall(body, function(problem)
    if is_ended then
      return problem
    end
    return handler(problem)
  end)
end

local function compile(text, name)
  if byte(text, 1) == 27 then
    return nil, "attempt to load byte code"
  end
  -- The parser reads a name up to a zero byte and holds on to nothing of it: `name` here keeps it from the collector.
  local zero = find(name, "\0", 1, true)
  if zero then
    name = sub(name, 1, zero - 1)
  end
  local made, problem = loadstring(text, name)
  if made then
    setfenv(made, globals)
  end
  return made, problem
end

function world.loadstring(text, name)
  if type(text) ~= "string" and type(text) ~= "number" then
    local got = text == nil and "no value" or type(text)
    error(format("bad argument #1 to 'loadstring' (string expected, got %s)", got), 2)
  end
  text = tostring(text)
  return compile(text, name and tostring(name) or text)
end

function world.load(reader, name)
  if type(reader) ~= "function" then
    local got = reader == nil and "no value" or type(reader)
    error(format("bad argument #1 to 'load' (function expected, got %s)", got), 2)
  end
  local pieces = {}
  while true do
    local piece = reader()
    if piece == nil or piece == "" then
      break
    end
    if type(piece) ~= "string" then
      return nil, "reader function must return a string"
    end
    pieces[#pieces + 1] = piece
  end
  return compile(concat(pieces), name and tostring(name) or "=(load)")
end

-- Libraries ---------------------------------------------------------------------------------------------------

local function copy(library, without)
  local result = {}
  for name, value in next, library do
    result[name] = value
  end
  for _, name in ipairs(without or {}) do
    result[name] = nil
  end
  return result
end

-- A hook belongs to one coroutine: the watch over endless loops goes with each new one. And as each counts its own
-- instructions, making many is watched too.
local COROUTINES_UNWATCHED = 64
local function expect_lua_function(body, name)
  if type(body) ~= "function" or getinfo(body, "S").what == "C" then
    error(format("bad argument #1 to '%s' (Lua function expected)", name), 3)
  end
end

local watch, watch_mask, watch_count
local coroutines_made = 0
local function new_coroutine(body)
  coroutines_made = coroutines_made + 1
  if coroutines_made >= COROUTINES_UNWATCHED then
    coroutines_made = 0
    watch()
  end
  local thread = co_create(body)
  sethook(thread, watch, watch_mask, watch_count)
  return thread
end

local coroutine_library = copy(coroutine)
function coroutine_library.create(...)
  local body = ...
  expect_lua_function(body, "create")
  return new_coroutine(body)
end

local function resumed(ok, ...)
  if ok then
    return ...
  end
  local problem = ...
  error(problem, 0)
end

function coroutine_library.wrap(...)
  local body = ...
  expect_lua_function(body, "wrap")
  local thread = new_coroutine(body)
  return function(...)
    return resumed(co_resume(thread, ...))
  end
end

local function bounded(library, own)
  local result = copy(library)
  for name, value in next, own do
    result[name] = value
  end
  return protect(result)
end

world.string = bounded(string, bounds.string)
world.table = bounded(table, bounds.table)
world.coroutine = protect(coroutine_library)

local string_metatable = getmetatable("")
string_metatable.__index = world.string
string_metatable.__metatable = protect({ __index = world.string })

-- The server --------------------------------------------------------------------------------------------------

local function raise(bytes)
  error({ err = sub(bytes, 2, -3), ignore_error_stats_update = true })
end

-- More arguments than this do not fit on the stack beside what the host's door puts there: it gets them in a table.
local ARGUMENTS_MAX = 7900

-- The host answers the commonest replies as what the script sees, alone; true beside the text of a status, false
-- beside RESP.
local function call(...)
  if used_kb() > memory_max_kb then
    keep_reserve()
  end
  local reply, is_status
  if select("#", ...) > ARGUMENTS_MAX then
    reply, is_status = host_call_many({ ... })
  else
    reply, is_status = host_call(...)
  end
  if is_status == nil then
    return reply
  elseif is_status then
    return { ok = reply }
  elseif byte(reply, 1) == 45 then
    raise(reply)
  end
  return (decode(reply, 1))
end

local function protected_call(...)
  keep_reserve()
  local reply, is_status
  if select("#", ...) > ARGUMENTS_MAX then
    reply, is_status = host_call_many({ ... })
  else
    reply, is_status = host_call(...)
  end
  if is_status == nil then
    return reply
  elseif is_status then
    return { ok = reply }
  end
  return (decode(reply, 1))
end

local server = { LOG_DEBUG = 0, LOG_VERBOSE = 1, LOG_NOTICE = 2, LOG_WARNING = 3 }
server.REPL_NONE, server.REPL_AOF, server.REPL_SLAVE, server.REPL_REPLICA, server.REPL_ALL = 0, 1, 2, 2, 3

server.call = call
server.pcall = protected_call

local function checked(bytes) -- of the host's smaller functions
  if byte(bytes, 1) == 45 then
    raise(bytes)
  end
  return (decode(bytes, 1))
end

function server.sha1hex(...)
  if select("#", ...) ~= 1 then
    error({ err = "ERR wrong number of arguments" })
  end
  local text = ...
  keep_reserve()
  return host_sha1(type(text) == "number" and tostring(text) or type(text) == "string" and text or "")
end

function server.log(...)
  local level = ...
  if select("#", ...) < 2 then
    error({ err = "ERR redis.log() requires two arguments or more." })
  elseif type(level) ~= "number" then
    error({ err = "ERR First argument must be a number (log level)." })
  elseif not (level > -1 and level < 4) then
    error({ err = server.SERVER_NAME and "ERR Invalid log level." or "ERR Invalid debug level." })
  end
  local words = {}
  for i = 2, select("#", ...) do
    local word = select(i, ...)
    if type(word) == "string" or type(word) == "number" then
      words[#words + 1] = tostring(word)
    end
  end
  keep_reserve()
  host_log(level < 0 and 0 or floor(level), concat(words, " "))
end

local function single_field(name, ...)
  local text = ...
  if select("#", ...) ~= 1 or type(text) ~= "string" then
    return { err = ARGUMENTS }
  end
  return { [name] = text }
end

function server.error_reply(...)
  local text = ...
  if select("#", ...) ~= 1 or type(text) ~= "string" then
    return { err = ARGUMENTS }
  end
  if sub(text, 1, 1) == "-" then
    text = sub(text, 2)
  end
  if not find(text, " ", 1, true) then
    text = "ERR " .. text
  end
  return { err = text }
end

function server.status_reply(...)
  return single_field("ok", ...)
end

function server.setresp(...)
  if select("#", ...) ~= 1 then
    error({ err = "ERR redis.setresp() requires one argument." })
  end
  local version = tonumber((...))
  if version ~= 2 and version ~= 3 then
    error({ err = "ERR RESP version must be 2 or 3." })
  end
  host_setresp(version)
end

function server.set_repl(...)
  if select("#", ...) ~= 1 then
    error({ err = "ERR redis.set_repl() requires two arguments." })
  end
  local flags = tonumber((...))
  if flags == nil or flags ~= floor(flags) or flags < 0 or flags > 3 then
    error({ err = "ERR Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE." })
  end
  host_set_repl(flags)
end

if not for_functions then
  function server.replicate_commands()
    return true
  end

  function server.breakpoint()
    return false
  end

  function server.debug() end
end

function server.acl_check_cmd(...)
  if select("#", ...) == 0 then
    error({ err = "ERR Please specify at least one argument for this redis.acl_check_cmd() call" })
  end
  keep_reserve()
  return checked(host_acl(...)) == 1
end

for name, value in string.gmatch(constants, "(%S+)=(%S+)") do
  server[name] = tonumber(value) or value
end
local api = protect(server)
world.redis = api
if server.SERVER_NAME then
  world.server = api
  world.os = protect({ clock = os.clock })
end

-- Running -----------------------------------------------------------------------------------------------------

local entered -- the function of a library that runs

-- What went wrong, with the line of the script where it did.
local function describe(problem)
  if type(problem) ~= "table" then
    problem = { err = "ERR " .. tostring(problem) }
  end
  local level = 2
  local place = getinfo(level, "Sl")
  while place and (place.what == "C" or place.what == "tail" or place.source == GLUE) do
    level = level + 1
    place = getinfo(level, "Sl")
  end
  if place then
    problem = { err = rawget(problem, "err"), source = place.source, line = place.currentline }
  elseif entered then -- it ended in a tail call, which forgets its line: say where it begins
    place = getinfo(entered, "S")
    problem = { err = rawget(problem, "err"), source = place.source, line = place.linedefined }
  end
  return problem
end

if not for_functions then
  world.__redis__err__handler = describe
end

-- What the host gets: a string, a number, or nil for what it writes itself; true and the bytes of any other reply;
-- the text of an error with the place where it arose, or false and 0.
local function answer(protocol, ok, value)
  if bounds.is_touched then
    bounds.restore()
  end
  if ok then
    local kind = type(value)
    if kind == "string" or kind == "number" or value == nil then
      return value
    end
    local out = {}
    encode(value, out, 0, protocol, host_protocol())
    return true, concat(out)
  end
  local text, source, line = "ERR unknown error", nil, nil
  if type(value) == "table" then -- not where memory ended
    text = type(rawget(value, "err")) == "string" and rawget(value, "err") or text
    source, line = rawget(value, "source"), rawget(value, "line")
  elseif type(value) == "string" then
    text = "ERR " .. value
  end
  return text, source or false, line or 0
end

-- The keys among the words, and the rest of them. `keys_count` below zero: -1 - keys, and the words are in a table,
-- because they are more than the stack holds.
local function divided(keys_count, ...)
  if keys_count < 0 then
    local words = ...
    local keys, arguments = {}, {}
    keys_count = -1 - keys_count
    for i = 1, #words do
      if i <= keys_count then
        keys[i] = words[i]
      else
        arguments[i - keys_count] = words[i]
      end
    end
    return keys, arguments
  end
  local count = select("#", ...)
  if keys_count == 0 then
    return {}, { ... }
  elseif keys_count == count then
    return { ... }, {}
  end
  local keys = { ... }
  for i = keys_count + 1, count do
    keys[i] = nil
  end
  return keys, { select(keys_count + 1, ...) }
end

-- f: a compiled script.
local function run(f, protocol, keys_count, ...)
  is_ended = false
  world.KEYS, world.ARGV = divided(keys_count, ...)
  return answer(protocol, xpcall(f, describe))
end

-- The same with at most two words, which is what most scripts get: in less time.
local function run_few(f, protocol, keys_count, first, second)
  is_ended = false
  if first == nil then
    world.KEYS, world.ARGV = {}, {}
  elseif second == nil then
    if keys_count == 1 then
      world.KEYS, world.ARGV = { first }, {}
    else
      world.KEYS, world.ARGV = {}, { first }
    end
  elseif keys_count == 1 then
    world.KEYS, world.ARGV = { first }, { second }
  else
    world.KEYS, world.ARGV = divided(keys_count, first, second)
  end
  return answer(protocol, xpcall(f, describe))
end

-- f: a function of a library, which gets its keys and arguments as tables.
local function run_function(f, protocol, keys_count, ...)
  is_ended = false
  local keys, arguments = divided(keys_count, ...)
  entered = f
  return answer(protocol, xpcall(function()
    return f(keys, arguments)
  end, describe))
end

-- What the code of a library sees while it is loaded: a way to register functions, and the log.
local loading = setmetatable({}, strict)
local registering = setmetatable({ log = server.log }, strict)
for name, value in next, server do
  if find(name, "^LOG_") or find(name, "VERSION") or name == "SERVER_NAME" then
    registering[name] = value
  end
end

local REGISTER = (server.SERVER_NAME and "server" or "redis") .. ".register_function"

local function flags_of(flags)
  if type(flags) ~= "table" then
    error({ err = "ERR flags argument to " .. REGISTER .. " must be a table representing function flags" })
  end
  local names = {}
  for i = 1, #flags do
    if type(flags[i]) ~= "string" then
      error({ err = "ERR unknown flag given" })
    end
    names[i] = flags[i]
  end
  return concat(names, ",")
end

local function named_arguments(arguments)
  local name, callback, description, flags
  for key, value in next, arguments do
    if type(key) ~= "string" then
      error({ err = "ERR named argument key given to " .. REGISTER .. " is not a string" })
    elseif key == "function_name" then
      if type(value) ~= "string" then
        error({ err = "ERR function_name argument given to " .. REGISTER .. " must be a string" })
      end
      name = value
    elseif key == "description" then
      if type(value) ~= "string" and type(value) ~= "number" then
        error({ err = "ERR description argument given to " .. REGISTER .. " must be a string" })
      end
      description = tostring(value)
    elseif key == "callback" then
      if type(value) ~= "function" then
        error({ err = "ERR callback argument given to " .. REGISTER .. " must be a function" })
      end
      callback = value
    elseif key == "flags" then
      flags = flags_of(value)
    else
      error({ err = "ERR unknown argument given to " .. REGISTER })
    end
  end
  if name == nil then
    error({ err = "ERR " .. REGISTER .. " must get a function name argument" })
  elseif callback == nil then
    error({ err = "ERR " .. REGISTER .. " must get a callback argument" })
  end
  return name, callback, description, flags
end

function registering.register_function(...)
  local count = select("#", ...)
  local name, callback, description, flags = ...
  if count < 1 or count > 2 then
    error({ err = "ERR wrong number of arguments to " .. REGISTER })
  elseif count == 1 then
    if type(name) ~= "table" then
      error({
        err = "ERR calling " .. REGISTER .. " with a single argument is only applicable to Lua table "
          .. "(representing named arguments).",
      })
    end
    name, callback, description, flags = named_arguments(name)
  else
    if type(callback) ~= "function" then
      error({ err = "ERR second argument to " .. REGISTER .. " must be a function" })
    elseif type(name) ~= "string" and type(name) ~= "number" then
      error({ err = "ERR first argument to " .. REGISTER .. " must be a string" })
    end
    name, description, flags = tostring(name), nil, nil
  end
  keep_reserve()
  local problem = host_register(name, callback, description or false, flags or "")
  if problem then
    error({ err = "ERR " .. problem })
  end
end

loading.redis = protect(registering)
if server.SERVER_NAME then
  loading.server = loading.redis
end

-- Run the code of a library, which registers its functions. Answers nil, or a text: "compile" or "run", and why.
local function load_library(body)
  is_ended = false
  local chunk, problem = loadstring(body, "@user_function")
  if not chunk then
    return "compile", problem
  end
  setfenv(chunk, globals)
  globals_metatable.__index = loading
  behind[globals] = loading
  local ok, reason = xpcall(chunk, describe)
  globals_metatable.__index = world
  behind[globals] = world
  bounds.restore()
  if not ok then
    local text = type(reason) == "table" and rawget(reason, "err")
    return "run", type(text) == "string" and text or "ERR unknown error"
  end
  keep_reserve()
  return nil
end

-- The body of a script as a function. `straighten` gets its byte code and answers it without tail calls in the main
-- function: a tail call would forget the line from which it was made.
local function compile_script(body, straighten)
  local made, problem = loadstring(body, "@user_script")
  if not made then
    return nil, problem
  end
  keep_reserve()
  local code = straighten(dump(made))
  local main = code and loadstring(code, "@user_script") or made
  setfenv(main, globals)
  keep_reserve()
  return main
end

-- Watching ----------------------------------------------------------------------------------------------------

local function on_watch()
  keep_reserve()
  local verdict = verdicts[host_tick()]
  if verdict then
    is_ended = true
    watch_mask, watch_count = "l", 0
    sethook(watch, watch_mask, watch_count)
    error(verdict, 0)
  end
end
bounds.check = on_watch

local function begin_watch(every)
  watch, watch_mask, watch_count = on_watch, "", every
  sethook(watch, watch_mask, watch_count)
end

-- Put a library into the world: a chunk that answers a table, which may use all of Lua while it is built.
local function add_library(name, chunk)
  world[name] = protect(chunk())
end

-- Last of all: the runtime's own globals, which no script should ever see, hold nothing.
local function seal()
  local everything = _G
  for name in next, copy(everything) do
    rawset(everything, name, nil)
  end
end

return run, run_few, run_function, compile_script, load_library, begin_watch, add_library, seal, world, globals, protect
