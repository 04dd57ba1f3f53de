//! A command says the same at a server and on its database.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use counterfoil_domain::values::Role;
use serde_json::{Value, json};

use crate::commands::counterfoil;
use crate::support::{SignedInDevice, TestApp};

const ADMIN: &str = "+989130000001";
const PHONE: &str = "+989121234567";

/// A member of staff who gives commands to a server, from a folder of their own.
struct RemoteStaff {
    server: String,
    folder: PathBuf,
}

impl RemoteStaff {
    fn new(app: &TestApp) -> Self {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("staff-{}", app.database.name));
        std::fs::create_dir_all(&folder).unwrap();
        Self { server: format!("http://{}", app.api.address()), folder }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_counterfoil"));
        command.current_dir(&self.folder).env("XDG_STATE_HOME", &self.folder).env_remove("DATABASE_URL");
        command.args(["--server", &self.server]).args(arguments);
        command
    }

    /// Signs in as a person does who is asked for a code, and then for one of the authenticator.
    fn sign_in(&self, app: &TestApp, device: &SignedInDevice) {
        let mut command = self.command(&["login", ADMIN]);
        command.stdin(Stdio::piped()).stderr(Stdio::piped()).stdout(Stdio::piped());
        let mut login = command.spawn().unwrap();
        let (mut typed, mut asked) =
            (login.stdin.take().unwrap(), BufReader::new(login.stderr.take().unwrap()));
        let mut question = Vec::new();
        asked.read_until(b':', &mut question).unwrap();
        let question = String::from_utf8(question).unwrap();
        let code = question.split_once("It is ").expect(&question).1;
        writeln!(typed, "{}", &code[..6]).unwrap();
        writeln!(typed, "{}", app.second_factor_code(device)).unwrap();
        drop(typed);
        let mut rest = String::new();
        asked.read_to_string(&mut rest).unwrap();
        assert!(login.wait().unwrap().success(), "{question}{rest}");
    }

    /// What a command writes, with its exit status.
    fn said(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        said(self.command(arguments).stdin(Stdio::null()).output().unwrap())
    }
}

