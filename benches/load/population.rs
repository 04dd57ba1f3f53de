//! People with a history: accounts that sign in on three devices, refresh, sign out, are suspended. The domain decides every
//! command and the journal appends what it decided, as always; only what a person does in one visit, several commands, is
//! one commit here, and no node sends or waits for messages. A test holds it to what the same commands come to one by one.

use std::iter;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use counterfoil::crypto::client_fingerprints::ClientMarks;
use counterfoil::crypto::entropy;
use counterfoil::crypto::keyring::Keyring;
use counterfoil::crypto::one_time_codes::OtpCodes;
use counterfoil::crypto::second_factors::SecondFactors;
use counterfoil::crypto::test_identifiers::TestIdentifiers;
use counterfoil::journal::{AccountRef, Commit, Journal};
use counterfoil::runtime::clock::SystemClock;
use counterfoil::settings::Sources;
use counterfoil_domain::user_account::commands::{
    Intervention, Logout, RefreshToken, RequestOtp, SuspendAccount, UpdateProfile, UserAccountCommand,
    VerifyOtp,
};
use counterfoil_domain::user_account::{
    ActingStaff, NoOutage, Purpose, Services, UserAccount, UserAccountEvent,
};
use counterfoil_domain::values::{
    AccountId, Client, DeviceName, EmailAddress, FullName, Identifier, OperatorName, PhoneNumber, Reason,
    UserAgent,
};
use cqrs_es::Aggregate as _;
use futures_util::{StreamExt as _, stream};

/// How many visits each person makes, each with a sign-in on another device. They come to ten events.
pub const VISITS: u32 = 3;

/// How many people's visits go on at the same time, in turns; the journal remembers the heads of so many.
const GENERATION: u32 = 100_000;

/// How many visits are under way at once. What waits goes out as one statement.
const AT_ONCE: usize = 256;

const DEVICES: [(Option<&str>, &str); 6] = [
    (Some("iPhone 15"), "Tickets/4.2 (iPhone; iOS 18.1) CFNetwork/1568.100.1 Darwin/24.0.0"),
    (Some("Galaxy S23"), "Tickets/4.2 (Android 15; SM-S911B Build/AP3A.240905.015)"),
    (None, "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/131.0.0.0 Safari/537.36"),
    (Some("iPad"), "Tickets/4.1 (iPad; iPadOS 18.0) CFNetwork/1568.100.1 Darwin/24.0.0"),
    (None, "Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0"),
    (Some("Redmi Note 13"), "Tickets/4.2 (Android 14; 23124RA7EO Build/UKQ1.231003.002)"),
];

/// One person in fifty thousand has it.
pub const RARE_DEVICE: &str = "Fairphone 5";

/// Where one sign-in in a hundred comes from.
pub const BUSY_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7));

const NAMES: [&str; 8] = ["Ada", "Grace", "Alan", "Edsger", "Barbara", "Maryam", "Donald", "Omar"];
const FAMILIES: [&str; 7] = ["Lovelace", "Hopper", "Turing", "Dijkstra", "Liskov", "Mirzakhani", "Khayyam"];

/// How many people there are, and between which times they come.
#[derive(Clone, Copy, Debug)]
pub struct Population {
    pub people: u32,
    pub from: DateTime<Utc>,
    pub until: DateTime<Utc>,
}

/// What a person does at a time.
#[derive(Clone, Debug)]
pub struct Visit {
    pub person: Person,
    pub at: DateTime<Utc>,
    pub acts: Vec<VisitAct>,
}

/// One act of the person in a visit. Devices are counted from 0.
#[derive(Clone, Copy, Debug)]
pub enum VisitAct {
    /// Asks for a code and redeems it, on that device.
    SignIn(usize),
    /// Sets the person's name on that device.
    Rename(usize),
    /// Refreshes that device's session.
    Refresh(usize),
    /// Signs that device out.
    SignOut(usize),
    /// The person does nothing: their account is suspended.
    Suspended,
}

/// A person, by their number from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Person(pub u32);

impl Population {
    /// All visits, in the order of their times.
    pub fn visits(self) -> impl Iterator<Item = Visit> {
        let all = (self.until - self.from).num_microseconds().unwrap();
        let apart = TimeDelta::microseconds(all / i64::from(self.people * VISITS));
        let generations = (0..self.people).step_by(GENERATION as usize);
        let visits = generations.flat_map(move |first| {
            let people = first..self.people.min(first + GENERATION);
            (0..VISITS).flat_map(move |nth| people.clone().map(move |n| (Person(n), nth)))
        });
        visits.zip(0..).map(move |((person, nth), n)| Visit {
            person,
            at: self.from + apart * n,
            acts: person.acts(nth),
        })
    }

    /// Lets all of them happen, by the default settings.
    pub async fn live(self, journal: &Journal, keyring: &Keyring) {
        let policy = Sources::read(None, iter::empty(), iter::empty()).unwrap().check().unwrap().policy;
        let codes = OtpCodes::new(keyring, TestIdentifiers::default(), Arc::new(SystemClock));
        let services = Services {
            codes: Arc::new(codes.clone()),
            clients: Arc::new(ClientMarks::new(keyring)),
            second_factors: Arc::new(SecondFactors::new(keyring, "")),
            answers: Arc::new(NoOutage),
            policy: Arc::new(policy),
        };
        let visits = stream::iter(self.visits()).map(|visit| visit.happen(journal, &codes, &services));
        // A person's next visit begins when all before the last of so many have ended, the person's own among them.
        visits.buffered(AT_ONCE.min(self.people as usize)).collect::<()>().await;
    }
}

