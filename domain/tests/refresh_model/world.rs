//! Clients, nodes and the log between them.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr};
use std::ops::Deref;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use counterfoil_domain::user_account::commands::RefreshToken;
use counterfoil_domain::user_account::{
    AccountFact, ClientMarker, NoOutage, OtpMatcher, Policy, ProfileFact, Purpose, Refusal, Requester,
    SecondFactorMatcher, Services, SessionFact, SessionTokens, UserAccount, UserAccountCommand,
    UserAccountEvent,
};
use counterfoil_domain::values::{
    AddressMark, AuthenticatorId, ChallengeNonce, Channel, Client, ClientMark, Generation, Identifier,
    OtpCode, RecoveryBatchId, RecoveryCode, SessionId, TimeStep, UserAgent,
};
use cqrs_es::Aggregate as _;
use stateright::Property;
use uuid::Uuid;

use crate::promises;

/// How long a spent token's answer is given again, in seconds. Time moves by whole seconds.
pub(crate) const GRACE: u8 = 2;

/// How long a patient client is content with what it got, in seconds: longer than a request lives.
const CONTENT: u8 = 2;

/// So many requests at once: one a node, where commands for one account take turns.
const REQUESTS: usize = 2;

const SESSION: SessionId = SessionId(Uuid::from_u128(1));

pub(crate) fn time(seconds: u8) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_000) + TimeDelta::seconds(seconds.into())
}

/// Who takes part, and how far it is followed.
pub(crate) struct Model {
    services: Services,
    clients: Vec<ClientState>,
    manners: Manners,
    seconds: u8,
    commits: usize,
    properties: Vec<Property<Self>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Manners {
    /// Asks when it likes.
    Any,
    /// Asks again for as long as the grace lasts, and does not ask anew right after it got tokens.
    Patient,
}

impl Model {
    /// Two clients hold copies of the first token, as two windows of a browser do; a third has none, and steals one.
    pub(crate) fn copies_and_a_thief() -> Self {
        Self {
            services: services(),
            clients: [Some(1), Some(1), None].map(ClientState::holding).into(),
            manners: Manners::Any,
            seconds: GRACE,
            commits: 4,
            properties: [promises::of_every_log(), promises::reached_among_many()].concat(),
        }
    }

    /// One client holds the session alone.
    pub(crate) fn patient_client() -> Self {
        Self {
            services: services(),
            clients: vec![ClientState::holding(Some(1))],
            manners: Manners::Patient,
            seconds: GRACE + CONTENT + 1,
            commits: 4,
            properties: [promises::of_every_log(), promises::of_a_patient_client()].concat(),
        }
    }

    fn decide(&self, account: &UserAccount, token: u32, at: u8) -> Result<Vec<UserAccountEvent>, Refusal> {
        let command = RefreshToken {
            at: time(at),
            session: SESSION,
            generation: Generation(token),
            client: Client {
                ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
                user_agent: UserAgent::from_header("model"),
                device_name: None,
            },
            refused_by: None,
        };
        UserAccountCommand::from(command).decide(account, &self.services)
    }
}

/// Everything there is at one moment.
#[derive(Clone, Debug, PartialEq, Hash)]
pub(crate) struct World {
    /// Seconds since the sign-in.
    now: u8,
    /// The newest version of the account: what the log comes to.
    pub(crate) head: Hashed<Version>,
    /// What the log has promised so far.
    promised: Hashed<Promised>,
    /// The refresh whose commit led here. What led elsewhere before is of no matter any more.
    pub(crate) last: Option<Hashed<Refresh>>,
    /// Whether a client was just refused, with nothing in the log to say so, and the session had not ended.
    pub(crate) turned_away: bool,
    /// The version of the account that each node remembers.
    remembered: [Option<Hashed<Version>>; 2],
    clients: Vec<ClientState>,
    /// What is under way.
    pub(crate) requests: Vec<Request>,
}

/// The account after so many commits.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Version {
    pub(crate) number: usize,
    account: UserAccount,
}

/// What the log says of the session, read from its events and not from the aggregate's state.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Promised {
    /// The tokens of the newest generation, as they were first given.
    pub(crate) newest: SessionTokens,
    /// The time of the newest event.
    pub(crate) at: DateTime<Utc>,
    /// Whether the session was ended.
    pub(crate) ended: bool,
}

