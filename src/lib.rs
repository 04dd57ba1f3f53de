//! Counterfoil signs people in with a one-time code and keeps the other half of the ticket: every decision it took is
//! an event in PostgreSQL, and what is true now is built from the events.
//!
//! The program `counterfoil` is this library without parts of one's own. A program of yours builds the same service with a
//! gateway that sends its messages, rules of its own about who may sign in, claims in its access tokens, and routes beside those of
//! the service:
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! use counterfoil::web::{ApiResource, ApiResponse, OkJson, OperationDoc, Problem, SignedInCaller, get, json, path, utoipa};
//! use counterfoil::values::{AccountId, Identifier};
//! use counterfoil::{
//!     AcceptedMessage, AccessRule, ClaimsFault, ClaimsRequest, ClaimsSource, CodeRuleRequest, EventListener, Gateway,
//!     ListenedEvent, ListenerFault, Message, NotAccepted, RuleDecision, RuleFault, Secret, Service, ServiceAccounts, SettingsSection, async_trait,
//! };
//! use serde::{Deserialize, Serialize};
//! use serde_json::{Map, Value};
//!
//! /// The section `[gateways.acme]` of counterfoil.toml, beside `kind = "own"`.
//! #[derive(Deserialize, Serialize)]
//! struct AcmeSettings {
//!     api_key: Secret<String>,
//! }
//!
//! /// Sends messages by a provider of one's own.
//! #[derive(Debug)]
//! struct AcmeSms {
//!     settings: SettingsSection<AcmeSettings>,
//! }
//!
//! #[async_trait]
//! impl Gateway for AcmeSms {
//!     async fn send(&self, message: &Message) -> Result<AcceptedMessage, NotAccepted> {
//!         let _key = self.settings.get().api_key.expose();
//!         // … hand over message.to and message.text …
//!         Ok(AcceptedMessage { reference: Some(message.id.to_string()) })
//!     }
//! }
//!
//! /// Sends codes to addresses of the company alone.
//! #[derive(Debug)]
//! struct CompanyOnly;
//!
//! #[async_trait]
//! impl AccessRule for CompanyOnly {
//!     fn name(&self) -> &'static str {
//!         "company_only"
//!     }
//!
//!     async fn code(&self, request: &CodeRuleRequest) -> Result<RuleDecision, RuleFault> {
//!         Ok(match &request.identifier {
//!             Identifier::Email(address) if address.domain() == "example.com" => RuleDecision::Allow,
//!             Identifier::Email(_) | Identifier::Phone(_) => RuleDecision::Refuse,
//!         })
//!     }
//! }
//!
//! /// Tells other services that a user belongs to the company.
//! #[derive(Debug)]
//! struct CompanyClaims;
//!
//! #[async_trait]
//! impl ClaimsSource for CompanyClaims {
//!     fn claim_names(&self) -> &[&'static str] {
//!         &["company"]
//!     }
//!
//!     async fn claims(&self, _: &ClaimsRequest) -> Result<Map<String, Value>, ClaimsFault> {
//!         Ok(Map::from_iter([("company".to_owned(), "example".into())]))
//!     }
//! }
//!
//! /// Opens a mailbox for each new colleague.
//! #[derive(Debug)]
//! struct Mailboxes;
//!
//! #[async_trait]
//! impl EventListener for Mailboxes {
//!     fn name(&self) -> &'static str {
//!         "mailboxes"
//!     }
//!
//!     fn event_names(&self) -> &'static [&'static str] {
//!         &["UserRegistered"]
//!     }
//!
//!     async fn on_event(&self, event: &ListenedEvent) -> Result<(), ListenerFault> {
//!         // … open the mailbox; an event that comes twice has the same event.seq …
//!         println!("account {} has joined", event.account);
//!         Ok(())
//!     }
//! }
//!
//! /// What `GET /company/me/` answers.
//! #[derive(Serialize, utoipa::ToSchema)]
//! struct Colleague {
//!     account: AccountId,
//!     devices: usize,
//! }
//!
//! const ME: OperationDoc = OperationDoc { id: "companyMe", summary: "Look at oneself", ..OperationDoc::EMPTY };
//!
//! async fn me(caller: SignedInCaller, accounts: ServiceAccounts) -> Result<ApiResponse<OkJson<Colleague>>, Problem> {
//!     let account = caller.token.account;
//!     Ok(json(Colleague { account, devices: accounts.devices(account).await?.len() }))
//! }
//!
//! fn routes() -> Vec<ApiResource> {
//!     vec![path("/company/me/", [get(me, ME)])]
//! }
//!
//! fn main() -> ExitCode {
//!     let acme = SettingsSection::<AcmeSettings>::named("gateways.acme");
//!     Service::from_environment()
//!         .settings(&acme)
//!         .gateway("acme", AcmeSms { settings: acme })
//!         .rule(CompanyOnly)
//!         .claims(CompanyClaims)
//!         .on_event(Mailboxes)
//!         .routes(routes)
//!         .command_line()
//! }
//! ```
//!
//! It wants these lines in `counterfoil.toml`:
//!
//! ```toml
//! profile = "development"      # codes that no gateway takes come in the answer; a private PostgreSQL in ./.counterfoil
//! [delivery]
//! phone = "acme"
//! [gateways.acme]
//! kind = "own"
//! api_key = "secret"
//! ```
//!
//! `cargo run -- serve` then listens on `127.0.0.1:8000`. `POST /accounts/login/` with `{"email": "ada@example.com"}` asks for a code,
//! `POST /accounts/verify/` with the same and `"code"` answers with the tokens, and `/docs/` shows all operations, `/company/me/` among
//! them.
//!
//! The program has the whole command line: `serve`, `accounts`, `audit` and all others. [`Service::start`] runs the same service
//! inside another program, or in a test. Other services check its access tokens with the crate `counterfoil-guard`.
//!
//! All that this page does not name is internal. The feature `internals` opens it to the tests of this repository and may change
//! at any time.

