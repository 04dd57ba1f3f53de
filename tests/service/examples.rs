//! The examples run as they are and do what they say, each in a process and on a database of its own.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use counterfoil_guard::{AccessKeys, Guard};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{ApiAnswer, ApiClient, NodeProcess, ProviderReply, ProviderServer, TestDatabase};

const EMAIL: &str = "ada@example.com";
const PHONE: &str = "+989121234567";

/// A secret of a service, and its SHA-256.
const SECRET: (&str, &str) = ("secret", "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b");

/// The program of an example, which `cargo test --workspace` builds.
fn example(name: &str) -> PathBuf {
    let programs = Path::new(env!("CARGO_BIN_EXE_counterfoil")).parent().unwrap();
    let program = programs.join("examples").join(name);
    assert!(program.exists(), "build the examples first: cargo build --workspace --examples");
    program
}

/// An example that embeds the service, with a folder and a database of its own.
struct ExampleService {
    program: PathBuf,
    folder: PathBuf,
    database: TestDatabase,
}

impl ExampleService {
    /// Writes the settings of the example, in which `DATABASE` stands for the URL of the database and `FOLDER` for the folder.
    fn new(name: &str, settings: &str) -> Self {
        let database = TestDatabase::new();
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", database.name));
        drop(std::fs::remove_dir_all(&folder));
        std::fs::create_dir_all(&folder).unwrap();
        let settings =
            settings.replace("DATABASE", &database.url.0).replace("FOLDER", folder.to_str().unwrap());
        std::fs::write(folder.join("counterfoil.toml"), settings).unwrap();
        Self { program: example(name), folder, database }
    }

    fn start(&self, environment: &[(&str, &str)]) -> NodeProcess {
        let mut whole = vec![("DATABASE_URL", self.database.url.0.as_str())];
        whole.extend_from_slice(environment);
        NodeProcess::start_program(&self.program, &self.folder, &whole)
    }

    /// Runs another command of the same program.
    fn run(&self, arguments: &[&str]) {
        let environment = [("DATABASE_URL", self.database.url.0.as_str())];
        let mut command = NodeProcess::command_of(&self.program, &self.folder, &environment);
        let output = command.args(arguments).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    /// The keys with which another service checks the access tokens.
    fn guard_keys(&self) -> PathBuf {
        let file = self.folder.join("guard.json");
        self.run(&["keys", "guard", file.to_str().unwrap()]);
        file
    }
}

impl Drop for ExampleService {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

/// The example `resource_server`, killed with this value.
struct ResourceServer {
    process: Child,
    client: ApiClient,
}

impl ResourceServer {
    fn start(keys: &Path, server: SocketAddr) -> Self {
        let mut process = Command::new(example("resource_server"))
            .env("GUARD_KEYS", keys)
            .env("AUTH_URL", format!("http://{server}"))
            .env("CLIENT_SECRET", SECRET.0)
            .env("LISTEN", "127.0.0.1:0")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines().map_while(Result::ok);
        let address = lines.find_map(|line| line.strip_prefix("listening on ")?.parse().ok());
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, client: ApiClient::new(address.expect("it listens")) }
    }