/// A refresh that was committed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Refresh {
    /// The generation of the token that was presented.
    pub(crate) token: u32,
    pub(crate) asked_at: DateTime<Utc>,
    /// What the log said before.
    pub(crate) before: Promised,
    pub(crate) events: Vec<UserAccountEvent>,
}

impl Refresh {
    /// The tokens that the caller is given.
    pub(crate) fn given(&self) -> Option<SessionTokens> {
        if self.events.is_empty() {
            return Some(self.before.newest.clone());
        }
        self.events.iter().find_map(SessionTokens::from_event).and_then(Result::ok)
    }

    /// The tokens of the generation that was made, if one was.
    pub(crate) fn made(&self) -> Option<SessionTokens> {
        let makes = |event: &&UserAccountEvent| {
            matches!(event.fact, AccountFact::Session(SessionFact::TokenRefreshed { .. }))
        };
        self.events.iter().find(makes).and_then(SessionTokens::from_event).and_then(Result::ok)
    }

    pub(crate) fn ends_the_session(&self) -> bool {
        self.events.iter().any(|event| event.ended_session().is_some())
    }

    fn promised(&self) -> Promised {
        Promised {
            newest: self.made().unwrap_or_else(|| self.before.newest.clone()),
            at: self.events.last().map_or(self.before.at, |event| event.at),
            ended: self.before.ended || self.ends_the_session(),
        }
    }
}

/// A value that is shared between worlds, and hashed once, by what it shows.
#[derive(Clone)]
pub(crate) struct Hashed<T> {
    value: Arc<T>,
    hash: u64,
}

impl<T: fmt::Debug> Hashed<T> {
    fn new(value: T) -> Self {
        let mut hasher = DefaultHasher::new();
        format!("{value:?}").hash(&mut hasher);
        Self { value: Arc::new(value), hash: hasher.finish() }
    }
}

impl<T> Deref for Hashed<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> Hash for Hashed<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.hash.hash(state);
    }
}

impl<T: PartialEq> PartialEq for Hashed<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T: fmt::Debug> fmt::Debug for Hashed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

/// A client: the generation of the token it holds, and from when until before when it presents it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct ClientState {
    token: Option<u32>,
    asks: (u8, u8),
}

impl ClientState {
    fn holding(token: Option<u32>) -> Self {
        Self { token, asks: (0, u8::MAX) }
    }
}

/// A refresh that was decided, and whose commit is under way.
#[derive(Clone, Debug, PartialEq, Hash)]
pub(crate) struct Request {
    /// The generation of the token that was presented.
    token: u32,
    /// The minute at which it happens.
    at: u8,
    /// The version of the account that it was decided on.
    pub(crate) on: Hashed<Version>,
    /// The node that will decide it again if it has to; none when that has crashed or given up. What it sent may still
    /// arrive.
    pub(crate) node: Option<usize>,
    /// The client that waits for the answer, if any still does.
    caller: Option<usize>,
}

/// What can happen next. Requests are named by their place in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// A client presents its token, and the node decides.
    Ask { client: usize, node: usize },
    /// A commit arrives at the log, or nothing is to be committed. Its answer arrives as well, or is lost. An answer that is late is no case of its
    /// own: it is a client that takes its time.
    Commit { request: usize, answered: bool },
    /// A client stops waiting.
    Leave { request: usize },
    /// A node loses what it remembers and what it is at.
    Crash { node: usize },
    /// A client without a token copies another's.
    Steal { from: usize },
    /// A second passes. What a node is at for longer than that is given up.
    Tick,
}

impl World {
    /// Right after the sign-in: one node saw it, the other remembers the account from before.
    fn begin(clients: Vec<ClientState>) -> Self {
        let event = |fact| UserAccountEvent { at: time(0), fact, person: None, client: None };
        let logged_in = event(AccountFact::Session(SessionFact::LoggedIn {
            session: SESSION,
            channel: Channel::Phone,
            generation: Generation::FIRST,
            expires_at: time(0) + TimeDelta::days(30),
            ends_at: time(0) + TimeDelta::days(90),
            mark: None,
            address: None,
            seen: None,
            unfamiliar: None,
            language: None,
            requester: Requester::Stranger,
            test: false,
        }));
        let tokens = SessionTokens::from_event(&logged_in).and_then(Result::ok);
        let newest = tokens.expect("a sign-in gives tokens");
        let before = Hashed::new(Version { number: 0, account: UserAccount::default() });
        let events =
            [event(AccountFact::Profile(ProfileFact::UserRegistered { channel: Channel::Phone })), logged_in];
        let head = before.after(&events);
        Self {
            now: 0,
            remembered: [Some(before), Some(head.clone())],
            head,
            promised: Hashed::new(Promised { newest, at: time(0), ended: false }),
            last: None,
            turned_away: false,
            clients,
            requests: Vec::new(),
        }
    }

