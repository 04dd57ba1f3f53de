//! The query of a request: filters, each named once and read into its domain type.

use std::future::{Ready, ready};
use std::str::ParseBoolError;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use chrono::{DateTime, Utc};
use ipnet::IpNet;
use utoipa::ToSchema;

use super::body::{Complaint, Fields, Form};
use super::reason;
use crate::http::Problem;
use crate::http::State;
use crate::http::document::{DescribeOperation, OperationDraft};
use crate::runtime::network;

/// How many items a page may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ToSchema)]
#[schema(minimum = 1, maximum = 200, example = 50)]
pub struct Limit(pub u8);

/// How many are on it where nothing is said.
pub const USUAL: Limit = Limit(50);

/// The query of a request, read into `T`.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<T: Form> FromRequest for Query<T> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let region = request.app_data::<web::Data<State>>().and_then(|state| state.http.default_region);
        let fields = Fields::of_query(request.query_string(), region);
        let mut fields = fields.with_reason(reason::in_header(request));
        let form = T::read(&mut fields);
        ready(fields.finish(form).map(Self))
    }
}

impl<T: Form> DescribeOperation for Query<T> {
    fn describe(operation: &mut OperationDraft) {
        let asked = Fields::asked_by::<T>();
        let reason = asked.reason_in_header();
        for parameter in asked.query().chain(reason) {
            operation.parameter(parameter);
        }
        operation.problems([Problem::an_invalid_field()]);
    }
}

/// Which page of a list.
#[derive(Debug)]
pub struct Page {
    /// How many items, at most 200.
    pub limit: Limit,
    /// After which it begins, as the page before it said; the first page where there is none.
    pub cursor: Option<String>,
}

impl Form for Page {
    fn read(fields: &mut Fields) -> Option<Self> {
        let limit = limit(fields);
        let cursor = fields.optional("cursor", str::parse);
        Some(Self { limit: limit?.unwrap_or(USUAL), cursor: cursor? })
    }
}

/// How many items, where it is said. The outer `None` is a complaint.
pub fn limit(fields: &mut Fields) -> Option<Option<Limit>> {
    fields.optional("limit", |text| {
        let limit = text.parse().ok().filter(|limit| (1..=200).contains(limit));
        limit.map(Limit).ok_or(Wrong("limit_out_of_range"))
    })
}

/// A place in the log, or in an account's stream; before the first where it is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ToSchema)]
#[schema(minimum = 0, example = 7)]
pub struct Position(pub i64);

impl Position {
    /// Reads one.
    pub fn parse(text: &str) -> Result<Self, Wrong> {
        let position = text.parse().ok().filter(|position| *position >= 0);
        position.map(Self).ok_or(Wrong("position_malformed"))
    }
}

/// Text that is not what it should be, by the name of the message that says so.
#[derive(Clone, Copy, Debug)]
pub struct Wrong(pub &'static str);

impl Complaint for Wrong {
    fn message(&self) -> &'static str {
        self.0
    }
}

impl Complaint for ParseBoolError {
    fn message(&self) -> &'static str {
        "field_not_boolean"
    }
}

impl Complaint for uuid::Error {
    fn message(&self) -> &'static str {
        "id_malformed"
    }
}

/// A time (RFC 3339).
#[derive(ToSchema)]
struct Time(DateTime<Utc>);

impl Time {
    fn parse(text: &str) -> Result<Self, Wrong> {
        let time = DateTime::parse_from_rfc3339(text).map_err(|_| Wrong("time_malformed"))?;
        Ok(Self(time.to_utc()))
    }
}

impl Fields {
    /// A time, where it is said. The outer `None` is a complaint.
    pub fn time(&mut self, name: &'static str) -> Option<Option<DateTime<Utc>>> {
        Some(self.optional(name, Time::parse)?.map(|Time(time)| time))
    }
}

/// The addresses of a network in CIDR notation (RFC 4632, RFC 4291), or the one address.
#[derive(Clone, Copy, Debug, ToSchema)]
#[schema(value_type = String, format = "ip-network", example = "192.0.2.0/24")]
pub struct Network(pub IpNet);

impl Network {
    /// Reads one.
    pub fn parse(text: &str) -> Result<Self, Wrong> {
        network::parse(text).map(Self).map_err(|_| Wrong("address_malformed"))
    }
}
