//! Response times tell nothing of an account: not whether there is one, what the node remembers, or how far the database is.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use counterfoil::rules::{AccessRule, CodeRuleRequest, RuleDecision, RuleFault, RuleSet};
use serde_json::json;

use crate::support::{ApiAnswer, ApiClient, DatabaseProxy, SignedInDevice, TestApp};

/// Codes as often as the measurement asks for them.
const SETTINGS: [(&str, &str); 2] = [("codes.resend_after", "0"), ("codes.per_day", "100")];

/// Refusals of one address, on record as often as the measurement asks for them.
const RECORDED: [(&str, &str); 2] =
    [("limits.address_writes_burst", "1000000"), ("limits.address_writes_per_minute", "1000000")];

/// How many codes one account asks for to add identifiers.
const ASKED_BY_ONE_ACCOUNT: usize = 20;

/// An operation that takes an identifier.
#[derive(Clone, Copy, Debug, PartialEq)]
enum TimedOperation {
    Login,
    Resend,
    /// A wrong code, where the known account has a pending one.
    Verify,
    /// A wrong code, where the known account has none.
    VerifyWithoutCode,
    AddIdentifier,
}

const OPERATIONS: [TimedOperation; 5] = [
    TimedOperation::VerifyWithoutCode,
    TimedOperation::Login,
    TimedOperation::Resend,
    TimedOperation::Verify,
    TimedOperation::AddIdentifier,
];

/// The accounts that a measurement knows.
struct MeasuredAccounts {
    known: Vec<String>,
    askers: Vec<SignedInDevice>,
    unknown: u32,
}

impl MeasuredAccounts {
    async fn signed_in(api: &ApiClient, pairs: usize) -> Self {
        let mut population = Self { known: Vec::new(), askers: Vec::new(), unknown: 0 };
        for n in 0..pairs {
            let phone = format!("+98911{n:07}");
            api.sign_in(&phone).await;
            population.known.push(phone);
            if n % ASKED_BY_ONE_ACCOUNT == 0 {
                population.askers.push(api.sign_in(&format!("+98912{n:07}")).await);
            }
        }
        population
    }

    fn unknown(&mut self) -> String {
        self.unknown += 1;
        format!("+98913{:07}", self.unknown)
    }
}

async fn ask(operation: TimedOperation, api: &ApiClient, phone: &str, asker: &SignedInDevice) -> ApiAnswer {
    match operation {
        TimedOperation::Login => api.login(phone).await,
        TimedOperation::Resend => api.resend(phone).await,
        TimedOperation::Verify | TimedOperation::VerifyWithoutCode => api.verify(phone, "000000").await,
        TimedOperation::AddIdentifier => {
            api.post_as(asker, "/accounts/identifiers/", json!({"phone_number": phone})).await
        }
    }
}

/// The probability that a request for an unknown number takes longer than one for a known number: one half where time tells
/// nothing.
async fn auc(operation: TimedOperation, api: &ApiClient, population: &mut MeasuredAccounts) -> f64 {
    // In one random order: in shuffled pairs a request for an unknown number would follow one for a known number three times
    // of four, and be slowed by what that one leaves to be done.
    let asked = population.known.iter().enumerate().map(|(n, known)| (0, n, known.clone()));
    let mut requests: Vec<_> = asked.collect();
    requests.extend((0..requests.len()).map(|n| (1, n, population.unknown())));
    fastrand::shuffle(&mut requests);
    let mut times: [Vec<Duration>; 2] = Default::default();
    for (kind, n, phone) in requests {
        let asker = &population.askers[n / ASKED_BY_ONE_ACCOUNT];
        let began = Instant::now();
        let answer = ask(operation, api, &phone, asker).await;
        times[kind].push(began.elapsed());
        assert!([200, 400, 403, 406].contains(&answer.status.as_u16()), "{operation:?}: {answer:?}");
    }
    let [known, unknown] = &times;
    let score = |known: &Duration, unknown: &Duration| match unknown.cmp(known) {
        std::cmp::Ordering::Less => 0.0,
        std::cmp::Ordering::Equal => 0.5,
        std::cmp::Ordering::Greater => 1.0,
    };
    let scores = unknown.iter().flat_map(|unknown| known.iter().map(move |known| score(known, unknown)));
    #[expect(clippy::cast_precision_loss, reason = "a few hundred pairs")]
    let pairs = (known.len() * unknown.len()) as f64;
    scores.sum::<f64>() / pairs
}

