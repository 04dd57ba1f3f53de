-- $1 hashes of the identifier, $2 since when
SELECT kind, first_at, last_at, until, times FROM code_stops WHERE identifier = ANY ($1) AND last_at > $2 ORDER BY last_at DESC, kind
