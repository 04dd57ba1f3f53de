//! The commands `counterfoil accounts identifiers …`: another number or address for an account whose user cannot change it.

use actix_web::http::Method;
use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};
use uuid::Uuid;

use super::accounts::{NamedAccount, account_id, identifier_filter};
use super::client::{StaffClient, StaffRequest};
use super::intervention::{OptionalGrounds, RequiredGrounds};
use super::output::{cell, time_cell};
use super::{Failure, output};

#[derive(Debug, Subcommand)]
pub enum RecoveryCommand {
    /// Propose that an account gets or loses a phone number or an e-mail address. Another administrator confirms it; where there
    /// is none, it takes effect after 24 hours.
    Propose {
        #[command(flatten)]
        account: NamedAccount,
        /// What is to happen
        #[arg(value_enum)]
        action: ActionArgument,
        /// The phone number or e-mail address that the account is to get, or to lose.
        identifier: String,
        #[command(flatten)]
        why: RequiredGrounds,
    },
    /// Confirm what another administrator proposed.
    Confirm {
        #[command(flatten)]
        account: NamedAccount,
        /// The id of the proposal, as `accounts show` prints it
        proposal: Uuid,
        #[command(flatten)]
        why: RequiredGrounds,
    },
    /// Withdraw what was proposed.
    Withdraw {
        #[command(flatten)]
        account: NamedAccount,
        /// The id of the proposal, as `accounts show` prints it
        proposal: Uuid,
        #[command(flatten)]
        why: OptionalGrounds,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum ActionArgument {
    /// The account gets the identifier, and has none of its kind
    Add,
    /// The account gets the identifier in the place of the one that it has
    Replace,
    /// The account loses the identifier
    Release,
}

impl ActionArgument {
    fn name(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Replace => "replace",
            Self::Release => "release",
        }
    }
}

impl RecoveryCommand {
    /// Does what the command says.
    ///
    /// # Errors
    /// When the account or the identifier is not known, or the service refuses it.
    pub async fn run(self, client: &StaffClient) -> Result<(), Failure> {
        let path = async |account: &NamedAccount, what: &str| {
            let id = account_id(client, &account.account).await?;
            Ok::<_, Failure>(format!("/admin/accounts/{id}/identifiers/{what}"))
        };
        match self {
            Self::Propose { account, action, identifier, why } => {
                let kind = identifier_filter(&identifier)
                    .ok_or_else(|| format!("{identifier:?} is no phone number and no e-mail address"))?;
                let body = why.body([("action", json!(action.name())), (kind, json!(identifier))]);
                let request = StaffRequest::change(Method::POST, path(&account, "").await?, body);
                let proposal = client.ask(&request).await?;
                Ok(output::text(&format!("{}\n", told(&proposal)))?)
            }
            Self::Confirm { account, proposal, why } => {
                let body = why.body([("proposal", json!(proposal))]);
                let request = StaffRequest::change(Method::POST, path(&account, "confirm/").await?, body);
                client.ask(&request).await?;
                Ok(output::text("The change has taken effect. Every identifier of the account is told.\n")?)
            }
            Self::Withdraw { account, proposal, why } => {
                let path = path(&account, &format!("{proposal}/")).await?;
                client.ask(&StaffRequest::change(Method::DELETE, path, why.body([]))).await?;
                Ok(output::text("The proposal is withdrawn.\n")?)
            }
        }
    }
}

/// Returns an open proposal in a sentence.
pub fn told(proposal: &Value) -> String {
    let identifier = ["phone_number", "email"].map(|name| cell(&proposal[name])).concat();
    let by_itself = match proposal["takes_effect_at"].as_str() {
        Some(_) => format!("It takes effect at {}.", time_cell(&proposal["takes_effect_at"])),
        None => "Another administrator has to confirm it.".to_owned(),
    };
    format!("Proposal {} to {} {identifier}. {by_itself}", cell(&proposal["id"]), cell(&proposal["action"]))
}
