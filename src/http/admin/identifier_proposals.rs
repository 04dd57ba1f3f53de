//! Recovery by staff: another identifier for an account whose user cannot change it. One administrator proposes, another confirms.

use actix_web::web;
use chrono::{DateTime, Utc};
use counterfoil_domain::user_account::{ActingStaff, ProposedChange};
use counterfoil_domain::values::{AccountId, Channel, Identifier, ProposalId};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{InterventionRequest, parse_id};
use crate::accounts::{ActionGrounds, OpenProposal};
use crate::http::document::OperationDoc;
use crate::http::extract::{
    AdminRole, FromFields, InvalidParameter, JsonBody, RequestFields, StaffCaller, read_identifier,
};
use crate::http::response::{self, ApiResponse, NoContent, OkJson};
use crate::http::{AppState, Problem, StaffConflict};

#[derive(Debug)]
pub struct ProposeIdentifierRequest {
    action: ProposedChange,
    identifier: Identifier,
    grounds: ActionGrounds,
}

impl FromFields for ProposeIdentifierRequest {
    fn from_fields(fields: &mut RequestFields) -> Option<Self> {
        let action = fields.required("action", parse_action);
        let identifier = read_identifier(fields);
        let grounds = fields.required_grounds();
        Some(Self { action: action?, identifier: identifier?, grounds: grounds? })
    }
}

fn parse_action(name: &str) -> Result<ProposedChange, InvalidParameter> {
    match name {
        "add" => Ok(ProposedChange::Add),
        "replace" => Ok(ProposedChange::Replace),
        "release" => Ok(ProposedChange::Release),
        _ => Err(InvalidParameter("identifier_action_unknown")),
    }
}

/// A change of an account's identifiers that staff proposed.
#[derive(Serialize, ToSchema)]
pub struct IdentifierProposalResponse {
    /// The id of the proposal.
    id: ProposalId,
    /// What is to happen to the identifier.
    action: ProposedChange,
    /// The kind of the identifier.
    #[schema(value_type = String, example = "phone")]
    channel: &'static str,
    /// The number that the account is to get or to lose, in E.164.
    phone_number: Option<String>,
    /// The address that the account is to get or to lose.
    email: Option<String>,
    /// The member of staff who proposed it. Another one has to confirm it.
    proposed_by: ActingStaff,
    /// When it takes effect by itself; null while another administrator can confirm it.
    takes_effect_at: Option<DateTime<Utc>>,
    /// When the proposal is void.
    expires_at: DateTime<Utc>,
}

impl From<OpenProposal> for IdentifierProposalResponse {
    fn from(OpenProposal { proposal, identifier, can_be_confirmed }: OpenProposal) -> Self {
        let (phone_number, email) = match identifier {
            Some(Identifier::Phone(number)) => (Some(number.as_str().to_owned()), None),
            Some(Identifier::Email(address)) => (None, Some(address.as_str().to_owned())),
            None => (None, None),
        };
        Self {
            id: proposal.id,
            action: proposal.change,
            channel: Channel::as_str(proposal.channel),
            phone_number,
            email,
            proposed_by: proposal.by,
            takes_effect_at: (!can_be_confirmed).then_some(proposal.due_at),
            expires_at: proposal.expires_at,
        }
    }
}

/// Reads the proposal that an account has open.
pub async fn open(
    state: &AppState,
    account: AccountId,
) -> Result<Option<IdentifierProposalResponse>, Problem> {
    let open = state.accounts.open_proposal(account).await.map_err(|error| state.problem(&error))?;
    Ok(open.map(IdentifierProposalResponse::from))
}

