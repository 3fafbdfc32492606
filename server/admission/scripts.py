"""The book in Redis: what `book` does, in Lua, each in one atomic step.

Keys of one account share a hash tag, so that a cluster keeps them together:
    window   sorted set   lease -> when it was admitted
    leases   sorted set   lease -> when it expires unless renewed
    tokens   hash         lease -> tokens, where the plan limits them
    refunds  sorted set   lease -> when its place was given back
Times are seconds of Redis's own clock, so that replicas need not agree on one; a test passes its own. -1: no limit.
"""

from server.admission.book import WINDOW

_COMMON = f"""
local SPAN = {WINDOW:.0f}
local function instant(given)
  if given ~= '' then return tonumber(given) end
  local time = redis.call('TIME')
  return tonumber(time[1]) + tonumber(time[2]) / 1000000
end
local function text(number) return string.format('%.6f', number) end  -- tostring would round a time to 0.1 ms
"""

# KEYS window leases tokens
# ARGV lease now requests concurrency tokens cost ttl     windowed iff requests or tokens are limited
# Answers {obstacle or '', requests, running, seconds until the obstacle goes, seconds until the oldest request leaves}.
ACQUIRE = (
    _COMMON
    + """
local window, leases, spent = KEYS[1], KEYS[2], KEYS[3]
local lease, now = ARGV[1], instant(ARGV[2])
local max_requests, max_running, max_tokens = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local cost, ttl = tonumber(ARGV[6]), tonumber(ARGV[7])
local windowed = max_requests >= 0 or max_tokens >= 0

for _, past in ipairs(redis.call('ZRANGEBYSCORE', window, '-inf', text(now - SPAN))) do
  redis.call('ZREM', window, past)
  redis.call('HDEL', spent, past)
end
redis.call('ZREMRANGEBYSCORE', leases, '-inf', text(now))

local function leaves(rank)  -- seconds until the request of this rank, 0 being the oldest, leaves the window
  local entry = redis.call('ZRANGE', window, rank, rank, 'WITHSCORES')
  return entry[2] and tonumber(entry[2]) + SPAN - now or 0
end

local function token_wait()
  local amounts, used, wait = {}, 0, 0
  local flat = redis.call('HGETALL', spent)
  for i = 1, #flat, 2 do
    amounts[flat[i]] = tonumber(flat[i + 1])
    used = used + amounts[flat[i]]
  end
  for rank, entry in ipairs(redis.call('ZRANGE', window, 0, -1)) do
    if used == 0 or used + cost <= max_tokens then break end
    used = used - (amounts[entry] or 0)
    wait = leaves(rank - 1)
  end
  return wait
end

local function obstacle()
  local requests = redis.call('ZCARD', window)
  if max_requests >= 0 and requests >= max_requests then return 'requests', leaves(requests - max_requests) end
  if max_tokens >= 0 then
    local wait = token_wait()
    if wait > 0 then return 'tokens', wait end
  end
  if max_running >= 0 and redis.call('ZCARD', leases) >= max_running then return 'concurrency', 0 end
  return '', 0
end

local found, wait = obstacle()
if found == '' then
  redis.call('ZADD', leases, text(now + ttl), lease)
  redis.call('EXPIRE', leases, math.ceil(ttl) + 1)
  if windowed then
    redis.call('ZADD', window, text(now), lease)
    redis.call('EXPIRE', window, SPAN + 1)
  end
  if max_tokens >= 0 then
    redis.call('HSET', spent, lease, cost)
    redis.call('EXPIRE', spent, SPAN + 1)
  end
end
return {found, redis.call('ZCARD', window), redis.call('ZCARD', leases), text(wait), text(leaves(0))}
"""
)

# KEYS window leases
# ARGV now
# Answers as ACQUIRE does, of an account that asks for nothing.
STANDING = (
    _COMMON
    + """
local now = instant(ARGV[1])
local since = '(' .. text(now - SPAN)
local oldest = redis.call('ZRANGEBYSCORE', KEYS[1], since, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
local reset = oldest[2] and tonumber(oldest[2]) + SPAN - now or 0
local running = redis.call('ZCOUNT', KEYS[2], '(' .. text(now), '+inf')
return {'', redis.call('ZCOUNT', KEYS[1], since, '+inf'), running, '0', text(reset)}
"""
)

# KEYS window leases tokens refunds
# ARGV lease now settling cap tokens
SETTLE = (
    _COMMON
    + """
local window, leases, spent, refunds = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local lease, now, settling = ARGV[1], instant(ARGV[2]), ARGV[3]
local cap, tokens = tonumber(ARGV[4]), tonumber(ARGV[5])

redis.call('ZREM', leases, lease)
redis.call('ZREMRANGEBYSCORE', refunds, '-inf', text(now - SPAN))
local admitted = redis.call('ZSCORE', window, lease)
local counts = admitted and tonumber(admitted) > now - SPAN
if counts and (settling == 'undo' or settling == 'refund' and redis.call('ZCARD', refunds) < cap) then
  redis.call('ZREM', window, lease)
  redis.call('HDEL', spent, lease)
  if settling == 'refund' then
    redis.call('ZADD', refunds, text(now), lease)
    redis.call('EXPIRE', refunds, SPAN + 1)
  end
elseif tokens >= 0 and redis.call('HEXISTS', spent, lease) == 1 then
  redis.call('HSET', spent, lease, tokens)
end
"""
)

# KEYS leases
# ARGV now ttl lease...
# Also brings back leases that a restart of Redis has lost.
RENEW = (
    _COMMON
    + """
local expiry = text(instant(ARGV[1]) + tonumber(ARGV[2]))
for i = 3, #ARGV do redis.call('ZADD', KEYS[1], expiry, ARGV[i]) end
redis.call('EXPIRE', KEYS[1], math.ceil(tonumber(ARGV[2])) + 1)
"""
)
