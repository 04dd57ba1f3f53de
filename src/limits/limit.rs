//! The limits by name, each with the rule of its meters.

use std::fmt;

use super::meter::{DAY, HOUR, MINUTE, MeterRule};
use super::policy::{LimitPolicy, Rate};

/// A limit, and the meters that belong to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitKind {
    /// Codes asked for from an address.
    CodesPerAddress,
    /// Codes asked for from a network: the /48 that an IPv6 address lies in.
    CodesPerNetwork,
    /// Codes tried from an address.
    TriesPerAddress,
    /// Codes tried from such a network.
    TriesPerNetwork,
    /// The same while the whole service is being guessed at.
    SlowTriesPerAddress,
    /// Operations that write, of an account.
    WritesPerAccount,
    /// Operations that write, from an address.
    WritesPerAddress,
    /// Codes sent to the numbers of a prefix.
    CodesPerPrefix,
    /// Codes sent to a mailbox, at whichever of its sub-addresses.
    CodesPerMailbox,
    /// Codes sent to the addresses of a mail domain that is no provider's.
    CodesPerMailDomain,
    /// Prefixes that are stopped, because hardly any code there is redeemed.
    StoppedPrefix,
    /// Codes sent to a prefix within a day.
    SentPerPrefix,
    /// Codes redeemed there within a day.
    RedeemedPerPrefix,
    /// Text messages to a country.
    MessagesPerCountry,
    /// Codes sent to a country within a minute.
    CodesPerCountry,
    /// Codes sent to a country within an hour.
    HourlyCodesPerCountry,
    /// Codes of the whole service within a minute.
    Codes,
    /// Codes of the whole service within an hour.
    HourlyCodes,
    /// Text messages of the whole service.
    Messages,
    /// The money that messages cost in a day.
    Money,
    /// E-mail messages of the whole service.
    Emails,
    /// Wrong codes of the whole service.
    WrongCodes,
    /// How often one alarm is raised.
    Alarm,
}

/// What the subjects of a limit are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SubjectClass {
    Account,
    Address,
    Network,
    Prefix,
    Mailbox,
    MailDomain,
    Country,
    Service,
}

/// No limit: what is only counted.
pub const UNLIMITED: i64 = i64::MAX;

impl LimitKind {
    /// Every limit that there is.
    pub(super) const ALL: [Self; 23] = [
        Self::CodesPerAddress,
        Self::CodesPerNetwork,
        Self::TriesPerAddress,
        Self::TriesPerNetwork,
        Self::SlowTriesPerAddress,
        Self::WritesPerAccount,
        Self::WritesPerAddress,
        Self::CodesPerPrefix,
        Self::CodesPerMailbox,
        Self::CodesPerMailDomain,
        Self::StoppedPrefix,
        Self::SentPerPrefix,
        Self::RedeemedPerPrefix,
        Self::CodesPerCountry,
        Self::HourlyCodesPerCountry,
        Self::MessagesPerCountry,
        Self::Codes,
        Self::HourlyCodes,
        Self::Messages,
        Self::Money,
        Self::Emails,
        Self::WrongCodes,
        Self::Alarm,
    ];

