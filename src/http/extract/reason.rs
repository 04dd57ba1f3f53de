//! Why staff do what they do, and by which case, where neither a body nor a form field says it: some clients cannot send a body
//! with DELETE.

use actix_web::HttpRequest;
use counterfoil_domain::values::{CaseNumber, Reason};
use serde_json::Value;
use utoipa::PartialSchema as _;

use super::FieldError as _;
use super::body::RequestFields;
use crate::accounts::ActionGrounds;
use crate::http::Problem;
use crate::http::document::HeaderDoc;

/// In which header the reason stands.
const NAME: &str = "x-audit-reason";

/// That header, as the document tells of it.
pub const AUDIT_REASON: HeaderDoc = HeaderDoc {
    name: "X-Audit-Reason",
    description: "Why it is done, in UTF-8, where `reason` does not say it.",
    schema: Reason::schema,
};

/// The text of the reason in the header.
pub fn in_header(request: &HttpRequest) -> Option<String> {
    let value = request.headers().get(NAME)?;
    Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
}

/// The reason in the header, where there is one.
///
/// # Errors
/// [`Problem`] where it is no reason.
pub fn given_in_header(request: &HttpRequest) -> Result<Option<Reason>, Problem> {
    let given = in_header(request).map(|text| Reason::parse(&text)).transpose();
    given.map_err(|error| Problem::invalid_field("reason", error.message()))
}

/// What a request says beside its body of why staff act, as it was sent.
#[derive(Clone, Debug, Default)]
pub struct GroundsBeside {
    pub reason: Option<String>,
    pub case: Option<String>,
}

impl GroundsBeside {
    /// The reason and the case in the query, where the body has the other fields; the reason else in the header.
    pub fn body(request: &HttpRequest) -> Self {
        let in_query = |wanted: &str| {
            let mut pairs = form_urlencoded::parse(request.query_string().as_bytes());
            pairs.find(|(name, _)| name == wanted).map(|(_, value)| value.into_owned())
        };
        Self { reason: in_query("reason").or_else(|| in_header(request)), case: in_query("case") }
    }

    /// The reason in the header, where the query has the other fields.
    pub fn query(request: &HttpRequest) -> Self {
        Self { reason: in_header(request), case: None }
    }
}

impl RequestFields {
    /// Why staff do it: the field `reason`, or what the request says in another place. The outer `None` is a complaint.
    pub fn reason(&mut self) -> Option<Option<Reason>> {
        if let Some(asked) = &mut self.asked {
            asked.reason();
            return None;
        }
        if !self.has("reason")
            && let Some(text) = self.beside.reason.take()
        {
            self.values.insert("reason".to_owned(), Value::String(text));
        }
        self.optional("reason", Reason::parse)
    }

    /// The same, which has to be said.
    pub fn required_reason(&mut self) -> Option<Reason> {
        let reason = self.reason()?;
        if reason.is_none() {
            self.complain("reason", "field_required");
        }
        reason
    }

    /// Why staff intervene in an account: the reason, and the number of their case. `None` is a complaint.
    pub(crate) fn grounds(&mut self) -> Option<ActionGrounds> {
        let (reason, case) = (self.reason(), self.case());
        Some(ActionGrounds { reason: reason?, case: case? })
    }

    /// The same, where the reason has to be said.
    pub(crate) fn required_grounds(&mut self) -> Option<ActionGrounds> {
        let (reason, case) = (self.required_reason(), self.case());
        Some(ActionGrounds { reason: Some(reason?), case: case? })
    }

    fn case(&mut self) -> Option<Option<CaseNumber>> {
        if let Some(asked) = &mut self.asked {
            asked.case();
            return None;
        }
        if !self.has("case")
            && let Some(text) = self.beside.case.take()
        {
            self.values.insert("case".to_owned(), Value::String(text));
        }
        self.optional("case", CaseNumber::parse)
    }
}
