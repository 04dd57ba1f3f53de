//! Why a member of staff reads or acts, as every command of theirs takes it.

use clap::Args;
use counterfoil_domain::values::Reason;
use serde_json::{Map, Value, json};

use super::client::StaffRequest;

/// The reason for what may be read or done without one.
#[derive(Debug, Args)]
pub struct ReadReason {
    /// Why, for the record; `COUNTERFOIL_REASON` holds it for several commands.
    #[arg(long, env = "COUNTERFOIL_REASON", value_parser = Reason::parse)]
    reason: Option<Reason>,
}

impl ReadReason {
    /// Returns the reason, where one is given.
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_ref().map(Reason::as_str)
    }

    /// Returns the body of a request with these fields and the reason. A field that is null is left out.
    pub fn body<const N: usize>(&self, fields: [(&str, Value); N]) -> Value {
        body(fields, [("reason", json!(self.reason()))])
    }
}

/// The reason for an act on the service as a whole.
#[derive(Debug, Args)]
pub struct ServiceActReason {
    /// Why, for the record; `COUNTERFOIL_REASON` holds it for several commands.
    #[arg(long, env = "COUNTERFOIL_REASON", value_parser = Reason::parse)]
    reason: Reason,
}

impl ServiceActReason {
    /// Returns the body of a request with these fields and the reason. A field that is null is left out.
    pub fn body<const N: usize>(&self, fields: [(&str, Value); N]) -> Value {
        body(fields, [("reason", json!(self.reason.as_str()))])
    }
}

/// The reason and the case of an intervention that needs a reason.
#[derive(Debug, Args)]
pub struct RequiredGrounds {
    /// Why, for the record; `COUNTERFOIL_REASON` holds it for several commands.
    #[arg(long, env = "COUNTERFOIL_REASON", value_parser = Reason::parse)]
    reason: Reason,
    /// The number of the case that it belongs to; `COUNTERFOIL_CASE` holds it for several commands.
    #[arg(long, env = "COUNTERFOIL_CASE")]
    case: Option<String>,
}

impl RequiredGrounds {
    /// Returns the body of a request with these fields, the reason and the case. A field that is null is left out.
    pub fn body<const N: usize>(&self, fields: [(&str, Value); N]) -> Value {
        body(fields, [("reason", json!(self.reason.as_str())), ("case", json!(self.case))])
    }
}

impl RequiredGrounds {
    /// Adds the reason and the case to the query of a request that has no body.
    pub fn add_to_query(&self, request: StaffRequest) -> StaffRequest {
        request.with("reason", Some(self.reason.as_str())).with("case", self.case.as_deref())
    }
}

/// The reason and the case of an intervention that may be made without a reason.
#[derive(Debug, Args)]
pub struct OptionalGrounds {
    #[command(flatten)]
    why: ReadReason,
    /// The number of the case that it belongs to; `COUNTERFOIL_CASE` holds it for several commands.
    #[arg(long, env = "COUNTERFOIL_CASE")]
    case: Option<String>,
}

impl OptionalGrounds {
    /// Returns the body of a request with these fields, the reason and the case. A field that is null is left out.
    pub fn body<const N: usize>(&self, fields: [(&str, Value); N]) -> Value {
        body(fields, [("reason", json!(self.why.reason())), ("case", json!(self.case))])
    }
}

fn body<const N: usize, const M: usize>(fields: [(&str, Value); N], grounds: [(&str, Value); M]) -> Value {
    let given = fields.into_iter().chain(grounds).filter(|(_, value)| !value.is_null());
    Value::Object(given.map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>())
}
