//! The service within the test's own process, on a clock that the test moves.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use actix_web::dev::ServerHandle;
use chrono::TimeDelta;
use counterfoil::accounts::StaffAction;
use counterfoil::app::{Application, new_state};
use counterfoil::crypto::keyring::Keyring;
use counterfoil::crypto::personal_data::PersonalData;
use counterfoil::delivery::Gateways;
use counterfoil::http::AppState;
use counterfoil::journal::Journal;
use counterfoil::postgres::DatabaseUrl;
use counterfoil::runtime::clock::Clock as _;
use counterfoil::settings::Sources;
use counterfoil::transparency::{CheckpointWriter, TrustedKeys, VerificationKeys};
use counterfoil_domain::values::{AccountId, OperatorName, Role};

use super::{ApiClient, AuthenticatorApp, DatabaseProxy, ManualClock, SignedInDevice, TestDatabase};

/// A running service with its database.
pub struct TestApp {
    pub api: ApiClient,
    pub clock: Arc<ManualClock>,
    pub keyring: Keyring,
    pub database: Arc<TestDatabase>,
    pub state: Arc<AppState>,
    /// The listener for operators, where the settings have one.
    pub operators: Option<ApiClient>,
    authenticators: Arc<Mutex<HashMap<AccountId, AuthenticatorApp>>>,
    handle: ServerHandle,
}

/// The operator at the server, as the operating system knows them.
pub fn operator() -> OperatorName {
    OperatorName::parse("ada").unwrap()
}

impl TestApp {
    /// With the default settings, and Iran as the region for national numbers.
    pub async fn start() -> Self {
        Self::with_settings(&[]).await
    }

