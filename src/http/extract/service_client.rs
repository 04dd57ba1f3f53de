//! Which service is asking, and what about: HTTP Basic and a form, as OAuth 2.0 has them.

use std::future::{Ready, ready};
use std::marker::PhantomData;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest, web};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::SecurityRequirement;

use super::body;
use crate::http::AppState;
use crate::http::Problem;
use crate::http::document::{DescribeOperation, OperationDraft};
use crate::http::oauth_clients::ClientScope;

/// A scope that an endpoint asks for.
pub trait NeededScope {
    /// The scope that the client must have.
    const SCOPE: ClientScope;
}

macro_rules! needed_scope {
    ($($name:ident: $doc:literal),+) => {
        $(
            #[doc = $doc]
            #[derive(Debug)]
            pub enum $name {}

            impl NeededScope for $name {
                const SCOPE: ClientScope = ClientScope::$name;
            }
        )+
    };
}

needed_scope!(
    IntrospectTokens: "The scope to ask about tokens.",
    RevokeTokens: "The scope to end the sessions of tokens.",
    ReadSessions: "The scope to follow which sessions end."
);

/// A configured client that has proved who it is, by HTTP Basic (RFC 6749, section 2.3.1), and has the scope `S`.
#[derive(Clone, Copy, Debug)]
pub struct ServiceClient<S>(PhantomData<S>);

impl<S: NeededScope> FromRequest for ServiceClient<S> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let state = request.app_data::<web::Data<AppState>>();
        let mut headers = request.headers().get_all(header::AUTHORIZATION);
        let (only, other) = (headers.next(), headers.next());
        let credentials = only.filter(|_| other.is_none()).and_then(|value| read_basic(value.to_str().ok()?));
        let scopes = state
            .zip(credentials)
            .and_then(|(state, (id, secret))| state.http.oauth_clients.authenticate(&id, &secret));
        ready(match scopes {
            None => Err(Problem::InvalidClient),
            Some(scopes) if scopes.contains(&S::SCOPE) => Ok(Self(PhantomData)),
            Some(_) => Err(Problem::UnauthorizedClient),
        })
    }
}

impl<S: NeededScope> DescribeOperation for ServiceClient<S> {
    fn describe(operation: &mut OperationDraft) {
        operation.security(SecurityRequirement::new("basic", [S::SCOPE.as_str()]));
        operation.problems([Problem::InvalidClient, Problem::UnauthorizedClient]);
    }
}

/// `Basic base64(id:secret)`, the two form-encoded before they were joined.
fn read_basic(value: &str) -> Option<(String, String)> {
    let (scheme, encoded) = value.split_once(' ')?;
    let decoded = scheme.eq_ignore_ascii_case("basic").then(|| STANDARD.decode(encoded).ok()).flatten()?;
    let text = String::from_utf8(decoded).ok()?;
    let (id, secret) = text.split_once(':')?;
    let form_decoded = |text: &str| {
        let encoded = format!("v={text}");
        form_urlencoded::parse(encoded.as_bytes()).next().map(|(_, value)| value.into_owned())
    };
    Some((form_decoded(id)?, form_decoded(secret)?))
}

/// The token that a form asks about. What else the form says is passed over (RFC 6749, section 3.2), but nothing may be
/// said twice.
pub struct TokenForm(pub String);

impl FromRequest for TokenForm {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let whole = body::whole(request, payload, "application/x-www-form-urlencoded");
        async move {
            let body = whole.await?;
            let mut tokens = form_urlencoded::parse(&body).filter(|(name, _)| name == "token");
            match (tokens.next(), tokens.next()) {
                (Some((_, token)), None) if !token.is_empty() => Ok(Self(token.into_owned())),
                (Some(_) | None, _) => Err(Problem::MalformedForm),
            }
        }
        .boxed_local()
    }
}

impl DescribeOperation for TokenForm {
    fn describe(operation: &mut OperationDraft) {
        let token = ObjectBuilder::new().schema_type(Type::String).min_length(Some(1));
        let token = token.examples(["cfa_1_…"]);
        let form = ObjectBuilder::new().property("token", token).required("token");
        operation.body("application/x-www-form-urlencoded", form, true);
        operation.problems([Problem::MalformedForm, Problem::MalformedBody]);
        operation.problems(body::REFUSED);
    }
}