impl Person {
    pub fn identifier(self) -> Identifier {
        let Self(n) = self;
        if n % 10 == 9 {
            Identifier::Email(EmailAddress::parse(&format!("person{n}@example.com")).unwrap())
        } else {
            Identifier::Phone(PhoneNumber::parse(&format!("+98920{n:07}"), None).unwrap())
        }
    }

    pub fn name(self) -> FullName {
        let n = self.0 as usize;
        let (name, family) = (NAMES[n % NAMES.len()], FAMILIES[n % FAMILIES.len()]);
        FullName::parse(&format!("{name} {family} {n}")).unwrap()
    }

    /// One of the person's devices, at the address where it is used. Three households share an address.
    pub fn client(self, device: usize) -> Client {
        let Self(n) = self;
        let household = (n / 3).wrapping_mul(2_654_435_761) % 400_000;
        let ip = match n % 100 {
            42 => BUSY_ADDRESS,
            0..10 => Ipv6Addr::from(0x2001_0db8 << 96 | u128::from(household) << 64 | 1).into(),
            _ => Ipv4Addr::from(0x6440_0000 + household).into(),
        };
        let (name, agent) = DEVICES[(n as usize + device) % DEVICES.len()];
        let name = if n % 50_000 == 7 { Some(RARE_DEVICE) } else { name };
        Client {
            ip,
            user_agent: UserAgent::from_header(agent),
            device_name: name.map(|name| DeviceName::parse(name).unwrap()),
        }
    }

    fn acts(self, nth: u32) -> Vec<VisitAct> {
        match nth {
            0 => vec![VisitAct::SignIn(0), VisitAct::Rename(0)],
            1 => vec![VisitAct::Refresh(0), VisitAct::SignIn(1)],
            _ if self.0 % 100 == 50 => vec![VisitAct::SignOut(0), VisitAct::SignIn(2), VisitAct::Suspended],
            _ if self.0.is_multiple_of(2) => vec![VisitAct::SignOut(0), VisitAct::SignIn(2)],
            _ => vec![VisitAct::Refresh(0), VisitAct::SignIn(2)],
        }
    }
}

impl Visit {
    async fn happen(self, journal: &Journal, codes: &OtpCodes, services: &Services) {
        let address = AccountRef::Identifier(self.person.identifier());
        let loaded = journal.load(&address, self.at).await.unwrap();
        let (account, mut state) = (loaded.head.account, loaded.head.state.clone());
        let mut events: Vec<UserAccountEvent> = Vec::new();
        for act in &self.acts {
            for command in self.commands(*act, account, &state, codes) {
                for event in command.decide(&state, services).unwrap() {
                    state.apply(event.clone());
                    events.push(event);
                }
            }
        }
        let id = entropy::uuid_v7(self.at);
        let request = id.to_string();
        let commit =
            Commit::new(id, Some(&request), loaded, state, events, Vec::new(), journal.personal_data());
        assert!(journal.append(&Arc::new(commit.unwrap())).await.unwrap().is_committed());
    }

    /// Sessions are in the order in which they began; none of the first has ended when it is used.
    fn commands(
        &self,
        act: VisitAct,
        account: AccountId,
        state: &UserAccount,
        codes: &OtpCodes,
    ) -> Vec<UserAccountCommand> {
        let at = self.at;
        let session = |device: usize| &state.sessions()[device];
        let client = |device| self.person.client(device);
        match act {
            VisitAct::SignIn(device) => {
                let (identifier, nonce) = (self.person.identifier(), entropy::challenge_nonce());
                let request = RequestOtp {
                    at,
                    identifier: identifier.clone(),
                    purpose: Purpose::SignIn,
                    fullname: None,
                    nonce,
                    client: client(device),
                    shown: None,
                    test: false,
                    withheld: false,
                };
                let verify = VerifyOtp {
                    at,
                    code: codes.derive(&nonce, &identifier, Purpose::SignIn),
                    identifier,
                    session: entropy::session_id(at),
                    client: client(device),
                    language: None,
                    shown: None,
                    test: false,
                    refused_by: None,
                };
                vec![request.into(), verify.into()]
            }
            VisitAct::Rename(device) => {
                let (session, fullname) = (session(device).id, self.person.name());
                vec![UpdateProfile { at, session, fullname, client: client(device) }.into()]
            }
            VisitAct::Refresh(device) => {
                let (session, generation) = (session(device).id, session(device).generation);
                let client = client(device);
                vec![RefreshToken { at, session, generation, client, refused_by: None }.into()]
            }
            VisitAct::SignOut(device) => {
                vec![Logout { at, session: session(device).id, client: client(device) }.into()]
            }
            VisitAct::Suspended => {
                let reason = Some(Reason::parse("fraud").unwrap());
                let intervention = Intervention {
                    at,
                    by: ActingStaff::Operator(OperatorName::parse("ada").unwrap()),
                    reason,
                    case: None,
                    client: None,
                };
                vec![SuspendAccount { account, until: None, intervention }.into()]
            }
        }
    }
}