fn said(output: std::process::Output) -> (Option<i32>, String, String) {
    let [out, err] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    (output.status.code(), out, err)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_says_the_same_at_a_server_and_on_its_database() {
    let app = TestApp::start().await;
    let admin = app.sign_in_admin(ADMIN).await;
    app.advance_time(61);
    let staff = RemoteStaff::new(&app);
    staff.sign_in(&app, &admin);
    let code =
        app.api.post("/accounts/login/", json!({"phone_number": PHONE, "fullname": "Ada"})).await.code();
    let device = app.api.verify(PHONE, &code).await.signed_in();
    app.api.login("+989121230001").await.ok();
    let id = device.account().to_string();
    for arguments in [
        &["accounts", "list"][..],
        &["accounts", "list", "--json"],
        &["accounts", "list", "--csv", "--name", "ada"],
        &["accounts", "list", "--state", "suspended"],
        &["accounts", "show", &id],
        &["accounts", "show", PHONE],
        &["accounts", "show", "Ada", "--json"],
        &["accounts", "show", "+989121230001"],
        &["accounts", "show", "+989121230002"],
        &["accounts", "show", "Grace"],
        &["accounts", "suspend", "Ada", "--reason", ""],
        &["sessions", "list"],
        &["sessions", "list", "--account", PHONE, "--json"],
        &["sessions", "list", "--address", "127.0.0.0/8", "--csv"],
        &["sessions", "list", "--cursor", "x"],
        &["sessions", "end", "00000000-0000-0000-0000-000000000000", "--reason", "x"],
    ] {
        assert_eq!(staff.said(arguments), said(counterfoil(&app, arguments)), "{arguments:?}");
    }
    for command in [
        &["accounts", "hold", PHONE, "--until", "2100-01-01", "--reason", "order of the court"][..],
        &["accounts", "show", PHONE],
        &["accounts", "release-hold", PHONE, "--reason", "the case is closed"],
    ] {
        let (before, told) = (staff.said(command), said(counterfoil(&app, command)));
        assert!(before.0 == Some(0) && told.0 == Some(0), "{command:?}: {before:?} {told:?}");
        // The first of the two changes it.
        let line = |said: &str| {
            let said = said.replace("; as before", "");
            said.split("; before").next().unwrap().trim().to_owned()
        };
        assert_eq!(line(&before.1), line(&told.1), "{command:?}");
        let is_held = command[1] != "release-hold";
        assert_eq!(line(&before.1).contains("held until 2100"), is_held, "{before:?}");
    }
    let erased = app.api.sign_in("+989121230009").await.account().to_string();
    let erase = &["accounts", "erase", &erased, "--reason", "asked by letter"][..];
    let answer = staff.said(erase);
    assert!(answer.1.contains(" was erased at ") && answer == said(counterfoil(&app, erase)), "{answer:?}");
    let (_, said, error) = staff.said(&["accounts", "suspend", "Ada", "--reason", "fraud"]);
    assert!(said.contains(": suspended, 0 devices; before: active, 1 device"), "{said} {error}");
    let (_, event) = app.journal().history(device.account()).await.unwrap().pop().unwrap();
    let by = serde_json::to_value(event.by()).unwrap();
    assert_eq!(by, json!({"account": admin.account()}));
    let tokens = std::fs::read_to_string(staff.folder.join("counterfoil/tokens.json")).unwrap();
    let tokens: Value = serde_json::from_str(&tokens).unwrap();
    let access = tokens[format!("{}/", staff.server)]["access_token"].as_str().unwrap();
    app.api.get("/admin/accounts/", access).await.ok();

    // The access token expires; the command refreshes it, and asks for a second factor where it is too old for a change.
    app.advance_time(700);
    let (status, ..) = staff.said(&["accounts", "show", PHONE]);
    assert_eq!(status, Some(0));
    let (status, _, error) = staff.said(&["accounts", "reinstate", PHONE]);
    assert!(status == Some(1) && error.contains("second_factor_required"), "{error}");

    assert_eq!(staff.said(&["logout"]).0, Some(0));
    let (status, _, error) = staff.said(&["accounts", "list"]);
    assert!(status == Some(1) && error.contains("sign in first"), "{error}");
    app.api.get("/admin/accounts/", access).await.is_problem(401, "invalid_access_token");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_auditor_exports_an_account_at_a_server_as_the_operator_does_on_its_database() {
    let app = TestApp::start().await;
    let auditor = app.sign_in_staff(ADMIN, Role::Auditor).await;
    app.advance_time(61);
    let staff = RemoteStaff::new(&app);
    staff.sign_in(&app, &auditor);
    let id = app.api.sign_in(PHONE).await.account().to_string();
    let export = &["accounts", "export", &id, "--reason", "asked by letter"][..];
    let [remote, local] =
        [staff.said(export), said(counterfoil(&app, export))].map(|(status, out, error)| {
            assert_eq!(status, Some(0), "{error}");
            let mut document: Value = serde_json::from_str(&out).unwrap();
            document["exported_at"].take();
            document
        });
    assert_eq!(remote, local);
    assert_eq!(remote["profile"]["phone_number"], PHONE);
    let unknown = &["accounts", "export", "01a2102b-9989-7532-acd2-ac1c6690aa6d", "--reason", "x"][..];
    assert_eq!(staff.said(unknown), said(counterfoil(&app, unknown)));
    assert_eq!(staff.said(&["accounts", "export", &id]).0, Some(2), "an auditor gives a reason");
    std::fs::remove_dir_all(staff.folder).unwrap();
}

#[test]
fn what_a_server_cannot_do_or_must_not_see_is_refused_before_it_is_asked() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("staff-refused");
    std::fs::create_dir_all(folder.join("counterfoil")).unwrap();
    let refuses = |server: &str, arguments: &[&str], why: &str| {
        let staff = RemoteStaff { server: server.to_owned(), folder: folder.clone() };
        let (status, _, error) = staff.said(arguments);
        assert!(status == Some(1) && error.contains(why), "{server} {arguments:?}: {error}");
    };
    refuses("https://auth.example.com", &["migrate"], "needs the database");
    refuses("https://auth.example.com", &["projections", "status"], "needs the database");
    refuses("http://auth.example.com", &["accounts", "list"], "only https");
    refuses("ftp://localhost", &["accounts", "list"], "only https");
    refuses("auth.example.com", &["accounts", "list"], "give it as in https://");
    refuses("http://127.0.0.1:9", &["accounts", "list"], "sign in first");
    refuses("http://127.0.0.1:9", &["login", PHONE], "http://127.0.0.1:9/: ");
    let tokens = folder.join("counterfoil/tokens.json");
    std::fs::write(&tokens, "{}").unwrap();
    std::fs::set_permissions(&tokens, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    refuses("http://127.0.0.1:9", &["accounts", "list"], "can be read by other users");
    std::fs::remove_dir_all(folder).unwrap();
}