fn numbers(variable: &str, default: &str) -> Vec<u64> {
    let text = std::env::var(variable).unwrap_or_else(|_| default.to_owned());
    text.split(',').map(|number| number.parse().unwrap()).collect()
}

/// `script/bench --response-times` runs the long form: 400 pairs, three times, with 0, 3, 5 and 20 ms to the database.
#[tokio::test(flavor = "multi_thread")]
async fn known_and_unknown_numbers_are_answered_in_the_same_time() {
    let pairs = usize::try_from(numbers("COUNTERFOIL_RESPONSE_TIME_PAIRS", "40")[0]).unwrap();
    let runs = numbers("COUNTERFOIL_RESPONSE_TIME_RUNS", "1")[0];
    // Four standard deviations of the statistic where both kinds take equally long.
    #[expect(clippy::cast_precision_loss, reason = "a few hundred pairs")]
    let tolerance = 4.0 / (6.0 * pairs as f64).sqrt();
    for delay in numbers("COUNTERFOIL_RESPONSE_TIME_DELAYS", "3") {
        for run in 1..=runs {
            let here = TestApp::with_settings(&SETTINGS).await;
            let mut population = MeasuredAccounts::signed_in(&here.api, pairs).await;
            for operation in OPERATIONS {
                let (node, proxy) = here.second_node(&SETTINGS).await;
                proxy.delay(Duration::from_millis(delay));
                // The first requests on a node open its connections and prepare its statements.
                for _ in 0..8 {
                    node.api.login(&population.unknown()).await.ok();
                }
                for memory in ["cold", "warm"] {
                    let auc = auc(operation, &node.api, &mut population).await;
                    eprintln!("{delay} ms, run {run}, {operation:?}, {memory}: {auc:.3}");
                    assert!((auc - 0.5).abs() < tolerance, "{operation:?}, {memory}, {delay} ms: {auc}");
                }
            }
        }
    }
}

/// A rule that takes 20 to 40 ms, at random, and says the same to all.
#[derive(Debug)]
struct SlowRule(RuleDecision);

#[async_trait]
impl AccessRule for SlowRule {
    fn name(&self) -> &'static str {
        "slow"
    }

    async fn code(&self, _: &CodeRuleRequest) -> Result<RuleDecision, RuleFault> {
        tokio::time::sleep(Duration::from_micros(fastrand::u64(20_000..40_000))).await;
        Ok(self.0)
    }
}

/// The long form is the same with `COUNTERFOIL_RESPONSE_TIME_PAIRS=400`. The database is further away than in the other test, so that
/// a commit more shows beside the time of the rule.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_rule_tells_nothing_of_an_account_whether_it_refuses_or_allows() {
    let pairs = usize::try_from(numbers("COUNTERFOIL_RESPONSE_TIME_PAIRS", "40")[0]).unwrap();
    #[expect(clippy::cast_precision_loss, reason = "a few hundred pairs")]
    let tolerance = 4.0 / (6.0 * pairs as f64).sqrt();
    for delay in numbers("COUNTERFOIL_RESPONSE_TIME_DELAYS", "10") {
        let here = TestApp::with_settings(&SETTINGS).await;
        let mut population = MeasuredAccounts::signed_in(&here.api, pairs).await;
        for decision in [RuleDecision::Refuse, RuleDecision::Allow] {
            let proxy = DatabaseProxy::start(&here.database.url).await;
            let rules = RuleSet::new([Arc::new(SlowRule(decision)) as Arc<dyn AccessRule>]).unwrap();
            let url = proxy.url_of(&here.database.name);
            let api = here
                .embed(&url, &[&SETTINGS[..], &RECORDED].concat(), |state| state.accounts.use_rules(rules));
            proxy.delay(Duration::from_millis(delay));
            for _ in 0..8 {
                api.login(&population.unknown()).await;
            }
            for memory in ["cold", "warm"] {
                let auc = auc(TimedOperation::Login, &api, &mut population).await;
                eprintln!("{delay} ms, {decision:?}, {memory}: {auc:.3}");
                assert!((auc - 0.5).abs() < tolerance, "{decision:?}, {memory}, {delay} ms: {auc}");
            }
            // In the same order for the next node: what is on record stays so for an hour.
            here.advance_time(3_601);
        }
    }
}
