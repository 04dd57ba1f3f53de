-- $1 now: codes that have expired are not sent any more
DELETE FROM outbox WHERE expires_at < $1
