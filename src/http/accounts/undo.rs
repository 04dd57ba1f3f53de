//! The page behind the link in a notice of a change of identifiers: it asks whether to undo the change, and undoes it when
//! its button is pressed.

use actix_web::http::StatusCode;
use actix_web::web;
use askama::Template;
use chrono::{DateTime, Utc};

use crate::accounts::{AccountsError, IdentifierUndo};
use crate::http::AppState;
use crate::http::Problem;
use crate::http::document::OperationDoc;
use crate::http::extract::{ClientInfo, WantedLanguage};
use crate::http::page::{HtmlPage, html_page};
use crate::http::problem::A_MINUTE;
use crate::http::response::ApiResponse;
use crate::language::Language;

/// What the page says: a message by its name, and the time of the change, with a button, where it asks.
#[derive(Template)]
#[template(path = "undo.html")]
struct UndoPage {
    language: Language,
    message: &'static str,
    changed_at: Option<DateTime<Utc>>,
    nonce: String,
}

/// A link that is unknown, spent or too old has one page, which does not tell which of these it is.
fn answer(
    language: Language,
    outcome: Result<(&'static str, Option<DateTime<Utc>>), AccountsError>,
    state: &AppState,
) -> Result<ApiResponse<HtmlPage>, Problem> {
    let (status, (message, changed_at)) = match outcome {
        Ok(said) => (StatusCode::OK, said),
        Err(AccountsError::InvalidToken | AccountsError::Refused(_)) => {
            (StatusCode::NOT_FOUND, ("page_undo_unknown", None))
        }
        Err(error) => return Err(state.problem(&error)),
    };
    html_page(status, |nonce| UndoPage { language, message, changed_at, nonce })
}

pub const SHOW_PAGE_DOC: OperationDoc = OperationDoc {
    id: "askToUndoIdentifierChange",
    summary: "Open the link that undoes a change of identifiers",
    details: "A page for people, which asks whether to undo the change that a notice was about. Opening it changes \
        nothing.",
    problems: &[Problem::Unavailable],
    ..OperationDoc::EMPTY
};

/// Asks, where the change can still be undone.
pub async fn show_page(
    state: web::Data<AppState>,
    link: web::Path<String>,
    WantedLanguage(language): WantedLanguage,
) -> Result<ApiResponse<HtmlPage>, Problem> {
    let changed_at = state.accounts.change_of_link(&link).await;
    answer(language, changed_at.map(|changed_at| ("page_undo_ask", Some(changed_at))), &state)
}

pub const SUBMIT_DOC: OperationDoc = OperationDoc {
    id: "undoIdentifierChange",
    summary: "Undo a change of identifiers",
    details: "What the button of that page sends. The account has the identifiers again that it had before the change, as far \
        as no other account has proved them, and none that came since; all its devices are signed out.",
    problems: &[Problem::TooManyRequests(A_MINUTE), Problem::Unavailable],
    ..OperationDoc::EMPTY
};

/// Undoes the change that the link was sent for.
pub async fn submit(
    state: web::Data<AppState>,
    client: ClientInfo,
    link: web::Path<String>,
    WantedLanguage(language): WantedLanguage,
) -> Result<ApiResponse<HtmlPage>, Problem> {
    let undone = state.accounts.undo_identifier_change(&link, client.into()).await;
    let message = |undone| match undone {
        IdentifierUndo::Complete => "page_undo_done",
        IdentifierUndo::Taken => "page_undo_taken",
    };
    answer(language, undone.map(|undone| (message(undone), None)), &state)
}
