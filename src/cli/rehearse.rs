//! The command `counterfoil audit rehearse`, which decides the log anew under other settings.

use std::process::ExitCode;

use actix_web::http::Method;
use chrono::{DateTime, SecondsFormat, Utc};
use clap::Args;
use serde_json::{Value, json};

use super::client::{StaffDoor, StaffRequest};
use super::intervention::ReadReason;
use super::output::{cell, time_cell};
use super::{Failure, event_lines, output, reading, setup, times};
use crate::audit::VerificationProgress;
use crate::audit::rehearsal::{self, Proposal, ProposedPolicy, REHEARSED_SETTINGS};
use crate::runtime::clock::{Clock as _, SystemClock};

/// What the figures cannot say.
const LIMITS_OF_IT: &str = "\
What people would have asked for instead is not known. A caller who knew a code is taken to know the one that would have been sent
in its place. Of refusals that came again and again only the first is on record.
";

#[derive(Debug, Args)]
pub struct RehearseCommand {
    /// A setting as it would have been, such as `codes.resend_after=30`; again for each. The others are as they are now.
    #[arg(long, value_name = "SETTING=VALUE", value_parser = setting)]
    set: Vec<(String, String)>,
    /// As if it had been set then: a time such as `2026-11-27`, `friday` or `30d` (ago). From the
    /// beginning where nothing is said.
    #[arg(long, value_name = "TIME", value_parser = times::past)]
    since: Option<DateTime<Utc>>,
    /// Until then; until now where nothing is said.
    #[arg(long, value_name = "TIME", value_parser = times::past)]
    until: Option<DateTime<Utc>>,
    /// Print the accounts concerned as well
    #[arg(long)]
    accounts: bool,
    #[command(flatten)]
    why: ReadReason,
    /// Write JSON instead of a table
    #[arg(long)]
    json: bool,
}

