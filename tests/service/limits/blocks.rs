//! `/admin/blocks/`: what staff keep from getting and trying codes, on every node.

use std::time::{Duration, Instant};

use counterfoil::runtime::clock::Clock as _;
use reqwest::Method;
use serde_json::{Value, json};

use super::{PROXIED, address, from, is_refused, login_from, number, verify_from};
use crate::support::{ApiAnswer, SignedInDevice, TestApp};

const ADMIN: &str = "+989130000001";

/// How soon a block holds, and ends, on every node.
const WITHIN: Duration = Duration::from_secs(3);

async fn block(app: &TestApp, admin: &SignedInDevice, body: Value) -> ApiAnswer {
    app.api.send_json(Method::POST, "/admin/blocks/", &admin.access, body).await
}

async fn lift(app: &TestApp, admin: &SignedInDevice, id: &Value) -> ApiAnswer {
    let path = format!("/admin/blocks/{}/", id.as_str().unwrap());
    app.api.send_json(Method::DELETE, &path, &admin.access, json!({"reason": "it is over"})).await
}

/// Asks until the answer has that status, for as long as a block may take.
async fn comes_to(status: u16, ask: impl AsyncFn(usize) -> ApiAnswer) -> ApiAnswer {
    let began = Instant::now();
    for n in 0.. {
        let answer = ask(n).await;
        if answer.status == status {
            return answer;
        }
        assert!(began.elapsed() < WITHIN, "{answer:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    unreachable!("the loop has no end")
}

async fn mail_from(app: &TestApp, n: usize, email: &str) -> ApiAnswer {
    from(&app.api, &address(n), "/accounts/login/", json!({"email": email})).await
}

#[tokio::test]
async fn a_block_of_each_kind_holds_on_both_nodes_until_it_is_lifted() {
    let settings = [
        &PROXIED[..],
        &[
            ("codes.resend_after", "0"),
            ("limits.codes_burst", "100"),
            ("codes.per_day", "100"),
            ("limits.codes_per_prefix", "100000"),
            ("limits.codes_per_mailbox", "100000"),
            ("limits.codes_per_mail_domain", "100000"),
            ("limits.conversion_from", "100000"),
        ],
    ]
    .concat();
    let app = TestApp::with_settings(&settings).await;
    let (beside, _proxy) = app.second_node(&settings).await;
    let admin = app.sign_in_admin(ADMIN).await;
    let mut n = 0;
    for (what, shown) in [
        (json!({"prefix": "0098 910 001"}), "+98910001"),
        (json!({"phone_number": "0910 001 0001"}), "+989100010001"),
        (json!({"email": "Ada+1@mail.example.com"}), "ada@mail.example.com"),
        (json!({"mail_domain": "example.com"}), "example.com"),
        (json!({"ip_address": "203.0.113.0/24"}), "203.0.113.0/24"),
        (json!({"ip_address": "203.0.113.9"}), "203.0.113.9"),
        (json!({"country": "fr"}), "FR"),
    ] {
        n += 1_000;
        let kind = what.as_object().unwrap().keys().next().unwrap().clone();
        let ask = async |node: &TestApp, n: usize| match kind.as_str() {
            "email" | "mail_domain" => mail_from(node, n, "ada+2@mail.example.com").await,
            "ip_address" => login_from(&node.api, "203.0.113.9", &number(2, n)).await,
            "country" => login_from(&node.api, &address(n), "+33612345678").await,
            _ => login_from(&node.api, &address(n), &number(1, 1)).await,
        };
        ask(&app, n).await.ok();
        let mut body = what.clone();
        body["reason"] = json!("a campaign of fraud");
        let answer = block(&app, &admin, body.clone()).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        let set = answer.json();
        assert_eq!((&set["kind"], &set["subject"]), (&json!(kind), &json!(shown)), "{set}");
        assert_eq!(set["by"], json!({"account": admin.account()}));
        assert_eq!(set["reason"], "a campaign of fraud");
        for node in [&beside, &app] {
            let refused = comes_to(429, async |m| ask(node, n + 1 + m).await).await;
            is_refused(&refused);
        }
        // Others are served, and the same again changes nothing.
        login_from(&beside.api, &address(n + 500), &number(3, n)).await.ok();
        let again = block(&beside, &admin, body).await;
        assert_eq!((again.status.as_u16(), &again.json()["id"]), (200, &set["id"]));

        assert_eq!(lift(&beside, &admin, &set["id"]).await.status, 204);
        lift(&app, &admin, &set["id"]).await.is_problem(404, "not_found");
        for node in [&app, &beside] {
            comes_to(200, async |m| ask(node, n + 600 + m).await).await;
        }
    }
    let history = app.journal().history(admin.account()).await.unwrap();
    let of = |name: &str| history.iter().filter(|(_, event)| event.name() == name).count();
    assert_eq!((of("BlockSet"), of("BlockLifted")), (7, 7));
    // What leads to a person is in no event and no row in the clear.
    let clear = "SELECT count(*) FROM events WHERE payload::text ~ 'ada@|203\\.0\\.113|989100010001|fraud'";
    assert_eq!(app.database.value::<i64>(clear).await, 0);
    let clear = "SELECT count(*) FROM blocks b WHERE b::text ~ 'ada@|203\\.0\\.113|98910001|fraud|example'";
    assert_eq!(app.database.value::<i64>(clear).await, 0);
    let sealed: Vec<String> =
        history.iter().filter_map(|(_, event)| event.person.as_ref()?.query.clone()).collect();
    assert!(sealed.contains(&"email=ada@mail.example.com".to_owned()), "{sealed:?}");
}

#[tokio::test]
async fn a_blocked_number_and_a_blocked_address_try_no_code_and_a_session_goes_on() {
    let app = TestApp::with_settings(&PROXIED).await;
    let admin = app.sign_in_admin(ADMIN).await;
    let (phone, stranger) = (number(1, 1), number(1, 2));
    let code = login_from(&app.api, &address(1), &phone).await.code();
    let device = verify_from(&app.api, &address(1), &phone, &code).await.signed_in();
    app.advance_time(61);
    let code = login_from(&app.api, &address(1), &phone).await.code();
    let unjoined = login_from(&app.api, &address(2), &stranger).await.code();

    let reason = "it was stolen";
    assert_eq!(block(&app, &admin, json!({"phone_number": phone, "reason": reason})).await.status, 201);
    comes_to(429, async |_| verify_from(&app.api, &address(3), &phone, "000000").await).await;
    is_refused(&verify_from(&app.api, &address(1), &phone, &code).await);
    let resent =
        from(&app.api, &address(1), "/accounts/verify/resend/", json!({"phone_number": phone})).await;
    is_refused(&resent);
    // A session is not touched: it refreshes, and its person proves themselves by no blocked number.
    let refreshed = app.api.refresh(&device.refresh).await.ok();
    let access = refreshed["access_token"].as_str().unwrap().to_owned();
    app.api.get("/accounts/profile/", &access).await.ok();
    let again = app.api.send_json(Method::POST, "/accounts/reauthenticate/", &access, json!({})).await;
    is_refused(&again);

    assert_eq!(block(&app, &admin, json!({"ip_address": address(2), "reason": reason})).await.status, 201);
    comes_to(429, async |_| verify_from(&app.api, &address(2), &stranger, "000000").await).await;
    // The code of a number that is not blocked works from another place, also where its prefix is blocked now.
    assert_eq!(block(&app, &admin, json!({"prefix": &stranger[..9], "reason": reason})).await.status, 201);
    comes_to(429, async |n| login_from(&app.api, &address(10 + n), &number(1, 3)).await).await;
    verify_from(&app.api, &address(5), &stranger, &unjoined).await.signed_in();
    // To the program, a joined number and an unknown one are told the same.
    let [known, unknown] = [
        login_from(&app.api, &address(6), &stranger).await,
        login_from(&app.api, &address(7), &number(1, 4)).await,
    ];
    assert_eq!((known.status, known.retry_after()), (unknown.status, unknown.retry_after()));
    assert_eq!(known.text, unknown.text);
}

#[tokio::test]
async fn a_block_ends_at_its_time_and_gets_another_end_by_being_set_again() {
    let app = TestApp::with_settings(&PROXIED).await;
    let admin = app.sign_in_admin(ADMIN).await;
    let until = |seconds: i64| {
        let until = app.clock.now() + chrono::TimeDelta::seconds(seconds);
        json!(until.to_rfc3339_opts(chrono::SecondsFormat::Secs, true))
    };
    let wanted = |until: Value| json!({"prefix": "+98910001", "reason": "for a while", "until": until});
    let set = block(&app, &admin, wanted(until(3_600))).await;
    assert_eq!(set.status, 201);
    let refused = comes_to(429, async |n| login_from(&app.api, &address(n), &number(1, n)).await).await;
    assert!(refused.retry_after().unwrap() <= 3_600);
    let sooner = block(&app, &admin, wanted(until(300))).await;
    assert_eq!((sooner.status.as_u16(), &sooner.json()["id"]), (200, &set.json()["id"]));
    let endless = json!({"prefix": "+98910001", "reason": "for good"});
    let endless = block(&app, &admin, endless).await.json();
    assert_eq!((&endless["until"], &endless["reason"]), (&Value::Null, &json!("for good")));
    assert_eq!(block(&app, &admin, wanted(until(300))).await.status, 200);
    let list = async |filter: &str| {
        let page = app.api.get(&format!("/admin/blocks/?{filter}"), &admin.access).await.ok();
        page["items"].as_array().unwrap().len()
    };
    assert_eq!((list("active=true").await, list("active=false").await), (1, 0));
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    app.advance_time(301);
    login_from(&app.api, &address(900), &number(1, 900)).await.ok();
    assert_eq!((list("active=true").await, list("active=false").await, list("").await), (0, 1, 1));
    lift(&app, &admin, &set.json()["id"]).await.is_problem(404, "not_found");
    assert_eq!(block(&app, &admin, wanted(until(300))).await.status, 201);
    assert_eq!(list("limit=1").await, 1);
}

#[tokio::test]
async fn two_nodes_that_block_one_subject_at_once_leave_one_block() {
    let app = TestApp::with_settings(&PROXIED).await;
    let (beside, _proxy) = app.second_node(&PROXIED).await;
    let admin = app.sign_in_admin(ADMIN).await;
    for n in 0..5 {
        let body = json!({"prefix": format!("+98911{n}"), "reason": "both saw it"});
        let [one, other] = [block(&app, &admin, body.clone()), block(&beside, &admin, body)];
        let (one, other) = tokio::join!(one, other);
        for answer in [&one, &other] {
            assert!([200, 201].contains(&answer.status.as_u16()), "{answer:?}");
        }
        assert_eq!(one.json()["id"], other.json()["id"]);
    }
    assert_eq!(app.database.value::<i64>("SELECT count(*) FROM blocks").await, 5);
}

#[tokio::test]
async fn administrators_block_neither_themselves_nor_what_cannot_be_read() {
    let app = TestApp::with_settings(&PROXIED).await;
    let admin = app.sign_in_admin(ADMIN).await;
    for own in [
        json!({"phone_number": ADMIN}),
        json!({"prefix": "+98913"}),
        json!({"country": "IR"}),
        json!({"ip_address": "127.0.0.0/8"}),
    ] {
        let mut body = own;
        body["reason"] = json!("by mistake");
        block(&app, &admin, body).await.is_problem(409, "blocks_oneself");
    }
    for (body, field) in [
        (json!({"reason": "x"}), "prefix"),
        (json!({"prefix": "+98911", "country": "FR", "reason": "x"}), "country"),
        (json!({"prefix": "0911", "reason": "x"}), "prefix"),
        (json!({"ip_address": "192.0.2.0/33", "reason": "x"}), "ip_address"),
        (json!({"mail_domain": "a@example.com", "reason": "x"}), "mail_domain"),
        (json!({"country": "Iran", "reason": "x"}), "country"),
        (json!({"prefix": "+98911", "reason": "x", "until": "2020-01-01T00:00:00Z"}), "until"),
        (json!({"prefix": "+98911"}), "reason"),
    ] {
        block(&app, &admin, body).await.refuses_fields(&[field]);
    }
    assert_eq!(app.database.value::<i64>("SELECT count(*) FROM blocks").await, 0);
    let history = app.journal().history(admin.account()).await.unwrap();
    assert!(!history.iter().any(|(_, event)| event.name() == "BlockSet"));
}

#[tokio::test]
async fn blocks_that_are_known_hold_while_they_cannot_be_read() {
    let app = TestApp::with_settings(&PROXIED).await;
    let admin = app.sign_in_admin(ADMIN).await;
    assert_eq!(block(&app, &admin, json!({"prefix": "+98910001", "reason": "fraud"})).await.status, 201);
    comes_to(429, async |n| login_from(&app.api, &address(n), &number(1, n)).await).await;
    let database = app.database.connect().await;
    database.batch_execute("BEGIN; LOCK TABLE blocks IN ACCESS EXCLUSIVE MODE").await.unwrap();
    // Longer than a look may take.
    tokio::time::sleep(Duration::from_millis(5_500)).await;
    is_refused(&login_from(&app.api, &address(100), &number(1, 100)).await);
    login_from(&app.api, &address(101), &number(2, 101)).await.ok();
    database.batch_execute("COMMIT").await.unwrap();
}

/// Asks for the page of an identifier until something stopped is on it, which is written behind the answer.
async fn stops_of(app: &TestApp, admin: &SignedInDevice, filter: &str) -> (Vec<(String, i64)>, Value) {
    let began = Instant::now();
    loop {
        let page = app.api.get(&format!("/admin/identifiers/?{filter}"), &admin.access).await.ok();
        let stops = page["stops"].as_array().unwrap().iter();
        let stops: Vec<_> = stops
            .map(|stop| (stop["kind"].as_str().unwrap().to_owned(), stop["times"].as_i64().unwrap()))
            .collect();
        if !stops.is_empty() || began.elapsed() > WITHIN {
            return (stops, page);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test]
async fn the_page_of_an_identifier_tells_what_stopped_its_codes_also_where_no_account_has_it() {
    let settings = [&PROXIED[..], &[("limits.codes_burst", "1"), ("limits.countries", "IR")]].concat();
    let app = TestApp::with_settings(&settings).await;
    let (beside, _proxy) = app.second_node(&settings).await;
    let admin = app.sign_in_admin(ADMIN).await;
    // The limit of an address stopped an identifier that never got a code.
    let stopped = number(1, 2);
    login_from(&app.api, &address(1), &number(1, 1)).await.ok();
    for node in [&app, &beside, &app] {
        is_refused(&login_from(&node.api, &address(1), &stopped).await);
    }
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let (stops, page) = stops_of(&beside, &admin, "phone_number=09100010002").await;
    assert_eq!(stops, [("codes_per_address".to_owned(), 3)], "{page}");
    assert_eq!((&page["account_id"], &page["stops"][0]["present"]), (&Value::Null, &json!(true)), "{page}");
    assert_eq!(page["prefix"]["prefix"], "+98910001");
    assert!(page["summary"].as_str().unwrap().contains("by the limit codes_per_address"), "{page}");

    let foreign =
        from(&app.api, &address(2), "/accounts/login/", json!({"phone_number": "+33612345678"})).await;
    foreign.refuses_fields(&["phone_number"]);
    let (stops, page) = stops_of(&app, &admin, "phone_number=%2B33612345678").await;
    assert_eq!(stops, [("country_not_served".to_owned(), 1)], "{page}");

    assert_eq!(
        block(&app, &admin, json!({"mail_domain": "example.com", "reason": "fraud"})).await.status,
        201
    );
    comes_to(429, async |n| mail_from(&app, 100 + n, "ada@example.com").await).await;
    let (stops, page) = stops_of(&app, &admin, "email=ada@example.com").await;
    assert_eq!(stops[0].0, "block_mail_domain", "{page}");
    let kinds: Vec<_> = page["obstacles"].as_array().unwrap().iter().map(|it| &it["kind"]).collect();
    assert!(kinds.contains(&&json!("block_mail_domain")), "{page}");
    assert!(page["obstacles"].to_string().contains("\"block\":\""), "{page}");

    // What is served leaves nothing, and no number can be read in the table.
    let (stops, _) = stops_of(&app, &admin, "phone_number=09100010001").await;
    assert_eq!(stops, []);
    let clear = "SELECT count(*) FROM code_stops s WHERE s::text ~ '98910001|example'";
    assert_eq!(app.database.value::<i64>(clear).await, 0);
    app.advance_time(25 * 3_600);
    let admin = app.sign_in_staff("+989130000002", counterfoil_domain::values::Role::Admin).await;
    let page = app.api.get("/admin/identifiers/?phone_number=09100010002", &admin.access).await.ok();
    assert_eq!(page["stops"], json!([]), "{page}");
}
