-- Refusals by access rules, among the sums of each hour and day. There were none before, so no rebuild is needed.
ALTER TABLE statistics ADD COLUMN refused_by_rule bigint NOT NULL DEFAULT 0;
