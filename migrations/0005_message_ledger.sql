-- What messages cost: a row for each day (UTC), gateway, channel, country and prefix (a phone number without its last four
-- digits; empty for e-mail). Who got them is not in it. Prices are whole millionths of the currency of the settings.
CREATE TABLE message_ledger (
    day      date   NOT NULL,
    gateway  text COLLATE "C" NOT NULL,
    channel  text COLLATE "C" NOT NULL,
    country  text COLLATE "C" NOT NULL,
    prefix   text COLLATE "C" NOT NULL,
    messages bigint NOT NULL,
    cost     bigint NOT NULL,
    PRIMARY KEY (day, gateway, channel, country, prefix)
);
