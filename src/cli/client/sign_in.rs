//! The commands by which staff sign in to a server: `login`, `second-factor`, `logout`.

use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::super::{Failure, output};
use super::remote::{RemoteServer, tokens_in};
use super::token_store::TokenStore;

/// Returns the server of a command that is of no use without one.
fn required(server: Option<&str>) -> Result<RemoteServer, Failure> {
    let server =
        server.ok_or("name the server: counterfoil --server https://auth.example.com login IDENTIFIER")?;
    RemoteServer::new(server)
}

fn run<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    actix_web::rt::System::new().block_on(work)
}

/// How a person is named to the server.
fn identifier(text: &str) -> (&'static str, &str) {
    (if text.contains('@') { "email" } else { "phone_number" }, text)
}

#[derive(Debug, Args)]
pub struct LoginCommand {
    /// Your phone number or e-mail address. The code that is sent there is asked for next, and then a code of your authenticator.
    identifier: String,
}

impl LoginCommand {
    pub fn run(self, server: Option<&str>) -> Result<ExitCode, Failure> {
        let server = required(server)?;
        run(async {
            let (name, identifier) = identifier(&self.identifier);
            let sent = server.post("/accounts/login/", json!({ name: identifier })).await?;
            // A server in development answers with the code itself.
            let echoed = sent["code"].as_str().map(|code| format!(" It is {code}.")).unwrap_or_default();
            let code = output::prompt(&format!("A code is on its way.{echoed} Code: "))?;
            let device = format!("counterfoil on {}", whoami::hostname().unwrap_or_default());
            let asked = json!({ name: identifier, "code": code.trim(), "device_name": device.trim() });
            let signed_in = server.post("/accounts/verify/", asked).await?;
            TokenStore::open()?.keep(server.name(), Some(tokens_in(&signed_in["token"])?))?;
            let user = &signed_in["user"];
            let known_as =
                ["fullname", "email", "phone_number"].into_iter().find_map(|name| user[name].as_str());
            let known_as = known_as.unwrap_or(identifier);
            output::text(&format!("Signed in to {} as {known_as}.\n", server.name()))?;
            pass_second_factor(&server, "Code of your authenticator (empty if you have none): ").await
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

async fn pass_second_factor(server: &RemoteServer, question: &str) -> Result<(), Failure> {
    let code = output::prompt(question)?;
    if code.trim().is_empty() {
        return Ok(());
    }
    server.pass_second_factor(&code).await?;
    Ok(output::text("The second factor counts for twelve hours, and for changes during ten minutes.\n")?)
}

#[derive(Debug, Args)]
pub struct SecondFactorCommand {}

impl SecondFactorCommand {
    pub fn run(self, server: Option<&str>) -> Result<ExitCode, Failure> {
        let server = required(server)?;
        run(pass_second_factor(&server, "Code of your authenticator: "))?;
        Ok(ExitCode::SUCCESS)
    }
}

#[derive(Debug, Args)]
pub struct LogoutCommand {}

impl LogoutCommand {
    pub fn run(self, server: Option<&str>) -> Result<ExitCode, Failure> {
        let server = required(server)?;
        run(async {
            let mut store = TokenStore::open()?;
            let Some(tokens) = store.tokens(server.name()).cloned() else {
                return Ok(output::text("No account was signed in.\n")?);
            };
            let ended: Result<Value, Failure> =
                server.post("/accounts/logout/", json!({ "refresh_token": tokens.refresh_token })).await;
            store.keep(server.name(), None)?;
            ended?;
            Ok(output::text("Signed out.\n")?)
        })?;
        Ok(ExitCode::SUCCESS)
    }
}
