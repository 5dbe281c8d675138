/**
 * What Redis does for us in one step each: scripts in its Lua.
 *
 * Keys of a pipeline, all below one base:
 *
 * | key             | is                                                                      |
 * | --------------- | ----------------------------------------------------------------------- |
 * | `waiting:<n>`   | stream of the jobs of priority n, with the consumer group `supervisor`  |
 * | `priorities`    | sorted set of those n                                                   |
 * | `delayed`       | sorted set, `<id in later>:<n>` by the time when it is due              |
 * | `later`         | stream of the delayed jobs                                              |
 * | `takers`        | sorted set of consumers by the time until which they are alive          |
 * | `dead`          | stream of the dead letters                                              |
 * | `dead:ids`      | sorted set, for finding them by the id of their job                     |
 * | `unique:<key>`  | text that goes by itself after the window                               |
 * | `in`            | stream into which strangers put jobs                                    |
 * | `bell`          | stream of one entry: a new one says that there may be something to take |
 *
 * | a job is | as                                                                             |
 * | -------- | ------------------------------------------------------------------------------ |
 * | waiting  | entry that was delivered to nobody, or is pending at the consumer `returned`    |
 * | delayed  | entry of `later`                                                               |
 * | reserved | entry that is pending at the consumer of a daemon                              |
 * | dead     | entry of `dead`                                                                |
 *
 * Invariants: times are those of the server's clock; a script does all or nothing; an entry is
 * acknowledged and deleted in one step, so that what a stream has is what is to do; a job is settled
 * only for the consumer that has it.
 */

const PRELUDE = `
local base = KEYS[1]
local GROUP, BACK = 'supervisor', 'returned'
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local priorities, takers = base .. 'priorities', base .. 'takers'
local delayed, later = base .. 'delayed', base .. 'later'
local dead, dead_ids = base .. 'dead', base .. 'dead:ids'
local function stream(n) return base .. 'waiting:' .. n end
local function ring() redis.call('XADD', base .. 'bell', 'MAXLEN', 1, '*', 'r', 1) end
local function field(entry, name)
  for i = 1, #entry, 2 do
    if entry[i] == name then return entry[i + 1] end
  end
end
local function add(n, entry)
  if redis.call('ZADD', priorities, n, n) == 1 then
    redis.pcall('XGROUP', 'CREATE', stream(n), GROUP, '0', 'MKSTREAM')
  end
  redis.call('XADD', stream(n), '*', unpack(entry))
end
local function store(n, delay, entry)
  if delay <= 0 then return add(n, entry) end
  local id = redis.call('XADD', later, '*', unpack(entry))
  redis.call('ZADD', delayed, string.format('%d', now + delay), id .. ':' .. n)
end
local function release(consumer)
  local left = 1000
  for _, n in ipairs(redis.call('ZRANGE', priorities, 0, -1)) do
    local s = stream(n)
    local pending = redis.call('XPENDING', s, GROUP, '-', '+', left, consumer)
    if #pending > 0 then
      local ids = {}
      for i, one in ipairs(pending) do ids[i] = one[1] end
      ids[#ids + 1] = 'JUSTID'
      redis.call('XCLAIM', s, GROUP, BACK, 0, unpack(ids))
      left = left - #pending
      if left <= 0 then return false end
    end
    redis.call('XGROUP', 'DELCONSUMER', s, GROUP, consumer)
  end
  redis.call('ZREM', takers, consumer)
  return true
end
local function dead_key(id, entry)
  local ms, seq = string.match(entry, '^(%d+)-(%d+)$')
  local zeros = string.rep('0', 40)
  return id .. '\\0' .. string.sub(zeros .. ms, -20) .. '-' .. string.sub(zeros .. seq, -20)
end
local function find_dead(id, last)
  local command = last and 'ZREVRANGEBYLEX' or 'ZRANGEBYLEX'
  local from, to = '[' .. id .. '\\0', '[' .. id .. '\\0' .. '\\255'
  if last then from, to = to, from end
  for _, key in ipairs(redis.call(command, dead_ids, from, to)) do
    if #key == #id + 42 then
      local ms, seq = string.match(string.sub(key, -41), '^0*(%d+)%-0*(%d+)$')
      return ms .. '-' .. seq, key
    end
  end
end
`;

/** ARGV, for each job: priority, delay, "" or "=" and its key, its window, meta, payload. */
const PUSH = `
for i = 1, #ARGV, 6 do
  local key, is_new = ARGV[i + 2], true
  if key ~= '' then
    local name = base .. 'unique:' .. string.sub(key, 2)
    is_new = redis.call('SET', name, '1', 'NX', 'PX', ARGV[i + 3])
  end
  if is_new then
    store(ARGV[i], tonumber(ARGV[i + 1]), {'m', ARGV[i + 4], 'p', ARGV[i + 5], 'a', '1'})
  end
end
ring()
return 1
`;