pub const PROPOSE_DOC: OperationDoc = OperationDoc {
    id: "proposeIdentifierChange",
    summary: "Propose another phone number or e-mail address for an account",
    details: "For a user who cannot change it. `action` is `add`, `replace` or `release`; the identifier is the one that the account \
        is to get, or the one that it is to lose. It takes effect when another administrator confirms it; where there is none, \
        after 24 hours. Every identifier of the account is told at once, and the new one too.",
    problems: &[
        Problem::OwnAccount,
        Problem::IdentifierTaken,
        Problem::StaffConflict(StaffConflict::ProposalOpen),
        Problem::StaffConflict(StaffConflict::IdentifierHeld),
        Problem::StaffConflict(StaffConflict::IdentifierNotHeld),
    ],
    ..OperationDoc::EMPTY
};

pub async fn propose(
    state: web::Data<AppState>,
    staff: StaffCaller<AdminRole, JsonBody<ProposeIdentifierRequest>>,
    account: web::Path<String>,
) -> Result<ApiResponse<OkJson<IdentifierProposalResponse>>, Problem> {
    let account = AccountId(parse_id(&account)?);
    let ((action, identifier), who) =
        staff.into_action(|JsonBody(asked)| ((asked.action, asked.identifier), asked.grounds));
    let proposed = state.accounts.propose_identifier_change(account, action, identifier, who).await;
    proposed.map_err(|error| state.problem(&error))?;
    // Another request may have withdrawn it meanwhile.
    open(&state, account).await?.map(response::json).ok_or(Problem::Unavailable)
}

#[derive(Debug)]
pub struct ConfirmProposalRequest {
    proposal: ProposalId,
    grounds: ActionGrounds,
}

impl FromFields for ConfirmProposalRequest {
    fn from_fields(fields: &mut RequestFields) -> Option<Self> {
        let proposal = fields.required("proposal", |text| Uuid::try_parse(text).map(ProposalId));
        let grounds = fields.required_grounds();
        Some(Self { proposal: proposal?, grounds: grounds? })
    }
}

pub const CONFIRM_DOC: OperationDoc = OperationDoc {
    id: "confirmIdentifierChange",
    summary: "Confirm a proposed change of identifiers",
    details: "By another administrator than the one who proposed it. The change takes effect at once. Where an identifier is replaced \
        or released, all sessions end. The former identifiers get a link that undoes the change within 72 hours.",
    problems: &[
        Problem::OwnAccount,
        Problem::IdentifierTaken,
        Problem::StaffConflict(StaffConflict::OwnProposal),
    ],
    ..OperationDoc::EMPTY
};

pub async fn confirm(
    state: web::Data<AppState>,
    staff: StaffCaller<AdminRole, JsonBody<ConfirmProposalRequest>>,
    account: web::Path<String>,
) -> Result<ApiResponse<NoContent>, Problem> {
    let account = AccountId(parse_id(&account)?);
    let (proposal, who) = staff.into_action(|JsonBody(asked)| (asked.proposal, asked.grounds));
    let confirmed = state.accounts.confirm_identifier_change(account, proposal, who).await;
    confirmed.map_err(|error| state.problem(&error))?;
    Ok(response::no_content())
}

pub const WITHDRAW_DOC: OperationDoc = OperationDoc {
    id: "withdrawIdentifierChange",
    summary: "Withdraw a proposed change of identifiers",
    details: "By any administrator, for instance because the owner objected.",
    ..OperationDoc::EMPTY
};

pub async fn withdraw(
    state: web::Data<AppState>,
    staff: StaffCaller<AdminRole, JsonBody<InterventionRequest>>,
    path: web::Path<(String, String)>,
) -> Result<ApiResponse<NoContent>, Problem> {
    let (account, proposal) = (AccountId(parse_id(&path.0)?), ProposalId(parse_id(&path.1)?));
    let ((), who) = staff.into_action(|JsonBody(InterventionRequest(grounds))| ((), grounds));
    let withdrawn = state.accounts.withdraw_identifier_change(account, proposal, who).await;
    withdrawn.map_err(|error| state.problem(&error))?;
    Ok(response::no_content())
}
