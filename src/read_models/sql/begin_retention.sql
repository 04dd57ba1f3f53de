-- $1, $2 the times before which network data and history are not kept: begins with the first account where one of them has moved on.
-- They never move back: what was removed does not return when a setting changes.
UPDATE retention
   SET network_data_before = greatest(network_data_before, $1), history_before = greatest(history_before, $2),
       done_to = '00000000-0000-0000-0000-000000000000'
 WHERE network_data_before < $1 OR history_before < $2
