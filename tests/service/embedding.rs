//! A program that the service is part of: its sections, routes, gateways and interventions, and what it gets wrong at the start.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use actix_web::web;
use async_trait::async_trait;
use counterfoil::values::{AccountId, Identifier, PhoneNumber};
use counterfoil::web::{
    ApiResource, ApiResponse, ClientAddress, OkJson, OperationDoc, OwnProblem, Problem, SignedInCaller, get,
    json, path,
};
use counterfoil::{
    AcceptedMessage, AccessRule, ClaimsFault, ClaimsRequest, ClaimsSource, EventListener, Gateway,
    ListenedEvent, ListenerFault, Message, NotAccepted, RunningService, Service, ServiceAccounts,
    ServiceActor, SettingsSection, StartError,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::support::{ApiClient, TestDatabase};

const PHONE: &str = "+989121234567";

/// A service on a database of its own, which stops when its database goes.
struct EmbeddedService {
    running: RunningService,
    database: TestDatabase,
    api: ApiClient,
}

impl EmbeddedService {
    async fn start(service: Service) -> Self {
        let database = TestDatabase::new();
        let running = on_database(service, &database).start().await.unwrap();
        let api = ApiClient::new(running.address());
        Self { running, database, api }
    }

    async fn get(&self, path: &str, access_token: Option<&str>) -> (u16, Value) {
        let request = reqwest::Client::new().get(format!("http://{}{path}", self.running.address()));
        let request = if let Some(token) = access_token { request.bearer_auth(token) } else { request };
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }
}

fn on_database(service: Service, database: &TestDatabase) -> Service {
    let keyring =
        PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("embedding-{}.json", database.name));
    service
        .setting("profile", "development")
        .setting("server.listen", "127.0.0.1:0")
        .setting("server.workers", "1")
        .setting("limits.shared", "off")
        .setting("database.url", database.url.0.clone())
        .setting("keyring.file", keyring.to_str().unwrap())
}

async fn refused(service: Service, database: &TestDatabase) -> String {
    let error: StartError = on_database(service, database).start().await.unwrap_err();
    error.to_string()
}

#[derive(Debug, Deserialize, Serialize)]
struct Office {
    #[serde(default)]
    open: bool,
    #[serde(default)]
    town: Option<String>,
}

/// What the program tells a signed-in user.
#[derive(Serialize, ToSchema)]
struct Greeting {
    account: AccountId,
    address: String,
    devices: usize,
}

const GREETING_DOC: OperationDoc =
    OperationDoc { id: "greeting", summary: "Be greeted", problems: &[CLOSED], ..OperationDoc::EMPTY };

const CLOSED: Problem = Problem::Own(OwnProblem {
    status: 409,
    code: "office_closed",
    title: "The office is closed",
    detail: "Ask again during office hours.",
});

async fn greet(
    office: web::Data<SettingsSection<Office>>,
    caller: SignedInCaller,
    ClientAddress(address): ClientAddress,
    accounts: ServiceAccounts,
) -> Result<ApiResponse<OkJson<Greeting>>, Problem> {
    if !office.get().open {
        return Err(CLOSED);
    }
    let account = caller.token.account;
    let devices = accounts.devices(account).await?.len();
    Ok(json(Greeting { account, address: address.to_string(), devices }))
}

