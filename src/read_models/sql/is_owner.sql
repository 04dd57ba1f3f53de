-- $1 tables: whether the role of this connection can put others in their place
SELECT has_schema_privilege(current_schema(), 'CREATE') AND bool_and(pg_has_role(c.relowner, 'USAGE'))
  FROM unnest($1::text[]) AS w (name), pg_class AS c
 WHERE c.oid = w.name::regclass
