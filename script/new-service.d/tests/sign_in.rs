//! The service of this program, started as a whole and asked over HTTP.

use std::error::Error;
use std::time::{SystemTime, UNIX_EPOCH};

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

/// With `DATABASE_URL` the test uses that database, and else a private PostgreSQL in the folder of the build.
#[tokio::test]
async fn a_user_signs_in_and_looks_at_themselves() -> Result<(), Box<dyn Error>> {
    // A service that runs in the folder of the crate keeps its own PostgreSQL and settings.
    std::env::set_current_dir(env!("CARGO_TARGET_TMPDIR"))?;
    let service = new_service::service()
        .setting("profile", "development")
        .setting("server.listen", "127.0.0.1:0")
        .setting("program.refused_domains", r#"["mailinator.com"]"#);
    let running = service.start().await?;
    let (http, url) = (Client::new(), format!("http://{}", running.address()));

    // Each run signs in by another address, because a second code to the same one has to wait for a minute.
    let run = SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros();
    let email = format!("ada-{run}@example.com");
    let sent = http.post(format!("{url}/accounts/login/")).json(&json!({"email": email})).send().await?;
    let code = sent.json::<Value>().await?["code"].clone();
    let verify = json!({"email": email, "code": code});
    let answer = http.post(format!("{url}/accounts/verify/")).json(&verify).send().await?;
    let signed_in: Value = answer.error_for_status()?.json().await?;
    let access = signed_in["token"]["access_token"].as_str().ok_or("no access token")?;

    let me = http.get(format!("{url}/me/")).bearer_auth(access).send().await?;
    let me: Value = me.error_for_status()?.json().await?;
    assert_eq!(me, json!({"account": signed_in["user"]["id"], "devices": 1}));
    let throwaway = json!({"email": "ada@mailinator.com"});
    let refused = http.post(format!("{url}/accounts/login/")).json(&throwaway).send().await?;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    let stranger = http.get(format!("{url}/me/")).send().await?;
    assert_eq!(stranger.status(), StatusCode::UNAUTHORIZED);
    running.stop().await?;
    Ok(())
}
