//! Who may do what: every operation, tried by each caller on each object, compared with `docs/authorization.md`.
//!
//! The document's table is what is expected. A new route needs a line there, and here only what its request has to say.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use counterfoil::crypto::message_links::SessionLinks;
use counterfoil_domain::user_account::{AccountFact, StaffFact};
use counterfoil_domain::values::{Role, SessionId};
use futures_util::future::join_all;
use reqwest::{Method, RequestBuilder};
use serde_json::json;
use uuid::Uuid;

use crate::support::{SignedInDevice, TestApp};

const DOCUMENT: &str = include_str!("../../docs/authorization.md");

/// The callers, in the order of the table's columns.
const CALLERS: [&str; 5] = ["Anonymous", "Person", "Auditor", "Admin", "Service"];
/// The order in which the callers ask: the administrator last, since the administrator's requests take effect.
const IN_TURN: [usize; 5] = [0, 4, 1, 2, 3];

/// A link that was never sent, and the name of no read model.
const UNKNOWN: &str = "unknown";

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// A line of the table.
struct TableLine {
    method: Method,
    route: &'static str,
    object: &'static str,
    statuses: Vec<u16>,
}

impl TableLine {
    fn all() -> Vec<Self> {
        let lines = DOCUMENT.lines().skip_while(|line| !line.starts_with("| Method")).skip(2);
        lines.take_while(|line| line.starts_with('|')).map(Self::parse).collect()
    }

    fn parse(line: &'static str) -> Self {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [method, route, object, statuses @ ..] = &cells[..] else { panic!("{line}") };
        let statuses: Vec<u16> = statuses.iter().map(|status| status.parse().expect(line)).collect();
        assert_eq!(statuses.len(), CALLERS.len(), "{line}");
        Self { method: method.parse().unwrap(), route: route.trim_matches('`'), object, statuses }
    }

    fn operation(&self) -> (String, String) {
        (self.method.to_string(), self.route.to_owned())
    }
}

/// Every method and route that the server has.
fn registered() -> BTreeSet<(String, String)> {
    let document = counterfoil::http::document();
    let paths = document["paths"].as_object().unwrap().iter();
    let operations = paths.flat_map(|(path, operations)| {
        let route = path.trim_end_matches('/').to_owned();
        let methods = operations.as_object().unwrap().keys().map(|method| method.to_uppercase());
        methods.map(move |method| (method, route.clone())).collect::<Vec<_>>()
    });
    operations.collect()
}

/// An account with everything that a request can name.
struct AccountObjects {
    device: SignedInDevice,
    session: Uuid,
    number: String,
    name: String,
    device_name: String,
    link: String,
}

impl AccountObjects {
    async fn new(app: &TestApp, number: u32, role: Option<Role>) -> Self {
        let name = format!("Holder {number:03}");
        let device_name = format!("Gadget {number:03}");
        let number = format!("+98912{number:07}");
        let device = match role {
            Some(role) => app.sign_in_staff(&number, role).await,
            None => app.api.sign_in(&number).await,
        };
        app.api.rename(&device.access, &name).await.ok();
        let devices = app.api.get("/accounts/devices/", &device.access).await.ok();
        let current = devices.as_array().unwrap().iter().find(|device| device["current"] == true).unwrap();
        let session: Uuid = current["id"].as_str().unwrap().parse().unwrap();
        let named = json!({"device_name": device_name});
        app.api.patch(&format!("/accounts/devices/{session}/"), &device.access, named).await.ok();
        let link = SessionLinks::new(&app.keyring, None).token(device.account(), SessionId(session));
        Self { device, session, number, name, device_name, link }
    }

    /// The texts that an answer to another caller must not hold.
    fn needles(&self) -> [String; 5] {
        [
            self.device.account().to_string(),
            self.session.to_string(),
            self.number[1..].to_owned(),
            self.name.clone(),
            self.device_name.clone(),
        ]
    }
}

/// Ids, tokens and links that belong to no account, in the form of real ones.
fn unknown() -> AccountObjects {
    let id = "00000000-0000-7000-8000-000000000000";
    let device = SignedInDevice {
        user: json!({ "id": id }),
        access: "cfa_unknown".to_owned(),
        refresh: "cfr_unknown".to_owned(),
    };
    AccountObjects {
        device,
        session: id.parse().unwrap(),
        number: "+989190000000".to_owned(),
        name: String::new(),
        device_name: String::new(),
        link: UNKNOWN.to_owned(),
    }
}