    /// With some settings changed: `("codes.lifetime", "30")`.
    pub async fn with_settings(settings: &[(&'static str, &str)]) -> Self {
        let database = Arc::new(TestDatabase::new());
        let url = database.url.clone();
        Self::build(settings, None, database, &url, Arc::new(ManualClock::new()), Keyring::generate())
    }

    /// With a settings file of that text.
    pub async fn with_toml(toml: &str) -> Self {
        Self::with_toml_and_settings(toml, &[]).await
    }

    /// With a settings file of that text, and some settings changed.
    pub async fn with_toml_and_settings(toml: &str, settings: &[(&'static str, &str)]) -> Self {
        let database = Arc::new(TestDatabase::new());
        let (url, name) = (database.url.clone(), format!("settings-{}.toml", database.name));
        let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::write(&file, toml).unwrap();
        let clock = Arc::new(ManualClock::new());
        let app = Self::build(settings, Some(&file), database, &url, clock, Keyring::generate());
        std::fs::remove_file(&file).unwrap();
        app
    }

    /// With a proxy between the service and its database.
    pub async fn behind_proxy() -> (Self, DatabaseProxy) {
        let database = Arc::new(TestDatabase::new());
        let proxy = DatabaseProxy::start(&database.url).await;
        let url = proxy.url_of(&database.name);
        let clock = Arc::new(ManualClock::new());
        (Self::build(&[], None, database, &url, clock, Keyring::generate()), proxy)
    }

    /// Another node of the same service, with a proxy between it and their database.
    pub async fn second_node(&self, settings: &[(&'static str, &str)]) -> (Self, DatabaseProxy) {
        let database = self.database.clone();
        let proxy = DatabaseProxy::start(&database.url).await;
        let url = proxy.url_of(&database.name);
        let mut node = Self::build(settings, None, database, &url, self.clock.clone(), self.keyring.clone());
        node.authenticators.clone_from(&self.authenticators);
        (node, proxy)
    }

    /// Another node of the same service, by a database role that does not own the tables.
    pub async fn by_server_role(&self) -> Self {
        let (url, role) = self.database.by_server_role().await;
        counterfoil::postgres::migrations::migrate(&self.database.url.0, Some(role)).await.unwrap();
        Self::build(&[], None, self.database.clone(), &url, self.clock.clone(), self.keyring.clone())
    }

    fn build(
        settings: &[(&'static str, &str)],
        file: Option<&Path>,
        database: Arc<TestDatabase>,
        url: &DatabaseUrl,
        clock: Arc<ManualClock>,
        keyring: Keyring,
    ) -> Self {
        // Tests sign many people in from one address. Those of the limits say so.
        let flags = [
            ("identifiers.default_region", "IR"),
            ("server.listen", "127.0.0.1:0"),
            ("server.workers", "1"),
            ("limits.shared", "off"),
            ("limits.writes_burst", "1000000"),
            ("limits.writes_per_minute", "1000000"),
            ("limits.address_writes_burst", "1000000"),
            ("limits.address_writes_per_minute", "1000000"),
        ];
        let flags = flags.iter().chain(settings).map(|(key, value)| (*key, (*value).to_owned()));
        let settings = Sources::read(file, std::iter::empty(), flags).unwrap().check().unwrap();

        let metrics = counterfoil::runtime::telemetry::prometheus().build_recorder().handle();
        let gateways = Gateways::new(&settings.delivery, [], clock.clone()).unwrap();
        let state = new_state(&settings, url, &keyring, gateways, clock.clone(), metrics).unwrap();
        let application = Application::build(&settings, &keyring, state).unwrap();
        let (address, handle, state) = (application.address(), application.handle(), application.state());
        let operators = application.metrics_address().map(ApiClient::new);
        tokio::spawn(application.serve());
        let authenticators = Arc::default();
        Self {
            api: ApiClient::new(address),
            clock,
            keyring,
            database,
            state,
            operators,
            authenticators,
            handle,
        }
    }

    /// Numbers the log and brings its read models along from here on, as a server process does. Tests that do not ask for it
    /// number by themselves, when it suits them.
    pub fn keep_log(&self) {
        let (journal, checkpoints) = (self.journal(), self.checkpoint_writer());
        tokio::spawn(async move {
            let numbered = tokio::sync::Notify::new();
            let following = journal.keep_log(&counterfoil::read_models::FOLLOWERS, &numbered);
            tokio::join!(following, checkpoints.keep(&numbered));
        });
    }

    /// Moves the service's time on.
    pub fn advance_time(&self, seconds: i64) {
        self.clock.advance(TimeDelta::seconds(seconds));
    }

    /// A user who signs in by that number and has the role of administrators.
    pub async fn sign_in_admin(&self, phone_number: &str) -> SignedInDevice {
        self.sign_in_staff(phone_number, Role::Admin).await
    }

    /// A user who signs in by that number, has that role and has just passed the second factor.
    pub async fn sign_in_staff(&self, phone_number: &str, role: Role) -> SignedInDevice {
        let device = self.api.sign_in(phone_number).await;
        self.give_roles(&device, [role]).await;
        self.enrol_second_factor(&device).await;
        device
    }

    /// Sets up an authenticator, for [`pass`](Self::pass).
    pub async fn enrol_second_factor(&self, device: &SignedInDevice) {
        let (authenticator, _) = AuthenticatorApp::enrol_in_app(&self.api, device, self.clock.now()).await;
        self.authenticators.lock().unwrap().insert(device.account(), authenticator);
    }

    /// Passes the second factor again, half a minute later, so that its code is not the one before.
    pub async fn pass_second_factor(&self, device: &SignedInDevice) {
        self.advance_time(30);
        let authenticator = self.authenticators.lock().unwrap()[&device.account()].clone();
        authenticator.pass_second_factor(&self.api, device, self.clock.now()).await.ok();
    }

    /// Returns what the authenticator of an account shows half a minute later, so that its code is not the one before.
    pub fn second_factor_code(&self, device: &SignedInDevice) -> String {
        self.advance_time(30);
        self.authenticators.lock().unwrap()[&device.account()].code(self.clock.now())
    }

    /// Gives these roles and no other, as the command line does.
    pub async fn give_roles<const N: usize>(&self, device: &SignedInDevice, roles: [Role; N]) {
        let by = StaffAction::operator(operator(), None);
        self.state.accounts.change_roles(device.account(), roles.into(), by).await.unwrap();
    }

    /// The journal that the service writes.
    pub fn journal(&self) -> Journal {
        let database = counterfoil::postgres::Database::new(&self.database.url.0, 4).unwrap();
        Journal::new(database, PersonalData::new(&self.keyring), self.clock.clone())
    }

    /// What signs the log of this service.
    pub fn checkpoint_writer(&self) -> CheckpointWriter {
        let keys = self.state.accounts.checkpoint_keys().clone();
        CheckpointWriter::new(self.journal().database().clone(), keys)
    }

    /// By which keys the log of this service is verified.
    pub fn trusted_keys(&self) -> TrustedKeys {
        VerificationKeys::new(self.state.accounts.checkpoint_keys().clone(), &[]).trusted()
    }

    /// The keyring in a file, for commands of the binary.
    pub fn keyring_file(&self) -> PathBuf {
        let name = format!("keyring-{}.json", uuid::Uuid::from_bytes(counterfoil::crypto::entropy::bytes()));
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        self.keyring.create(&path).unwrap();
        path
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        drop(self.handle.stop(false));
    }
}
