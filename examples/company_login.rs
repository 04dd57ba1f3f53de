//! The sign-in of a company: messages go to the spool folder of its mail system, two rules say who may sign in and when, access
//! tokens name the department, which is in a table of the company's own, and `GET /company/me/` answers what the company knows.
//!
//! Write these settings to `company.toml` and run `cargo run --example company_login -- --config company.toml serve`.
//!
//! ```toml
//! profile = "development"
//! delivery.email = "company"    # without this line, the answer to /accounts/login/ has the code
//! gateways.company = { kind = "own", folder = "/tmp" }
//! [company]
//! domains = ["example.com"]
//! open_from = 6                 # hours, in UTC
//! open_until = 22
//! database_url = "postgresql://company@localhost/company"   # where the company may make a table
//! ```

use std::path::PathBuf;
use std::process::ExitCode;

use counterfoil::actix_web::web::Data;
use counterfoil::chrono::Timelike as _;
use counterfoil::values::{Identifier, Role};
use counterfoil::web::{ApiResponse, OkJson, OperationDoc, Problem, SignedInCaller, get, json, path, utoipa};
use counterfoil::{
    AcceptedMessage, AccessRule, ClaimsFault, ClaimsRequest, ClaimsSource, CodeRuleRequest, Gateway, Message,
    NotAccepted, Profile, RuleDecision, RuleFault, Secret, Service, ServiceAccounts, SettingsSection,
    SignInRuleRequest, async_trait,
};
use deadpool_postgres::{Manager, Pool, PoolError};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio_postgres::NoTls;

#[derive(Deserialize, Serialize)]
struct SpoolSettings {
    folder: PathBuf,
}

#[derive(Deserialize, Serialize)]
struct CompanySettings {
    domains: Vec<String>,
    open_from: u32,
    open_until: u32,
    database_url: Secret<String>,
}

#[derive(Debug)]
struct SpoolGateway(SettingsSection<SpoolSettings>);

#[async_trait]
impl Gateway for SpoolGateway {
    async fn send(&self, message: &Message) -> Result<AcceptedMessage, NotAccepted> {
        let text = format!("To: {}\nSubject: {}\n\n{}\n", message.to.as_str(), message.subject, message.text);
        // The mail system takes `.mail` files, so it sees no half of a message. A message that comes twice has the same id.
        let draft = self.0.get().folder.join(format!("{}.draft", message.id));
        let unavailable = |_| NotAccepted::Unavailable { reason: "no spool".to_owned(), retry_after: None };
        tokio::fs::write(&draft, text).await.map_err(unavailable)?;
        tokio::fs::rename(&draft, draft.with_extension("mail")).await.map_err(unavailable)?;
        Ok(AcceptedMessage::default())
    }
}

#[derive(Debug)]
struct CompanyOnly(SettingsSection<CompanySettings>);

#[async_trait]
impl AccessRule for CompanyOnly {
    fn name(&self) -> &'static str {
        "company_only"
    }
    async fn code(&self, request: &CodeRuleRequest) -> Result<RuleDecision, RuleFault> {
        let Identifier::Email(address) = &request.identifier else { return Ok(RuleDecision::Refuse) };
        Ok(RuleDecision::allow_if(self.0.get().domains.iter().any(|own| own == address.domain())))
    }
}

#[derive(Debug)]
struct ClosedAtNight(SettingsSection<CompanySettings>);

#[async_trait]
impl AccessRule for ClosedAtNight {
    fn name(&self) -> &'static str {
        "closed_at_night"
    }
    async fn sign_in(&self, request: &SignInRuleRequest) -> Result<RuleDecision, RuleFault> {
        let CompanySettings { open_from, open_until, .. } = self.0.get();
        let is_open = (open_from..open_until).contains(&&request.at.hour());
        Ok(RuleDecision::allow_if(is_open || request.roles.contains(&Role::Admin)))
    }
}

#[derive(Debug)]
struct DepartmentClaims(SettingsSection<CompanySettings>);

#[async_trait]
impl ClaimsSource for DepartmentClaims {
    fn claim_names(&self) -> &[&'static str] {
        &["department"]
    }
    fn needs_profile(&self) -> bool {
        true
    }
    async fn claims(&self, request: &ClaimsRequest) -> Result<Map<String, Value>, ClaimsFault> {
        let Some(profile) = &request.profile else { return Ok(Map::new()) };
        let found = department(self.0.get(), profile).await.map_err(|_| ClaimsFault::new("no database"))?;
        Ok(found.map(|name| ("department".to_owned(), name.into())).into_iter().collect())
    }
}

/// Asks the company's own database, in which the first question makes the table.
async fn department(of: &CompanySettings, profile: &Profile) -> Result<Option<String>, PoolError> {
    static POOL: tokio::sync::OnceCell<Pool> = tokio::sync::OnceCell::const_new();
    const TABLE: &str = "CREATE TABLE IF NOT EXISTS departments (address text PRIMARY KEY, name text)";
    let opened = POOL.get_or_try_init(async || {
        let pool = Pool::builder(Manager::new(of.database_url.expose().parse()?, NoTls)).build();
        let pool = pool.expect("a pool without time limits needs no runtime");
        pool.get().await?.batch_execute(TABLE).await?;
        Ok::<_, PoolError>(pool)
    });
    let client = opened.await?.get().await?;
    let sql = "SELECT name FROM departments WHERE address = $1";
    Ok(client.query_opt(sql, &[&profile.email]).await?.map(|row| row.get(0)))
}

#[derive(Serialize, utoipa::ToSchema)]
struct Colleague {
    email: Option<String>,
    department: Option<String>,
}

type Company = Data<SettingsSection<CompanySettings>>;
type ColleagueAnswer = Result<ApiResponse<OkJson<Colleague>>, Problem>;

async fn me(caller: SignedInCaller, accounts: ServiceAccounts, company: Company) -> ColleagueAnswer {
    let profile = accounts.profile(caller.token.account).await?.ok_or(Problem::NotFound)?;
    let department = department(company.get(), &profile).await.map_err(|_| Problem::Unavailable)?;
    Ok(json(Colleague { email: profile.email, department }))
}

const ME: OperationDoc = OperationDoc { id: "companyMe", summary: "Look at oneself", ..OperationDoc::EMPTY };

fn main() -> ExitCode {
    let (spool, company) = (SettingsSection::named("gateways.company"), SettingsSection::named("company"));
    let service = Service::from_environment().settings(&spool).settings(&company);
    let service = service.gateway("company", SpoolGateway(spool));
    let service = service.rule(CompanyOnly(company.clone())).rule(ClosedAtNight(company.clone()));
    let service = service.claims(DepartmentClaims(company.clone())).share(company);
    service.routes(|| vec![path("/company/me/", [get(me, ME)])]).command_line()
}
