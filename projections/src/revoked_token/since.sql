-- $1 a snapshot, $2 now: the sessions that the snapshot does not know, and the present snapshot, always at least one row
SELECT pg_current_snapshot()::text AS seen, r.session_id, r.expires_at
  FROM (SELECT $1::text::pg_snapshot AS seen) AS last
  LEFT JOIN LATERAL (
           SELECT session_id, expires_at
             FROM revoked_tokens
            WHERE transaction_id >= pg_snapshot_xmax(last.seen)
           UNION ALL
           SELECT session_id, expires_at
             FROM pg_snapshot_xip(last.seen) AS unfinished (id),
                  LATERAL (SELECT * FROM revoked_tokens WHERE transaction_id = unfinished.id OFFSET 0) AS revoked_tokens
           OFFSET 0) AS r
    ON r.expires_at > $2
