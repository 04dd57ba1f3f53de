//! Every error of the API, by name: its status, its stable code, and nothing of what went wrong inside.
//!
//! The map is exhaustive and without a wildcard, so a new refusal does not compile until it has an answer. The caller
//! learns what they can do; the log learns why.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use actix_web::http::{Method, StatusCode, header};
use actix_web::{HttpResponse, ResponseError};
use chrono::{DateTime, Utc};
use counterfoil_domain::user_account::Refusal;
use counterfoil_domain::values::{Channel, RuleName};

use super::OwnProblem;
use super::StaffConflict;
use super::problem_body::ProblemBody;
use crate::accounts::AccountsError;
use crate::journal::JournalError;
use crate::language::Language;
use crate::limits::LimitsError;
use crate::postgres::DatabaseError;
use crate::read_models::ClaimError;
use crate::rules::RuleUnavailable;
use crate::tokens::claims_source::ClaimsUnavailable;

/// A field's complaints, each the name of a message.
pub type FieldErrors = BTreeMap<String, Vec<&'static str>>;

/// How long to wait, for the document.
pub(super) const A_MINUTE: Duration = Duration::from_secs(60);

/// Some access rule, for the document.
pub(super) const A_RULE: RuleName = match RuleName::parse("company_only") {
    Some(rule) => rule,
    None => panic!("it is a name"),
};

/// An answer that is an error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.code())]
pub enum Problem {
    /// Fields of the body that are missing, unknown or wrong.
    InvalidFields(FieldErrors),
    /// A body that is no JSON object, or says something twice.
    MalformedBody,
    /// A body of another type than JSON, or compressed.
    UnsupportedMediaType,
    /// A body over the limit.
    BodyTooLarge,
    /// A body that did not arrive in time.
    BodyTooSlow,
    /// The path or the resource does not exist.
    NotFound,
    /// Nothing is counted against the subject of the shared limits; whether limits of the account itself hold.
    NothingCounted,
    /// The path has other methods.
    MethodNotAllowed(Vec<Method>),
    /// No credentials were sent.
    Unauthenticated,
    /// The access token is not valid, or its session has ended.
    InvalidAccessToken,
    /// Credentials were sent in two places, or twice.
    AmbiguousCredentials,
    /// A request with a cookie came from another site.
    CrossSiteRequest,
    /// A browser asked whether a page may send a request that it may not.
    PreflightRefused,
    /// The code is not valid.
    InvalidCode,
    /// Too many wrong codes.
    TooManyTries(Duration),
    /// Too many requests of this client, or of all of them.
    TooManyRequests(Duration),
    /// A code was sent a moment ago.
    CodeTooSoon(Duration),
    /// The identifier may get no code now.
    CodeQuotaSpent(Duration),
    /// There is no code to send again.
    NoPendingCode,
    /// The account is signed in on as many devices as it may be.
    DeviceLimitReached,
    /// An account has the identifier.
    IdentifierTaken,
    /// The account has no other identifier.
    LastIdentifier,
    /// The caller's roles do not allow the request.
    Forbidden,
    /// An access rule does not allow the request.
    RefusedByRule(RuleName),
    /// It takes the second factor, passed in this session and lately enough.
    SecondFactorRequired,
    /// It takes a sign-in or the second factor, lately enough in this session.
    FreshProofRequired,
    /// The account has no second factor to prove or renew.
    NoSecondFactor,
    /// Staff may not do that to their own account.
    OwnAccount,
    /// A block would keep its own administrator out.
    BlocksOneself,
    /// What staff want conflicts with what is so now.
    StaffConflict(StaffConflict),
    /// A read model is being made again already.
    RebuildRunning,
    /// Another verification or rehearsal reads the whole log.
    LogReadingRunning,
    /// The server's database role may make no read model again.
    RebuildNeedsOwner,
    /// The token in the body is not valid.
    InvalidToken,
    /// No configured client of `/oauth` proved itself.
    InvalidClient,
    /// The client of `/oauth` has not the scope.
    UnauthorizedClient,
    /// A form without its token, or with two.
    MalformedForm,
    /// An access rule could not tell whether the request may be, and soon can.
    RuleUnavailable(RuleName),
    /// The service cannot answer now, and soon can.
    Unavailable,
    /// A refusal of an embedding program.
    Own(OwnProblem),
    /// A fault of ours.
    Internal,
}

impl Problem {
    /// The answer to a body without a field that it needs.
    pub fn missing_field(name: &str) -> Self {
        Self::invalid_field(name, "field_required")
    }

    /// The answer to a field with that one complaint.
    pub fn invalid_field(name: &str, message: &'static str) -> Self {
        Self::InvalidFields(FieldErrors::from([(name.to_owned(), vec![message])]))
    }

