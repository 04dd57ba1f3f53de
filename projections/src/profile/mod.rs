//! The profile of a user: what clients show and edit.

pub mod search;

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use counterfoil_domain::user_account::{
    AccountFact, CodeFact, IdentifierFact, ProfileFact, SessionFact, StaffFact, UserAccountEvent,
};
use counterfoil_domain::values::{AccountId, Channel, EmailAddress, Identifier, PhoneNumber};
use deadpool_postgres::GenericClient;
use serde::Serialize;
use tokio_postgres::Row;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::ReadModel;
use crate::read_model::{Projector, RecordedEvent, changes, table};
use crate::search::END_OF_TIME;

/// The read model `profiles`.
pub const READ_MODEL: ReadModel = ReadModel {
    table: ProfileChange::TABLE,
    format: 2,
    changes: changes::<ProfileChange>,
    announced_on: None,
    forgets_erased: true,
    history_since: None,
    handled: &[
        "OtpRequested",
        "UserRegistered",
        "LoggedIn",
        "AccountSuspended",
        "AccountReinstated",
        "RolesChanged",
        "IdentifierAdded",
        "IdentifierReplaced",
        "IdentifierRestored",
        "IdentifierRemoved",
        "IdentifierReleased",
        "ProfileUpdated",
        "IdentifierChangeProposed",
        "IdentifierChangeConfirmed",
        "IdentifierChangeWithdrawn",
        "IdentifierChangeUndone",
        "ErasureRequested",
        "ErasureCancelled",
    ],
};

table! {
    /// A row exists from the first code on, to keep the name given then; `date_joined` says whether the account was joined.
    /// One without an identifier that was never joined is of no use, and is deleted.
    ProfileChange of "profiles", kept "date_joined IS NOT NULL OR phone_number <> '' OR email <> ''",
    key { account_id: AccountId = "uuid" }
    columns {
        phone_number: String = "text",
        email: String = "text",
        fullname: String = "text",
        is_active: bool = "boolean",
        suspended_until: DateTime<Utc> = "timestamptz",
        date_joined: DateTime<Utc> = "timestamptz",
        last_login: DateTime<Utc> = "timestamptz",
        roles: String = "text",
        proposal_due_at: DateTime<Utc> = "timestamptz",
        erasure_due_at: DateTime<Utc> = "timestamptz",
    }
}

impl Projector for ProfileChange {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a test compares this with the events that are declared"
    )]
    fn project(account: AccountId, recorded: &RecordedEvent<UserAccountEvent>) -> Option<Self> {
        let event = &recorded.event;
        let fullname = || Some(event.person.as_ref()?.fullname.as_ref()?.as_str().to_owned());
        let profile = Self::new(account);
        match event.fact {
            AccountFact::Code(CodeFact::OtpRequested { registering: true, .. }) => {
                Some(Self {
                    // Empty where none was given: the name of an earlier request is not this one's.
                    fullname: Some(fullname().unwrap_or_default()),
                    is_active: Some(true),
                    ..profile.known_by(event)
                })
            }
            AccountFact::Profile(ProfileFact::UserRegistered { .. }) => {
                Some(Self { date_joined: Some(event.at), ..profile })
            }
            // An account that is signed in is not suspended any more.
            AccountFact::Session(SessionFact::LoggedIn { .. }) => {
                Some(Self { last_login: Some(event.at), is_active: Some(true), ..profile })
            }
            AccountFact::Staff(StaffFact::AccountSuspended { until, .. }) => Some(Self {
                is_active: Some(false),
                // A change sets a column, and cannot empty it.
                suspended_until: Some(until.unwrap_or(END_OF_TIME)),
                ..profile
            }),
            AccountFact::Staff(StaffFact::AccountReinstated { .. }) => {
                Some(Self { is_active: Some(true), ..profile })
            }
            AccountFact::Staff(StaffFact::RolesChanged { ref roles, .. }) => {
                let names: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
                Some(Self { roles: Some(names.join(",")), ..profile })
            }
            AccountFact::Identifier(
                IdentifierFact::IdentifierAdded { .. }
                | IdentifierFact::IdentifierReplaced { .. }
                | IdentifierFact::IdentifierRestored { .. },
            ) => Some(profile.known_by(event).without_proposal()),
            AccountFact::Identifier(IdentifierFact::IdentifierChangeProposed { due_at, .. }) => {
                Some(Self { proposal_due_at: Some(due_at), ..profile })
            }
            AccountFact::Identifier(
                IdentifierFact::IdentifierChangeConfirmed { .. }
                | IdentifierFact::IdentifierChangeWithdrawn { .. }
                | IdentifierFact::IdentifierChangeUndone { .. },
            ) => Some(profile.without_proposal()),
            // A change sets a column, and cannot empty it.
            AccountFact::Identifier(
                IdentifierFact::IdentifierRemoved { channel: Channel::Phone, .. }
                | IdentifierFact::IdentifierReleased { channel: Channel::Phone, .. },
            ) => Some(Self { phone_number: Some(String::new()), ..profile.without_proposal() }),
            AccountFact::Identifier(
                IdentifierFact::IdentifierRemoved { channel: Channel::Email, .. }
                | IdentifierFact::IdentifierReleased { channel: Channel::Email, .. },
            ) => Some(Self { email: Some(String::new()), ..profile.without_proposal() }),
            AccountFact::Profile(ProfileFact::ProfileUpdated {}) => {
                Some(Self { fullname: fullname(), ..profile })
            }
            AccountFact::Profile(ProfileFact::ErasureRequested { due_at, .. }) => {
                Some(Self { erasure_due_at: Some(due_at), ..profile })
            }
            // A change sets a column, and cannot empty it.
            AccountFact::Profile(ProfileFact::ErasureCancelled {}) => {
                Some(Self { erasure_due_at: Some(END_OF_TIME), ..profile })
            }
            _ => None,
        }
    }
}

