//! Counterfoil signs people in with a one-time code and keeps the other half of the ticket: every decision it took is
//! an event in PostgreSQL, and what is true now is built from the events.

pub mod accounts;
pub mod app;
pub mod audit;
pub mod cli;
pub mod crypto;
pub mod delivery;
pub mod http;
pub mod journal;
pub mod language;
pub mod limits;
pub mod listeners;
pub mod postgres;
pub mod read_models;
pub mod rules;
pub mod runtime;
mod service;
pub mod settings;
pub mod tokens;

pub use app::{RunningService, ServiceAccounts, ServiceActor, StartError};
pub use service::Service;

/// Values that are right once they exist, such as identifiers and ids.
pub mod values {
    pub use counterfoil_domain::values::*;
}

/// What routes of a program are made of: the extractors, answers and problems of the service's own.
pub mod web {
    pub use crate::http::{
        AdminRole, ApiResource, ApiResponse, AuditorRole, ClientAddress, DescribeOperation, FieldError,
        FromFields, HeaderDoc, JsonBody, MethodRoute, NoContent, OkJson, OperationDoc, OperationDraft,
        OwnProblem, Problem, RequestFields, SignedInCaller, StaffCaller, delete, get, json, no_content,
        patch, path, post,
    };
}
