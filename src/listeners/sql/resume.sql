-- $1 name
UPDATE listeners SET retry_at = NULL WHERE name = $1
