//! Tests of GET `/admin/messages/`.

use serde_json::{Value, json};

use super::{ADMIN, PHONE};
use crate::support::{SignedInDevice, TestApp};

async fn search(app: &TestApp, admin: &SignedInDevice, filter: &str) -> Vec<Value> {
    let page = app.api.get(&format!("/admin/messages/?{filter}"), &admin.access).await.ok();
    page["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn messages_200_finds_them_by_state_time_gateway_country_channel_and_identifier() {
    let app = TestApp::start().await;
    let admin = app.sign_in_admin(ADMIN).await;
    let device = app.api.sign_in(PHONE).await;
    app.api.login("+33612345678").await.ok();
    app.api.post("/accounts/login/", json!({"email": "ada@example.com"})).await.ok();
    let database = app.database.connect().await;
    let settle = "UPDATE outbox SET state = 'failed', gateway = 'twilio', reference = 'SM1', reason = 'no such subscriber', attempts = 2 \
                  WHERE country = 'FR'";
    assert_eq!(database.execute(settle, &[]).await.unwrap(), 1);

    let all = search(&app, &admin, "").await;
    let asked: Vec<_> = all.iter().map(|item| item["asked_at"].as_str().unwrap().to_owned()).collect();
    let mut sorted = asked.clone();
    sorted.sort_by(|one, other| other.cmp(one));
    assert_eq!((asked.len(), &asked), (all.len(), &sorted));
    let [failed] = &search(&app, &admin, "state=failed").await[..] else { panic!("{all:?}") };
    assert_eq!(failed["country"], "FR");
    assert_eq!((&failed["gateway"], &failed["reference"]), (&json!("twilio"), &json!("SM1")));
    assert_eq!((&failed["reason"], &failed["attempts"]), (&json!("no such subscriber"), &json!(2)));
    for filter in [
        "country=fr",
        "gateway=twilio",
        "phone_number=%2B33612345678",
        "state=failed&channel=phone&country=FR",
    ] {
        assert_eq!(search(&app, &admin, filter).await, std::slice::from_ref(failed), "{filter}");
    }
    let [mail] = &search(&app, &admin, "channel=email").await[..] else { panic!("{all:?}") };
    assert_eq!((&mail["country"], &mail["kind"]), (&Value::Null, &json!("sign_in")));
    assert_eq!(search(&app, &admin, "email=ada@example.com").await, std::slice::from_ref(mail));
    let own = search(&app, &admin, "phone_number=09121234567").await;
    assert!(
        !own.is_empty() && own.iter().all(|item| item["account_id"] == json!(device.account())),
        "{own:?}"
    );
    let none = [
        "state=waiting",
        "email=absent@example.com",
        "phone_number=09121234567&channel=email",
        "until=2020-01-01T00:00:00Z",
        "since=2100-01-01T00:00:00Z",
        "country=DE",
        "gateway=none",
    ];
    for filter in none {
        assert_eq!(search(&app, &admin, filter).await, [Value::Null; 0], "{filter}");
    }
    for (filter, field) in [
        ("state=lost", "state"),
        ("channel=post", "channel"),
        ("country=Iran", "country"),
        ("gateway=%00", "gateway"),
        ("since=now", "since"),
    ] {
        app.api.get(&format!("/admin/messages/?{filter}"), &admin.access).await.refuses_fields(&[field]);
    }
    // Page by page, each once.
    let (mut paged, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = app.api.get(&format!("/admin/messages/?limit=1{cursor}"), &admin.access).await.ok();
        paged.extend(page["items"].as_array().unwrap().clone());
        let Some(next) = page["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(paged, all);
}

#[tokio::test]
async fn a_page_of_messages_reads_an_index_and_at_most_5000_rows_and_the_next_one_goes_on() {
    let app = TestApp::start().await;
    let admin = app.sign_in_admin(ADMIN).await;
    let database = app.database.connect().await;
    let fill = "INSERT INTO outbox (account_id, sequence, number, kind, channel, language, expires_at, asked_at, state, settled_at, country) \
        SELECT gen_random_uuid(), n, 0, 'sign_in', 'phone', 'en', now(), now() - n * interval '1 second', \
               CASE WHEN n % 1000 = 0 THEN 'failed' ELSE 'sent' END, now(), CASE WHEN n = 12000 THEN 'FR' ELSE 'IR' END \
          FROM generate_series(1, 20000) AS n";
    database.execute(fill, &[]).await.unwrap();
    database.batch_execute("ANALYZE outbox").await.unwrap();
    assert_eq!(search(&app, &admin, "state=failed").await.len(), 20);
    // The one message to France is beyond what the first page looks at.
    let (mut pages, mut cursor, mut found) = (0, String::new(), Vec::new());
    loop {
        let page = app.api.get(&format!("/admin/messages/?country=FR{cursor}"), &admin.access).await.ok();
        pages += 1;
        found.extend(page["items"].as_array().unwrap().clone());
        let Some(next) = page["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!((found.len(), pages), (1, 5));
    for (only, index) in
        [("", "outbox_by_time"), ("AND state = 'failed' AND state <> 'sent'", "outbox_not_sent")]
    {
        let sql = format!(
            "EXPLAIN SELECT * FROM outbox WHERE (asked_at, account_id, sequence, number) < (coalesce(NULL::timestamptz, 'infinity'), \
             NULL::uuid, NULL::bigint, NULL::smallint) {only} \
             ORDER BY asked_at DESC, account_id DESC, sequence DESC, number DESC LIMIT 5000"
        );
        let plan: Vec<String> =
            database.query(&sql, &[]).await.unwrap().iter().map(|row| row.get(0)).collect();
        assert!(plan.join("\n").contains(index), "{plan:#?}");
    }
}
