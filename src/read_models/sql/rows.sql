-- $1 how many to count at most
SELECT (SELECT count(*) FROM (SELECT FROM {table} LIMIT $1) AS few) AS counted,
       greatest(c.reltuples::bigint, pg_stat_get_live_tuples(c.oid)) AS estimated
  FROM pg_class AS c
 WHERE c.oid = '{table}'::regclass