/**
 * ARGV: consumer, most, priority of strangers. Returns 0 when the consumer is not alive any more;
 * else the entries as {priority, id, fields}, milliseconds until there may be more or -1, and the bell.
 */
const TAKE = `
local consumer, left, preset = ARGV[1], tonumber(ARGV[2]), ARGV[3]
if not redis.call('ZSCORE', takers, consumer) then return 0 end
for _, member in ipairs(redis.call('ZRANGEBYSCORE', delayed, '-inf', now, 'LIMIT', 0, 200)) do
  local id, n = string.match(member, '^([^:]+):(.+)$')
  local entry = redis.call('XRANGE', later, id, id)[1]
  if entry then add(n, entry[2]) end
  redis.call('XDEL', later, id)
  redis.call('ZREM', delayed, member)
end
for _, entry in ipairs(redis.call('XRANGE', base .. 'in', '-', '+', 'COUNT', 100)) do
  local fields = entry[2]
  local n, delay = tonumber(field(fields, 'priority') or ''), tonumber(field(fields, 'delay') or '')
  if delay ~= delay then delay = 0 end
  local is_whole = n and n >= 1 and n <= 9007199254740991 and n == math.floor(n)
  fields[#fields + 1], fields[#fields + 2] = 'from', entry[1]
  delay = math.max(0, math.min(delay or 0, 3153600000))
  store(is_whole and string.format('%.0f', n) or preset, math.floor(delay * 1000), fields)
  redis.call('XDEL', base .. 'in', entry[1])
end
for _, gone in ipairs(redis.call('ZRANGEBYSCORE', takers, '-inf', now, 'LIMIT', 0, 10)) do
  if gone ~= consumer then release(gone) end
end
local out, bytes, chunk = {}, 0, 1
local function collect(n, entries)
  for _, entry in ipairs(entries) do
    for _, text in ipairs(entry[2]) do bytes = bytes + #text end
    out[#out + 1] = {n, entry[1], entry[2]}
    left = left - 1
  end
  chunk = 16
end
local function may() return left > 0 and bytes < 8388608 end
for _, n in ipairs(redis.call('ZRANGE', priorities, 0, -1)) do
  local s = stream(n)
  while may() do
    local pending = redis.call('XPENDING', s, GROUP, '-', '+', math.min(left, chunk), BACK)
    if #pending == 0 then break end
    for _, one in ipairs(pending) do
      local entry = redis.call('XRANGE', s, one[1], one[1])
      if #entry == 0 then
        redis.call('XACK', s, GROUP, one[1])
      else
        redis.call('XCLAIM', s, GROUP, consumer, 0, one[1], 'JUSTID')
        collect(n, entry)
      end
    end
  end
  while may() do
    local count = math.min(left, chunk)
    local read = redis.call('XREADGROUP', 'GROUP', GROUP, consumer, 'COUNT', count, 'STREAMS', s, '>')
    if not read or #read[1][2] == 0 then break end
    collect(n, read[1][2])
  end
  if redis.call('XLEN', s) == 0 then
    redis.call('DEL', s)
    redis.call('ZREM', priorities, n)
  end
  if not may() then break end
end
if #out > 0 then return {out, -1, ''} end
local first
local function at(time)
  time = tonumber(time)
  if time and (not first or time < first) then first = time end
end
at(redis.call('ZRANGE', delayed, 0, 0, 'WITHSCORES')[2])
local alive = redis.call('ZRANGE', takers, 0, 1, 'WITHSCORES')
for i = 1, #alive, 2 do
  if alive[i] ~= consumer then at(alive[i + 1]) end
end
local bell = redis.call('XREVRANGE', base .. 'bell', '+', '-', 'COUNT', 1)[1]
return {out, first and math.max(1, first - now + 1) or -1, bell and bell[1] or '0-0'}
`;

/**
 * ARGV, for each: kind, consumer, priority, entry, and, where there is more to it than the end: delay,
 * attempt, error, meta, "=" and another payload, id of the job. Returns for each whether the consumer
 * had it.
 */
