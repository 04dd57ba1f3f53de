//! From where a request came, and which language it wants.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::{IpAddr, Ipv4Addr};

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest, web};
use counterfoil_domain::values::{Client, DeviceName, UserAgent};
use utoipa::openapi::security::SecurityRequirement;

use super::{access_token, refresh_cookie};
use crate::accounts::RequestContext;
use crate::http::AppState;
use crate::http::document::{DescribeOperation, OperationDraft};
use crate::http::request_id;
use crate::language::Language;
use crate::tokens::{Token, Tokens};

/// The client: the other end of the connection, or whom our own proxy says it speaks for.
#[derive(Clone, Debug)]
pub struct ClientInfo {
    ip: IpAddr,
    user_agent: Option<UserAgent>,
    request: String,
    languages: String,
}

impl ClientInfo {
    /// Returns the context of a command, on a device that gave itself that name.
    pub fn named(self, device_name: Option<DeviceName>) -> RequestContext {
        let client = Client { ip: self.ip, user_agent: self.user_agent, device_name };
        RequestContext { client, request: self.request, languages: self.languages, shown: None }
    }
}

/// The address of the client: of the other end of the connection, or the one that our own proxy tells.
pub fn client_ip(request: &HttpRequest) -> IpAddr {
    let peer = request.peer_addr().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip().to_canonical());
    let state = request.app_data::<web::Data<AppState>>();
    state.map_or(peer, |state| state.http.proxies.client(peer, request.headers()))
}

/// The address of the client of a request: of the other end of the connection, or the one that a trusted proxy tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

impl FromRequest for ClientAddress {
    type Error = Infallible;
    type Future = Ready<Result<Self, Infallible>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self(client_ip(request))))
    }
}

/// The token that came along with a request which needs none: of a device that is known, if it is one of ours. It may have
/// expired, and its session ended; whatever else is wrong with it is passed over.
#[derive(Clone, Copy, Debug)]
pub struct PresentedToken(pub Option<Token>);

impl FromRequest for PresentedToken {
    type Error = Infallible;
    type Future = Ready<Result<Self, Infallible>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let token = request.app_data::<web::Data<AppState>>().and_then(|state| {
            // Browsers drop the cookie of an access token when it expires, and keep the other for long.
            let access = access_token(request).ok();
            let texts = access.into_iter().chain(refresh_cookie(request).ok().flatten());
            texts.into_iter().find_map(|text| {
                let kind = Tokens::kind_of(&text)?;
                state.tokens.open_expired(kind, &text, state.clock.now()).ok()
            })
        });
        ready(Ok(Self(token)))
    }
}

/// A request without a token is served as well.
impl DescribeOperation for PresentedToken {
    fn describe(operation: &mut OperationDraft) {
        operation.security(SecurityRequirement::default());
        operation.security(SecurityRequirement::new("bearer", [""; 0]));
    }
}

impl From<ClientInfo> for RequestContext {
    fn from(client: ClientInfo) -> Self {
        client.named(None)
    }
}

impl FromRequest for ClientInfo {
    type Error = Infallible;
    type Future = Ready<Result<Self, Infallible>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let user_agent = request
            .headers()
            .get(header::USER_AGENT)
            .map(|value| String::from_utf8_lossy(value.as_bytes()))
            .and_then(|value| UserAgent::from_header(&value));
        ready(Ok(Self {
            ip: client_ip(request),
            user_agent,
            request: request_id(request),
            languages: languages(request).to_owned(),
        }))
    }
}

/// The language for the answer.
#[derive(Clone, Copy, Debug)]
pub struct WantedLanguage(pub Language);

impl FromRequest for WantedLanguage {
    type Error = Infallible;
    type Future = Ready<Result<Self, Infallible>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self(wanted_language(request))))
    }
}

/// The language that a request's `Accept-Language` likes best.
pub fn wanted_language(request: &HttpRequest) -> Language {
    Language::negotiate(languages(request))
}

fn languages(request: &HttpRequest) -> &str {
    let header = request.headers().get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    header.unwrap_or_default()
}
