-- $1 now, $2 the time before which blocks ended that are forgotten
WITH over AS (UPDATE blocks SET ended_at = until WHERE ended_at IS NULL AND until < $1)
DELETE FROM blocks WHERE ended_at < $2
