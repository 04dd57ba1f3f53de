//! An authenticator app, which shows the codes of a second factor.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use totp_rs::{Builder, Secret, Totp};

use super::{ApiAnswer, ApiClient, SignedInDevice};

/// What shows the codes of one account's second factor.
#[derive(Clone)]
pub struct AuthenticatorApp(Totp);

impl AuthenticatorApp {
    /// Of the secret that was offered.
    pub fn from_offer(offered: &Value) -> Self {
        let secret = Secret::try_from_base32(offered["secret"].as_str().unwrap()).unwrap();
        Self(Builder::new().with_secret(secret).build().unwrap())
    }

    /// Sets one up for an account that has a role, by the code of half a minute ago: that of now can be used after it. Gives
    /// the recovery codes as well.
    pub async fn enrol_in_app(
        api: &ApiClient,
        device: &SignedInDevice,
        now: DateTime<Utc>,
    ) -> (Self, Vec<String>) {
        Self::enrol_by_code_at(api, device, now - TimeDelta::seconds(30)).await
    }

    /// Sets one up by the code of that time. The code of half a minute ago is too old for a node whose clock goes on where the
    /// half minute ends between the two requests; the code of now is not.
    pub async fn enrol_by_code_at(
        api: &ApiClient,
        device: &SignedInDevice,
        at: DateTime<Utc>,
    ) -> (Self, Vec<String>) {
        let it = Self::from_offer(&api.post_as(device, "/accounts/second-factor/", json!({})).await.ok());
        let code = json!({"code": it.code(at)});
        let given = api.post_as(device, "/accounts/second-factor/confirm/", code).await.ok();
        let codes = given["recovery_codes"].as_array().unwrap();
        (it, codes.iter().map(|code| code.as_str().unwrap().to_owned()).collect())
    }

    /// What it shows at a time.
    pub fn code(&self, at: DateTime<Utc>) -> String {
        self.0.generate(at.timestamp().unsigned_abs()).to_string()
    }

    /// Passes the second factor with what it shows.
    pub async fn pass_second_factor(
        &self,
        api: &ApiClient,
        device: &SignedInDevice,
        at: DateTime<Utc>,
    ) -> ApiAnswer {
        api.post_as(device, "/accounts/second-factor/verify/", json!({"code": self.code(at)})).await
    }
}
