//! The pages that staff ask for, each with a name for the report.

use chrono::{DateTime, Utc};
use counterfoil::crypto::keyring::Keyring;
use counterfoil::http::ListCursors;
use serde_json::Value;

use super::super::population::{BUSY_ADDRESS, Person, RARE_DEVICE};
use super::super::run::BenchRun;

/// A page that staff ask for.
pub struct StaffPage {
    pub name: String,
    pub path: String,
}

/// The size of the database, and an account and times in it to ask for.
pub struct KnownData {
    pub account: String,
    pub from: DateTime<Utc>,
    pub until: DateTime<Utc>,
    pub events: i64,
    pub people: u32,
}

impl KnownData {
    /// The time after that many parts of the whole, of `parts` in all.
    fn time_after(&self, part: i32, parts: i32) -> String {
        (self.from + (self.until - self.from) / parts * part).format("%FT%T%.6fZ").to_string()
    }
}

/// The phone number of [`OWNER`], as a query has it.
const PHONE: &str = "%2B989200004246";

/// The person whose account is asked for.
const OWNER: Person = Person(4246);

fn list_page(list: &str, name: &str, query: &str) -> StaffPage {
    let path = format!("/admin/{list}/?limit=200&{query}");
    StaffPage { name: format!("{list} {name}"), path }
}

fn cursors(bench: &BenchRun) -> ListCursors {
    ListCursors::new(&Keyring::read(&bench.folder.join(".counterfoil/keyring.json")).unwrap())
}

pub fn admin_pages(bench: &BenchRun, known: &KnownData) -> Vec<StaffPage> {
    let at = |part| known.time_after(part, 100);
    let mut pages = device_session_pages(bench, known);
    pages.extend(account_pages(bench, known));
    let path = format!("/admin/accounts/{}/", known.account);
    pages.push(StaffPage { name: "account by id".to_owned(), path });
    for (name, query) in [
        ("statistics, a day by the hour", String::new()),
        ("statistics, 31 days by the hour", format!("?since={}&until={}", at(30), at(90))),
        ("statistics, 30 days", "?by=day".to_owned()),
        ("statistics, 400 days", "?by=day&since=2025-10-25T00:00:00Z&until=2026-11-25T00:00:00Z".to_owned()),
    ] {
        pages.push(StaffPage { name: name.to_owned(), path: format!("/admin/stats/{query}") });
    }
    pages.push(StaffPage { name: "projections".to_owned(), path: "/admin/projections/".to_owned() });
    pages
}

fn device_session_pages(bench: &BenchRun, known: &KnownData) -> Vec<StaffPage> {
    let cursors = cursors(bench);
    let at = |part| known.time_after(part, 100);
    let session = |part, address: bool, filter: &str| {
        let address = if address { "ip_address" } else { "NULL" };
        let position = bench.psql(&format!(
            "SELECT json_build_object('time', signed_in_at, 'session', session_id, 'address', host({address}::inet))
               FROM user_logins WHERE signed_in_at <= '{}' AND {filter} ORDER BY signed_in_at DESC LIMIT 1",
            at(part)
        ));
        cursors.write("device-sessions", &serde_json::from_str::<Value>(&position).unwrap())
    };
    let busy = format!("ip_address = '{BUSY_ADDRESS}'");
    let (of_account, phone) = (&known.account, PHONE);
    let address = OWNER.client(0).ip;
    let rare = RARE_DEVICE.replace(' ', "%20");
    let mut pages = Vec::new();
    for (name, query) in [
        ("all", String::new()),
        ("all, middle", format!("cursor={}", session(50, false, "true"))),
        ("all, last", format!("cursor={}", session(0, false, "true"))),
        ("account", format!("account_id={of_account}")),
        ("phone_number", format!("phone_number={phone}")),
        ("email", "email=person4249@example.com".to_owned()),
        ("address", format!("ip_address={address}")),
        ("busy address", format!("ip_address={BUSY_ADDRESS}")),
        ("busy address, middle", format!("ip_address={BUSY_ADDRESS}&cursor={}", session(50, true, &busy))),
        ("busy address, last", format!("ip_address={BUSY_ADDRESS}&cursor={}", session(1, true, &busy))),
        ("network /24", "ip_address=100.64.7.0/24".to_owned()),
        ("network /10", "ip_address=100.64.0.0/10".to_owned()),
        (
            "network /10, middle",
            format!("ip_address=100.64.0.0/10&cursor={}", session(50, true, "ip_address << '100.64.0.0/10'")),
        ),
        ("network of IPv6", "ip_address=2001:db8::/32".to_owned()),
        ("device", "device_name=iphone".to_owned()),
        ("device, middle", format!("device_name=iphone&cursor={}", session(50, false, "true"))),
        ("rare device", format!("device_name={rare}")),
        ("rare device, middle", format!("device_name={rare}&cursor={}", session(50, false, "true"))),
        ("no such device", "device_name=nothing".to_owned()),
        ("active", "active=true".to_owned()),
        ("active, middle", format!("active=true&cursor={}", session(50, false, "true"))),
        ("active, last", format!("active=true&cursor={}", session(1, false, "true"))),
        ("ended", "active=false".to_owned()),
        ("a day", format!("since={}&until={}", at(50), at(52))),
        ("since", format!("since={}", at(99))),
        ("until", format!("until={}", at(2))),
        ("at, now", format!("at={}", at(100))),
        ("at, middle", format!("at={}", at(50))),
        ("at, beginning", format!("at={}", at(1))),
        ("at, next page", format!("at={}&cursor={}", at(50), session(40, false, "true"))),
        ("account, active", format!("account_id={of_account}&active=true")),
        ("account, at", format!("account_id={of_account}&at={}", at(20))),
        ("phone_number, device", format!("phone_number={phone}&device_name=ipad")),
        ("address, at", format!("ip_address={address}&at={}", at(20))),
        ("busy address, at", format!("ip_address={BUSY_ADDRESS}&at={}", at(50))),
        (
            "busy address, active, a day",
            format!("ip_address={BUSY_ADDRESS}&active=true&since={}&until={}", at(97), at(99)),
        ),
        ("network /10, at", format!("ip_address=100.64.0.0/10&at={}", at(50))),
        (
            "network /10, active, rare device",
            format!("ip_address=100.64.0.0/10&active=true&device_name={rare}"),
        ),
        ("active, device", "active=true&device_name=galaxy".to_owned()),
        (
            "active, rare device, a day",
            format!("active=true&device_name={rare}&since={}&until={}", at(90), at(92)),
        ),
        ("at, rare device", format!("at={}&device_name={rare}", at(50))),
    ] {
        pages.push(list_page("device-sessions", name, &query));
    }
    pages
}

