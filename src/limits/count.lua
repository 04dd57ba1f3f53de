-- What `count_limits` (migrations/0005_limits.sql) does for one request, in Redis. KEYS are its meters; ARGV is the
-- present time, then for each meter: every, slots, most, cost. A value is "until slot count count …". Answers with
-- {entry that refused it, time to wait, 0}, or {0, 0, what the window of the last comes to}.
local present = tonumber(ARGV[1])
local meters = {}

for i, key in ipairs(KEYS) do
    local at = i * 4 - 2
    local m = {
        every = tonumber(ARGV[at]), slots = tonumber(ARGV[at + 1]),
        most = tonumber(ARGV[at + 2]), cost = tonumber(ARGV[at + 3]),
        sum = 0, counts = {},
    }
    local stored = {}
    for number in string.gmatch(redis.call('GET', key) or '0 0', '%d+') do
        stored[#stored + 1] = tonumber(number)
    end
    m.ahead = math.max(stored[1], present)
    m.newest = math.max(stored[2], math.floor(present / m.every))
    m.oldest = m.newest
    local shift = math.min(m.newest - stored[2], m.slots)
    for slot = 1, m.slots do
        local count = slot > shift and stored[2 + slot - shift] or 0
        m.counts[slot] = count
        m.sum = m.sum + count
        if count > 0 then m.oldest = m.newest - slot + 1 end
    end
    meters[i] = m

    local wait = 0
    if m.slots == 0 then
        wait = m.ahead + (m.cost - m.most) * m.every - present
    elseif m.sum + m.cost > m.most then
        wait = (m.oldest + m.slots) * m.every - present
    end
    if wait > 0 then return { i, wait, 0 } end
end

for i, m in ipairs(meters) do
    if m.slots == 0 then
        m.ahead = m.ahead + m.cost * m.every
    else
        m.sum = math.max(m.sum + m.cost, 0)
        m.counts[1] = math.max(m.counts[1] + m.cost, 0)
    end
    if m.cost ~= 0 then
        local value = { string.format('%.0f', m.ahead), string.format('%.0f', m.newest) }
        for slot = 1, m.sum > 0 and m.slots or 0 do
            value[#value + 1] = string.format('%.0f', m.counts[slot])
        end
        local ends = math.max(m.ahead, (m.newest + m.slots) * m.every)
        redis.call('SET', KEYS[i], table.concat(value, ' '), 'PX', string.format('%.0f', (ends - present) / 1000 + 60000))
    end
end
return { 0, 0, #meters > 0 and meters[#meters].sum or 0 }
