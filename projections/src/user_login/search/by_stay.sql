-- $10 how many to examine at most, $11, $12, $13 the beginning of a stay, its session and its address before which to begin.
-- A session may have stayed there more than once: the stay that counts is the one that went on at $2.
WITH examined AS (
    SELECT row_number() OVER (ORDER BY s.ip_address DESC, s.since DESC, s.session_id DESC) AS nth, s.since AS place,
           s.since <= $2
           AND NOT EXISTS (SELECT FROM stays AS later
                            WHERE later.account_id = s.account_id AND later.session_id = s.session_id
                              AND later.since > s.since AND later.since <= $2) AS is_held,
           s.account_id, s.session_id, s.ip_address, l.channel, l.device_name, l.user_agent, l.signed_in_at, l.last_seen_at,
           l.expires_at, l.ended_at, l.end_reason, l.ended_by
      FROM (SELECT *
              FROM stays
             WHERE (ip_address, since, session_id) < ($13::inet, $11::timestamptz, $12::uuid)
               AND ip_address >= $8::inet
             ORDER BY ip_address DESC, since DESC, session_id DESC
             LIMIT $10) AS s
      LEFT JOIN LATERAL (SELECT *
                           FROM user_logins
                          WHERE account_id = s.account_id AND session_id = s.session_id
                            -- A session that came later is not looked up.
                            AND s.since <= $2
                         OFFSET 0) AS l ON true)