fn account_pages(bench: &BenchRun, known: &KnownData) -> Vec<StaffPage> {
    let cursors = cursors(bench);
    let at = |part| known.time_after(part, 100);
    let account = |part| {
        let position = bench.psql(&format!(
            "SELECT json_build_object('date_joined', date_joined, 'account', account_id)
               FROM profiles WHERE date_joined <= '{}' ORDER BY date_joined DESC LIMIT 1",
            at(part)
        ));
        cursors.write("accounts", &serde_json::from_str::<Value>(&position).unwrap())
    };
    let (phone, mut pages) = (PHONE, Vec::new());
    for (name, query) in [
        ("all", String::new()),
        ("all, middle", format!("cursor={}", account(50))),
        ("all, last", format!("cursor={}", account(0))),
        ("phone_number", format!("phone_number={phone}")),
        ("email", "email=person4249@example.com".to_owned()),
        ("name", "fullname=lovelace".to_owned()),
        ("rare name", format!("fullname=%20{}", known.people - 77)),
        ("rare name, middle", format!("fullname=%204246&cursor={}", account(50))),
        ("active", "state=active".to_owned()),
        ("suspended", "state=suspended".to_owned()),
        ("suspended, middle", format!("state=suspended&cursor={}", account(50))),
        ("suspended, last", format!("state=suspended&cursor={}", account(1))),
        ("suspended, name", "state=suspended&fullname=grace".to_owned()),
        ("active, name", "state=active&fullname=omar".to_owned()),
        ("phone_number, active", format!("phone_number={phone}&state=active")),
    ] {
        pages.push(list_page("accounts", name, &query));
    }
    pages
}

pub fn audit_pages(known: &KnownData) -> Vec<StaffPage> {
    let at = |part| known.time_after(part, 1_000);
    let (account, middle, last) = (&known.account, known.events / 2, known.events - 200);
    let mut pages = Vec::new();
    for (name, query) in [
        ("all", String::new()),
        ("all, middle", format!("after={middle}")),
        ("all, last", format!("after={last}")),
        ("account", format!("account_id={account}")),
        ("account, type", format!("account_id={account}&type=TokenRefreshed")),
        ("account, a day", format!("account_id={account}&since={}&until={}", at(500), at(520))),
        ("type", "type=LoggedIn".to_owned()),
        ("type, middle", format!("type=LoggedIn&after={middle}")),
        ("type, last", format!("type=LoggedIn&after={last}")),
        ("rare type", "type=AccountSuspended".to_owned()),
        ("rare type, middle", format!("type=AccountSuspended&after={middle}")),
        ("type of few", "type=RolesChanged".to_owned()),
        ("type of none", "type=TokenReuseDetected".to_owned()),
        ("three types", "type=LoggedIn,LoggedOut,TokenRefreshed".to_owned()),
        ("three types, middle", format!("type=LoggedIn,LoggedOut,AccountSuspended&after={middle}")),
        ("an hour", format!("since={}&until={}", at(500), at(501))),
        ("a day", format!("since={}&until={}", at(500), at(520))),
        ("a day, next page", format!("since={}&until={}&after={}", at(500), at(520), middle + 100_000)),
        ("since", format!("since={}", at(999))),
        ("until", format!("until={}", at(1))),
        ("until, last", format!("until={}&after={}", at(900), known.events / 10 * 9)),
        ("type, a day", format!("type=LoggedOut&since={}&until={}", at(500), at(520))),
        ("type, an hour at the beginning", format!("type=LoggedIn&since={}&until={}", at(5), at(6))),
        ("type of few, a day", format!("type=RolesChanged&since={}&until={}", at(500), at(520))),
        ("future", format!("since={}", at(2_000))),
        ("ndjson", "format=ndjson".to_owned()),
        ("ndjson, middle", format!("format=ndjson&after={middle}")),
        ("csv", "format=csv".to_owned()),
        ("csv of a type, middle", format!("format=csv&type=LoggedIn&after={middle}")),
    ] {
        pages.push(StaffPage { name: name.to_owned(), path: format!("/audit/events/?limit=200&{query}") });
    }
    for (name, query) in [
        ("account as it is", String::new()),
        ("account at a time", format!("?at={}", at(500))),
        ("step of an account", "?step=7".to_owned()),
    ] {
        pages.push(StaffPage { name: name.to_owned(), path: format!("/audit/accounts/{account}/{query}") });
    }
    pages
}
