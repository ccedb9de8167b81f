-- One event by GCRA. The key holds when its bucket is full again, in microseconds since 1970 by the clock of Redis, which
-- is the one clock that all nodes share. A full bucket is not kept, unless the time was told: keys expire by the clock alone.
--
-- ARGV: microseconds between two events for long; events at once; 1 to take the event, 0 to ask alone; the time, or "" for now.
-- Answer: 1 if it is allowed, else 0; microseconds until the bucket is full.
local gap, burst, take, told = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
local now = told
if not now then
  local time = redis.call("TIME")
  now = time[1] * 1000000 + time[2]
end
local full = math.max(tonumber(redis.call("GET", KEYS[1]) or "0"), now)
local allowed = full + gap - now <= gap * burst
if allowed and take == "1" then
  full = full + gap
  redis.call("SET", KEYS[1], string.format("%.0f", full))
  if not told then
    redis.call("PEXPIRE", KEYS[1], math.ceil((full - now) / 1000))
  end
end
return {allowed and 1 or 0, full - now}