impl RehearseCommand {
    pub fn run(self, door: &StaffDoor<'_>) -> Result<ExitCode, Failure> {
        let mut accounts = Vec::new();
        let mut result = match &door.server {
            Some(_) => self.rehearse_at_a_server(door, &mut accounts)?,
            None => match self.rehearse_here(door, &mut accounts)? {
                Ok(result) => result,
                Err(wrong_usage) => {
                    output::error(&wrong_usage);
                    return Ok(ExitCode::from(2));
                }
            },
        };
        if self.json {
            result["accounts_told"] = Value::Array(accounts);
            output::json(&result)?;
        } else {
            show(&result)?;
            if self.accounts {
                show_accounts(&accounts)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Rehearses on the database of the settings, and writes nothing to it. The inner error is one of the arguments.
    fn rehearse_here(
        &self,
        door: &StaffDoor<'_>,
        accounts: &mut Vec<Value>,
    ) -> Result<Result<Value, String>, Failure> {
        let settings = (door.sources)()?.check()?;
        let ProposedPolicy { policy, present } = match settings.proposals.propose(&self.set) {
            Ok(proposed) => proposed,
            Err(unfit) => return Ok(Err(unfit.problem)),
        };
        let now = SystemClock.now();
        let (since, until) = (self.since, self.until.unwrap_or(now).min(now));
        if since.is_some_and(|since| since >= until) {
            return Ok(Err("--since: nothing lies between this time and --until".to_owned()));
        }
        let prices = Some(settings.delivery.prices.clone()).filter(|prices| prices.are_known());
        let proposal = Proposal { policy, since, until, prices };
        let report = setup::with_journal(&settings, async |journal| {
            let mut progress = output::ProgressReport::new("rehearse");
            let show =
                &mut |rehearsed: VerificationProgress| progress.count(rehearsed.done, rehearsed.of, "");
            let take = &mut |account| accounts.push(serde_json::to_value(account).unwrap_or_default());
            let report = rehearsal::rehearse(journal, &proposal, show, take).await?;
            progress.finish();
            Ok(report)
        })?;
        let settings = self.set.iter().zip(present).map(|((setting, proposed), present)| {
            json!({ "setting": setting, "present": present, "proposed": proposed })
        });
        let mut result = serde_json::to_value(report)?;
        result["settings"] = settings.collect();
        (result["since"], result["until"]) = (json!(since), json!(until));
        Ok(Ok(result))
    }

    fn rehearse_at_a_server(
        &self,
        door: &StaffDoor<'_>,
        accounts: &mut Vec<Value>,
    ) -> Result<Value, Failure> {
        door.open(async |client| {
            let settings = self.set.iter().map(|(name, value)| (name.clone(), json!(value)));
            let time = |time: Option<DateTime<Utc>>| {
                json!(time.map(|time| time.to_rfc3339_opts(SecondsFormat::AutoSi, true)))
            };
            let body = self.why.body([
                ("settings", Value::Object(settings.collect())),
                ("since", time(self.since)),
                ("until", time(self.until)),
            ]);
            let request = StaffRequest::change(Method::POST, "/audit/rehearsals/", body);
            let report = output::ProgressReport::new("rehearse");
            reading::follow(client, &request, report, |line| accounts.push(line["account"].clone())).await
        })
    }
}

fn show(result: &Value) -> Result<(), Failure> {
    let settings = result["settings"].as_array().into_iter().flatten();
    let settings = settings.map(|set| ["setting", "present", "proposed"].map(|name| cell(&set[name])));
    output::table(&["setting", "now", "proposed"], settings)?;
    let rows = [
        ("sign-ins refused", "/refused/sign_ins", Some("/on_record/sign_ins")),
        ("codes not sent", "/refused/codes", Some("/on_record/codes")),
        ("refreshes refused", "/refused/refreshes", Some("/on_record/refreshes")),
        ("other requests refused", "/refused/others", None),
        ("sessions ended earlier", "/sessions_ended_earlier", None),
        ("sign-ins let through", "/let_through/sign_ins", None),
        ("codes sent besides", "/let_through/codes", None),
        ("refreshes let through", "/let_through/refreshes", None),
        ("other requests let through", "/let_through/others", None),
        ("codes looked at, right or wrong", "/codes_looked_at", None),
        ("sessions ended later", "/sessions_ended_later", None),
    ];
    let at = |path: &str| result.pointer(path).map(cell).unwrap_or_default();
    let rows = rows.map(|(what, tally, of)| {
        let why = result.pointer(&format!("{tally}/why"));
        [what.to_owned(), at(&format!("{tally}/total")), of.map(at).unwrap_or_default(), counts(why, "\n")]
    });
    output::table(&["would have been", "times", "of", "why"], rows)?;
    let days = result["by_day"].as_object().into_iter().flatten().map(|(day, figures)| {
        let count = |path: &str| figures.pointer(path).and_then(Value::as_u64).unwrap_or_default();
        let refused: u64 = ["sign_ins", "codes", "refreshes", "others"]
            .map(|of| count(&format!("/refused/{of}")))
            .iter()
            .sum();
        let let_through: u64 = ["sign_ins", "codes", "refreshes", "others"]
            .map(|of| count(&format!("/let_through/{of}")))
            .iter()
            .sum();
        [
            day.clone(),
            refused.to_string(),
            let_through.to_string(),
            count("/sessions_ended_earlier").to_string(),
            count("/sessions_ended_later").to_string(),
        ]
    });
    output::table(&["day", "refused", "let through", "sessions ended earlier", "later"], days)?;
    let by_rules = ["sign_ins", "codes", "refreshes"].map(|of| at(&format!("/refused_by_rules/{of}")));
    if by_rules.iter().any(|count| count != "0") {
        let [sign_ins, codes, refreshes] = by_rules;
        output::text(&format!(
            "Access rules refused {sign_ins} sign-ins, {codes} codes and {refreshes} refreshes on record, and would under any limits.\n"
        ))?;
    }
    if !result["cost"].is_null() {
        output::text(&format!(
            "Codes: {} saved, {} spent besides; of {} it is not known where they went.\n",
            at("/cost/saved"),
            at("/cost/spent"),
            at("/cost/unknown")
        ))?;
    }
    let since =
        if result["since"].is_null() { "the beginning".to_owned() } else { time_cell(&result["since"]) };
    Ok(output::text(&format!(
        "From {since} until {}: {} events of {} accounts read, {} accounts concerned.\n{LIMITS_OF_IT}",
        time_cell(&result["until"]),
        at("/events"),
        at("/accounts"),
        at("/accounts_concerned")
    ))?)
}

/// Prints the accounts concerned, with how often something would have been different and what, a line an account.
fn show_accounts(accounts: &[Value]) -> Result<(), Failure> {
    let rows = accounts.iter().map(|account| {
        let differences = account["differences"].as_array().into_iter().flatten();
        let what: Vec<String> = differences.map(event_lines::plain).collect();
        [cell(&account["account_id"]), cell(&account["total"]), what.join("; ")]
    });
    Ok(output::lines(&["account", "times", "what"], rows, false)?)
}

/// Returns counts by their names.
fn counts(tally: Option<&Value>, between: &str) -> String {
    let counts = tally.and_then(Value::as_object).into_iter().flatten();
    counts.map(|(why, times)| format!("{why}: {times}")).collect::<Vec<_>>().join(between)
}

/// A setting that can be rehearsed, with a value.
fn setting(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("it takes SETTING=VALUE")?;
    if REHEARSED_SETTINGS.contains(&name) {
        return Ok((name.to_owned(), value.to_owned()));
    }
    let can = REHEARSED_SETTINGS.join(", ");
    let counted = if name.starts_with("limits.") { ", whose counts are not in the log" } else { "" };
    Err(format!("{name:?} cannot be rehearsed{counted}; these can: {can}"))
}

#[cfg(test)]
mod tests {
    use super::{REHEARSED_SETTINGS, setting};
    use crate::settings::Sources;

    #[test]
    fn what_accounts_decide_by_can_be_rehearsed_and_nothing_else() {
        let sources = Sources::read(None, std::iter::empty(), std::iter::empty()).expect("defaults");
        let of_accounts = sources.shown().into_iter().map(|shown| shown.key).filter(|key| {
            key.starts_with("codes.") || key.starts_with("sessions.") && key != "sessions.new_device_notice"
        });
        let mut can = REHEARSED_SETTINGS;
        can.sort_unstable();
        assert_eq!(of_accounts.collect::<Vec<_>>(), can);
        for wrong in ["codes.resend_after", "codes.resend=1", "limits.codes_burst=1", "=", ""] {
            assert!(setting(wrong).is_err(), "{wrong}");
        }
    }
}
