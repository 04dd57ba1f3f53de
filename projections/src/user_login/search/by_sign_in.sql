-- $10 how many to examine at most, $11, $12 the sign-in and the session before which to begin
WITH examined AS (
    SELECT row_number() OVER (ORDER BY signed_in_at DESC, session_id DESC) AS nth, signed_in_at AS place, true AS is_held, *
      FROM user_logins
     WHERE (signed_in_at, session_id) < ($11::timestamptz, $12::uuid)
       AND signed_in_at >= $6::timestamptz
     ORDER BY signed_in_at DESC, session_id DESC
     LIMIT $10)
