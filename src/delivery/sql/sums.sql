-- $1 since which day; whether by $2 gateway, $3 country, $4 prefix
SELECT day, gateway, country, prefix, sum(messages)::bigint AS messages, sum(cost)::bigint AS cost
  FROM (SELECT day, CASE WHEN $2::bool THEN gateway ELSE '' END AS gateway, CASE WHEN $3::bool THEN country ELSE '' END AS country,
               CASE WHEN $4::bool THEN prefix ELSE '' END AS prefix, messages, cost
          FROM message_ledger
         WHERE day >= $1) of_day
 GROUP BY day, gateway, country, prefix
 ORDER BY day DESC, messages DESC, gateway, country, prefix
