//! Refusals of an embedding program.

use actix_web::http::StatusCode;

/// A refusal that an embedding program answers with, as its own routes do. Its words are the same in every language.
///
/// ```
/// use counterfoil::web::{OwnProblem, Problem};
///
/// const CLOSED: Problem = Problem::Own(OwnProblem {
///     status: 409,
///     code: "office_closed",
///     title: "The office is closed",
///     detail: "Ask again during office hours.",
/// });
/// assert_eq!(CLOSED.code(), "office_closed");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnProblem {
    /// The status, from 400 to 599; 500 is answered in the place of any other number.
    pub status: u16,
    /// The stable code in snake case, of which the service has none.
    pub code: &'static str,
    /// What the problem is called.
    pub title: &'static str,
    /// What the caller can do.
    pub detail: &'static str,
}

impl OwnProblem {
    pub(super) fn status(self) -> StatusCode {
        let status = StatusCode::from_u16(self.status).ok();
        let error = status.filter(|status| status.is_client_error() || status.is_server_error());
        error.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}
