//! The query of a request: filters, each named once and read into its domain type.

use std::future::{Ready, ready};
use std::num::NonZeroU8;
use std::str::ParseBoolError;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use chrono::{DateTime, Utc};
use ipnet::IpNet;

use super::body::{Complaint, Fields, Form};
use crate::app::State;
use crate::http::Problem;
use crate::network;

/// The most items on a page.
const MOST: u8 = 200;

/// How many are on it where nothing is said.
pub const USUAL: NonZeroU8 = NonZeroU8::new(50).unwrap();

/// The query of a request, read into `T`.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<T: Form> FromRequest for Query<T> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let region = request.app_data::<web::Data<State>>().and_then(|state| state.http.default_region);
        let mut fields = Fields::of_query(request.query_string(), region);
        let form = T::read(&mut fields);
        ready(fields.finish(form).map(Self))
    }
}

/// Which page of a list.
#[derive(Debug)]
pub struct Page {
    /// How many items, at most 200.
    pub limit: NonZeroU8,
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
pub fn limit(fields: &mut Fields) -> Option<Option<NonZeroU8>> {
    fields.optional("limit", |text| {
        let limit = text.parse().ok().filter(|limit: &NonZeroU8| limit.get() <= MOST);
        limit.ok_or(Wrong("limit_out_of_range"))
    })
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

/// A time (RFC 3339) that PostgreSQL has as well.
pub fn time(text: &str) -> Result<DateTime<Utc>, Wrong> {
    let time = DateTime::parse_from_rfc3339(text).map_err(|_| Wrong("time_malformed"))?;
    Ok(time.to_utc())
}

/// The addresses of a network in CIDR notation (RFC 4632, RFC 4291), or the one address.
pub fn network(text: &str) -> Result<IpNet, Wrong> {
    network::parse(text).map_err(|_| Wrong("address_malformed"))
}