    /// The answer to some field, for the document.
    pub(super) fn an_invalid_field() -> Self {
        Self::missing_field("the_field")
    }

    /// The answer to a number or an address that nothing is sent to here.
    fn not_taken(channel: Channel) -> Self {
        let (field, message) = match channel {
            Channel::Phone => ("phone_number", "phone_not_taken"),
            Channel::Email => ("email", "email_not_taken"),
        };
        Self::invalid_field(field, message)
    }

    /// The answer to an error of the write side.
    pub(crate) fn from_accounts(error: &AccountsError, now: DateTime<Utc>) -> Self {
        match error {
            AccountsError::Refused(refusal) => Self::from_refusal(*refusal, now),
            AccountsError::InvalidToken => Self::InvalidToken,
            AccountsError::Busy | AccountsError::Claims(ClaimsUnavailable) => Self::Unavailable,
            AccountsError::NotTaken(channel) => Self::not_taken(*channel),
            AccountsError::RuleUnavailable(RuleUnavailable { rule }) => Self::RuleUnavailable(*rule),
            AccountsError::Limits(error) => Self::from_limits(error),
            AccountsError::Register(error) => {
                tracing::error!(%error, "erasures cannot be registered");
                Self::Unavailable
            }
            AccountsError::Journal(error) => Self::from_journal(error),
        }
    }

    /// The answer to a refusal of the domain.
    pub(crate) fn from_refusal(refusal: Refusal, now: DateTime<Utc>) -> Self {
        let wait = |until: DateTime<Utc>| (until - now).to_std().unwrap_or_default();
        match refusal {
            Refusal::CodeTooSoon { until } => Self::CodeTooSoon(wait(until)),
            Refusal::CodeQuotaSpent { until } => Self::CodeQuotaSpent(wait(until)),
            Refusal::NoPendingCode => Self::NoPendingCode,
            Refusal::InvalidCode => Self::InvalidCode,
            Refusal::TooManyTries { until } => Self::TooManyTries(wait(until)),
            Refusal::TooManyRefreshes { until } | Refusal::TooManyReads { until } => {
                Self::TooManyRequests(wait(until))
            }
            Refusal::DeviceLimitReached => Self::DeviceLimitReached,
            Refusal::IdentifierTaken => Self::IdentifierTaken,
            Refusal::LastIdentifier => Self::LastIdentifier,
            Refusal::UnknownDevice
            | Refusal::UnknownIdentifier
            | Refusal::ChangeNotUndoable
            | Refusal::UnknownProposal
            | Refusal::UnknownAccount => Self::NotFound,
            Refusal::OwnAccount => Self::OwnAccount,
            Refusal::IdentifierHeld => Self::StaffConflict(StaffConflict::IdentifierHeld),
            Refusal::IdentifierNotHeld => Self::StaffConflict(StaffConflict::IdentifierNotHeld),
            Refusal::ProposalOpen => Self::StaffConflict(StaffConflict::ProposalOpen),
            Refusal::OwnProposal => Self::StaffConflict(StaffConflict::OwnProposal),
            Refusal::RoleMissing => Self::Forbidden,
            Refusal::RefusedByRule { rule } => Self::RefusedByRule(rule),
            Refusal::SecondFactorMissing => Self::SecondFactorRequired,
            Refusal::ProofNotFresh => Self::FreshProofRequired,
            Refusal::NoSecondFactor => Self::NoSecondFactor,
            Refusal::SpentToken => Self::InvalidToken,
            Refusal::SessionEnded => Self::InvalidAccessToken,
        }
    }

    /// The answer to a limit that all nodes share. It does not say which limit that is.
    pub(crate) fn from_limits(error: &LimitsError) -> Self {
        match error {
            LimitsError::Refused { wait, .. } | LimitsError::Blocked { wait, .. } => {
                Self::TooManyRequests(*wait)
            }
            LimitsError::CountryNotServed => Self::InvalidFields(FieldErrors::from([(
                "phone_number".to_owned(),
                vec!["phone_not_mobile"],
            )])),
            LimitsError::Unanswered(error) => {
                tracing::warn!(%error, "a limit cannot be read, so no request is let through");
                Self::Unavailable
            }
        }
    }

    /// The answer to trouble with the journal; the log is told what it was.
    pub(crate) fn from_journal(error: &JournalError) -> Self {
        match error {
            JournalError::Database(error) => Self::from_database(error),
            JournalError::Unreadable { .. } => {
                tracing::error!(%error, "an account cannot be read");
                Self::Internal
            }
        }
    }

    /// The answer to a rebuild that cannot begin.
    pub(crate) fn from_claim(error: &ClaimError) -> Self {
        match error {
            ClaimError::Running => Self::RebuildRunning,
            ClaimError::NotOwner => Self::RebuildNeedsOwner,
            ClaimError::Database(error) => Self::from_database(error),
        }
    }

