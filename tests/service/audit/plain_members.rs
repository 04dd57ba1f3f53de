//! The members that each record has under the same names.

use counterfoil_domain::values::Role;
use reqwest::Method;
use serde_json::{Value, json};

use super::number;
use crate::support::{ApiClient, TestApp, operator};

#[tokio::test]
async fn each_record_says_who_how_and_why_under_the_same_names() {
    let app = TestApp::start().await;
    let auditor = app.sign_in_staff("+989121234560", Role::Auditor).await;
    let admin = app.sign_in_admin("+989121234563").await;
    app.api.rename(&admin.access, "Grace Hopper").await.ok();
    let ada = app.api.sign_in("+989121234561").await;
    app.api.rename(&ada.access, "Ada Lovelace").await.ok();
    app.api.get("/admin/limits/", &ada.access).await.is_problem(403, "forbidden");
    let path = format!("/admin/accounts/{}/sign-out/", ada.account());
    let ended = app.api.post_as(&admin, &path, json!({"reason": "stolen phone"})).await;
    assert_eq!(ended.status, 204, "{ended:?}");
    number(&app).await;
    let read = async |query: &str| {
        let request = app.api.request(Method::GET, &format!("/audit/events/?{query}"));
        ApiClient::send(request.bearer_auth(&auditor.access).header("X-Audit-Reason", "x")).await
    };
    let of_ada = format!("account_id={}", ada.account());
    let page = read(&of_ada).await.ok();
    let items = page["items"].as_array().unwrap();
    let find = |name: &str| items.iter().find(|item| item["type"] == name).unwrap();
    for item in items {
        assert_eq!(
            (&item["fullname"], &item["phone_number"], &item["email"]),
            (&json!("Ada Lovelace"), &json!("+989121234561"), &Value::Null)
        );
        assert_eq!(item["ip_address"], json!("127.0.0.1"), "{item}");
    }
    let begun = find("LoggedIn");
    assert_eq!(
        (&begun["actor"], &begun["channel"], &begun["outcome"], &begun["reason"]),
        (&Value::Null, &json!("phone"), &json!("success"), &Value::Null)
    );
    let ended = find("LoggedOut");
    assert_eq!(ended["session_id"], begun["session_id"]);
    assert!(ended["session_id"].is_string());
    let grace = json!({"kind": "account", "id": admin.user["id"], "fullname": "Grace Hopper"});
    assert_eq!(
        (&ended["actor"], &ended["reason"], &ended["reason_text"]),
        (&grace, &json!("ended_by_admin"), &json!("stolen phone"))
    );
    let denied = find("AccessDenied");
    assert_eq!((&denied["outcome"], &denied["actor"]["id"]), (&json!("failure"), &ada.user["id"]));
    let roles = read("type=RolesChanged").await.ok()["items"][0].clone();
    let by = json!({"kind": "operator", "name": operator().as_str()});
    assert_eq!((&roles["actor"], &roles["ip_address"]), (&by, &Value::Null));

    let csv = read(&format!("{of_ada}&type=LoggedOut&format=csv")).await.text;
    let mut lines = csv.lines();
    let headings = "position,time,account_id,sequence,event,session_id,actor,reason,reason_text,channel,outcome,\
                    ip_address,device_name,user_agent,fullname,phone_number,email,identifier,former_identifier,details";
    assert_eq!(lines.next(), Some(headings));
    let told = lines.next().unwrap();
    for cell in [",ended_by_admin,stolen phone,,success,127.0.0.1,", ",Ada Lovelace,'+989121234561,"] {
        assert!(told.contains(cell), "{cell}: {told}");
    }
    assert!(told.contains(&format!(",{},ended_by_admin", admin.account())), "{told}");
}