const SETTLE = `
local out = {}
for i = 1, #ARGV, 10 do
  local kind, consumer, n, id = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  local s = stream(n)
  local pending = redis.pcall('XPENDING', s, GROUP, id, id, 1, consumer)
  local has = not pending.err and #pending == 1
  if has and kind == 'back' then
    redis.call('XCLAIM', s, GROUP, BACK, 0, id, 'JUSTID')
    ring()
  elseif has then
    local entry
    if kind ~= 'gone' then entry = redis.call('XRANGE', s, id, id)[1] end
    if kind ~= 'gone' and not entry then
      has = false
    elseif entry then
      local payload = ARGV[i + 8]
      if payload == '' then payload = field(entry[2], 'p') or field(entry[2], 'payload')
      else payload = string.sub(payload, 2) end
      local new = {'m', ARGV[i + 7], 'p', payload, 'a', ARGV[i + 5]}
      if ARGV[i + 6] ~= '' then new[7], new[8] = 'e', ARGV[i + 6] end
      if kind == 'again' then
        store(n, tonumber(ARGV[i + 4]), new)
        ring()
      else
        new[#new + 1], new[#new + 2] = 'w', n
        local at = redis.call('XADD', dead, '*', unpack(new))
        redis.call('ZADD', dead_ids, 0, dead_key(ARGV[i + 9], at))
      end
    end
    redis.call('XACK', s, GROUP, id)
    redis.call('XDEL', s, id)
  end
  out[#out + 1] = has and 1 or 0
end
return out
`;

/** ARGV: consumer, milliseconds, "1" when it is new. Returns 0 when it is not alive any more. */
const BEAT = `
if ARGV[3] ~= '1' and not redis.call('ZSCORE', takers, ARGV[1]) then return 0 end
redis.call('ZADD', takers, string.format('%d', now + tonumber(ARGV[2])), ARGV[1])
return 1
`;

/** ARGV: consumer. Returns 1 when nothing is left at it, 0 when it is to be called again. */
const LEAVE = `
local over = release(ARGV[1])
ring()
return over and 1 or 0
`;

/** ARGV: consumer, then priority and id of each job that it knows to have; others are handed back. */
const RECLAIM = `
local known = {}
for i = 2, #ARGV, 2 do known[ARGV[i] .. ' ' .. ARGV[i + 1]] = true end
for _, n in ipairs(redis.call('ZRANGE', priorities, 0, -1)) do
  local s, from = stream(n), '-'
  while true do
    local pending = redis.call('XPENDING', s, GROUP, from, '+', 1000, ARGV[1])
    for _, one in ipairs(pending) do
      if not known[n .. ' ' .. one[1]] then
        redis.call('XCLAIM', s, GROUP, BACK, 0, one[1], 'JUSTID')
      end
      from = '(' .. one[1]
    end
    if #pending < 1000 then break end
  end
end
ring()
return 1
`;

/** Returns waiting, delayed, reserved, dead. */
const STAT = `
local waiting, reserved = redis.call('XLEN', base .. 'in'), 0
for _, n in ipairs(redis.call('ZRANGE', priorities, 0, -1)) do
  local held = 0
  for _, one in ipairs(redis.call('XPENDING', stream(n), GROUP)[4] or {}) do
    if one[1] ~= BACK then held = held + tonumber(one[2]) end
  end
  reserved = reserved + held
  waiting = waiting + redis.call('XLEN', stream(n)) - held
end
local due = redis.call('ZCOUNT', delayed, '-inf', now)
return {waiting + due, redis.call('ZCARD', delayed) - due, reserved, redis.call('XLEN', dead)}
`;

/** ARGV: most, then perhaps the id after which. Returns entries. */
const DEAD = `
local from, left, out, bytes = '-', tonumber(ARGV[1]), {}, 0
if ARGV[2] then
  from = find_dead(ARGV[2], true)
  if not from then return out end
  from = '(' .. from
end
while left > 0 and bytes < 67108864 do
  local entries = redis.call('XRANGE', dead, from, '+', 'COUNT', math.min(left, 16))
  for _, entry in ipairs(entries) do
    for _, text in ipairs(entry[2]) do bytes = bytes + #text end
    out[#out + 1] = entry
    from = '(' .. entry[1]
  end
  left = left - #entries
  if #entries == 0 then break end
end
return out
`;

/** ARGV: id, "retry" or "drop". Returns whether there was one. */
const RAISE = `
local at, key = find_dead(ARGV[1], false)
if not at then return 0 end
local entry = redis.call('XRANGE', dead, at, at)[1]
redis.call('ZREM', dead_ids, key)
redis.call('XDEL', dead, at)
if not entry then return 0 end
if ARGV[2] == 'retry' then
  local of = entry[2]
  add(field(of, 'w'), {'m', field(of, 'm'), 'p', field(of, 'p'), 'a', '1'})
  ring()
end
return 1
`;

const BODIES = {
  push: PUSH,
  take: TAKE,
  settle: SETTLE,
  beat: BEAT,
  leave: LEAVE,
  reclaim: RECLAIM,
  stat: STAT,
  dead: DEAD,
  raise: RAISE,
};

/** Names of the scripts. */
export type ScriptName = keyof typeof BODIES;

/** The scripts, whole. */
export const SCRIPTS = Object.fromEntries(
  Object.entries(BODIES).map(([name, body]) => [name, PRELUDE + body]),
) as Readonly<Record<ScriptName, string>>;
