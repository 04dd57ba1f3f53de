-- $1 how many: the next accounts from which something is to be removed; no row where all are done
SELECT network_data_before,
       ARRAY(SELECT account_id FROM heads WHERE account_id > done_to ORDER BY account_id LIMIT $1) AS accounts
  FROM retention
 WHERE done_to IS NOT NULL
