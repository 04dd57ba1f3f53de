//! The page behind the link that lifts the lock of an identifier: it asks whether codes are to be sent again, and lifts the
//! lock when its button is pressed.
//!
//! Opening the link changes nothing, since mail scanners and previews open links too.

use actix_web::http::StatusCode;
use actix_web::web;
use askama::Template;

use crate::accounts::AccountsError;
use crate::http::AppState;
use crate::http::Problem;
use crate::http::document::OperationDoc;
use crate::http::extract::{ClientInfo, WantedLanguage};
use crate::http::page::{HtmlPage, html_page};
use crate::http::problem::A_MINUTE;
use crate::http::response::ApiResponse;
use crate::language::Language;

/// What the page says: a message by its name, with a button where it asks.
#[derive(Template)]
#[template(path = "unlock.html")]
struct UnlockPage {
    language: Language,
    message: &'static str,
    asks: bool,
    nonce: String,
}

fn answer(
    language: Language,
    checked: Result<(), AccountsError>,
    (message, asks): (&'static str, bool),
    state: &AppState,
) -> Result<ApiResponse<HtmlPage>, Problem> {
    let (status, message, asks) = match checked {
        Ok(()) => (StatusCode::OK, message, asks),
        Err(AccountsError::InvalidToken) => (StatusCode::NOT_FOUND, "page_unlock_unknown", false),
        Err(error) => return Err(state.problem(&error)),
    };
    html_page(status, |nonce| UnlockPage { language, message, asks, nonce })
}

pub const SHOW_PAGE_DOC: OperationDoc = OperationDoc {
    id: "askToUnlock",
    summary: "Open the link that lifts a lock",
    details: "A page for people, which asks whether codes are to be sent again to a phone number or an e-mail address that wrong \
        codes locked. Opening it changes nothing. A link works once and for 24 hours; one that is spent, expired or unknown \
        gets the same page.",
    problems: &[Problem::Unavailable],
    ..OperationDoc::EMPTY
};

/// Asks, where the link still lifts a lock.
pub async fn show_page(
    state: web::Data<AppState>,
    link: web::Path<String>,
    WantedLanguage(language): WantedLanguage,
) -> Result<ApiResponse<HtmlPage>, Problem> {
    let checked = state.accounts.check_unlock_link(&link).await;
    answer(language, checked, ("page_unlock_ask", true), &state)
}

pub const SUBMIT_DOC: OperationDoc = OperationDoc {
    id: "unlock",
    summary: "Lift the lock that a link was sent for",
    details: "What the button of that page sends. The owner can ask for a code at once.",
    problems: &[Problem::TooManyRequests(A_MINUTE), Problem::Unavailable],
    ..OperationDoc::EMPTY
};

/// Lifts the lock that the link was sent for.
pub async fn submit(
    state: web::Data<AppState>,
    client: ClientInfo,
    link: web::Path<String>,
    WantedLanguage(language): WantedLanguage,
) -> Result<ApiResponse<HtmlPage>, Problem> {
    let lifted = state.accounts.lift_lock(&link, client.into()).await;
    answer(language, lifted, ("page_unlock_done", false), &state)
}
