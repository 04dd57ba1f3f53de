//! The commands `counterfoil limits …`, which show and lift limits.

use std::net::IpAddr;
use std::process::ExitCode;
use std::sync::Arc;

use chrono::{NaiveDate, TimeDelta};
use clap::{Subcommand, ValueEnum};
use counterfoil_domain::values::{EmailAddress, Identifier, PhoneNumber, Region};

use super::{Failure, output, setup};
use crate::accounts::StaffAction;
use crate::delivery::ledger::{self, LedgerGrouping, LedgerSum};
use crate::limits::{Limits as SharedLimits, LimitsOverview, UsedMeter};
use crate::postgres::Database;
use crate::runtime::clock::{Clock as _, SystemClock};
use crate::settings::Settings;

#[derive(Debug, Subcommand)]
pub enum LimitsCommand {
    /// Print what the service and the countries have used, which addresses and prefixes are near their limits or
    /// stopped (as hashes), and the latest alarms.
    Show {
        /// Write JSON instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Print how many messages were sent and what they cost, by day (UTC).
    Messages {
        /// Since which day; by default of the last seven.
        #[arg(long, value_name = "YYYY-MM-DD")]
        since: Option<NaiveDate>,
        /// What each day is told apart by.
        #[arg(long, value_enum, default_value = "gateway")]
        by: GroupingArgument,
        /// Write JSON instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Let a caller through again, as if nothing had been counted.
    Lift {
        /// An IP address, a phone number or an e-mail address, the prefix of a number (+98912123), a country (IR), or
        /// `service`. Of a number or an e-mail address, what wrong codes have set is lifted as well.
        subject: String,
    },
}

impl LimitsCommand {
    pub fn run(self, settings: &Settings) -> Result<ExitCode, Failure> {
        match self {
            Self::Show { json } => {
                let overview = with_limits(settings, async |limits| Ok(limits.overview().await?))?;
                if json { output::json(&overview)? } else { show(overview)? }
            }
            Self::Messages { since, by, json } => {
                let since = since.unwrap_or_else(|| SystemClock.now().date_naive() - TimeDelta::days(6));
                let sums = setup::with_journal(settings, async |journal| {
                    let db = journal.database().connection().await?;
                    Ok(ledger::sums(&db, since, by.into()).await?)
                })?;
                if json {
                    output::json(&sums)?;
                } else {
                    let headings = ["day", "gateway", "country", "prefix", "messages", "cost"];
                    output::table(&headings, sums.into_iter().map(of_sum))?;
                }
            }
            Self::Lift { subject } => {
                let subject = LiftedSubject::parse(&subject, settings)?;
                let shared = match (&subject, &settings.limits) {
                    (LiftedSubject::Identifier(_), None) => 0,
                    _ => with_limits(settings, async |limits| subject.lift(limits).await)?,
                };
                let of_account = match subject {
                    LiftedSubject::Identifier(identifier) => setup::with_service(settings, async |state| {
                        let who = StaffAction::operator(super::operator_name(), None);
                        Ok(state.accounts.lift_limits(identifier, &who).await?)
                    })?,
                    LiftedSubject::Address(_)
                    | LiftedSubject::Prefix(_)
                    | LiftedSubject::Country(_)
                    | LiftedSubject::Service => false,
                };
                let account = if of_account { ", and the account's own" } else { "" };
                output::text(&format!("{shared} shared limits lifted{account}\n"))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// What the days of the message ledger are told apart by.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum GroupingArgument {
    /// By the day alone
    Day,
    /// By day and gateway
    Gateway,
    /// By day and country
    Country,
    /// The prefix: a number without its last four digits.
    Prefix,
}

impl From<GroupingArgument> for LedgerGrouping {
    fn from(by: GroupingArgument) -> Self {
        match by {
            GroupingArgument::Day => Self::Day,
            GroupingArgument::Gateway => Self::Gateway,
            GroupingArgument::Country => Self::Country,
            GroupingArgument::Prefix => Self::Prefix,
        }
    }
}

fn of_sum(sum: LedgerSum) -> [String; 6] {
    let LedgerSum { day, gateway, country, prefix, messages, cost } = sum;
    [day.to_string(), gateway, country, prefix, messages.to_string(), cost.to_string()]
}

/// Whose limits are lifted.
enum LiftedSubject {
    Address(IpAddr),
    Identifier(Identifier),
    Prefix(String),
    Country(Region),
    Service,
}

impl LiftedSubject {
    fn parse(text: &str, settings: &Settings) -> Result<Self, Failure> {
        if text == "service" {
            return Ok(Self::Service);
        }
        if let Ok(ip) = text.parse() {
            return Ok(Self::Address(ip));
        }
        if let Some(region) = Region::parse(text) {
            return Ok(Self::Country(region));
        }
        if let Ok(number) = PhoneNumber::parse(text, settings.http.default_region) {
            return Ok(Self::Identifier(Identifier::Phone(number)));
        }
        if let Ok(address) = EmailAddress::parse(text) {
            return Ok(Self::Identifier(Identifier::Email(address)));
        }
        match text.strip_prefix('+') {
            Some(digits) if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => {
                Ok(Self::Prefix(text.to_owned()))
            }
            Some(_) | None => {
                Err("that is no IP address, number, e-mail address, prefix, country or `service`".into())
            }
        }
    }

    async fn lift(&self, limits: &SharedLimits) -> Result<usize, Failure> {
        Ok(match self {
            Self::Address(ip) => limits.lift_address(*ip).await?,
            Self::Identifier(Identifier::Phone(number)) => limits.lift_prefix(number.prefix()).await?,
            Self::Identifier(Identifier::Email(address)) => limits.lift_mail(address).await?,
            Self::Prefix(prefix) => limits.lift_prefix(prefix).await?,
            Self::Country(region) => limits.lift_country(&region.to_string()).await?,
            Self::Service => limits.lift_service().await?,
        })
    }
}

/// Runs a command's work on the limits of the settings, where they are counted.
fn with_limits<T>(
    settings: &Settings,
    work: impl AsyncFnOnce(&SharedLimits) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let (policy, place) = settings.limits.clone().ok_or("limits.shared is `off`")?;
    let (private, url) = setup::database(settings)?;
    let result = setup::runtime()?.block_on(async {
        let keyring = setup::keyring(settings).await?;
        let database = Database::new(&url.0, 2)?;
        let prices = settings.delivery.prices.clone();
        let limits =
            SharedLimits::new(policy, place, database.clone(), &keyring, prices, Arc::new(SystemClock));
        let result = work(&limits).await;
        database.close().await;
        result
    });
    if let Some(mut private) = private {
        private.stop()?;
    }
    result
}

fn show(overview: LimitsOverview) -> Result<(), Failure> {
    let LimitsOverview { used, near, alarms } = overview;
    for (title, meters) in [("Used by countries and the service", used), ("Full or nearly", near)] {
        output::text(&format!("{title}\n"))?;
        output::table(&["limit", "of", "used", "most"], meters.into_iter().map(cells))?;
    }
    output::text("Alarms\n")?;
    let alarms = alarms.into_iter().map(|alarm| {
        [alarm.at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true), alarm.alarm, alarm.subject]
    });
    output::table(&["time", "alarm", "of"], alarms)?;
    Ok(())
}

fn cells(meter: UsedMeter) -> [String; 4] {
    [meter.limit.to_owned(), meter.subject, meter.used.to_string(), meter.most.to_string()]
}
