-- $1 name, $2 whether it begins at the beginning of the ledger
INSERT INTO listeners (name, seq)
SELECT $1, CASE WHEN $2 THEN 0 ELSE s.seq END FROM sequencer AS s
    ON CONFLICT (name) DO NOTHING