impl ProfileChange {
    /// Without an open proposal of staff, which a change of the identifiers makes void.
    fn without_proposal(self) -> Self {
        // A change sets a column, and cannot empty it.
        Self { proposal_due_at: Some(END_OF_TIME), ..self }
    }

    /// With the number or address that the event tells.
    fn known_by(self, event: &UserAccountEvent) -> Self {
        match event.person.as_ref().and_then(|person| person.identifier.as_ref()) {
            Some(Identifier::Phone(number)) => {
                Self { phone_number: Some(number.as_str().to_owned()), ..self }
            }
            Some(Identifier::Email(address)) => Self { email: Some(address.as_str().to_owned()), ..self },
            None => self,
        }
    }
}

/// The profile of a user, in the form that clients of the API know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Profile {
    /// The id of the account.
    pub id: AccountId,
    /// The proved phone number, in E.164 form.
    #[schema(example = "+989121234567")]
    pub phone_number: Option<String>,
    /// The proved e-mail address.
    #[schema(example = "ada@example.com")]
    pub email: Option<String>,
    /// The full name that the user gave.
    #[schema(example = "Ada Lovelace")]
    pub fullname: Option<String>,
    /// Whether the account may be used.
    pub is_active: bool,
    /// When the first code was redeemed.
    pub date_joined: DateTime<Utc>,
    /// When a code was last redeemed.
    pub last_login: Option<DateTime<Utc>>,
}

impl Profile {
    /// The proved identifier of that kind.
    pub fn identifier(&self, channel: Channel) -> Option<Identifier> {
        match channel {
            Channel::Phone => {
                let number = self.phone_number.as_deref()?;
                PhoneNumber::parse(number, None).ok().map(Identifier::Phone)
            }
            Channel::Email => {
                let address = self.email.as_deref()?;
                EmailAddress::parse(address).ok().map(Identifier::Email)
            }
        }
    }

    /// Reads a row of `profiles`; `None` where the account was never joined.
    #[doc(hidden)]
    pub fn from_row(row: &Row) -> Option<Self> {
        let date_joined = row.get::<_, Option<_>>("date_joined")?;
        let text = |column| row.get::<_, Option<String>>(column).filter(|text| !text.is_empty());
        Some(Self {
            id: AccountId(row.get("account_id")),
            phone_number: text("phone_number"),
            email: text("email"),
            fullname: text("fullname"),
            is_active: row.get("is_active"),
            date_joined,
            last_login: row.get("last_login"),
        })
    }
}

/// The profiles of accounts, in their order; `None` where an account was never joined.
///
/// # Errors
/// When the database does not answer.
pub async fn find(
    client: &impl GenericClient,
    accounts: &[AccountId],
) -> Result<Vec<Option<Profile>>, tokio_postgres::Error> {
    let ids: Vec<Uuid> = accounts.iter().map(|account| account.0).collect();
    let rows = client.query(&client.prepare_cached(include_str!("find.sql")).await?, &[&ids]).await?;
    let mut found: HashMap<Uuid, Profile> = HashMap::with_capacity(rows.len());
    for row in rows {
        if let Some(profile) = Profile::from_row(&row) {
            found.insert(profile.id.0, profile);
        }
    }
    // The same account may be asked for more than once.
    Ok(ids.iter().map(|id| found.get(id).cloned()).collect())
}
