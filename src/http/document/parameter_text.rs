//! What the parameters of paths and queries are for, by their names. Where a name means something else in one operation, that operation
//! has a line of its own.

/// Returns what a parameter of an operation is for; `None` for a name that only routes of an embedding program have.
pub fn parameter_text(operation: &str, name: &str) -> Option<&'static str> {
    Some(match (name, operation) {
        ("account_id", _) => "Only of this account, by its id.",
        ("acknowledged", _) => {
            "Only alarms that staff have taken note of (`true`), or only the others (`false`)."
        }
        ("active", "blocks") => "Only blocks that hold now (`true`), or only those that are over (`false`).",
        ("active", _) => "Only sessions that work now (`true`), or only those that have ended (`false`).",
        ("actor", _) => {
            "Only what this member of staff or program did: the id of an account, `operator:NAME` or `service:NAME`."
        }
        ("after", "history" | "accountSteps") => {
            "After which number the page begins: `next` of the page before it."
        }
        ("after", _) => "After which position of the log to begin: `next` of the page before it.",
        ("at", "accountAt") => {
            "The time at which the account is shown; now, where neither a time nor a step is given."
        }
        ("at", "evidence") => "The time at which the account is looked at; now, where it is absent.",
        ("at", _) => "Only sessions that worked at this time, each with the address that it had then.",
        ("below", _) => "Only checkpoints of fewer events than these: `next` of the page before it.",
        ("block", _) => "The id of the block.",
        ("bom", _) => {
            "Whether CSV begins with a byte order mark, by which spreadsheets know that it is UTF-8: `1` or `0`."
        }
        ("by", _) => "How much time is counted together: `hour` or `day`.",
        ("case", _) => "The number of the case in the ticket system of the staff, unless the body gives it.",
        ("channel", _) => {
            "Only messages to phone numbers (`phone`), or only those to e-mail addresses (`email`)."
        }
        ("country", "messages") => "Only messages to numbers of this country (ISO 3166-1 alpha-2).",
        ("country", _) => "The limits of this country (ISO 3166-1 alpha-2).",
        ("cursor", _) => {
            "Where the page begins: `next` of the page before it. The first page where it is absent."
        }
        ("device_name", _) => {
            "Only devices with all of these words in their names, or in their user agents where they have no name."
        }
        ("dry_run", _) => "Whether sessions are only counted and shown, and none is ended.",
        ("email", "identifier") => "The e-mail address that is asked about; either this or `phone_number`.",
        ("email", "limits") => "The limits of this address's mailbox and of its mail domain.",
        ("email", _) => "Only of the account that has this e-mail address, or of messages to it.",
        ("expected", _) => "How many sessions the dry run found. Where more match now, nothing is ended.",
        ("format", _) => {
            "`json`, `ndjson` (a line an event) or `csv`; where it is absent, `Accept` says which."
        }
        ("from", _) => "How many events the smaller tree has.",
        ("fullname", _) => "Only people with all of these words in their names, in any order and any case.",
        ("gateway", _) => "Only messages that this gateway took, or refused.",
        ("id", "acknowledgeAlarm") => "The id of the alarm.",
        ("id", "signOutDevice" | "renameDevice" | "endDeviceSession") => "The id of the device session.",
        ("id", _) => "The id of the account.",
        ("identifier", _) => "The phone number or the e-mail address, in any spelling.",
        ("ip_address", "limits") => "The limits of this address, and of its network where it has some.",
        ("ip_address", _) => "Only from this address, or from this network in CIDR notation.",
        ("level", _) => "The level of the tile: at 0 the hashes are leaves.",
        ("limit", _) => "How many items a page has at most; 50 where it is absent.",
        ("link", _) => "What the link in the message ends with.",
        ("name", _) => "The name of the read model.",
        ("order", _) => "`asc`: in the order of the log. `desc`: the last event first.",
        ("phone_number", "identifier") => "The number that is asked about; either this or `email`.",
        ("phone_number", "limits") => "The limits of this number's prefix.",
        ("phone_number", _) => "Only of the account that has this number, or of messages to it.",
        ("prefix", _) => "The limits of every prefix that begins with these digits, country code first.",
        ("proposal", _) => "The id of the proposed change.",
        ("reason", _) => {
            "Why it is done or looked at, unless the body or the header `X-Audit-Reason` says it."
        }
        ("role", _) => "Only accounts with this role.",
        ("seq", _) => "The number of the event in the log, from 1.",
        ("since", _) => "Only from this time on.",
        ("size", _) => "How many events the tree has; the present number where it is absent.",
        ("state", "accounts") => {
            "Only accounts that can be used (`active`), or only those that are `suspended`."
        }
        ("state", _) => {
            "Only messages of which this became: `waiting`, `sent`, `failed`, `expired` or `replaced`."
        }
        ("step", _) => "After which of its events the account is shown, from 1; instead of a time.",
        ("subject", "limits") => "The limits of this subject, as the list shows it, or `service`.",
        ("subject", _) => {
            "An IP address, a phone number, an e-mail address, a prefix, a country, `service`, or a subject as the list shows it."
        }
        ("tile", _) => "The index of the tile, as in `x001/x234/067`, and `.p/8` for its first 8 hashes.",
        ("to", _) => "How many events the larger tree has; the present number where it is absent.",
        ("type", _) => "Only events of these types, with commas between them.",
        ("until", _) => "Only before this time.",
        _ => return None,
    })
}
