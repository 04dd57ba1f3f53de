//! A shop that used to rewrite the module `services.py` of a sign-in service. Each function of that module has a part here:
//!
//! | Function of `services.py` | Here |
//! |---|---|
//! | `make_otp(user)`, `send_otp(phone, code)` | the service makes and counts codes (setting `codes`); the `Gateway` sends them |
//! | `can_get_otp(phone)`, `can_login(user)` | the `AccessRule`: its stages `code`, and `sign_in` and `refresh` |
//! | `get_or_create_user(phone)` | nothing for the account; the `EventListener` adds a customer with defaults |
//! | `get_user_claims(user)` | the setting `tokens.profile_claims` |
//! | `get_request_claims(request)` | the `ClaimsSource`: the plan of the customer, and the device and the address of the request |
//! | `after_login(user, device)`, `after_logout(user, device)` | the `EventListener`; the service itself lists the devices |
//! | `MAX_DEVICES` | the settings `sessions.device_limit` and `sessions.device_limit_policy` |
//! | `revoke_tokens(user)` | `ServiceAccounts::sign_out`, here in the route `POST /shop/lost-phone/` |
//!
//! Write these settings to `shop.toml` and run `cargo run --example services_py -- --config shop.toml serve`.
//!
//! ```toml
//! profile = "development"
//! delivery.phone = "shop"
//! tokens.profile_claims = ["fullname"]
//! gateways.shop.kind = "own"
//! shop = { provider_url = "http://127.0.0.1:9100/", database_url = "postgresql://shop@localhost/shop" }
//! ```

use std::process::ExitCode;

use counterfoil::events::{AccountFact, SessionFact};
use counterfoil::values::{AccountId, Identifier};
use counterfoil::web::{
    ApiResponse, NoContent, OperationDoc, Problem, SignedInCaller, no_content, path, post,
};
use counterfoil::{
    AcceptedMessage, AccessRule, ClaimsFault, ClaimsRequest, ClaimsSource, CodeRuleRequest, EventListener,
    Gateway, ListenedEvent, ListenerFault, Message, NotAccepted, RefreshRuleRequest, RuleDecision, RuleFault,
    Secret, Service, ServiceAccounts, ServiceActor, SettingsSection, SignInRuleRequest, async_trait,
};
use deadpool_postgres::{Manager, Pool, PoolError};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio_postgres::{NoTls, Row, types::ToSql};

#[derive(Deserialize, Serialize)]
struct ShopSettings {
    provider_url: String,
    database_url: Secret<String>,
}

#[derive(Clone, Debug)]
struct Shop(SettingsSection<ShopSettings>);

/// A query of the shop's own database, in which the first one makes the tables.
async fn query(shop: &Shop, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, PoolError> {
    static POOL: tokio::sync::OnceCell<Pool> = tokio::sync::OnceCell::const_new();
    let opened = POOL.get_or_try_init(async || {
        let pool = Pool::builder(Manager::new(shop.0.get().database_url.expose().parse()?, NoTls)).build();
        let pool = pool.expect("a pool without time limits needs no runtime");
        let tables = "CREATE TABLE IF NOT EXISTS customers (id uuid PRIMARY KEY, plan text, blocked bool);
            CREATE TABLE IF NOT EXISTS visits (id uuid PRIMARY KEY, customer uuid, ended text)";
        pool.get().await?.batch_execute(tables).await?;
        Ok::<_, PoolError>(pool)
    });
    Ok(opened.await?.get().await?.query(sql, values).await?)
}

async fn allow_unless_blocked(shop: &Shop, customer: AccountId) -> Result<RuleDecision, RuleFault> {
    let found = query(shop, "SELECT FROM customers WHERE id = $1 AND blocked", &[&customer.0]).await;
    Ok(RuleDecision::allow_if(found.map_err(|_| RuleFault::new("no database"))?.is_empty()))
}

#[async_trait]
impl Gateway for Shop {
    async fn send(&self, message: &Message) -> Result<AcceptedMessage, NotAccepted> {
        let request = reqwest::Client::new().post(&self.0.get().provider_url);
        let request = request.form(&[("to", message.to.as_str()), ("text", &message.text)]);
        let answered = request.send().await.and_then(reqwest::Response::error_for_status);
        let unavailable = |_| NotAccepted::Unavailable { reason: "no answer".to_owned(), retry_after: None };
        answered.map(|_| AcceptedMessage::default()).map_err(unavailable)
    }
}

#[async_trait]
impl AccessRule for Shop {
    fn name(&self) -> &'static str {
        "shop"
    }
    async fn code(&self, request: &CodeRuleRequest) -> Result<RuleDecision, RuleFault> {
        Ok(RuleDecision::allow_if(matches!(request.identifier, Identifier::Phone(_))))
    }
    async fn sign_in(&self, request: &SignInRuleRequest) -> Result<RuleDecision, RuleFault> {
        allow_unless_blocked(self, request.account).await
    }
    async fn refresh(&self, request: &RefreshRuleRequest) -> Result<RuleDecision, RuleFault> {
        allow_unless_blocked(self, request.account).await
    }
}