    /// How its meters' names begin: its level, 1 for addresses to 4 for the whole service, and its name.
    pub(super) fn place(self) -> &'static str {
        match self {
            Self::CodesPerAddress => "1/codes_per_address",
            Self::CodesPerNetwork => "1/codes_per_network",
            Self::TriesPerAddress => "1/tries_per_address",
            Self::TriesPerNetwork => "1/tries_per_network",
            Self::SlowTriesPerAddress => "1/slow_tries_per_address",
            Self::WritesPerAccount => "1/writes_per_account",
            Self::WritesPerAddress => "1/writes_per_address",
            Self::CodesPerPrefix => "2/codes_per_prefix",
            Self::CodesPerMailbox => "2/codes_per_mailbox",
            Self::CodesPerMailDomain => "2/codes_per_mail_domain",
            Self::StoppedPrefix => "2/stopped_prefix",
            Self::SentPerPrefix => "2/sent_per_prefix",
            Self::RedeemedPerPrefix => "2/redeemed_per_prefix",
            Self::CodesPerCountry => "3/codes_per_country",
            Self::HourlyCodesPerCountry => "3/hourly_codes_per_country",
            Self::MessagesPerCountry => "3/messages_per_country",
            Self::Codes => "4/codes",
            Self::HourlyCodes => "4/hourly_codes",
            Self::Messages => "4/messages",
            Self::Money => "4/money",
            Self::Emails => "4/emails",
            Self::WrongCodes => "4/wrong_codes",
            Self::Alarm => "4/alarm",
        }
    }

    /// Its name in metrics and for people: `codes_per_address`.
    pub fn name(self) -> &'static str {
        &self.place()[2..]
    }

    /// Whether its subjects are narrower than a country: addresses, prefixes, mailboxes and mail domains.
    pub(super) fn is_narrow(self) -> bool {
        self.place() < "3"
    }

    /// What its subjects are; none of alarms.
    pub(super) fn subject_class(self) -> Option<SubjectClass> {
        Some(match self {
            Self::CodesPerAddress
            | Self::TriesPerAddress
            | Self::SlowTriesPerAddress
            | Self::WritesPerAddress => SubjectClass::Address,
            Self::CodesPerNetwork | Self::TriesPerNetwork => SubjectClass::Network,
            Self::WritesPerAccount => SubjectClass::Account,
            Self::CodesPerPrefix | Self::StoppedPrefix | Self::SentPerPrefix | Self::RedeemedPerPrefix => {
                SubjectClass::Prefix
            }
            Self::CodesPerMailbox => SubjectClass::Mailbox,
            Self::CodesPerMailDomain => SubjectClass::MailDomain,
            Self::CodesPerCountry | Self::HourlyCodesPerCountry | Self::MessagesPerCountry => {
                SubjectClass::Country
            }
            Self::Codes
            | Self::HourlyCodes
            | Self::Messages
            | Self::Money
            | Self::Emails
            | Self::WrongCodes => SubjectClass::Service,
            Self::Alarm => return None,
        })
    }

    /// Whether it is the budget of a day, of which a share is kept for identifiers that have signed in before.
    pub(super) fn is_daily_budget(self) -> bool {
        matches!(self, Self::MessagesPerCountry | Self::Messages | Self::Money | Self::Emails)
    }

    /// Whether an alarm is raised when it is reached: the limits that many callers have to reach together.
    pub(super) fn raises_alarm(self) -> bool {
        match self {
            Self::CodesPerMailDomain
            | Self::CodesPerCountry
            | Self::HourlyCodesPerCountry
            | Self::MessagesPerCountry
            | Self::Codes
            | Self::HourlyCodes
            | Self::Messages
            | Self::Money
            | Self::Emails => true,
            Self::CodesPerAddress
            | Self::CodesPerNetwork
            | Self::TriesPerAddress
            | Self::TriesPerNetwork
            | Self::SlowTriesPerAddress
            | Self::WritesPerAccount
            | Self::WritesPerAddress
            | Self::CodesPerPrefix
            | Self::CodesPerMailbox
            | Self::StoppedPrefix
            | Self::SentPerPrefix
            | Self::RedeemedPerPrefix
            | Self::WrongCodes
            | Self::Alarm => false,
        }
    }

    /// Its rule, and the most that a meter of that subject may come to; none where no such limit is set.
    pub(super) fn rule(self, policy: &LimitPolicy, subject: &str) -> Option<(MeterRule, i64)> {
        let rate =
            |Rate { burst, per_minute }| (MeterRule::rate(MINUTE / i64::from(per_minute)), i64::from(burst));
        Some(match self {
            Self::CodesPerAddress => rate(policy.codes_per_address),
            Self::CodesPerNetwork => rate(policy.codes_per_network),
            Self::TriesPerAddress => rate(policy.tries_per_address),
            Self::TriesPerNetwork => rate(policy.tries_per_network),
            Self::SlowTriesPerAddress => (MeterRule::rate(MINUTE), 1),
            Self::WritesPerAccount => rate(policy.writes.per_account.shared_part()),
            Self::WritesPerAddress => rate(policy.writes.per_address.shared_part()),
            Self::CodesPerPrefix => (MeterRule::window(HOUR), policy.codes_per_prefix.into()),
            Self::CodesPerMailbox => (MeterRule::window(DAY), policy.codes_per_mailbox.into()),
            Self::CodesPerMailDomain => (MeterRule::window(HOUR), policy.codes_per_mail_domain.into()),
            // Stopping is itself a limit: one an hour, so that the node that stops first is the one that says so.
            Self::StoppedPrefix | Self::Alarm => (MeterRule::rate(HOUR), 1),
            Self::SentPerPrefix | Self::RedeemedPerPrefix => {
                (MeterRule { every: HOUR, slots: 25 }, UNLIMITED)
            }
            Self::MessagesPerCountry => {
                (MeterRule::DAILY, i64::from(*policy.messages_per_country.get(subject)?))
            }
            Self::CodesPerCountry => (MeterRule::window(MINUTE), policy.country_codes_per_minute.into()),
            Self::HourlyCodesPerCountry => (MeterRule::window(HOUR), policy.country_codes_per_hour.into()),
            Self::Codes => (MeterRule::window(MINUTE), policy.codes_per_minute.into()),
            Self::HourlyCodes => (MeterRule::window(HOUR), policy.codes_per_hour.into()),
            Self::Messages => (MeterRule::DAILY, policy.messages_per_day?.into()),
            Self::Money => {
                (MeterRule::DAILY, i64::try_from(policy.money_per_day?.millionths()).unwrap_or(UNLIMITED))
            }
            Self::Emails => (MeterRule::DAILY, policy.emails_per_day?.into()),
            Self::WrongCodes => (MeterRule::window(HOUR), policy.wrong_codes_per_hour.into()),
        })
    }
}

/// The limit of that name.
impl fmt::Display for LimitKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
