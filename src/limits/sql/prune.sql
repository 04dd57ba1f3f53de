-- What is being counted on at this moment is passed over, so that no request waits for this statement, and this statement for no request.
WITH old_alarms AS (DELETE FROM alarms WHERE at < $1::timestamptz - interval '30 days')
DELETE FROM limits
 WHERE key IN (SELECT key FROM limits WHERE kept_until < $1 FOR UPDATE SKIP LOCKED);
