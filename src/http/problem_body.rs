//! The form of an error's body.

use std::collections::BTreeMap;

use counterfoil_domain::values::RuleName;
use serde::Serialize;
use utoipa::ToSchema;

use super::Problem;

/// The body of an error (RFC 9457).
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct ProblemBody {
    /// The problem as a URI.
    #[schema(example = "urn:counterfoil:problem:not_found")]
    pub(super) r#type: String,
    /// What it is called.
    pub(super) title: String,
    /// The status once more.
    pub(super) status: u16,
    /// What it is, for people.
    pub(super) detail: String,
    /// What it is, for programs; it stays the same.
    #[schema(value_type = String)]
    pub(super) code: &'static str,
    /// What is wrong with which fields.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(required = false)]
    pub(super) errors: BTreeMap<String, Vec<String>>,
    /// The access rule that it comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    pub(super) rule: Option<RuleName>,
    /// How many sessions match now.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u32>, nullable = false)]
    pub(super) matched: Option<u32>,
    /// The same for OAuth 2.0 clients (RFC 6749, section 5.2).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    pub(super) error: Option<&'static str>,
}

impl Problem {
    /// The `error` that OAuth 2.0 clients look for (RFC 6749, section 5.2), where they are the ones who ask.
    pub(super) fn oauth_error(&self) -> Option<&'static str> {
        let of = [
            (Self::InvalidClient, "invalid_client"),
            (Self::UnauthorizedClient, "unauthorized_client"),
            (Self::MalformedForm, "invalid_request"),
        ];
        of.into_iter().find(|(problem, _)| problem == self).map(|(_, error)| error)
    }

    /// The access rule that it comes from.
    pub(super) fn rule(&self) -> Option<RuleName> {
        if let Self::RefusedByRule(rule) | Self::RuleUnavailable(rule) = self { Some(*rule) } else { None }
    }
}
