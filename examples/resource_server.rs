//! A service that checks access tokens by itself: it answers `GET /orders/` to signed-in callers whose token names a department,
//! and refuses a session that has ended within two seconds.
//!
//! The server needs to know the service, in its `counterfoil.toml`:
//!
//! ```toml
//! [[oauth.clients]]
//! id = "orders"
//! secret_sha256 = "…"    # openssl rand -hex 32 | tee secret | tr -d '\n' | sha256sum
//! scopes = ["sessions:read"]
//! ```
//!
//! `counterfoil keys guard guard.json` writes the keys that open and verify access tokens and make none. Then run
//!
//! ```console
//! GUARD_KEYS=guard.json AUTH_URL=http://127.0.0.1:8000 CLIENT_SECRET=$(cat secret) LISTEN=127.0.0.1:9000 \
//!     cargo run --example resource_server
//! ```
//!
//! The example `company_login` puts the department into the tokens. A service of another repository needs the crates
//! `counterfoil-guard` and `actix-web`, and not `counterfoil`.

use std::error::Error;
use std::path::Path;

use actix_web::{App, HttpResponse, HttpServer, web};
use counterfoil_guard::{AccessKeys, Guard, SignedIn};
use serde::{Deserialize, Serialize};

/// The claims that this service reads of those that the server adds.
#[derive(Deserialize)]
struct StaffClaims {
    department: Option<String>,
}

#[derive(Serialize)]
struct OrderList {
    account: String,
    department: String,
    orders: Vec<String>,
}

/// The extractor answers 401 without a valid token, and 503 while it cannot tell which sessions have ended.
async fn orders(caller: SignedIn) -> HttpResponse {
    let claims = caller.claims.read::<StaffClaims>();
    let Some(department) = claims.and_then(|claims| claims.department) else {
        return HttpResponse::Forbidden().body("The token names no department.");
    };
    let orders = vec![format!("The first order of {department}")];
    HttpResponse::Ok().json(OrderList { account: caller.token.account.to_string(), department, orders })
}

fn variable(name: &str) -> Result<String, String> {
    std::env::var(name).map_err(|_| format!("set the environment variable {name}"))
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let keys = AccessKeys::read(Path::new(&variable("GUARD_KEYS")?))?;
    let guard = Guard::following_stream(keys, &variable("AUTH_URL")?, "orders", &variable("CLIENT_SECRET")?)?;
    let guard = web::Data::new(guard);
    let server =
        HttpServer::new(move || App::new().app_data(guard.clone()).route("/orders/", web::get().to(orders)))
            .bind(variable("LISTEN")?)?;
    eprintln!("listening on {}", server.addrs()[0]);
    Ok(server.run().await?)
}
