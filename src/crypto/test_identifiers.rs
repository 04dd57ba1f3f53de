//! Numbers and addresses for the reviewers of app stores and for automatic tests, whose code is always the same.
//!
//! They are listed in the settings, each with an end. No message goes to them, and each event that they bring about says so.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use counterfoil_domain::values::{Identifier, OtpCode};

use crate::runtime::clock::Clock;

/// The identifiers that the settings list for tests.
#[derive(Clone, Debug, Default)]
pub struct TestIdentifiers(Arc<HashMap<Identifier, Listed>>);

#[derive(Clone, Debug)]
struct Listed {
    code: OtpCode,
    until: DateTime<Utc>,
}

impl TestIdentifiers {
    /// Those identifiers, each with its code and its end. One that is listed twice has the later entry.
    pub fn new(listed: impl IntoIterator<Item = (Identifier, OtpCode, DateTime<Utc>)>) -> Self {
        let listed = listed.into_iter().map(|(identifier, code, until)| (identifier, Listed { code, until }));
        Self(Arc::new(listed.collect()))
    }

    /// Their ends, in no order.
    pub fn ends(&self) -> impl Iterator<Item = DateTime<Utc>> + '_ {
        self.0.values().map(|listed| listed.until)
    }

    /// The code of an identifier that is listed and whose end has not come.
    pub fn code(&self, identifier: &Identifier, clock: &dyn Clock) -> Option<&OtpCode> {
        // The time is not asked for where nothing is listed.
        let listed = self.0.get(identifier)?;
        (clock.now() < listed.until).then_some(&listed.code)
    }
}
