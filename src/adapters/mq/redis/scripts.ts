// Lua that runs in Redis. Each call happens as a whole or not at all, which is what makes the effects of this broker single.

/**
 * KEYS stream, mark. ARGV: index of the first message, whether to dedupe, ms to keep the mark, length to trim to or 0, then for each
 * message its id, content type, headers, key and body. The mark is the number of messages of the step that are in the stream: a
 * repetition adds only what lies beyond it. Gives the number of added entries, the first and the last of their ids.
 */
export const publishScript = `
local first, dedupe, ttl, maxlen = tonumber(ARGV[1]), ARGV[2] == '1', ARGV[3], tonumber(ARGV[4])
local done = 0
if dedupe then
  done = tonumber(redis.call('GET', KEYS[2]) or '0')
  if first > done then return redis.error_reply('ERR the messages before these are missing') end
end
local count = (#ARGV - 4) / 5
local added, from, to = 0, false, false
for index = 0, count - 1 do
  if first + index >= done then
    local at = 4 + index * 5
    local entry = { 'XADD', KEYS[1] }
    if maxlen > 0 then
      entry[3] = 'MAXLEN'
      entry[4] = '~'
      entry[5] = maxlen
    end
    entry[#entry + 1] = '*'
    entry[#entry + 1] = 'id'
    entry[#entry + 1] = ARGV[at + 1]
    entry[#entry + 1] = 'content_type'
    entry[#entry + 1] = ARGV[at + 2]
    if ARGV[at + 3] ~= '' then
      entry[#entry + 1] = 'headers'
      entry[#entry + 1] = ARGV[at + 3]
    end
    if ARGV[at + 4] ~= '' then
      entry[#entry + 1] = 'key'
      entry[#entry + 1] = ARGV[at + 4]
    end
    entry[#entry + 1] = 'body'
    entry[#entry + 1] = ARGV[at + 5]
    to = redis.call(unpack(entry))
    from = from or to
    added = added + 1
  end
end
if dedupe and added > 0 then redis.call('SET', KEYS[2], first + count, 'PX', ttl) end
return { added, from or '', to or '' }`;

/**
 * KEYS stream, later. ARGV: group, consumer, how many, ms after which a silent consumer's messages go to others. Takes what is due
 * for a retry, then what was given back or abandoned. Gives the entries as id, deliveries, fields; the last id that the group was
 * given; and ms until the next retry is due, or -1.
 */
export const claimScript = `
local stream, later = KEYS[1], KEYS[2]
local group, consumer, max, silent = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local out = {}
local function claim(id, idle)
  local entries = redis.call('XCLAIM', stream, group, consumer, idle, id)
  if entries[1] then
    local pending = redis.call('XPENDING', stream, group, id, id, 1)
    out[#out + 1] = { id, pending[1][4], entries[1][2] }
  end
end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', later, '-inf', now, 'LIMIT', 0, max)) do
  redis.call('ZREM', later, id)
  if #redis.call('XPENDING', stream, group, id, id, 1) > 0 then claim(id, 0) end
end
local from, pages = '-', 0
while #out < max and pages < 20 do
  local pending = redis.call('XPENDING', stream, group, 'IDLE', silent, from, '+', 500)
  for _, entry in ipairs(pending) do
    if #out >= max then break end
    if not redis.call('ZSCORE', later, entry[1]) then claim(entry[1], silent) end
  end
  if #pending < 500 then break end
  from = '(' .. pending[#pending][1]
  pages = pages + 1
end
local last = '0-0'
for _, info in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
  local facts = {}
  for index = 1, #info, 2 do facts[info[index]] = info[index + 1] end
  if facts['name'] == group then last = facts['last-delivered-id'] end
end
local due = redis.call('ZRANGE', later, 0, 0, 'WITHSCORES')
return { out, last, due[2] and math.max(0, tonumber(due[2]) - now) or -1 }`;

/** KEYS stream. ARGV: group, ids. Acknowledges and deletes. */
export const ackAndDeleteScript = `
redis.call('XDEL', KEYS[1], unpack(ARGV, 2))
return redis.call('XACK', KEYS[1], ARGV[1], unpack(ARGV, 2))`;

/** KEYS stream. ARGV: group, consumer, idle ms, ids. Sets how long they count as idle, if the consumer still has them. */
export const touchScript = `
local touched = 0
for index = 4, #ARGV do
  local id = ARGV[index]
  if #redis.call('XPENDING', KEYS[1], ARGV[1], id, id, 1, ARGV[2]) > 0 then
    redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, id, 'IDLE', ARGV[3], 'JUSTID')
    touched = touched + 1
  end
end
return touched`;

/** KEYS stream, dead letter stream. ARGV: group, whether to delete, id, then fields of the dead letter. */
export const rejectScript = `
if redis.call('XACK', KEYS[1], ARGV[1], ARGV[3]) == 0 then return 0 end
local entry = { 'XADD', KEYS[2], '*' }
for index = 4, #ARGV do entry[#entry + 1] = ARGV[index] end
redis.call(unpack(entry))
if ARGV[2] == '1' then redis.call('XDEL', KEYS[1], ARGV[3]) end
return 1`;

/** KEYS stream, later. ARGV: group, delay ms, id. */
export const laterScript = `
if #redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[3], ARGV[3], 1) == 0 then return 0 end
local time = redis.call('TIME')
redis.call('ZADD', KEYS[2], time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[2], ARGV[3])
return 1`;

/** KEYS stream. ARGV: group, consumer. A consumer that holds nothing is taken off the list. */
export const leaveScript = `
if #redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', 1, ARGV[2]) > 0 then return 0 end
redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[2])
return 1`;

/** KEYS stream. */
export const purgeScript = `
local length = redis.call('XLEN', KEYS[1])
redis.call('XTRIM', KEYS[1], 'MAXLEN', 0)
return length`;
