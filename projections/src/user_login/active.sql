-- $1 account, $2 now: the sessions that are live, the last used first
SELECT session_id, device_name, user_agent, ip_address, signed_in_at, seen.at AS last_seen_at, expires_at
  FROM user_logins AS l,
       LATERAL (SELECT greatest(l.last_seen_at,
                                (SELECT used_at
                                   FROM session_uses
                                  WHERE account_id = l.account_id AND session_id = l.session_id)) AS at) AS seen
 WHERE account_id = $1 AND ended_at IS NULL AND expires_at > $2
 ORDER BY seen.at DESC, session_id DESC
