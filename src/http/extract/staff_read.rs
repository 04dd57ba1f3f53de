//! What administrators read is put on record before it is shown: the page, and the filters of the search.

use actix_web::{HttpMessage as _, HttpRequest};
use counterfoil_domain::user_account::StaffRecordFact;
use uuid::Uuid;

use super::body::RequestFields;
use super::query::ValidQuery;
use super::{named_identifier, read_any_identifier};
use crate::accounts::StaffAction;
use crate::http::{AppState, Problem};

/// The parameters that say nothing about what is looked for.
const OF_THE_FORM: [&str; 7] = ["reason", "case", "cursor", "limit", "after", "format", "bom"];

/// The parameters that may name a person, their network or their device. Those that name an account are told apart.
const PERSONAL: [&str; 6] = ["fullname", "ip_address", "device_name", "subject", "prefix", "mail_domain"];

/// The parameters that name an account by what it signs in with.
const IDENTIFIERS: [&str; 2] = ["phone_number", "email"];

/// Puts on record that a member of staff is about to be shown what a request asks for, whose parameters have been understood.
///
/// # Errors
/// [`Problem`] when it is not on record, so that it may not be shown.
pub async fn put_on_record(
    state: &AppState,
    request: &HttpRequest,
    who: &StaffAction,
) -> Result<(), Problem> {
    let (mut what, mut query) = (page(request), Vec::new());
    // Of a query that the operation does not read, nothing is known: it may be any words of the caller's own.
    let is_read = request.extensions().get::<ValidQuery>().is_some();
    let text = if is_read { request.query_string() } else { "" };
    for (name, value) in form_urlencoded::parse(text.as_bytes()) {
        if PERSONAL.contains(&name.as_ref()) {
            query.push(format!("{name}={value}"));
        } else if !OF_THE_FORM.contains(&name.as_ref()) && !IDENTIFIERS.contains(&name.as_ref()) {
            what += &format!(" {name}={value}");
        }
    }
    let mut fields = RequestFields::of_query(text, state.http.default_region);
    if let Some(Some(identifier)) = read_any_identifier(&mut fields) {
        let found = state.accounts.journal().find(&identifier).await;
        match found.map_err(|error| Problem::from_journal(&error))? {
            // The id stands for the person, and means nothing once they are forgotten.
            Some(account) => what += &format!(" account_id={account}"),
            None => query.push(named_identifier(&identifier)),
        }
    }
    let query = (!query.is_empty()).then(|| query.join(" "));
    let search = query.as_ref().map(|query| state.cursors.search_mark(query));
    let fact = |by| StaffRecordFact::StaffRead { what, search, by };
    state.accounts.put_on_record(who, query, fact).await.map_err(|error| state.problem(&error))
}

/// Returns the method and the path, with the ids in it, and never words of the caller's own.
fn page(request: &HttpRequest) -> String {
    let mut page = format!("{} {}", request.method(), request.match_pattern().unwrap_or_default());
    for (name, value) in request.match_info().iter() {
        if let Ok(id) = Uuid::try_parse(value) {
            page = page.replace(&format!("{{{name}}}"), &id.to_string());
        }
    }
    page
}
