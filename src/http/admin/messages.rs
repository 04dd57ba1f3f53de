//! The messages of everybody: codes and notices, and what became of them.

use actix_web::web;
use chrono::{DateTime, Utc};
use counterfoil_domain::values::{Channel, Identifier};
use utoipa::ToSchema;

use super::{ListResponse, find_account};
use crate::delivery::messages::{self, DeliveryState, FoundMessage, MessageFilter};
use crate::http::document::OperationDoc;
use crate::http::extract::{
    AdminRole, CountryCode, FromFields, InvalidParameter, PageRequest, QueryParams, RequestFields,
    StaffCaller, read_any_identifier,
};
use crate::http::response::{self, ApiResponse, OkJson};
use crate::http::{AppState, Problem};

/// The name of this list in its cursors.
const LIST_NAME: &str = "messages";

/// What became of a message, as the query names it.
#[derive(ToSchema)]
#[schema(value_type = String, pattern = "^(waiting|sent|failed|expired|replaced)$", example = "failed")]
struct StateName(DeliveryState);

impl StateName {
    fn parse(text: &str) -> Result<Self, InvalidParameter> {
        let named = DeliveryState::ALL.into_iter().find(|state| state.as_str() == text);
        named.map(Self).ok_or(InvalidParameter("message_state_unknown"))
    }
}

/// The kind of identifier that a message goes to.
#[derive(ToSchema)]
#[schema(value_type = String, pattern = "^(phone|email)$", example = "phone")]
struct ChannelName(Channel);

impl ChannelName {
    fn parse(text: &str) -> Result<Self, InvalidParameter> {
        let named = Channel::ALL.into_iter().find(|channel| channel.as_str() == text);
        named.map(Self).ok_or(InvalidParameter("channel_unknown"))
    }
}

/// The name of a gateway of the settings.
#[derive(ToSchema)]
#[schema(value_type = String, format = "line-of-text", min_length = 1, example = "twilio")]
struct GatewayName(String);

impl GatewayName {
    fn parse(text: &str) -> Result<Self, InvalidParameter> {
        if text.is_empty() || text.chars().any(char::is_control) {
            return Err(InvalidParameter("text_unprintable"));
        }
        Ok(Self(text.to_owned()))
    }
}

/// Which messages are listed.
#[derive(Debug)]
pub struct MessageSearchFilter {
    page: PageRequest,
    identifier: Option<Identifier>,
    filter: MessageFilter,
}

impl FromFields for MessageSearchFilter {
    fn from_fields(fields: &mut RequestFields) -> Option<Self> {
        let page = PageRequest::from_fields(fields);
        let state = fields.optional("state", StateName::parse);
        let (since, until): (Option<Option<DateTime<Utc>>>, _) = (fields.time("since"), fields.time("until"));
        let gateway = fields.optional("gateway", GatewayName::parse);
        let country = fields.optional("country", CountryCode::parse);
        let channel = fields.optional("channel", ChannelName::parse);
        let identifier = read_any_identifier(fields);
        let filter = MessageFilter {
            state: state?.map(|StateName(state)| state),
            since: since?,
            until: until?,
            gateway: gateway?.map(|GatewayName(name)| name),
            country: country?.map(|CountryCode(region)| region.to_string()),
            channel: channel?.map(|ChannelName(channel)| channel),
            account: None,
        };
        Some(Self { page: page?, identifier: identifier?, filter })
    }
}

pub const LIST_DOC: OperationDoc = OperationDoc {
    id: "messages",
    summary: "Search through the messages of the last 30 days",
    details: "The newest first. `phone_number` and `email` find those of the account that has the identifier, which go to that kind \
        of identifier. A page may have fewer items than asked for, or none, and not be the last.",
    ..OperationDoc::EMPTY
};

pub async fn list(
    state: web::Data<AppState>,
    staff: StaffCaller<AdminRole, QueryParams<MessageSearchFilter>>,
) -> Result<ApiResponse<OkJson<ListResponse<FoundMessage>>>, Problem> {
    let QueryParams(MessageSearchFilter { page: PageRequest { limit, cursor }, identifier, mut filter }) =
        staff.asked;
    if let Some(identifier) = identifier {
        let account = find_account(&state, &identifier).await?;
        let is_other_channel = filter.channel.is_some_and(|channel| channel != identifier.channel());
        if account.is_none() || is_other_channel {
            return Ok(response::json(ListResponse::empty()));
        }
        (filter.account, filter.channel) = (account, Some(identifier.channel()));
    }
    let after = cursor.map(|cursor| state.cursors.read(LIST_NAME, &cursor)).transpose()?;
    let found = state.query(async |db: &_| messages::search(db, &filter, after, limit.0).await).await?;
    Ok(response::json(ListResponse::from_page(found, &state.cursors, LIST_NAME)))
}