    fn request_of(&self, client: usize) -> Option<&Request> {
        self.requests.iter().find(|request| request.caller == Some(client))
    }

    fn asks(&self, client: usize) -> bool {
        let ClientState { token, asks: (from, until) } = self.clients[client];
        let in_time = from <= self.now && self.now < until;
        token.is_some() && in_time && self.request_of(client).is_none() && self.requests.len() < REQUESTS
    }

    /// A client presents its token.
    fn ask(&mut self, model: &Model, client: usize, node: usize) {
        let asking = &mut self.clients[client];
        let token = asking.token.expect("only who has a token asks");
        if model.manners == Manners::Patient {
            asking.asks.1 = asking.asks.1.min(self.now + GRACE);
        }
        let mut on = self.remembered[node].as_ref().unwrap_or(&self.head);
        if !model.decide(&on.account, token, self.now).is_ok_and(|events| !events.is_empty()) {
            // Nothing would be written, so nothing would find out that memory is out of date.
            on = &self.head;
        }
        let on = on.clone();
        self.decided(
            model,
            node,
            Request { token, at: self.now, on, node: Some(node), caller: Some(client) },
        );
    }

    /// Keeps a request whose decision leads to a commit. What is refused leaves nothing behind.
    fn decided(&mut self, model: &Model, node: usize, request: Request) {
        self.remembered[node] = Some(request.on.clone());
        if model.decide(&request.on.account, request.token, request.at).is_ok() {
            self.requests.push(request);
        } else {
            self.turned_away = !self.promised.ended;
        }
    }

    /// Appends what was decided on the newest version; what was decided on an older one is decided again.
    fn commit(&mut self, model: &Model, request: usize, answered: bool) {
        let request = self.requests.remove(request);
        if request.on.number != self.head.number {
            if let Some(node) = request.node {
                self.decided(model, node, Request { on: self.head.clone(), ..request });
            }
            return;
        }
        let events =
            model.decide(&request.on.account, request.token, request.at).expect("the same as before");
        if !events.is_empty() {
            self.head = request.on.after(&events);
        }
        if let Some(node) = request.node {
            self.remembered[node] = Some(self.head.clone());
        }
        let before = (*self.promised).clone();
        let refresh = Refresh { token: request.token, asked_at: time(request.at), before, events };
        if let (true, Some(caller), Some(given)) = (answered, request.caller, refresh.given()) {
            let asks = match model.manners {
                Manners::Any => (0, u8::MAX),
                Manners::Patient => (self.now + CONTENT, u8::MAX),
            };
            self.clients[caller] = ClientState { token: Some(given.generation.0), asks };
        }
        self.promised = Hashed::new(refresh.promised());
        self.last = Some(Hashed::new(refresh));
    }

    fn cut_off(&mut self, from: impl Fn(&Request) -> bool) {
        for request in self.requests.iter_mut().filter(|request| from(request)) {
            (request.node, request.caller) = (None, None);
        }
    }

    /// Forgets what can do nothing more, and makes worlds one that differ only in which client, node or request is
    /// which.
    fn settle(&mut self) {
        let newest = self.head.number;
        self.requests.retain(|request| request.node.is_some() || request.on.number == newest);

        let mut order: Vec<usize> = (0..self.clients.len()).collect();
        let key = |client: &usize| (self.clients[*client], self.request_of(*client).map(Request::rank));
        order.sort_by_key(key);
        self.clients = order.iter().map(|client| self.clients[*client]).collect();
        for caller in self.requests.iter_mut().filter_map(|request| request.caller.as_mut()) {
            *caller = order.iter().position(|client| client == caller).expect("all are there");
        }

        self.requests.sort_by_key(|request| (request.rank(), request.caller));
        let key = |node| {
            let of_it = self.requests.iter().filter(move |request| request.node == Some(node));
            let version = self.remembered[node].as_ref().map(|version| version.number);
            (version, of_it.map(|request| (request.rank(), request.caller)).collect::<Vec<_>>())
        };
        if key(1) < key(0) {
            self.remembered.swap(0, 1);
            for node in self.requests.iter_mut().filter_map(|request| request.node.as_mut()) {
                *node = 1 - *node;
            }
        }
        self.requests.sort_by_key(|request| (request.rank(), request.caller, request.node));
    }
}

