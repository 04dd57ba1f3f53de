//! The lookup key is replaced while two nodes serve, one of them a step behind the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use counterfoil::crypto::keyring::KeyPurpose;
use counterfoil_domain::values::AccountId;

use super::{FILE, KeyInstallation, succeeded};
use crate::support::NodeProcess;

/// A person who has signed in, and on which account.
#[derive(Clone)]
struct KnownUser {
    phone: String,
    account: AccountId,
}

/// An installation whose nodes read a file each, so that one can be behind the other.
struct StaggeredInstallation {
    installation: KeyInstallation,
    nodes: [NodeProcess; 2],
}

/// The file of the second node.
const OTHER_FILE: &str = "other.json";

impl StaggeredInstallation {
    fn start(name: &str) -> Self {
        let installation = KeyInstallation::new(name);
        let copy =
            |name| std::fs::copy(installation.folder.join(FILE), installation.folder.join(name)).unwrap();
        copy(OTHER_FILE);
        let nodes = [FILE, OTHER_FILE].map(|file| {
            let environment = [
                ("DATABASE_URL", &*installation.database.url.0),
                ("COUNTERFOIL_KEYRING", file),
                ("COUNTERFOIL__CODES__RESEND_AFTER", "1"),
                ("COUNTERFOIL__CODES__PER_DAY", "100"),
            ];
            NodeProcess::start(&installation.folder, &environment)
        });
        Self { installation, nodes }
    }

    /// Has the second node read what the first has read.
    async fn catch_up(&self) {
        let draft = self.installation.folder.join("draft.json");
        std::fs::copy(self.installation.folder.join(FILE), &draft).unwrap();
        std::fs::rename(draft, self.installation.folder.join(OTHER_FILE)).unwrap();
        self.installation.read_by(&self.nodes).await;
    }

    /// New people, each asking for a code on both nodes at once, and then signing in on either.
    async fn newcomers(&self, count: usize) -> Vec<KnownUser> {
        let mut known = Vec::new();
        for n in 0..count {
            let phone = self.installation.phone();
            let (one, other) = tokio::join!(self.nodes[0].api.login(&phone), self.nodes[1].api.login(&phone));
            let code = if one.status == 200 { one.code() } else { other.code() };
            let device = self.nodes[n % 2].api.verify(&phone, &code).await.signed_in();
            known.push(KnownUser { phone, account: device.account() });
        }
        known
    }

    /// Signs a person in who has signed in before, on that node: it is the account that they had.
    async fn returns(&self, node: usize, known: &KnownUser) {
        let code = loop {
            let answer = self.nodes[node].api.login(&known.phone).await;
            // The code before is not a second old.
            if answer.status != 406 {
                break answer.code();
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        };
        let device = self.nodes[1 - node].api.verify(&known.phone, &code).await.signed_in();
        assert_eq!(device.account(), known.account, "{} got another account", known.phone);
    }

    async fn count(&self, sql: &str) -> i64 {
        self.installation.database.value(sql).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_user_keeps_their_account_while_the_lookup_key_is_replaced_on_two_nodes_that_serve() {
    let service = Arc::new(StaggeredInstallation::start("lookup"));
    let installation = &service.installation;
    let former = installation.keyring().active(KeyPurpose::Lookup).id.to_string();
    let mut people = service.newcomers(30).await;
    // And some who never came back with their code.
    let asked = 320;
    for _ in 0..asked / 8 {
        let phones: [String; 8] = std::array::from_fn(|_| installation.phone());
        let ask = |(n, phone): (usize, &String)| {
            let (service, phone) = (service.clone(), phone.clone());
            async move { succeeded(service.nodes[n % 2].api.login(&phone).await) }
        };
        futures_util::future::join_all(phones.iter().enumerate().map(ask)).await;
    }

    // Each step reaches one node before the other; both take new people, and the same ones, meanwhile.
    for _ in 0..2 {
        installation.run(&["rotate", FILE, "lookup"]);
        installation.read_by(&service.nodes[..1]).await;
        people.extend(service.newcomers(6).await);
        for known in people.iter().step_by(9) {
            service.returns(people.len() % 2, known).await;
        }
        service.catch_up().await;
    }
    let refused = installation.refused(&["retire", FILE, "lookup", &former]);
    assert!(
        refused.contains("identifiers are still found") && refused.contains("rewrap lookup"),
        "{refused}"
    );
    assert!(installation.refused(&["rotate", FILE, "lookup"]).contains("is still retiring"));

    // Each page of the command takes a while, so that it is met by sign-ins, and killed half way.
    let client = installation.database.connect().await;
    let slow = "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS \
                $$ BEGIN PERFORM pg_sleep(0.5); RETURN NULL; END $$; \
                CREATE TRIGGER slow AFTER UPDATE ON identifiers FOR EACH STATEMENT EXECUTE FUNCTION slow()";
    client.batch_execute(slow).await.unwrap();
    let ends = Arc::new(AtomicBool::new(false));
    let load = tokio::spawn({
        let (service, people, ends) = (service.clone(), people.clone(), ends.clone());
        async move {
            for (n, known) in people.iter().cycle().enumerate() {
                if ends.load(Ordering::Relaxed) && n >= people.len() {
                    break;
                }
                service.returns(n % 2, known).await;
            }
            service.newcomers(4).await
        }
    });
    let left = format!("SELECT count(*) FROM identifiers WHERE key_id = '{former}'");
    let before = service.count(&left).await;
    assert!(before > asked, "{before}");
    let mut killed = installation.command(&["rewrap", "lookup"]).spawn().unwrap();
    while service.count(&left).await == before {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    killed.kill().unwrap();
    killed.wait().unwrap();
    let half_way = service.count(&left).await;
    assert!(0 < half_way && half_way < before, "{half_way} of {before}");
    installation.refused(&["retire", FILE, "lookup", &former]);
    // In a thread of its own, since it waits while the nodes are asked.
    let again = tokio::task::spawn_blocking({
        let service = service.clone();
        move || service.installation.run(&["rewrap", "lookup"])
    });
    let printed = again.await.unwrap();
    assert!(printed.contains("0 cannot be opened, 0 were held"), "{printed}");
    assert_eq!(service.count(&left).await, 0);
    assert!(installation.run(&["rewrap", "lookup"]).starts_with("0 identifiers"));
    ends.store(true, Ordering::Relaxed);
    people.extend(load.await.unwrap());

    installation.run(&["retire", FILE, "lookup", &former]);
    installation.read_by(&service.nodes[..1]).await;
    people.extend(service.newcomers(6).await);
    service.catch_up().await;
    for (n, known) in people.iter().enumerate() {
        service.returns(n % 2, known).await;
    }
    let all_accounts = i64::try_from(people.len()).unwrap() + asked;
    assert_eq!(service.count("SELECT count(*) FROM heads").await, all_accounts, "no account is there twice");
    assert_eq!(service.count("SELECT count(*) FROM identifiers").await, all_accounts);
    let accounts = service.count("SELECT count(DISTINCT account_id) FROM identifiers").await;
    assert_eq!(accounts, all_accounts);
}
