-- $1 account: a write that changes nothing, and waits for what a commit waits for
UPDATE heads SET version = version WHERE account_id = $1
