-- $1 accounts, $2 a session of each, $3 when it was last used, in the order of the accounts and sessions. A session that is not in the
-- list of devices any more, since its account was erased, gets no row.
INSERT INTO session_uses AS u (account_id, session_id, used_at)
SELECT n.*
  FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[]) AS n (account_id, session_id, used_at)
 WHERE EXISTS (SELECT FROM user_logins AS l WHERE l.account_id = n.account_id AND l.session_id = n.session_id)
    ON CONFLICT (account_id, session_id) DO UPDATE SET used_at = excluded.used_at WHERE u.used_at < excluded.used_at