#![cfg_attr(
    not(feature = "internals"),
    expect(
        dead_code,
        unused_imports,
        reason = "the tests of this repository use more of each module than the service does"
    )
)]

#[cfg(not(feature = "internals"))]
mod accounts;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod accounts;
#[cfg(not(feature = "internals"))]
mod app;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod app;
#[cfg(not(feature = "internals"))]
mod audit;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod audit;
#[cfg(not(feature = "internals"))]
mod cli;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod cli;
#[cfg(not(feature = "internals"))]
mod crypto;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod crypto;
#[cfg(not(feature = "internals"))]
mod delivery;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod delivery;
#[cfg(not(feature = "internals"))]
mod http;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod http;
#[cfg(not(feature = "internals"))]
mod journal;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod journal;
#[cfg(not(feature = "internals"))]
mod language;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod language;
#[cfg(not(feature = "internals"))]
mod limits;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod limits;
#[cfg(not(feature = "internals"))]
mod listeners;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod listeners;
#[cfg(not(feature = "internals"))]
mod postgres;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod postgres;
#[cfg(not(feature = "internals"))]
mod read_models;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod read_models;
#[cfg(not(feature = "internals"))]
mod rules;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod rules;
#[cfg(not(feature = "internals"))]
mod runtime;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod runtime;
mod service;
#[cfg(not(feature = "internals"))]
mod settings;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod settings;
#[cfg(not(feature = "internals"))]
mod tokens;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod tokens;
#[cfg(not(feature = "internals"))]
mod transparency;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod transparency;

pub use actix_web;
pub use async_trait::async_trait;
pub use chrono;
/// The allocator of the program `counterfoil`, for a `#[global_allocator]` of other programs. Measured with that of the C library, a
/// sixth of a refresh's processor time went to it.
pub use mimalloc::MiMalloc;

pub use app::{RunningService, ServiceAccounts, ServiceActor, StartError};
pub use counterfoil_projections::login_history::HistoryLine;
pub use counterfoil_projections::profile::Profile;
pub use counterfoil_projections::user_login::Device;
pub use crypto::secret::{Secret, SecretValue};
pub use delivery::{AcceptedMessage, Gateway, Message, NotAccepted};
pub use language::Language;
pub use listeners::{EventListener, ListenedEvent, ListenerFault};
pub use rules::{
    AccessRule, CodeRuleRequest, RefreshRuleRequest, RuleDecision, RuleFault, SignInRuleRequest,
};
pub use service::Service;
pub use settings::SettingsSection;
pub use tokens::claims_source::{ClaimsFault, ClaimsOccasion, ClaimsRequest, ClaimsSource};

/// The events of an account, as listeners hear of them. Each is a variant of one of the facts, which describe it and its fields.
pub mod events {
    pub use counterfoil_domain::user_account::{
        AccountFact, ActingStaff, CodeFact, IdentifierFact, PersonalDetails, ProfileFact, RuleStage,
        SecondFactorFact, SessionFact, SignOutReason, StaffFact, UserAccountEvent,
    };
}

/// Values that are right once they exist, such as identifiers and ids.
pub mod values {
    pub use counterfoil_domain::user_account::Purpose;
    pub use counterfoil_domain::values::{
        AccountId, Channel, Client, DeviceName, EmailAddress, FullName, Identifier, InvalidEmailAddress,
        InvalidPhoneNumber, InvalidText, LanguageTag, OtpCode, PhoneNumber, Reason, Region, Role, RuleName,
        SessionId, UserAgent,
    };
}

/// What routes of a program are made of: the extractors, answers and problems of the service's own.
pub mod web {
    pub use crate::http::{
        AdminRole, ApiResource, ApiResponse, AuditorRole, ClientAddress, DescribeOperation, FieldError,
        FromFields, HeaderDoc, JsonBody, MethodRoute, NoContent, OkJson, OperationDoc, OperationDraft,
        OwnProblem, Problem, RequestFields, SignedInCaller, StaffCaller, delete, get, json, no_content,
        patch, path, post,
    };
    pub use utoipa;
}