/// The path of the route, with the names of that person's objects in it.
fn path(route: &str, of: &AccountObjects) -> String {
    let id = if route.contains("/accounts/{id}") { of.device.account().0 } else { of.session };
    let name = if of.link == UNKNOWN { UNKNOWN } else { "statistics" };
    let path = route.replace("{id}", &id.to_string()).replace("{link}", &of.link).replace("{name}", name);
    let path = path.replace("{identifier}", &of.number).replace("{block}", &of.session.to_string());
    let path = path.replace("{proposal}", &of.session.to_string());
    let path = path.replace("{subject}", if name == UNKNOWN { UNKNOWN } else { "service" });
    let tile = if name == UNKNOWN { "x" } else { "000.p/1" };
    let path = path.replace("{level}", "0").replace("{tile}", tile);
    if let Some(size) =
        ["/audit/proofs/inclusion", "/audit/proofs/consistency"].iter().position(|it| *it == route)
    {
        return format!("{path}/?{}=1", ["seq", "from"][size]);
    }
    if route == "/admin/identifiers" {
        return format!("{path}/?phone_number=%2B{}", &of.number[1..]);
    }
    format!("{path}/")
}

/// What a request says besides its path.
fn saying(request: RequestBuilder, method: &Method, route: &str, of: &AccountObjects) -> RequestBuilder {
    let refresh_token = || json!({"refresh_token": of.device.refresh});
    let body = match (method.as_str(), route) {
        ("POST", "/audit/rehearsals") => json!({"settings": {}, "reason": "to see whether I may"}),
        ("POST", "/audit/verifications") => json!({"reason": "to see whether I may"}),
        (_, route) if route.starts_with("/audit/") => {
            return request.header("x-audit-reason", "to see whether I may");
        }
        ("POST", route) if route.starts_with("/oauth/") => {
            return request.form(&[("token", &of.device.access)]);
        }
        (
            "POST",
            "/accounts/login"
            | "/accounts/verify/resend"
            | "/accounts/identifiers"
            | "/accounts/reauthenticate",
        ) => json!({"phone_number": of.number}),
        ("POST", "/accounts/verify" | "/accounts/identifiers/verify" | "/accounts/reauthenticate/verify") => {
            json!({"phone_number": of.number, "code": "000000"})
        }
        ("POST", "/accounts/second-factor/confirm" | "/accounts/second-factor/verify") => {
            json!({"code": "000000"})
        }
        ("POST", "/accounts/refresh" | "/accounts/logout") => refresh_token(),
        ("POST", "/accounts/token/verify") => json!({"token": of.device.access}),
        ("PATCH", "/accounts/profile" | "/accounts/profile/update") => json!({"fullname": "Another"}),
        ("PATCH", "/accounts/devices/{id}") => json!({"device_name": "Another"}),
        (
            "DELETE",
            "/admin/device-sessions/{id}"
            | "/admin/limits/{subject}"
            | "/admin/blocks/{block}"
            | "/admin/accounts/{id}/hold"
            | "/admin/accounts/{id}/second-factor",
        )
        | ("POST", "/admin/accounts/{id}/suspend" | "/admin/accounts/{id}/erase") => {
            json!({"reason": "to see whether I may"})
        }
        ("POST", "/admin/accounts/{id}/hold") => {
            json!({"until": "2100-01-01T00:00:00Z", "reason": "to see whether I may"})
        }
        ("POST", "/admin/blocks") => {
            json!({"prefix": format!("+44{}", fastrand::u32(1_000_000..)), "reason": "to see whether I may"})
        }
        ("POST", "/admin/accounts/{id}/identifiers") => {
            json!({"action": "release", "phone_number": of.number, "reason": "to see whether I may"})
        }
        ("POST", "/admin/accounts/{id}/identifiers/confirm") => {
            json!({"proposal": of.session, "reason": "to see whether I may"})
        }
        ("POST", "/admin/accounts/{id}/roles") => json!({"roles": ["auditor"]}),
        ("POST", _) => json!({}),
        _ => return request,
    };
    request.json(&body)
}

/// An answer; of one that does not end, its beginning.
async fn answer(request: RequestBuilder) -> (u16, String) {
    let mut response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let is_endless = response.headers().get("content-type").is_some_and(|media| media == "text/event-stream");
    if !is_endless {
        return (status, response.text().await.unwrap());
    }
    let beginning = response.chunk().await.unwrap().unwrap();
    (status, String::from_utf8(beginning.to_vec()).unwrap())
}

