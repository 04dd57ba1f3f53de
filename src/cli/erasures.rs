//! The commands `counterfoil accounts erase` and `erase-again`, which forget people.

use std::path::Path;

use actix_web::http::Method;
use serde_json::Value;

use super::accounts::account_id;
use super::client::{StaffClient, StaffDoor, StaffRequest};
use super::intervention::RequiredGrounds;
use super::output::{cell, time_cell};
use super::{Failure, output};
use crate::accounts::{ErasedAgain, ErasureRegister, StaffAction, erased_before};

/// Has an account erased, and says what came of it.
///
/// # Errors
/// When the account is not known, or the service refuses it.
pub async fn erase(
    client: &StaffClient,
    account: &str,
    why: &RequiredGrounds,
    as_json: bool,
) -> Result<(), Failure> {
    let id = account_id(client, account).await?;
    let path = format!("/admin/accounts/{id}/erase/");
    let erasure = client.ask(&StaffRequest::change(Method::POST, path, why.body([]))).await?;
    if as_json {
        return Ok(output::json(&erasure)?);
    }
    if !erasure["due_at"].is_null() {
        let due_at = time_cell(&erasure["due_at"]);
        let held = if erasure["legal_hold"] == true { " There is a legal hold." } else { "" };
        let told =
            format!("{id} is closed, and is erased at {due_at} unless its user signs in before.{held}\n");
        return Ok(output::text(&told)?);
    }
    let count = |what: &Value| what.as_array().map_or(0, Vec::len);
    let rows: i64 =
        erasure["rows"].as_object().into_iter().flatten().filter_map(|(_, rows)| rows.as_i64()).sum();
    Ok(output::text(&format!(
        "{id} was erased at {}: {} keys destroyed, {rows} rows deleted. Its last event has the leaf {}.\n",
        time_cell(&erasure["erased_at"]),
        count(&erasure["keys"]),
        cell(&erasure["leaf"]),
    ))?)
}

/// Erases again the accounts that a register lists, in the database of the settings.
///
/// # Errors
/// When the register or the database cannot be used.
pub fn erase_again(door: &StaffDoor<'_>, register: &Path) -> Result<(), Failure> {
    let listed = ErasureRegister::accounts_in(register)?;
    let who = StaffAction::operator(super::operator_name(), Some(erased_before()));
    let ErasedAgain { erased, unknown } =
        door.with_accounts(async |accounts| Ok(accounts.erase_again(&listed, &who).await?))?;
    Ok(output::text(&format!(
        "{erased} of {} accounts were erased again; {unknown} are not in this database.\n",
        listed.len()
    ))?)
}