impl Hashed<Version> {
    fn after(&self, events: &[UserAccountEvent]) -> Self {
        let mut account = self.account.clone();
        for event in events {
            account.apply(event.clone());
        }
        Self::new(Version { number: self.number + 1, account })
    }
}

impl Request {
    fn rank(&self) -> (u32, u8, usize) {
        (self.token, self.at, self.on.number)
    }
}

impl stateright::Model for Model {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World::begin(self.clients.clone())]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        let clients = 0..world.clients.len();
        for client in clients.clone().filter(|client| world.asks(*client)) {
            actions.extend([0, 1].map(|node| Action::Ask { client, node }));
        }
        for (request, Request { caller, .. }) in world.requests.iter().enumerate() {
            actions.push(Action::Commit { request, answered: false });
            if caller.is_some() {
                actions.push(Action::Commit { request, answered: true });
                if self.manners == Manners::Patient {
                    actions.push(Action::Leave { request });
                }
            }
        }
        if world.promised.ended {
            return; // What is under way, and who asks now, shows whether the end holds.
        }
        actions.extend([0, 1].map(|node| Action::Crash { node }));
        if world.clients.iter().any(|client| client.token.is_none()) {
            actions.extend(
                clients
                    .filter(|from| world.clients[*from].token.is_some())
                    .map(|from| Action::Steal { from }),
            );
        }
        if world.now < self.seconds {
            actions.push(Action::Tick);
        }
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut next = World { last: None, turned_away: false, ..world.clone() };
        match action {
            Action::Ask { client, node } => next.ask(self, client, node),
            Action::Commit { request, answered } => next.commit(self, request, answered),
            Action::Leave { request } => next.requests[request].caller = None,
            Action::Crash { node } => {
                next.remembered[node] = None;
                next.cut_off(|request| request.node == Some(node));
            }
            Action::Steal { from } => {
                let stolen = next.clients[from].token;
                next.clients.iter_mut().find(|client| client.token.is_none())?.token = stolen;
            }
            Action::Tick => {
                next.cut_off(|request| request.at < world.now);
                next.now += 1;
            }
        }
        next.settle();
        Some(next)
    }

    fn within_boundary(&self, world: &World) -> bool {
        world.head.number <= self.commits
    }

    fn properties(&self) -> Vec<Property<Self>> {
        self.properties.clone()
    }
}

/// No code of any kind is redeemed here, and all come from one device.
struct OneDevice;

impl OtpMatcher for OneDevice {
    fn matches(&self, _: &ChallengeNonce, _: &Identifier, _: Purpose, _: &OtpCode) -> bool {
        false
    }
}

impl ClientMarker for OneDevice {
    fn mark(&self, _: SessionId, _: &Client) -> ClientMark {
        ClientMark { device: 0, network: 0 }
    }

    fn address(&self, _: SessionId, _: &Client, _: u16) -> AddressMark {
        AddressMark(0)
    }
}

impl SecondFactorMatcher for OneDevice {
    fn step(&self, _: AuthenticatorId, _: &OtpCode, _: DateTime<Utc>) -> Option<TimeStep> {
        None
    }

    fn recovery_code(&self, _: RecoveryBatchId, _: &RecoveryCode) -> Option<u8> {
        None
    }
}

fn services() -> Services {
    let policy = Policy { refresh_grace: TimeDelta::seconds(GRACE.into()), ..Policy::default() };
    Services {
        codes: Arc::new(OneDevice),
        clients: Arc::new(OneDevice),
        second_factors: Arc::new(OneDevice),
        answers: Arc::new(NoOutage),
        policy: Arc::new(policy),
    }
}