/// One caller after the other asks for a code to the same number.
const SETTINGS: &str = "
[transparency]
public = true
[codes]
resend_after = 0
[[oauth.clients]]
id = \"orders\"
secret_sha256 = \"HASH\"
scopes = [\"tokens:introspect\", \"tokens:revoke\", \"sessions:read\"]
";

/// A service, and how many people have joined it.
struct TestedService {
    app: TestApp,
    database: tokio_postgres::Client,
    joined: u32,
}

impl TestedService {
    async fn new() -> Self {
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, SECRET.as_bytes());
        let hash = hash.as_ref().iter().fold(String::new(), |hash, byte| format!("{hash}{byte:02x}"));
        let app = TestApp::with_toml(&SETTINGS.replace("HASH", &hash)).await;
        app.keep_log();
        let database = app.database.connect().await;
        Self { app, database, joined: 0 }
    }

    /// A person, an auditor and an administrator.
    async fn people(&mut self) -> [AccountObjects; 3] {
        let first = self.joined + 1;
        self.joined += 3;
        let roles = (first..).zip([None, Some(Role::Auditor), Some(Role::Admin)]);
        let people = join_all(roles.map(|(number, role)| AccountObjects::new(&self.app, number, role))).await;
        people.try_into().ok().unwrap()
    }

    fn request(
        &self,
        method: &Method,
        path: &str,
        caller: usize,
        people: &[AccountObjects; 3],
    ) -> RequestBuilder {
        let request = self.app.api.request(method.clone(), path);
        match caller {
            0 => request,
            4 => request.basic_auth("orders", Some(SECRET)),
            person => request.bearer_auth(&people[person - 1].device.access),
        }
    }

    /// How far each account's events go, and the hash of all of them.
    async fn heads(&self) -> BTreeMap<Uuid, (i64, Vec<u8>)> {
        let rows = self.database.query("SELECT account_id, version, leaf FROM heads", &[]).await.unwrap();
        rows.iter().map(|row| (row.get(0), (row.get(1), row.get(2)))).collect()
    }

    /// Whether the account's last event says that it was denied that operation.
    async fn denial_is_on_record(
        &self,
        who: &AccountObjects,
        TableLine { method, route, .. }: &TableLine,
    ) -> bool {
        let history = self.app.journal().history(who.device.account()).await.unwrap();
        let denied = format!("{method} {route}");
        matches!(&history.last().unwrap().1.fact, AccountFact::Staff(StaffFact::AccessDenied { action, .. }) if *action == denied)
    }

    /// Waits until no read model is being rebuilt: the next order to rebuild one would be refused.
    async fn rebuild_ends(&self, administrator: &AccountObjects) {
        for _ in 0..400 {
            let list = self.app.api.get("/admin/projections/", &administrator.device.access).await;
            if !list.text.contains("\"rebuilding\"") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the rebuild goes on after 20 seconds");
    }

    /// Makes one of the table's requests and checks what it leaves behind; its status.
    async fn try_one(
        &self,
        line: &TableLine,
        caller: usize,
        people: &[AccountObjects; 3],
        of: &AccountObjects,
        others: &[&AccountObjects],
    ) -> u16 {
        let what = format!("{} {} ({}) by {}", line.method, line.route, line.object, CALLERS[caller]);
        let before = self.heads().await;
        let request = self.request(&line.method, &path(line.route, of), caller, people);
        let (status, text) = answer(saying(request, &line.method, line.route, of)).await;
        let after = self.heads().await;

        let is_staffs = ["/admin/", "/audit/", "/oauth/"].iter().any(|area| line.route.starts_with(area));
        if status >= 400 || !is_staffs {
            for needle in others.iter().flat_map(|other| other.needles()) {
                assert!(!text.contains(&needle), "{what}: {status} tells {needle}: {text}");
            }
        }
        // A request in an identifier's name is counted for its account whichever caller sends it; everything else changes
        // only for a caller who may change it.
        let may_change_object = line.object == "presented" || status < 400;
        let caller_account = (1..=3).contains(&caller).then(|| people[caller - 1].device.account().0);
        for (account, head) in &before {
            let may_change =
                Some(*account) == caller_account || (may_change_object && *account == of.device.account().0);
            assert!(may_change || after[account] == *head, "{what}: {status} changed {account}");
        }
        if status == 403 && is_staffs {
            assert!(self.denial_is_on_record(&people[caller - 1], line).await, "{what}: not on record");
        }
        status
    }

    /// Tries a line of the table; what each caller was answered.
    async fn answers(&mut self, line: &TableLine) -> Vec<u16> {
        let (callers, victims) = (self.people().await, self.people().await);
        let mut statuses = vec![0; CALLERS.len()];
        for caller in IN_TURN {
            let others: Vec<&AccountObjects> = callers
                .iter()
                .enumerate()
                .filter(|(at, _)| at + 1 != caller)
                .map(|(_, person)| person)
                .chain(&victims)
                .collect();
            let unknown = unknown();
            let objects: Vec<&AccountObjects> = match (line.object, caller) {
                ("own", 1..=3) => vec![&callers[caller - 1]],
                ("unknown", _) => vec![&unknown],
                // Only staff have a second factor that can be removed.
                ("another's", _) if line.route == "/admin/accounts/{id}/second-factor" => {
                    victims[1..].iter().collect()
                }
                ("own" | "another's" | "presented" | "none", _) => victims.iter().collect(),
                (object, _) => panic!("{object}: no such object"),
            };
            for of in objects {
                let status = self.try_one(line, caller, &callers, of, &others).await;
                assert!(
                    [0, status].contains(&statuses[caller]),
                    "{:?}: it depends on whose",
                    line.operation()
                );
                statuses[caller] = status;
                if status == 202 {
                    self.rebuild_ends(&callers[2]).await;
                }
            }
        }
        statuses
    }
}

#[test]
fn the_table_has_every_operation_of_the_server_and_no_other() {
    let table: BTreeSet<_> = TableLine::all().iter().map(TableLine::operation).collect();
    assert_eq!(table, registered());
}

#[test]
fn every_route_that_names_an_object_is_tried_with_another_accounts_object_and_an_unknown_one() {
    let lines = TableLine::all();
    let mut objects = BTreeMap::<_, BTreeSet<&str>>::new();
    for line in &lines {
        assert!(objects.entry(line.operation()).or_default().insert(line.object), "{:?}", line.operation());
    }
    for ((method, route), objects) in objects {
        let names_owner = ["{id}", "{identifier}"].iter().any(|name| route.contains(name));
        let foreign = if names_owner { "another's" } else { "presented" };
        if route.contains('{') {
            assert!(objects.contains(foreign) && objects.contains("unknown"), "{method} {route}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_caller_is_answered_as_the_table_says_and_nothing_leaks_or_changes_elsewhere() {
    let mut world = TestedService::new().await;
    let (mut matrix, mut wrong) = (String::new(), Vec::new());
    for line in TableLine::all() {
        let statuses = world.answers(&line).await;
        let (method, route, object) = (line.method.as_str(), line.route, line.object);
        let each = statuses.iter().fold(String::new(), |each, status| format!("{each}  {status:>9}"));
        writeln!(matrix, "{method:<6} {route:<33} {object:<10}{each}").unwrap();
        if statuses != line.statuses {
            wrong.push(format!("{method} {route} ({object}): {statuses:?}, not {:?}", line.statuses));
        }
    }
    let headings = CALLERS.iter().fold(String::new(), |each, caller| format!("{each}  {caller:>9}"));
    eprintln!("{:<51}{headings}\n{matrix}", "");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Other ways to write an id, that readers of UUIDs and of paths may take for it.
fn spellings(id: Uuid) -> Vec<String> {
    let plain = id.to_string();
    let encoded: String = plain.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let twice = encoded.replace('%', "%25");
    vec![
        plain.to_uppercase(),
        id.simple().to_string(),
        id.braced().to_string().replace('{', "%7B").replace('}', "%7D"),
        id.urn().to_string(),
        format!("{}%20", plain),
        format!("{}%00", plain),
        format!(".%2F{plain}"),
        format!("x%2F..%2F{plain}"),
        format!("{};v=1", plain),
        encoded,
        twice,
        plain,
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_spelling_of_another_accounts_id_is_answered_as_an_unknown_id() {
    let mut world = TestedService::new().await;
    let (callers, victims) = (world.people().await, world.people().await);
    for line in TableLine::all().into_iter().filter(|line| line.object == "another's") {
        for caller in (1..=3).filter(|caller| line.statuses[*caller] >= 400) {
            let send = async |path: &str| {
                let request = world.request(&line.method, path, caller, &callers);
                answer(saying(request, &line.method, line.route, &victims[0])).await
            };
            let (status, text) = send(&path(line.route, &unknown())).await;
            assert_eq!(status, line.statuses[caller]);
            let before = world.heads().await;
            for victim in &victims {
                let ids = [victim.session, victim.device.account().0];
                for spelling in ids.into_iter().flat_map(spellings) {
                    let path = line.route.replace("{id}", &spelling);
                    assert_eq!(send(&path).await, (status, text.clone()), "{} {path}", line.method);
                }
            }
            for (account, head) in world.heads().await {
                let is_caller = account == callers[caller - 1].device.account().0;
                assert!(is_caller || before[&account] == head, "{} {}", line.method, line.route);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_spelling_of_an_administrators_own_id_is_refused_as_their_own() {
    let mut world = TestedService::new().await;
    let callers = world.people().await;
    let [.., admin] = &callers;
    for line in TableLine::all().into_iter().filter(|line| line.object == "own" && line.statuses[3] == 409) {
        let before = world.heads().await;
        for spelling in spellings(admin.device.account().0) {
            let path = line.route.replace("{id}", &spelling);
            let request = world.request(&line.method, &path, 3, &callers);
            let (status, _) = answer(saying(request, &line.method, line.route, admin)).await;
            assert!([404, 409].contains(&status), "{path}: {status}");
        }
        assert_eq!(world.heads().await, before, "{}", line.route);
    }
}
