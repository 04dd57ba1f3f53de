-- $1 `hour` or `day`, $2 since, $3 until
SELECT * FROM statistics WHERE span = $1 AND since >= $2 AND since < $3
