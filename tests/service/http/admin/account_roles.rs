//! Tests of the search for accounts by their roles.

use counterfoil_domain::values::Role;
use reqwest::Method;
use serde_json::json;

use super::{ADMIN, PHONE, all, each};
use crate::support::TestApp;

#[tokio::test]
async fn accounts_200_are_found_by_role_together_with_the_other_filters() {
    let app = TestApp::start().await;
    let admin = app.sign_in_admin(ADMIN).await;
    let user = app.api.sign_in(PHONE).await;
    let (auditor, both) = (app.api.sign_in("+989121234501").await, app.api.sign_in("+989121234502").await);
    app.give_roles(&auditor, [Role::Auditor]).await;
    app.give_roles(&both, [Role::Admin, Role::Auditor]).await;
    for (device, name) in [(&auditor, "Ada Lovelace"), (&both, "Grace Hopper")] {
        app.api.rename(&device.access, name).await.ok();
    }
    app.api.rename(&user.access, "Ada User").await.ok();
    let found = async |query: &str| {
        let items = all(&app, &admin, &format!("/admin/accounts/?limit=1&{query}")).await;
        let mut ids = each(&items, "id");
        ids.sort_by_key(ToString::to_string);
        ids
    };
    let of = |devices: &[&crate::support::SignedInDevice]| {
        let mut ids: Vec<_> = devices.iter().map(|device| json!(device.account())).collect();
        ids.sort_by_key(ToString::to_string);
        ids
    };
    assert_eq!(found("role=auditor").await, of(&[&auditor, &both]));
    assert_eq!(found("role=admin").await, of(&[&admin, &both]));
    assert_eq!(found("role=auditor&fullname=lovelace").await, of(&[&auditor]));
    assert_eq!(found("role=admin&fullname=ada").await, of(&[]));
    assert_eq!(found("role=admin&phone_number=%2B989121234502").await, of(&[&both]));
    assert_eq!(found("role=admin&phone_number=%2B989121234501").await, of(&[]));
    app.api.get("/admin/accounts/?role=owner", &admin.access).await.refuses_fields(&["role"]);

    let listed = all(&app, &admin, "/admin/accounts/?role=admin&fullname=grace").await;
    assert_eq!(listed[0]["roles"], json!(["admin", "auditor"]));
    let plain = all(&app, &admin, "/admin/accounts/?fullname=user").await;
    assert_eq!(plain[0]["roles"], json!([]));

    let suspend = format!("/admin/accounts/{}/suspend/", auditor.account());
    let suspended = app.api.send_json(Method::POST, &suspend, &admin.access, json!({"reason": "away"})).await;
    assert_eq!(suspended.status, 204);
    assert_eq!(found("role=auditor&state=suspended").await, of(&[&auditor]));
    assert_eq!(found("role=auditor&state=active").await, of(&[&both]));
    app.give_roles(&both, []).await;
    assert_eq!(found("role=auditor").await, of(&[&auditor]));
    assert_eq!(found("role=admin").await, of(&[&admin]));
}
