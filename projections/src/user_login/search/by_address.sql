-- $10 how many to examine at most, $11, $12, $13 the sign-in, the session and the address before which to begin
WITH examined AS (
    SELECT row_number() OVER (ORDER BY ip_address DESC, signed_in_at DESC, session_id DESC) AS nth,
           signed_in_at AS place, true AS is_held, *
      FROM user_logins
     WHERE (ip_address, signed_in_at, session_id) < ($13::inet, $11::timestamptz, $12::uuid)
       AND ip_address >= $8::inet
     ORDER BY ip_address DESC, signed_in_at DESC, session_id DESC
     LIMIT $10)
