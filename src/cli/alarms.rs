//! The commands `counterfoil alarms …`, which list and acknowledge alarms.

use std::process::ExitCode;

use actix_web::http::Method;
use clap::Subcommand;
use serde_json::Value;

use super::client::{StaffClient, StaffDoor, StaffRequest};
use super::intervention::{ReadReason, ServiceActReason};
use super::listing::ListArguments;
use super::output::{cell, time_cell};
use super::{Failure, event_lines, output};

/// The path of the alarms.
const PATH: &str = "/admin/alarms/";

/// How many of the latest alarms stand beside the limits.
const LATEST: usize = 20;

#[derive(Debug, Subcommand)]
pub enum AlarmsCommand {
    /// Print the alarms of the last 30 days, the newest first.
    List {
        /// Only those that are acknowledged, or not
        #[arg(long)]
        acknowledged: Option<bool>,
        #[command(flatten)]
        list: ListArguments,
    },
    /// Say that an alarm is being looked after.
    Acknowledge {
        /// The id of the alarm, as the list shows it
        alarm: String,
        #[command(flatten)]
        why: ServiceActReason,
    },
}

impl AlarmsCommand {
    pub fn run(self, door: &StaffDoor<'_>) -> Result<ExitCode, Failure> {
        door.open(async |client| match self {
            Self::List { acknowledged, list } => {
                let request = StaffRequest::get(PATH).with("acknowledged", acknowledged);
                list.print(client, request, HEADINGS, cells).await
            }
            Self::Acknowledge { alarm, why } => {
                let path = format!("{PATH}{alarm}/acknowledge/");
                client.ask(&StaffRequest::change(Method::POST, path, why.body([]))).await?;
                Ok(output::text(&format!("The alarm {alarm} is acknowledged.\n"))?)
            }
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

const HEADINGS: [&str; 6] = ["id", "time", "alarm", "of", "acknowledged", "by"];

fn cells(alarm: &Value) -> [String; 6] {
    [
        cell(&alarm["id"]),
        time_cell(&alarm["at"]),
        cell(&alarm["alarm"]),
        cell(&alarm["subject"]),
        time_cell(&alarm["acknowledged_at"]),
        event_lines::plain(&alarm["acknowledged_by"]).replace("null", ""),
    ]
}

/// Returns the latest alarms.
///
/// # Errors
/// When the API refuses them.
pub async fn latest(client: &StaffClient, why: &ReadReason) -> Result<Vec<Value>, Failure> {
    Ok(client.list(&StaffRequest::get(PATH).because(why.reason()), LATEST, None).await?.0)
}

/// Prints alarms as a table, in their order.
///
/// # Errors
/// When the standard output cannot be written to.
pub fn table(alarms: &[Value]) -> Result<(), Failure> {
    output::table(&HEADINGS, alarms.iter().map(cells))?;
    Ok(())
}
