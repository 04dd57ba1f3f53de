-- How many processes are connected to this database under the service's name, and how many connections the server gives.
SELECT (SELECT count(DISTINCT application_name)
          FROM pg_stat_activity
         WHERE datname = current_database() AND application_name LIKE 'counterfoil %') AS nodes,
       (current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int)::bigint AS most
