-- $1 a time, $2 a session, $3 how many at most: the sessions that ended after those, in their order, and the present snapshot,
-- always at least one row
SELECT pg_current_snapshot()::text AS seen, r.session_id, r.revoked_at, r.expires_at
  FROM (SELECT) AS always
  LEFT JOIN LATERAL (
           SELECT session_id, revoked_at, expires_at
             FROM revoked_tokens
            WHERE (revoked_at, session_id) > ($1, $2)
            ORDER BY revoked_at, session_id
            LIMIT $3) AS r
    ON true
