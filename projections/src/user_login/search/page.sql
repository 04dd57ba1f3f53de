-- $1 how many, $2 a time at which they were active, $3 whether they are active now, $4 now, $5 words of the device's name,
-- $6 since, $7 until, $8, $9 the first and the last address: of what was examined, those that match, each beside the last
-- that was examined and how many those were. The address of a session is the one that it had at $2; without such a time,
-- the one that it was last used from.
SELECT edge.nth AS examined, edge.place AS edge_place, edge.session_id AS edge_session_id,
       edge.ip_address AS edge_ip_address, page.*
  FROM (SELECT * FROM examined ORDER BY nth DESC LIMIT 1) AS edge
  LEFT JOIN (SELECT nth, place, account_id, session_id, channel, device_name, user_agent, held_address AS ip_address,
                    signed_in_at,
                    greatest(last_seen_at,
                             (SELECT used_at
                                FROM session_uses
                               WHERE account_id = sessions.account_id AND session_id = sessions.session_id))
                        AS last_seen_at,
                    expires_at, ended_at, end_reason, ended_by,
                    $4::timestamptz < least(expires_at, ended_at) AS is_active
               FROM (SELECT examined.*,
                            CASE WHEN $2::timestamptz IS NULL THEN ip_address
                                 ELSE (SELECT held.ip_address
                                         FROM stays AS held
                                        WHERE held.account_id = examined.account_id
                                          AND held.session_id = examined.session_id AND held.since <= $2
                                        ORDER BY held.since DESC
                                        LIMIT 1)
                             END AS held_address
                       FROM examined) AS sessions
              WHERE is_held AND signed_in_at >= $6::timestamptz AND signed_in_at < $7::timestamptz
                AND ($2 IS NULL OR signed_in_at <= $2 AND $2 < least(expires_at, ended_at))
                AND ($3::boolean IS NULL OR $3 = ($4 < least(expires_at, ended_at)))
                AND ($5::text IS NULL
                     OR search_form(coalesce(device_name, user_agent)) LIKE ALL ((SELECT search_patterns($5))::text[]))
                AND ($8::inet IS NULL OR held_address BETWEEN $8 AND $9::inet)
              ORDER BY nth
              LIMIT $1) AS page ON true
 ORDER BY page.nth
