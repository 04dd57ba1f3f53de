-- $1 accounts, $2 a session of each
SELECT w.account_id, w.session_id, d.hour
  FROM unnest($1::uuid[], $2::uuid[]) AS w (account_id, session_id),
       LATERAL (SELECT hour FROM {devices} WHERE account_id = w.account_id AND session_id = w.session_id OFFSET 0) AS d