#[async_trait]
impl ClaimsSource for Shop {
    fn claim_names(&self) -> &[&'static str] {
        &["plan", "device", "ip"]
    }
    async fn claims(&self, request: &ClaimsRequest) -> Result<Map<String, Value>, ClaimsFault> {
        let found = query(self, "SELECT plan FROM customers WHERE id = $1", &[&request.account.0]).await;
        let found = found.map_err(|_| ClaimsFault::new("no database"))?;
        // At the first sign-in the listener may not have heard of the customer yet.
        let plan = found.first().map_or("free", |row| row.get(0));
        let device = request.client.device_name.as_ref().map(|name| name.as_str());
        let claims = [("plan", json!(plan)), ("device", json!(device)), ("ip", json!(request.client.ip))];
        Ok(claims.map(|(name, claim)| (name.to_owned(), claim)).into_iter().collect())
    }
}

#[async_trait]
impl EventListener for Shop {
    fn name(&self) -> &'static str {
        "shop"
    }
    fn event_names(&self) -> &'static [&'static str] {
        &["UserRegistered", "LoggedIn", "LoggedOut"]
    }
    /// Each statement changes nothing when the same event comes again.
    async fn on_event(&self, event: &ListenedEvent) -> Result<(), ListenerFault> {
        let (user, fact) = (&event.account.0, &event.event.fact);
        let done = if let AccountFact::Session(SessionFact::LoggedIn { session, .. }) = fact {
            query(self, "INSERT INTO visits VALUES ($1, $2) ON CONFLICT DO NOTHING", &[&session.0, user])
                .await
        } else if let AccountFact::Session(SessionFact::LoggedOut { session, reason, .. }) = fact {
            query(self, "UPDATE visits SET ended = $2 WHERE id = $1", &[&session.0, &reason.as_str()]).await
        } else {
            query(self, "INSERT INTO customers VALUES ($1, 'free') ON CONFLICT DO NOTHING", &[user]).await
        };
        done.map(drop).map_err(|_| ListenerFault::new("no database"))
    }
}

type SignOutAnswer = Result<ApiResponse<NoContent>, Problem>;
const LOST: OperationDoc = OperationDoc { id: "lost", summary: "Sign out everywhere", ..OperationDoc::EMPTY };

async fn lost_phone(caller: SignedInCaller, accounts: ServiceAccounts) -> SignOutAnswer {
    let shop = ServiceActor::new("shop", "the user has lost a phone").ok_or(Problem::Internal)?;
    accounts.sign_out(caller.token.account, shop).await?;
    Ok(no_content())
}

fn main() -> ExitCode {
    let shop = Shop(SettingsSection::named("shop"));
    let service = Service::from_environment().settings(&shop.0).gateway("shop", shop.clone());
    let service = service.rule(shop.clone()).claims(shop.clone()).on_event(shop);
    service.routes(|| vec![path("/shop/lost-phone/", [post(lost_phone, LOST)])]).command_line()
}
