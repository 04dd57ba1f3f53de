-- $1 accounts, $2 a session of each, $3 when it was last used, in the order of the accounts and sessions
INSERT INTO session_uses AS u (account_id, session_id, used_at)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[])
    ON CONFLICT (account_id, session_id) DO UPDATE SET used_at = excluded.used_at WHERE u.used_at < excluded.used_at
