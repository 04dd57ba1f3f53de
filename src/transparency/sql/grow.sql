-- $1 after which number, $2 how many
SELECT leaf FROM ledger WHERE seq > $1 AND seq <= $1 + $2 ORDER BY seq
