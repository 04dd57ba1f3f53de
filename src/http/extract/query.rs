//! The query of a request: filters, each named once and read into its domain type.

use std::future::{Ready, ready};
use std::net::IpAddr;
use std::str::ParseBoolError;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage as _, HttpRequest, web};
use chrono::{DateTime, Utc};
use counterfoil_domain::values::Region;
use ipnet::IpNet;
use utoipa::ToSchema;

use super::FieldError;
use super::body::{FromFields, RequestFields};
use super::reason::GroundsBeside;
use crate::http::AppState;
use crate::http::Problem;
use crate::http::document::{DescribeOperation, OperationDraft};
use crate::runtime::network;

/// How many items a page may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ToSchema)]
#[schema(minimum = 1, maximum = 200, example = 50)]
pub struct PageLimit(pub u8);

/// How many are on it where nothing is said.
pub const DEFAULT_LIMIT: PageLimit = PageLimit(50);

/// The query of a request, read into `T`.
#[derive(Debug)]
pub struct QueryParams<T>(pub T);

/// Stands at a request whose query an operation reads, and has found to be valid.
#[derive(Clone, Copy, Debug)]
pub(super) struct ValidQuery;

impl<T: FromFields> FromRequest for QueryParams<T> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let region = request.app_data::<web::Data<AppState>>().and_then(|state| state.http.default_region);
        let fields = RequestFields::of_query(request.query_string(), region);
        let mut fields = fields.with_grounds(GroundsBeside::query(request));
        let form = T::from_fields(&mut fields);
        let read = fields.finish(form).map(Self);
        if read.is_ok() {
            request.extensions_mut().insert(ValidQuery);
        }
        ready(read)
    }
}

impl<T: FromFields> DescribeOperation for QueryParams<T> {
    fn describe(operation: &mut OperationDraft) {
        let asked = RequestFields::asked_by::<T>();
        let reason = asked.reason_in_header();
        for parameter in asked.query().chain(reason) {
            operation.parameter(parameter);
        }
        operation.problems([Problem::an_invalid_field()]);
    }
}

/// Which page of a list.
#[derive(Debug)]
pub struct PageRequest {
    /// How many items, at most 200.
    pub limit: PageLimit,
    /// After which it begins, as the page before it said; the first page where there is none.
    pub cursor: Option<String>,
}

impl FromFields for PageRequest {
    fn from_fields(fields: &mut RequestFields) -> Option<Self> {
        let limit = read_limit(fields);
        let cursor = fields.optional("cursor", str::parse);
        Some(Self { limit: limit?.unwrap_or(DEFAULT_LIMIT), cursor: cursor? })
    }
}

/// How many items, where it is said. The outer `None` is a complaint.
pub fn read_limit(fields: &mut RequestFields) -> Option<Option<PageLimit>> {
    fields.optional("limit", |text| {
        let limit = text.parse().ok().filter(|limit| (1..=200).contains(limit));
        limit.map(PageLimit).ok_or(InvalidParameter("limit_out_of_range"))
    })
}

/// A place in the log, or in an account's stream; before the first where it is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ToSchema)]
#[schema(minimum = 0, example = 7)]
pub struct LogPosition(pub i64);

impl LogPosition {
    /// Parses a position, which is not negative.
    pub fn parse(text: &str) -> Result<Self, InvalidParameter> {
        let position = text.parse().ok().filter(|position| *position >= 0);
        position.map(Self).ok_or(InvalidParameter("position_malformed"))
    }
}

/// Text that is not what it should be, by the name of the message that says so.
#[derive(Clone, Copy, Debug)]
pub struct InvalidParameter(pub &'static str);

impl FieldError for InvalidParameter {
    fn message(&self) -> &'static str {
        self.0
    }
}

impl FieldError for ParseBoolError {
    fn message(&self) -> &'static str {
        "field_not_boolean"
    }
}

impl FieldError for uuid::Error {
    fn message(&self) -> &'static str {
        "id_malformed"
    }
}

/// A time (RFC 3339).
#[derive(ToSchema)]
struct RfcTime(DateTime<Utc>);

impl RfcTime {
    fn parse(text: &str) -> Result<Self, InvalidParameter> {
        let time = DateTime::parse_from_rfc3339(text).map_err(|_| InvalidParameter("time_malformed"))?;
        Ok(Self(time.to_utc()))
    }
}

/// From when on and until when, as far as it is said.
#[derive(Clone, Copy, Debug)]
pub struct AskedSpan {
    /// The time at which it begins.
    pub since: Option<DateTime<Utc>>,
    /// The time before which it ends.
    pub until: Option<DateTime<Utc>>,
}

impl RequestFields {
    /// A time, where it is said. The outer `None` is a complaint.
    pub fn time(&mut self, name: &'static str) -> Option<Option<DateTime<Utc>>> {
        Some(self.optional(name, RfcTime::parse)?.map(|RfcTime(time)| time))
    }

    /// A time that has to be said. `None` is a complaint.
    pub fn required_time(&mut self, name: &'static str) -> Option<DateTime<Utc>> {
        Some(self.required(name, RfcTime::parse)?.0)
    }

    /// The times `since` and `until`, where they are said; `until` may not come before `since`. The outer `None` is a complaint.
    pub fn time_span(&mut self) -> Option<AskedSpan> {
        let (since, until) = (self.time("since"), self.time("until"));
        let (since, until) = (since?, until?);
        if since.zip(until).is_some_and(|(since, until)| until < since) {
            self.complain("until", "until_before_since");
            return None;
        }
        Some(AskedSpan { since, until })
    }
}

/// The addresses of a network in CIDR notation (RFC 4632, RFC 4291), or the one address.
#[derive(Clone, Copy, Debug, ToSchema)]
#[schema(value_type = String, format = "ip-network", example = "192.0.2.0/24")]
pub struct AddressRange(pub IpNet);

impl AddressRange {
    /// Parses a network, or one address.
    pub fn parse(text: &str) -> Result<Self, InvalidParameter> {
        network::parse(text).map(Self).map_err(|_| InvalidParameter("address_malformed"))
    }
}

/// One IP address, and no network.
#[derive(Clone, Copy, Debug, ToSchema)]
#[schema(value_type = String, format = "ip", example = "192.0.2.44")]
pub struct OneAddress(pub IpAddr);

impl OneAddress {
    /// Parses an IPv4 or IPv6 address.
    pub fn parse(text: &str) -> Result<Self, InvalidParameter> {
        text.trim().parse().map(Self).map_err(|_| InvalidParameter("one_address_malformed"))
    }
}

/// A country (ISO 3166-1 alpha-2).
#[derive(Clone, Copy, Debug, ToSchema)]
#[schema(value_type = String, pattern = "^[A-Za-z]{2}$", example = "IR")]
pub struct CountryCode(pub Region);

impl CountryCode {
    /// Parses the code of a country in either case.
    pub fn parse(text: &str) -> Result<Self, InvalidParameter> {
        Region::parse(text.trim()).map(Self).ok_or(InvalidParameter("country_unknown"))
    }
}
