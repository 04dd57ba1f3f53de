-- $1 how many, $2 whether they are suspended, $3 now, $4 words of the name, $8 a role: of what was examined, those that match, each
-- beside the last that was examined and how many those were
SELECT edge.nth AS examined, edge.date_joined AS edge_date_joined, edge.account_id AS edge_account_id, page.*
  FROM (SELECT * FROM examined ORDER BY nth DESC LIMIT 1) AS edge
  LEFT JOIN (SELECT nth, account_id, phone_number, email, fullname, date_joined, last_login, roles,
                    is_active OR suspended_until <= $3::timestamptz AS is_active,
                    nullif(suspended_until, '9999-12-31T23:59:59Z') AS suspended_until
               FROM examined
              WHERE ($2::boolean IS NULL OR $2 = (NOT is_active AND suspended_until > $3))
                AND ($4::text IS NULL OR search_form(fullname) LIKE ALL ((SELECT search_patterns($4))::text[]))
                AND ($8::text IS NULL OR $8 = ANY (string_to_array(roles, ',')))
              ORDER BY nth
              LIMIT $1) AS page ON true
 ORDER BY page.nth