    async fn orders(&self, access_token: &str) -> ApiAnswer {
        self.client.get("/orders/", access_token).await
    }
}

impl Drop for ResourceServer {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// Asks again until there is an answer, for ten seconds at most.
async fn wait_for<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = ask().await {
            return found;
        }
        assert!(began.elapsed() < Duration::from_secs(10), "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The first six digits in a row.
fn code_in(text: &str) -> Option<String> {
    let mut words = text.split(|c: char| !c.is_ascii_digit());
    words.find(|word| word.len() == 6).map(str::to_owned)
}

/// Takes the message to an address out of the spool, and returns its code.
async fn spooled_code(folder: &Path, address: &str) -> String {
    wait_for("a message in the spool", async || {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "mail") {
                let text = std::fs::read_to_string(&path).unwrap();
                if text.starts_with(&format!("To: {address}\n"))
                    && let Some(code) = code_in(text.split_once("\n\n").unwrap().1)
                {
                    std::fs::remove_file(path).unwrap();
                    return Some(code);
                }
            }
        }
        None
    })
    .await
}

#[track_caller]
fn is_refused_by(answer: &ApiAnswer, rule: &str) {
    answer.is_problem(403, "refused_by_rule");
    assert_eq!(answer.json()["rule"], rule);
}

const COMPANY: &str = r#"
    profile = "development"
    delivery.email = "company"
    codes.resend_after = 0
    gateways.company = { kind = "own", folder = "FOLDER" }
    [company]
    domains = ["example.com"]
    open_from = 0
    open_until = 24
    database_url = "DATABASE"
    [[oauth.clients]]
    id = "orders"
    secret_sha256 = "HASH"
    scopes = ["sessions:read"]
"#;

/// Asks for a code by e-mail, and redeems the one that the mail system of the company gets.
async fn sign_in_by_spool(company: &ExampleService, api: &ApiClient, address: &str) -> ApiAnswer {
    api.post("/accounts/login/", json!({"email": address})).await.ok();
    let code = spooled_code(&company.folder, address).await;
    api.post("/accounts/verify/", json!({"email": address, "code": code})).await
}

#[tokio::test]
async fn the_company_signs_its_own_people_in_by_its_mail_system_and_tells_other_services_the_department() {
    let company = ExampleService::new("company_login", &COMPANY.replace("HASH", SECRET.1));
    let node = company.start(&[]);
    for stranger in [json!({"email": "ada@elsewhere.example"}), json!({"phone_number": PHONE})] {
        is_refused_by(&node.api.post("/accounts/login/", stranger).await, "company_only");
    }
    let device = sign_in_by_spool(&company, &node.api, EMAIL).await.signed_in();
    let me = node.api.get("/company/me/", &device.access).await.ok();
    assert_eq!(me, json!({"email": EMAIL, "department": null}));

    let resource_server = ResourceServer::start(&company.guard_keys(), node.api.address());
    let refused = wait_for("the stream of ended sessions", async || {
        let answer = resource_server.orders(&device.access).await;
        (answer.status != 503).then_some(answer)
    });
    assert_eq!(refused.await.status, 403, "the token names no department yet");
    let insert = format!("INSERT INTO departments VALUES ('{EMAIL}', 'sales')");
    company.database.connect().await.batch_execute(&insert).await.unwrap();
    let tokens = node.api.refresh(&device.refresh).await.ok();
    let access = tokens["access_token"].as_str().unwrap();
    let orders = resource_server.orders(access).await.ok();
    assert_eq!((&orders["department"], &orders["account"]), (&json!("sales"), &device.user["id"]));
    assert_eq!(node.api.get("/company/me/", access).await.ok()["department"], "sales");

    node.api.logout(tokens["refresh_token"].as_str().unwrap()).await;
    wait_for("the end of the session", async || {
        (resource_server.orders(access).await.status == 401).then_some(())
    })
    .await;
    // The server that follows the ended sessions does not keep the node from stopping.
    let stopping = Instant::now();
    assert!(node.stop());
    assert!(stopping.elapsed() < Duration::from_secs(10), "it waited for the follower");
}

#[tokio::test]
async fn the_company_is_closed_at_night_but_for_staff() {
    let company = ExampleService::new("company_login", &COMPANY.replace("HASH", SECRET.1));
    let (day, night) = (company.start(&[]), company.start(&[("COUNTERFOIL__COMPANY__OPEN_UNTIL", "0")]));
    sign_in_by_spool(&company, &day.api, EMAIL).await.signed_in();
    is_refused_by(&sign_in_by_spool(&company, &night.api, EMAIL).await, "closed_at_night");
    company.run(&["accounts", "grant", EMAIL, "admin"]);
    sign_in_by_spool(&company, &night.api, EMAIL).await.signed_in();
    is_refused_by(&sign_in_by_spool(&company, &night.api, "bob@example.com").await, "closed_at_night");
}

const SHOP: &str = r#"
    profile = "development"
    delivery.phone = "shop"
    codes.resend_after = 0
    sessions.device_limit = 1
    tokens.profile_claims = ["fullname"]
    gateways.shop.kind = "own"
    shop = { provider_url = "PROVIDER", database_url = "DATABASE" }
"#;

#[tokio::test]
async fn the_shop_has_a_part_for_each_function_that_it_used_to_rewrite() {
    let provider = ProviderServer::start(|_| ProviderReply::text(200, ""));
    let shop = ExampleService::new("services_py", &SHOP.replace("PROVIDER", &provider.url));
    let node = shop.start(&[]);
    is_refused_by(&node.api.post("/accounts/login/", json!({"email": EMAIL})).await, "shop");

    let mut seen = 0;
    let mut sign_in = async |device: &str| {
        node.api.post("/accounts/login/", json!({"phone_number": PHONE, "fullname": "Ada"})).await.ok();
        let code = wait_for("a message at the provider", async || {
            let requests = provider.requests();
            let (number, code) = requests.iter().enumerate().skip(seen).find_map(|(number, request)| {
                let form = request.form();
                Some((number, code_in(&form["text"]).filter(|_| form["to"] == PHONE)?))
            })?;
            seen = number + 1;
            Some(code)
        });
        let body = json!({"phone_number": PHONE, "code": code.await, "device_name": device});
        node.api.post("/accounts/verify/", body).await.signed_in()
    };
    let first = sign_in("My phone").await;
    let guard = Guard::new(AccessKeys::read(&shop.guard_keys()).unwrap());
    let claims: Value = guard.check(&first.access).await.unwrap().claims.read().unwrap();
    assert_eq!(claims, json!({"fullname": "Ada", "plan": "free", "device": "My phone", "ip": "127.0.0.1"}));

    let database = shop.database.connect().await;
    let count = async |condition: &str| {
        wait_for(condition, async || {
            let sql =
                format!("SELECT FROM customers JOIN visits ON customer = customers.id WHERE {condition}");
            (database.query(&sql, &[]).await.ok()?.len() == 1).then_some(())
        })
        .await;
    };
    count("plan = 'free' AND ended IS NULL").await;
    let second = sign_in("My tablet").await;
    node.api.profile(&first.access).await.is_problem(401, "invalid_access_token");
    count("ended = 'device_limit'").await;

    database.batch_execute("UPDATE customers SET blocked = true, plan = 'gold'").await.unwrap();
    is_refused_by(&node.api.refresh(&second.refresh).await, "shop");
    database.batch_execute("UPDATE customers SET blocked = false").await.unwrap();
    let tokens = node.api.refresh(&second.refresh).await.ok();
    let access = tokens["access_token"].as_str().unwrap();
    let claims: Value = guard.check(access).await.unwrap().claims.read().unwrap();
    assert_eq!(claims["plan"], "gold");

    let lost = node.api.request(Method::POST, "/shop/lost-phone/").bearer_auth(access);
    assert_eq!(ApiClient::send(lost).await.status, 204);
    node.api.profile(access).await.is_problem(401, "invalid_access_token");
    count("ended = 'ended_by_admin'").await;
    assert!(node.stop());
}

#[tokio::test]
async fn the_program_that_the_script_makes_has_its_rule_its_claim_and_its_route() {
    let settings = include_str!("../../script/new-service.d/counterfoil.toml");
    let made = ExampleService::new("new_service", settings);
    let node = made.start(&[]);
    let throwaway = json!({"email": "ada@mailinator.com"});
    is_refused_by(&node.api.post("/accounts/login/", throwaway).await, "no_throwaway_mail");
    let device = node.api.sign_in(PHONE).await;
    let me = node.api.get("/me/", &device.access).await.ok();
    assert_eq!(me, json!({"account": device.user["id"], "devices": 1}));
    let guard = Guard::new(AccessKeys::read(&made.guard_keys()).unwrap());
    let claims: Value = guard.check(&device.access).await.unwrap().claims.read().unwrap();
    assert_eq!(claims, json!({"tenant": "example"}));
}

fn new_service(folder: &Path, name: &str) -> Output {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("script/new-service");
    Command::new(script).arg(name).current_dir(folder).output().unwrap()
}

/// Runs cargo in a folder, without the variables by which the cargo of these tests would tell it where to build.
fn run_cargo(folder: &Path, arguments: &[&str]) -> Vec<u8> {
    let cargo = std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("CARGO"));
    let mut command = Command::new(env!("CARGO"));
    cargo.filter(|(name, _)| name != "CARGO_HOME").for_each(|(name, _)| {
        command.env_remove(name);
    });
    let output = command.args(arguments).current_dir(folder).stderr(Stdio::piped()).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// With `COUNTERFOIL_TEST_NEW_SERVICE=1` the crate is built and tested as well, which takes minutes.
#[test]
fn the_script_makes_a_crate_that_cargo_accepts_and_refuses_a_name_that_is_none() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("new-service");
    drop(std::fs::remove_dir_all(&folder));
    std::fs::create_dir_all(&folder).unwrap();
    for (name, complaint) in [
        ("My Shop", "is no name of a crate"),
        ("../shop", "is no name of a crate"),
        ("test", "another meaning"),
    ] {
        let refused = new_service(&folder, name);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && said.contains(complaint), "{name}: {said}");
    }
    let made = new_service(&folder, "my-shop");
    assert!(made.status.success(), "{made:?}");
    let again = new_service(&folder, "my-shop");
    assert!(String::from_utf8_lossy(&again.stderr).contains("my-shop exists already"), "{again:?}");

    let (root, made) = (Path::new(env!("CARGO_MANIFEST_DIR")), folder.join("my-shop"));
    let read = |path: &str| std::fs::read_to_string(made.join(path)).unwrap();
    for copied in [".cargo/config.toml", "Cargo.lock"] {
        assert_eq!(read(copied), std::fs::read_to_string(root.join(copied)).unwrap(), "{copied}");
    }
    for path in
        [".gitignore", "README.md", "counterfoil.toml", "src/lib.rs", "src/main.rs", "tests/sign_in.rs"]
    {
        let text = read(path);
        assert!(!text.is_empty() && !text.contains("new-service") && !text.contains("new_service"), "{path}");
    }
    let host = Command::new("rustc").arg("-vV").output().unwrap();
    let host = String::from_utf8(host.stdout).unwrap();
    let host = host.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let accepted =
        run_cargo(&made, &["metadata", "--offline", "--format-version", "1", "--filter-platform", host]);
    let accepted: Value = serde_json::from_slice(&accepted).unwrap();
    let packages = accepted["packages"].as_array().unwrap();
    let mine = packages.iter().find(|package| package["name"] == "my-shop").unwrap();
    let targets = mine["targets"].as_array().unwrap().iter().map(|target| target["name"].as_str().unwrap());
    assert_eq!(targets.collect::<Vec<_>>(), ["my_shop", "my-shop", "sign_in"]);

    if std::env::var_os("COUNTERFOIL_TEST_NEW_SERVICE").is_some_and(|value| value == "1") {
        run_cargo(&made, &["build"]);
        run_cargo(&made, &["test"]);
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn the_crate_that_the_script_makes_has_the_dependencies_and_profiles_of_this_one() {
    let own = include_str!("../../Cargo.toml");
    let template = include_str!("../../script/new-service.d/Cargo.toml");
    // What the library needs to be fast, and what a program would otherwise take in another version.
    let profile = |manifest: &str| {
        let lines = manifest.lines().map(|line| line.split('#').next().unwrap().trim_end());
        let of_profiles = lines.scan(false, |inside, line| {
            if line.starts_with('[') {
                *inside = line == "[profile.release]" || line.starts_with("[profile.dev");
            }
            Some(inside.then(|| line.to_owned()).filter(|line| !line.is_empty()))
        });
        of_profiles.flatten().collect::<Vec<_>>()
    };
    assert_eq!(profile(template), profile(own));
    let version = |manifest: &str, name: &str| {
        let line =
            manifest.lines().find_map(|line| line.strip_prefix(&format!("{name} = ")).map(str::to_owned));
        line.unwrap().split('"').nth(1).unwrap().to_owned()
    };
    for name in ["edition", "rust-version", "serde", "serde_json", "reqwest", "tokio"] {
        assert_eq!(version(template, name), version(own, name), "{name}");
    }
}
