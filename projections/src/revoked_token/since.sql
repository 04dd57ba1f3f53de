-- $1 a snapshot, $2 from when on sessions matter, $3 how many at most: the sessions that the snapshot does not know, and the
-- present snapshot, always at least one row
SELECT pg_current_snapshot()::text AS seen, r.session_id, r.revoked_at, r.expires_at
  FROM (SELECT $1::text::pg_snapshot AS seen) AS last
  LEFT JOIN LATERAL (
           SELECT session_id, revoked_at, expires_at
             FROM revoked_tokens
            WHERE transaction_id >= pg_snapshot_xmax(last.seen) AND revoked_at > $2
           UNION ALL
           SELECT session_id, revoked_at, expires_at
             FROM pg_snapshot_xip(last.seen) AS unfinished (id),
                  LATERAL (SELECT * FROM revoked_tokens WHERE transaction_id = unfinished.id OFFSET 0) AS revoked_tokens
            WHERE revoked_at > $2
            LIMIT $3) AS r
    ON true