fn greeting_at(at: &'static str) -> impl Fn() -> Vec<ApiResource> + Send + Sync + 'static {
    move || vec![path(at, [get(greet, GREETING_DOC)])]
}

fn with_greeting() -> Service {
    let office = SettingsSection::<Office>::named("office");
    Service::from_environment().settings(&office).share(office).routes(greeting_at("/office/greeting/"))
}

#[tokio::test]
async fn a_route_of_the_program_has_the_caller_the_address_the_accounts_and_the_problems_of_the_service() {
    let service = EmbeddedService::start(with_greeting().setting("office.open", "true")).await;
    let device = service.api.sign_in(PHONE).await;
    let (status, greeting) = service.get("/office/greeting", Some(&device.access)).await;
    assert_eq!((status, &greeting["address"], &greeting["devices"]), (200, &json!("127.0.0.1"), &json!(1)));
    assert_eq!(greeting["account"], device.user["id"]);

    let (status, problem) = service.get("/office/greeting/", None).await;
    assert_eq!((status, &problem["code"]), (401, &json!("not_authenticated")));

    let (_, document) = service.get("/openapi.json", None).await;
    let described = &document["paths"]["/office/greeting/"]["get"];
    assert_eq!(described["operationId"], "greeting");
    assert_eq!(described["tags"], json!(["This installation"]));
    assert!(
        described["responses"]["409"].is_object() && described["responses"]["401"].is_object(),
        "{described}"
    );
    service.running.stop().await.unwrap();
}

#[tokio::test]
async fn a_handler_that_takes_a_value_which_is_not_shared_answers_a_problem_and_changes_nothing_else() {
    let office = SettingsSection::<Office>::named("office");
    let service = Service::from_environment().settings(&office).routes(greeting_at("/office/greeting/"));
    let service = EmbeddedService::start(service).await;
    let (status, problem) = service.get("/office/greeting/", None).await;
    assert_eq!((status, &problem["code"]), (500, &json!("internal_error")));
    service.api.sign_in(PHONE).await;
}

#[tokio::test]
async fn a_problem_of_the_program_is_answered_with_its_status_code_and_words() {
    let service = EmbeddedService::start(with_greeting()).await;
    let device = service.api.sign_in(PHONE).await;
    let (status, problem) = service.get("/office/greeting/", Some(&device.access)).await;
    assert_eq!(status, 409);
    assert_eq!(problem["code"], "office_closed");
    assert_eq!(problem["type"], "urn:counterfoil:own-problem:office_closed");
    assert_eq!(problem["detail"], "Ask again during office hours.");
}

#[tokio::test]
async fn a_program_suspends_an_account_in_its_own_name_and_the_sessions_end_at_once() {
    let service = EmbeddedService::start(Service::from_environment()).await;
    let device = service.api.sign_in(PHONE).await;
    let accounts = service.running.accounts();
    let phone = Identifier::Phone(PhoneNumber::parse(PHONE, None).unwrap());
    let account = accounts.find(&phone).await.unwrap().unwrap();
    assert_eq!(account, device.account());
    let other = Identifier::Phone(PhoneNumber::parse("+989121234568", None).unwrap());
    assert_eq!(accounts.find(&other).await.unwrap(), None);

    let billing = ServiceActor::new("billing", "the invoice is not paid").unwrap();
    accounts.suspend(account, None, billing.clone()).await.unwrap();
    service.api.profile(&device.access).await.is_problem(401, "invalid_access_token");
    let by: String = service
        .database
        .value("SELECT payload::json #>> '{fact,AccountSuspended,by,service}' FROM events WHERE event_type = 'AccountSuspended'")
        .await;
    assert_eq!(by, "billing");
    accounts.reinstate(account, billing.clone()).await.unwrap();
    let device = service.api.sign_in("+989121234568").await;
    accounts.sign_out(device.account(), billing.clone()).await.unwrap();
    service.api.profile(&device.access).await.is_problem(401, "invalid_access_token");
    assert!(accounts.devices(device.account()).await.unwrap().is_empty());
    let unknown = AccountId(uuid::Uuid::nil());
    assert_eq!(accounts.sign_out(unknown, billing).await, Err(Problem::NotFound));
    assert!(
        ServiceActor::new("Billing!", "a reason").is_none() && ServiceActor::new("billing", "").is_none()
    );
}

/// A gateway that keeps what it is given.
#[derive(Clone, Debug, Default)]
struct KeptMessages(Arc<Mutex<Vec<String>>>);

#[async_trait]
impl Gateway for KeptMessages {
    async fn send(&self, message: &Message) -> Result<AcceptedMessage, NotAccepted> {
        let code = message.code.as_ref().map(|code| code.as_str().to_owned());
        self.0.lock().unwrap().extend(code);
        Ok(AcceptedMessage::default())
    }
}

#[derive(Debug, Deserialize, Serialize)]
struct AcmeSettings {
    sender: String,
}

#[tokio::test]
async fn a_gateway_of_the_program_takes_the_code_and_has_the_rest_of_its_section() {
    let (kept, acme) = (KeptMessages::default(), SettingsSection::<AcmeSettings>::named("gateways.acme"));
    let service = Service::from_environment()
        .settings(&acme)
        .gateway("acme", kept.clone())
        .setting("delivery.phone", "acme")
        .setting("gateways.acme.kind", "own")
        .setting("gateways.acme.sender", "ACME");
    let service = EmbeddedService::start(service).await;
    assert_eq!(acme.get().sender, "ACME");
    service.api.login(PHONE).await.ok();
    let mut code = None;
    for _ in 0..100 {
        code = kept.0.lock().unwrap().pop();
        if code.is_some() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    service.api.verify(PHONE, &code.unwrap()).await.ok();
}

/// A rule that refuses nothing.
#[derive(Debug)]
struct AlwaysOpen;

impl AccessRule for AlwaysOpen {
    fn name(&self) -> &'static str {
        "always_open"
    }
}

/// A source of claims that would shadow a standard one.
#[derive(Debug)]
struct ShadowingClaims;

#[async_trait]
impl ClaimsSource for ShadowingClaims {
    fn claim_names(&self) -> &[&'static str] {
        &["sub"]
    }

    async fn claims(&self, _: &ClaimsRequest) -> Result<Map<String, Value>, ClaimsFault> {
        Ok(Map::new())
    }
}

/// A listener that ends every session that begins.
#[derive(Debug)]
struct Doorkeeper(ServiceAccounts);

#[async_trait]
impl EventListener for Doorkeeper {
    fn name(&self) -> &'static str {
        "doorkeeper"
    }

    fn event_names(&self) -> &'static [&'static str] {
        &["LoggedIn"]
    }

    async fn on_event(&self, event: &ListenedEvent) -> Result<(), ListenerFault> {
        let actor = ServiceActor::new("doorkeeper", "no person is let in").unwrap();
        let ended = self.0.sign_out(event.account, actor).await;
        ended.map_err(|_| ListenerFault::new("the service does not answer"))
    }
}

