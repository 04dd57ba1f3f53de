-- $1 block, $2 kind, $3 sealed subject and reason, $4 since, $5 until, $6 by whom
INSERT INTO blocks (id, kind, sealed, since, until, set_by)
VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (id) DO UPDATE SET sealed = excluded.sealed, until = excluded.until, set_by = excluded.set_by
