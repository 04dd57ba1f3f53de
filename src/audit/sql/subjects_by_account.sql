-- $8 actor or null, $9, $10 the first and the last address or null, $11 account
WITH found AS (
    SELECT seq
      FROM event_subjects
     WHERE account_id = $11 AND seq > $2 AND seq <= $3
       AND ($4::timestamptz IS NULL OR at >= $4) AND ($5::timestamptz IS NULL OR at < $5)
       AND ($7::text[] IS NULL OR event_type = ANY ($7)) AND ($8::text IS NULL OR actor = $8)
       AND ($9::inet IS NULL OR ip_address BETWEEN $9 AND $10::inet)
     ORDER BY seq
     LIMIT $6)