#[tokio::test]
async fn a_listener_of_the_program_ends_a_session_by_the_accounts_that_it_was_given_before_the_start() {
    let service = Service::from_environment();
    let accounts = service.accounts();
    let unknown = AccountId(uuid::Uuid::nil());
    assert_eq!(accounts.profile(unknown).await, Err(Problem::Unavailable), "it has not started");
    let service = EmbeddedService::start(service.on_event(Doorkeeper(accounts))).await;
    let device = service.api.sign_in(PHONE).await;
    for _ in 0..200 {
        if service.api.profile(&device.access).await.status == 401 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    service.api.profile(&device.access).await.is_problem(401, "invalid_access_token");
}

/// A listener that keeps the names of the events that it hears of.
#[derive(Clone, Debug, Default)]
struct HeardNames(Arc<Mutex<Vec<&'static str>>>);

#[async_trait]
impl EventListener for HeardNames {
    fn name(&self) -> &'static str {
        "heard_names"
    }

    fn event_names(&self) -> &'static [&'static str] {
        &["UserRegistered", "LoggedIn"]
    }

    async fn on_event(&self, event: &ListenedEvent) -> Result<(), ListenerFault> {
        self.0.lock().unwrap().push(event.event.name());
        Ok(())
    }
}

#[tokio::test]
async fn a_listener_of_the_program_hears_of_a_sign_in_in_order() {
    let heard = HeardNames::default();
    let service = EmbeddedService::start(Service::from_environment().on_event(heard.clone())).await;
    service.api.sign_in(PHONE).await;
    for _ in 0..200 {
        if heard.0.lock().unwrap().len() == 2 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(*heard.0.lock().unwrap(), ["UserRegistered", "LoggedIn"]);
    service.running.stop().await.unwrap();
}

#[tokio::test]
async fn what_a_program_gets_wrong_is_named_at_the_start() {
    let (service, database) = (Service::from_environment, TestDatabase::new());
    let office = || SettingsSection::<Office>::named("office");
    let acme = || SettingsSection::<AcmeSettings>::named("acme");
    for (wrong, expected) in [
        (with_greeting().setting("office.opne", "true"), "office.opne: is no setting of this section"),
        (with_greeting().setting("office.open", "perhaps"), "office: "),
        (service().settings(&acme()).setting("acme.sendr", "A"), "(it sets sendr)"),
        (service().setting("office.open", "true"), "office"),
        (
            service().settings(&office()).settings(&office()),
            "two parts of the program read a section of this name",
        ),
        (
            service().settings(&SettingsSection::<Office>::named("codes")),
            "codes: is a section of the service",
        ),
        (
            service().gateway("a", KeptMessages::default()).gateway("a", KeptMessages::default()),
            "two gateways of the program have the name \"a\"",
        ),
        (service().gateway("acme", KeptMessages::default()), "acme"),
        (service().rule(AlwaysOpen).rule(AlwaysOpen), "always_open"),
        (service().on_event(HeardNames::default()).on_event(HeardNames::default()), "heard_names"),
        (service().claims(ShadowingClaims).claims(ShadowingClaims), "two sources of claims"),
        (
            with_greeting().setting("ofice.open", "true"),
            "ofice: is no section of the service or of the program",
        ),
        (service().claims(ShadowingClaims), "\"sub\" is a standard claim"),
        (
            service().routes(greeting_at("/accounts/login/")),
            "/accounts/login/ of the program collides with the route /accounts/login/",
        ),
        (
            service().routes(greeting_at("/accounts/devices/mine")),
            "collides with the route /accounts/devices/{id}/",
        ),
        (service().routes(greeting_at("/docs/")), "/docs/ of the program collides with the route /docs"),
        (service().routes(greeting_at("office")), "\"office\" is no path"),
        (
            service().routes(greeting_at("/a")).routes(greeting_at("/b")),
            "two operations have the id \"greeting\"",
        ),
    ] {
        let error = refused(wrong, &database).await;
        assert!(error.contains(expected), "{expected:?}: {error}");
    }
}
