//! The service without a listener: requests of the operator at the server go to the same handlers, in this process.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use actix_http::{BoxedPayloadStream, Payload, Request};
use actix_service::IntoServiceFactory as _;
use actix_web::body::BoxBody;
use actix_web::dev::{AppConfig, Service as _, ServiceFactory as _, ServiceResponse};
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::http::{Method, Uri};
use actix_web::middleware::{NormalizePath, from_fn};
use actix_web::web::Bytes;
use actix_web::{App, web};
use counterfoil_domain::values::OperatorName;
use futures_util::stream;

use crate::audit::feed::LedgerFeed;
use crate::audit::rehearsal::RehearsalPolicy;
use crate::http::{self, AppState, LocalOperator};
use crate::read_models::RebuildStarter;
use crate::settings::Settings;

/// The answer to a request, which is still to come.
type ServiceCall = Pin<Box<dyn Future<Output = Result<ServiceResponse<BoxBody>, actix_web::Error>>>>;

/// The routes of the service for the operator at the server, whose authority is the access to it.
pub struct LocalService {
    call: Box<dyn Fn(Request) -> ServiceCall>,
}

impl fmt::Debug for LocalService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalService").finish_non_exhaustive()
    }
}

impl LocalService {
    /// Returns the routes over this state, which was made from these settings, for that operator. It has to run on a thread of actix.
    pub async fn new(state: &AppState, settings: &Settings, operator: OperatorName) -> Self {
        let state = state.on_this_thread();
        let feed = LedgerFeed::start(state.database.clone());
        let rebuilds = RebuildStarter::new(state.accounts.journal().clone());
        let readings = super::long_readings(&state, settings);
        let rehearsals = RehearsalPolicy::new(settings.proposals.clone(), &settings.delivery.prices);
        let policy = state.http.clone();
        let own = state.own_routes.clone();
        let app = App::new()
            .app_data(web::Data::new(state))
            .app_data(web::Data::new(feed))
            .app_data(web::Data::new(rebuilds))
            .app_data(web::Data::new(readings))
            .app_data(web::Data::new(rehearsals))
            .app_data(web::Data::new(LocalOperator(operator)))
            .wrap(from_fn(http::observe))
            .wrap(NormalizePath::trim())
            .configure(move |config| http::routes(config, &policy, &own));
        let service = app.into_factory().new_service(AppConfig::default()).await;
        let service = service.expect("routes and middleware that need no set-up of their own");
        Self { call: Box::new(move |request| Box::pin(service.call(request))) }
    }

    /// Has the handlers answer a request, as they would over the network.
    ///
    /// # Errors
    /// When a handler panics.
    pub async fn answer(
        &self,
        method: Method,
        uri: Uri,
        headers: Vec<(HeaderName, HeaderValue)>,
        body: Option<Bytes>,
    ) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
        let length = body.as_ref().map_or(0, Bytes::len);
        let is_json = body.is_some();
        let payload: BoxedPayloadStream = Box::pin(stream::iter(body.map(Ok)));
        let mut request = Request::with_payload(Payload::Stream { payload });
        let head = request.head_mut();
        (head.method, head.uri) = (method, uri);
        for (name, value) in headers {
            head.headers.append(name, value);
        }
        if is_json {
            head.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            head.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        (self.call)(request).await
    }
}
