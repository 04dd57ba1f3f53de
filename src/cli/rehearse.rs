//! The command `counterfoil audit rehearse`, which decides the log anew under other settings.

use std::process::ExitCode;

use chrono::{DateTime, Utc};
use clap::Args;
use serde::Serialize;

use super::client::StaffDoor;
use super::{Failure, output, setup, times};
use crate::audit::VerificationProgress;
use crate::audit::rehearsal::{
    self, PerRequest, Proposal, REHEARSED_SETTINGS, RefusalTally, RehearsalReport,
};
use crate::journal::Journal;
use crate::runtime::clock::{Clock as _, SystemClock};
use crate::settings::{Settings, Sources};

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
    /// Write JSON instead of a table
    #[arg(long)]
    json: bool,
}

/// A setting, as it is and as it would have been.
#[derive(Serialize)]
struct Set {
    setting: String,
    present: String,
    proposed: String,
}

/// A rehearsal, for a program to read.
#[derive(Serialize)]
struct RehearsalDocument {
    since: Option<DateTime<Utc>>,
    until: DateTime<Utc>,
    settings: Vec<Set>,
    #[serde(flatten)]
    report: RehearsalReport,
}

impl RehearseCommand {
    pub fn run(self, door: &StaffDoor<'_>) -> Result<ExitCode, Failure> {
        let sources = (door.sources)()?;
        let settings = sources.clone().check()?;
        setup::with_journal(&settings, async |journal| self.rehearse(journal, &sources, &settings).await)
    }

    async fn rehearse(
        self,
        journal: &Journal,
        sources: &Sources,
        settings: &Settings,
    ) -> Result<ExitCode, Failure> {
        let Self { set, since, until, json } = self;
        let proposed = match sources.with(set.clone()).and_then(Sources::check) {
            Ok(proposed) => proposed,
            Err(error) => return Ok(wrong_usage(&error.to_string())),
        };
        let now = SystemClock.now();
        let until = until.unwrap_or(now).min(now);
        if since.is_some_and(|since| since >= until) {
            return Ok(wrong_usage("--since: nothing lies between this time and --until"));
        }
        let prices = Some(settings.delivery.prices.clone()).filter(|prices| prices.are_known());
        let proposal = Proposal { policy: proposed.policy, since, until, prices };
        let mut progress = output::ProgressReport::new("rehearse");
        let mut show_progress =
            |rehearsed: VerificationProgress| progress.count(rehearsed.done, rehearsed.of, "");
        let report = rehearsal::rehearse(journal, &proposal, &mut show_progress, &mut |_| {}).await?;
        progress.finish();

        let present = sources.shown();
        let set = set.into_iter().map(|(setting, proposed)| {
            let present = present.iter().find(|shown| shown.key == setting);
            Set { present: present.map(|shown| shown.value.clone()).unwrap_or_default(), setting, proposed }
        });
        let document = RehearsalDocument { since, until, settings: set.collect(), report };
        if json {
            output::json(&document)?;
        } else {
            show(document)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn wrong_usage(problem: &str) -> ExitCode {
    output::error(problem);
    ExitCode::from(2)
}

fn show(document: RehearsalDocument) -> Result<(), Failure> {
    let RehearsalDocument { since, until, settings, report } = document;
    let set = settings.into_iter().map(|set| [set.setting, set.present, set.proposed]);
    output::table(&["setting", "now", "proposed"], set)?;
    let RehearsalReport { on_record, refused, let_through, .. } = &report;
    let (signs_in, codes, refreshes) = (on_record.sign_ins, on_record.codes, on_record.refreshes);
    let rows = [
        ("sign-ins refused", &refused.sign_ins, Some(signs_in)),
        ("codes not sent", &refused.codes, Some(codes)),
        ("refreshes refused", &refused.refreshes, Some(refreshes)),
        ("other requests refused", &refused.others, None),
        ("sessions ended earlier", &report.sessions_ended_earlier, None),
        ("sign-ins let through", &let_through.sign_ins, None),
        ("codes sent besides", &let_through.codes, None),
        ("refreshes let through", &let_through.refreshes, None),
        ("other requests let through", &let_through.others, None),
        ("codes looked at, right or wrong", &report.codes_looked_at, None),
        ("sessions ended later", &report.sessions_ended_later, None),
    ];
    let rows = rows.map(|(what, tally, of)| {
        [
            what.to_owned(),
            tally.total.to_string(),
            of.map(|of| of.to_string()).unwrap_or_default(),
            why(tally),
        ]
    });
    output::table(&["would have been", "times", "of", "why"], rows)?;
    let PerRequest { sign_ins, codes, refreshes, others: _ } = report.refused_by_rules;
    if sign_ins + codes + refreshes > 0 {
        output::text(&format!(
            "Access rules refused {sign_ins} sign-ins, {codes} codes and {refreshes} refreshes on record, and would under any limits.\n"
        ))?;
    }
    if let Some(cost) = report.cost {
        let unknown = cost.unknown;
        output::text(&format!(
            "Codes: {} saved, {} spent besides; of {unknown} it is not known where they went.\n",
            cost.saved, cost.spent
        ))?;
    }
    let since = since.map_or_else(|| "the beginning".to_owned(), |since| output::time(Some(since)));
    let RehearsalReport { events, accounts, accounts_concerned, .. } = report;
    output::text(&format!(
        "From {since} until {}: {events} events of {accounts} accounts read, {accounts_concerned} accounts concerned.\n{LIMITS_OF_IT}",
        output::time(Some(until))
    ))?;
    Ok(())
}

fn why(tally: &RefusalTally) -> String {
    tally.why.iter().map(|(why, times)| format!("{why}: {times}")).collect::<Vec<_>>().join("\n")
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
