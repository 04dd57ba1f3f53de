//! Counterfoil with an access rule, a claim and a route of this program.

use counterfoil::values::{AccountId, Identifier};
use counterfoil::web::{
    ApiResource, ApiResponse, OkJson, OperationDoc, Problem, SignedInCaller, get, json, path, utoipa,
};
use counterfoil::{
    AccessRule, ClaimsFault, ClaimsRequest, ClaimsSource, CodeRuleRequest, RuleDecision, RuleFault, Service,
    ServiceAccounts, SettingsSection, async_trait,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Returns the service with the parts of this program, for `main` and for tests.
pub fn service() -> Service {
    let program = SettingsSection::named("program");
    Service::from_environment()
        .settings(&program)
        .rule(NoThrowawayMail { program: program.clone() })
        .claims(TenantClaims { program })
        .routes(routes)
}

/// The section `[program]` of `counterfoil.toml`.
#[derive(Deserialize, Serialize)]
struct ProgramSettings {
    #[serde(default)]
    tenant: String,
    #[serde(default)]
    refused_domains: Vec<String>,
}

/// Sends no codes to throw-away mailboxes, so that they cannot sign in.
#[derive(Debug)]
struct NoThrowawayMail {
    program: SettingsSection<ProgramSettings>,
}

#[async_trait]
impl AccessRule for NoThrowawayMail {
    fn name(&self) -> &'static str {
        "no_throwaway_mail"
    }

    async fn code(&self, request: &CodeRuleRequest) -> Result<RuleDecision, RuleFault> {
        let refused = &self.program.get().refused_domains;
        Ok(match &request.identifier {
            Identifier::Email(address) => {
                RuleDecision::allow_if(refused.iter().all(|domain| domain != address.domain()))
            }
            Identifier::Phone(_) => RuleDecision::Allow,
        })
    }
}

/// Tells other services which tenant a user belongs to, under `ext` of each access token.
#[derive(Debug)]
struct TenantClaims {
    program: SettingsSection<ProgramSettings>,
}

#[async_trait]
impl ClaimsSource for TenantClaims {
    fn claim_names(&self) -> &[&'static str] {
        &["tenant"]
    }

    async fn claims(&self, _: &ClaimsRequest) -> Result<Map<String, Value>, ClaimsFault> {
        let tenant = self.program.get().tenant.as_str();
        Ok(Map::from_iter([("tenant".to_owned(), tenant.into())]))
    }
}

/// What `GET /me/` answers.
#[derive(Serialize, utoipa::ToSchema)]
struct MeResponse {
    account: AccountId,
    devices: usize,
}

const ME: OperationDoc = OperationDoc { id: "me", summary: "Look at oneself", ..OperationDoc::EMPTY };

fn routes() -> Vec<ApiResource> {
    vec![path("/me/", [get(me, ME)])]
}

async fn me(
    caller: SignedInCaller,
    accounts: ServiceAccounts,
) -> Result<ApiResponse<OkJson<MeResponse>>, Problem> {
    let account = caller.token.account;
    Ok(json(MeResponse { account, devices: accounts.devices(account).await?.len() }))
}
