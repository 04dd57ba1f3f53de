//! The page behind the link in a notice: it asks whether to end the session, and ends it when its button is pressed.
//!
//! Opening the link changes nothing, since mail scanners and previews open links too.

use actix_web::http::StatusCode;
use actix_web::web;
use askama::Template;
use counterfoil_projections::user_login::{self, Device, device_kind};

use crate::accounts::AccountsError;
use crate::http::AppState;
use crate::http::Problem;
use crate::http::document::OperationDoc;
use crate::http::extract::{ClientInfo, WantedLanguage};
use crate::http::page::{HtmlPage, html_page};
use crate::http::problem::A_MINUTE;
use crate::http::response::ApiResponse;
use crate::language::Language;

/// What the page says: a message by its name, and the session that it asks about.
#[derive(Template)]
#[template(path = "disown.html")]
struct DisownPage {
    language: Language,
    message: &'static str,
    device: Option<Device>,
    nonce: String,
}

impl DisownPage {
    fn answer(
        language: Language,
        status: StatusCode,
        message: &'static str,
        device: Option<Device>,
    ) -> Result<ApiResponse<HtmlPage>, Problem> {
        html_page(status, |nonce| Self { language, message, device, nonce })
    }
}

const UNKNOWN: &str = "page_disown_unknown";

pub const SHOW_PAGE_DOC: OperationDoc = OperationDoc {
    id: "askToDisown",
    summary: "Open the link of a notice",
    details: "A page for people, which asks whether to end the session that a notice was about. Opening \
        it changes nothing.",
    problems: &[Problem::Unavailable],
    ..OperationDoc::EMPTY
};

/// Asks, where the session is still there to be ended.
pub async fn show_page(
    state: web::Data<AppState>,
    link: web::Path<String>,
    WantedLanguage(language): WantedLanguage,
) -> Result<ApiResponse<HtmlPage>, Problem> {
    let Some((account, session)) = state.accounts.session_of_link(&link) else {
        return DisownPage::answer(language, StatusCode::NOT_FOUND, UNKNOWN, None);
    };
    let now = state.clock.now();
    let devices = state.query(async |db: &_| user_login::active(db, account, now).await).await?;
    match devices.into_iter().find(|device| device.id == session) {
        // The name that the device gave itself is left out: an intruder may have chosen it.
        Some(device) => DisownPage::answer(
            language,
            StatusCode::OK,
            "page_disown_ask",
            Some(Device {
                device_name: device.user_agent.as_deref().and_then(device_kind::from_user_agent),
                ..device
            }),
        ),
        None => DisownPage::answer(language, StatusCode::OK, "page_disown_done", None),
    }
}

pub const SUBMIT_DOC: OperationDoc = OperationDoc {
    id: "disown",
    summary: "End the session that a notice was about",
    details: "What the button of that page sends.",
    problems: &[Problem::TooManyRequests(A_MINUTE), Problem::Unavailable],
    ..OperationDoc::EMPTY
};

/// Ends the session that the link was sent for.
pub async fn submit(
    state: web::Data<AppState>,
    client: ClientInfo,
    link: web::Path<String>,
    WantedLanguage(language): WantedLanguage,
) -> Result<ApiResponse<HtmlPage>, Problem> {
    match state.accounts.disown(&link, client.into()).await {
        Ok(()) => DisownPage::answer(language, StatusCode::OK, "page_disown_done", None),
        Err(AccountsError::InvalidToken) => {
            DisownPage::answer(language, StatusCode::NOT_FOUND, UNKNOWN, None)
        }
        Err(error) => Err(state.problem(&error)),
    }
}