    /// The answer to trouble with the database; the log is told what it was.
    pub(crate) fn from_database(error: &DatabaseError) -> Self {
        match error {
            DatabaseError::Unavailable(_) => {
                tracing::warn!(%error, "the database is away");
                Self::Unavailable
            }
            DatabaseError::Late => {
                tracing::warn!(%error, "the database is slow");
                Self::Unavailable
            }
            DatabaseError::Refused(_) => {
                tracing::error!(%error, "the database refused a statement");
                Self::Internal
            }
        }
    }

    /// The stable code, which is also the name of its message.
    pub fn code(&self) -> &'static str {
        match self {
            Self::InvalidFields(_) => "invalid_fields",
            Self::MalformedBody => "malformed_body",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::BodyTooLarge => "body_too_large",
            Self::BodyTooSlow => "body_too_slow",
            Self::NotFound => "not_found",
            Self::NothingCounted => "nothing_counted",
            Self::MethodNotAllowed(_) => "method_not_allowed",
            Self::Unauthenticated => "not_authenticated",
            Self::InvalidAccessToken => "invalid_access_token",
            Self::AmbiguousCredentials => "invalid_request",
            Self::CrossSiteRequest => "cross_site_request",
            Self::PreflightRefused => "preflight_refused",
            Self::InvalidCode => "invalid_code",
            Self::TooManyTries(_) => "too_many_tries",
            Self::TooManyRequests(_) => "too_many_requests",
            Self::CodeTooSoon(_) => "code_too_soon",
            Self::CodeQuotaSpent(_) => "code_quota_spent",
            Self::NoPendingCode => "no_pending_code",
            Self::DeviceLimitReached => "device_limit_reached",
            Self::IdentifierTaken => "identifier_taken",
            Self::LastIdentifier => "last_identifier",
            Self::Forbidden => "forbidden",
            Self::RefusedByRule(_) => "refused_by_rule",
            Self::SecondFactorRequired => "second_factor_required",
            Self::FreshProofRequired => "fresh_proof_required",
            Self::NoSecondFactor => "no_second_factor",
            Self::OwnAccount => "own_account",
            Self::BlocksOneself => "blocks_oneself",
            Self::StaffConflict(conflict) => conflict.code(),
            Self::RebuildRunning => "rebuild_running",
            Self::LogReadingRunning => "log_reading_running",
            Self::RebuildNeedsOwner => "rebuild_needs_owner",
            Self::InvalidToken => "invalid_token",
            Self::InvalidClient => "invalid_client",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::MalformedForm => "malformed_form",
            Self::RuleUnavailable(_) => "rule_unavailable",
            Self::Unavailable => "unavailable",
            Self::Own(own) => own.code,
            Self::Internal => "internal_error",
        }
    }

    /// The status, which many problems may share.
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::InvalidFields(_)
            | Self::MalformedBody
            | Self::AmbiguousCredentials
            | Self::PreflightRefused
            | Self::InvalidCode
            | Self::InvalidToken
            | Self::MalformedForm => StatusCode::BAD_REQUEST,
            Self::Unauthenticated
            | Self::InvalidAccessToken
            | Self::FreshProofRequired
            | Self::InvalidClient => StatusCode::UNAUTHORIZED,
            Self::CrossSiteRequest
            | Self::UnauthorizedClient
            | Self::Forbidden
            | Self::RefusedByRule(_)
            | Self::SecondFactorRequired => StatusCode::FORBIDDEN,
            Self::NotFound | Self::NothingCounted => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::CodeTooSoon(_) | Self::CodeQuotaSpent(_) | Self::NoPendingCode => {
                StatusCode::NOT_ACCEPTABLE
            }
            Self::BodyTooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::DeviceLimitReached
            | Self::IdentifierTaken
            | Self::LastIdentifier
            | Self::NoSecondFactor
            | Self::OwnAccount
            | Self::BlocksOneself
            | Self::StaffConflict(_)
            | Self::RebuildRunning
            | Self::LogReadingRunning
            | Self::RebuildNeedsOwner => StatusCode::CONFLICT,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooManyTries(_) | Self::TooManyRequests(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Own(own) => own.status(),
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::RuleUnavailable(_) | Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// How to prove more, where that helps (RFC 9110, section 11.6.1; the errors are those of RFC 6750, section 3.1, and
    /// RFC 9470, section 3).
    pub(super) fn challenge(&self) -> Option<&'static str> {
        let of = [
            (Self::Unauthenticated, "Bearer"),
            (Self::InvalidAccessToken, r#"Bearer error="invalid_token""#),
            (Self::InvalidClient, r#"Basic realm="oauth", charset="UTF-8""#),
            (Self::Forbidden, r#"Bearer error="insufficient_scope""#),
            (Self::SecondFactorRequired, r#"Bearer error="insufficient_user_authentication""#),
            (Self::FreshProofRequired, r#"Bearer error="insufficient_user_authentication", max_age=600"#),
        ];
        of.into_iter().find(|(problem, _)| problem == self).map(|(_, challenge)| challenge)
    }

    /// Whether it says that the token of the request does not work.
    pub(super) fn refuses_token(&self) -> bool {
        *self == Self::InvalidToken || *self == Self::InvalidAccessToken
    }

    /// How long to wait before trying again, where that helps.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::TooManyTries(wait)
            | Self::TooManyRequests(wait)
            | Self::CodeTooSoon(wait)
            | Self::CodeQuotaSpent(wait) => Some(*wait),
            Self::RuleUnavailable(_) | Self::Unavailable => Some(Duration::from_secs(1)),
            Self::InvalidFields(_)
            | Self::MalformedBody
            | Self::UnsupportedMediaType
            | Self::BodyTooLarge
            | Self::BodyTooSlow
            | Self::NotFound
            | Self::NothingCounted
            | Self::MethodNotAllowed(_)
            | Self::Unauthenticated
            | Self::InvalidAccessToken
            | Self::AmbiguousCredentials
            | Self::CrossSiteRequest
            | Self::PreflightRefused
            | Self::InvalidCode
            | Self::NoPendingCode
            | Self::DeviceLimitReached
            | Self::IdentifierTaken
            | Self::LastIdentifier
            | Self::Forbidden
            | Self::RefusedByRule(_)
            | Self::SecondFactorRequired
            | Self::FreshProofRequired
            | Self::NoSecondFactor
            | Self::OwnAccount
            | Self::BlocksOneself
            | Self::StaffConflict(_)
            | Self::RebuildRunning
            | Self::LogReadingRunning
            | Self::RebuildNeedsOwner
            | Self::InvalidToken
            | Self::InvalidClient
            | Self::UnauthorizedClient
            | Self::MalformedForm
            | Self::Own(_)
            | Self::Internal => None,
        }
    }

    /// What it is called in English.
    pub(super) fn title(&self) -> String {
        self.title_in(Language::default())
    }

    fn title_in(&self, language: Language) -> String {
        if let Self::Own(own) = self { own.title.to_owned() } else { language.title(self.code()) }
    }

    /// Its body in English.
    pub(super) fn example(&self) -> serde_json::Value {
        serde_json::to_value(self.body(Language::default())).expect("texts and numbers are JSON")
    }

    fn body(&self, language: Language) -> ProblemBody {
        let code = self.code();
        let mut errors = BTreeMap::new();
        if let Self::InvalidFields(fields) = self {
            for (field, names) in fields {
                errors.insert(field.clone(), names.iter().map(|name| language.message(name)).collect());
            }
        }
        let (kind, detail) = if let Self::Own(own) = self {
            ("own-problem", own.detail.to_owned())
        } else {
            ("problem", language.message(self.code()))
        };
        ProblemBody {
            r#type: format!("urn:counterfoil:{kind}:{code}"),
            title: self.title_in(language),
            status: self.status().as_u16(),
            detail,
            code,
            errors,
            rule: self.rule(),
            matched: if let Self::StaffConflict(conflict) = self { conflict.matched() } else { None },
            error: self.oauth_error(),
        }
    }

    /// The answer in a language (RFC 9457).
    pub(crate) fn render(&self, language: Language) -> HttpResponse {
        let mut response = HttpResponse::build(self.status());
        if let Some(wait) = self.retry_after() {
            // Rounded up: asking at that second must not be too soon again.
            response.insert_header((header::RETRY_AFTER, wait.as_millis().div_ceil(1000).max(1).to_string()));
        }
        if let Some(challenge) = self.challenge() {
            response.insert_header((header::WWW_AUTHENTICATE, challenge));
        }
        if let Self::MethodNotAllowed(methods) = self {
            let methods: Vec<&str> = methods.iter().map(Method::as_str).collect();
            response.insert_header((header::ALLOW, methods.join(", ")));
        }
        let body = serde_json::to_string(&self.body(language)).expect("texts and numbers are JSON");
        response
            .insert_header((header::CONTENT_TYPE, "application/problem+json"))
            .insert_header((header::CONTENT_LANGUAGE, language.tag()))
            .body(body)
    }
}

impl From<Infallible> for Problem {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.status()
    }

    /// In English, with the problem itself attached: the middleware makes the answer in the language of the request.
    fn error_response(&self) -> HttpResponse {
        let mut response = self.render(Language::default());
        response.extensions_mut().insert(self.clone());
        response
    }
}
