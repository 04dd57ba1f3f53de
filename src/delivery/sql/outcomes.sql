-- $1 the seconds of an hour or a day, $2 since, $3 until
SELECT date_bin(make_interval(secs => $1), hour, 'epoch') AS since, sum(sent)::bigint AS sent,
       sum(failed)::bigint AS failed, sum(expired)::bigint AS expired, sum(replaced)::bigint AS replaced
  FROM message_outcomes
 WHERE hour >= $2 AND hour < $3
 GROUP BY 1
