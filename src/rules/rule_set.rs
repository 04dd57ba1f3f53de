//! The rules of a node, in their order, and how they are asked.

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use counterfoil_domain::user_account::RuleStage;
use counterfoil_domain::values::RuleName;
use futures_util::FutureExt as _;
use tokio::time::{Instant, timeout_at};

use super::{AccessRule, CodeRuleRequest, RefreshRuleRequest, RuleDecision, RuleFault, SignInRuleRequest};

/// The access rules of a service, in the order in which they are asked. The first one that refuses ends the asking.
#[derive(Clone, Debug, Default)]
pub struct RuleSet {
    rules: Arc<[NamedRule]>,
}

#[derive(Debug)]
struct NamedRule {
    name: RuleName,
    rule: Arc<dyn AccessRule>,
}

/// Why rules do not make a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleSetError {
    /// Two rules have the same name, and a refusal would not tell which of them it comes from.
    #[error("two access rules have the name {0:?}")]
    RepeatedName(&'static str),
    /// The name of a rule is not 1 to 40 of the characters `a` to `z`, `0` to `9` and `_`.
    #[error("an access rule has the name {0:?}, which is not 1 to 40 of the characters a-z, 0-9 and _")]
    MalformedName(&'static str),
}

/// A rule could not tell: it failed, panicked, or did not answer in time. The log says which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the access rule {rule} is not available")]
pub struct RuleUnavailable {
    /// The name of the rule.
    pub rule: RuleName,
}

/// What the rules are asked.
#[derive(Clone, Copy, Debug)]
pub(crate) enum RuleQuestion<'a> {
    Code(&'a CodeRuleRequest),
    SignIn(&'a SignInRuleRequest),
    Refresh(&'a RefreshRuleRequest),
}

impl RuleSet {
    /// How long all rules together may take for one request: long enough to ask a server nearby, and short enough that the
    /// service can still decide and commit within its own limit.
    pub const TIME_LIMIT: Duration = Duration::from_millis(500);

    /// Rules that are asked in this order.
    ///
    /// # Errors
    /// [`RuleSetError`] when a name is malformed, or two rules have the same.
    pub fn new(rules: impl IntoIterator<Item = Arc<dyn AccessRule>>) -> Result<Self, RuleSetError> {
        let mut names = BTreeSet::new();
        let named = rules.into_iter().map(|rule| {
            let text = rule.name();
            let name = RuleName::parse(text).ok_or(RuleSetError::MalformedName(text))?;
            if !names.insert(name) {
                return Err(RuleSetError::RepeatedName(text));
            }
            Ok(NamedRule { name, rule })
        });
        Ok(Self { rules: named.collect::<Result<_, _>>()? })
    }

    /// Whether there is no rule.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The names of the rules, in their order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().map(|named| named.name.as_str())
    }

    /// Returns the first rule that refuses; `None` where all allow.
    ///
    /// # Errors
    /// [`RuleUnavailable`] where a rule could not tell before one refused.
    pub(crate) async fn first_refusal(
        &self,
        question: RuleQuestion<'_>,
    ) -> Result<Option<RuleName>, RuleUnavailable> {
        let deadline = Instant::now() + Self::TIME_LIMIT;
        for NamedRule { name, rule } in &*self.rules {
            // A rule may panic before its first `await` as well.
            let asked = AssertUnwindSafe(async { question.put_to(&**rule).await }).catch_unwind();
            let (outcome, error) = match timeout_at(deadline, asked).await {
                Ok(Ok(Ok(RuleDecision::Allow))) => continue,
                Ok(Ok(Ok(RuleDecision::Refuse))) => {
                    let labels =
                        [("rule", name.to_string()), ("stage", question.stage().as_str().to_owned())];
                    metrics::counter!("counterfoil_rule_refusals_total", &labels).increment(1);
                    return Ok(Some(*name));
                }
                Ok(Ok(Err(RuleFault { reason }))) => ("failed", reason),
                // The payload of a panic may quote a value.
                Ok(Err(_)) => ("panicked", "it panicked".to_owned()),
                Err(_) => ("late", "its time was over".to_owned()),
            };
            let stage = question.stage().as_str();
            let labels =
                [("rule", name.to_string()), ("stage", stage.to_owned()), ("outcome", outcome.to_owned())];
            metrics::counter!("counterfoil_rule_faults_total", &labels).increment(1);
            tracing::warn!(rule = %name, stage, outcome, error, "an access rule could not tell");
            return Err(RuleUnavailable { rule: *name });
        }
        Ok(None)
    }
}

impl RuleQuestion<'_> {
    fn stage(self) -> RuleStage {
        match self {
            Self::Code(_) => RuleStage::Code,
            Self::SignIn(_) => RuleStage::SignIn,
            Self::Refresh(_) => RuleStage::Refresh,
        }
    }

    async fn put_to(self, rule: &dyn AccessRule) -> Result<RuleDecision, RuleFault> {
        match self {
            Self::Code(request) => rule.code(request).await,
            Self::SignIn(request) => rule.sign_in(request).await,
            Self::Refresh(request) => rule.refresh(request).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};
    use std::sync::atomic::{AtomicU32, Ordering};

    use async_trait::async_trait;
    use counterfoil_domain::user_account::Purpose;
    use counterfoil_domain::values::{AccountId, Client, EmailAddress, Identifier, SessionId};
    use uuid::Uuid;

    use super::*;
    use crate::runtime::clock::{Clock as _, SystemClock};

    #[derive(Debug)]
    enum Behaviour {
        Allow,
        Refuse,
        Fail,
        Panic,
        Wait(Duration),
    }

    #[derive(Debug)]
    struct TestRule {
        name: &'static str,
        behaviour: Behaviour,
        asked: AtomicU32,
    }

    impl TestRule {
        fn new(name: &'static str, behaviour: Behaviour) -> Arc<Self> {
            Arc::new(Self { name, behaviour, asked: AtomicU32::new(0) })
        }
    }

    #[async_trait]
    impl AccessRule for TestRule {
        fn name(&self) -> &'static str {
            self.name
        }

        async fn code(&self, _: &CodeRuleRequest) -> Result<RuleDecision, RuleFault> {
            self.decide().await
        }

        async fn sign_in(&self, _: &SignInRuleRequest) -> Result<RuleDecision, RuleFault> {
            self.decide().await
        }

        async fn refresh(&self, _: &RefreshRuleRequest) -> Result<RuleDecision, RuleFault> {
            self.decide().await
        }
    }

    impl TestRule {
        async fn decide(&self) -> Result<RuleDecision, RuleFault> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            match self.behaviour {
                Behaviour::Allow => Ok(RuleDecision::Allow),
                Behaviour::Refuse => Ok(RuleDecision::Refuse),
                Behaviour::Fail => Err(RuleFault::new("the register is away")),
                Behaviour::Panic => panic!("a rule with a fault"),
                Behaviour::Wait(time) => {
                    tokio::time::sleep(time).await;
                    Ok(RuleDecision::Allow)
                }
            }
        }
    }

    fn set(rules: &[&Arc<TestRule>]) -> Result<RuleSet, RuleSetError> {
        RuleSet::new(rules.iter().map(|rule| -> Arc<dyn AccessRule> { Arc::clone(rule) as _ }))
    }

    async fn ask(rules: &[&Arc<TestRule>]) -> Result<Option<RuleName>, RuleUnavailable> {
        ask_at(RuleStage::Refresh, rules).await
    }

    async fn ask_at(stage: RuleStage, rules: &[&Arc<TestRule>]) -> Result<Option<RuleName>, RuleUnavailable> {
        let (account, session) = (AccountId(Uuid::nil()), SessionId(Uuid::nil()));
        let client = Client { ip: IpAddr::V4(Ipv4Addr::LOCALHOST), user_agent: None, device_name: None };
        let identifier = Identifier::Email(EmailAddress::parse("ada@example.com").expect("an address"));
        let (roles, at, is_new_account) = (BTreeSet::new(), SystemClock.now(), true);
        let rules = set(rules).expect("good names");
        match stage {
            RuleStage::Code => {
                let request = CodeRuleRequest { identifier, purpose: Purpose::SignIn, client, at };
                rules.first_refusal(RuleQuestion::Code(&request)).await
            }
            RuleStage::SignIn => {
                let request = SignInRuleRequest { account, identifier, is_new_account, roles, client, at };
                rules.first_refusal(RuleQuestion::SignIn(&request)).await
            }
            RuleStage::Refresh => {
                let request = RefreshRuleRequest { account, session, roles, client, at };
                rules.first_refusal(RuleQuestion::Refresh(&request)).await
            }
        }
    }

    fn named(name: &str) -> RuleName {
        RuleName::parse(name).expect("a name")
    }

    #[test]
    fn names_are_well_formed_and_unique() {
        let (one, other) = (TestRule::new("one", Behaviour::Allow), TestRule::new("other", Behaviour::Allow));
        assert!(set(&[&one, &other]).expect("a set").names().eq(["one", "other"]));
        assert_eq!(set(&[&one, &other, &one]).err(), Some(RuleSetError::RepeatedName("one")));
        let malformed = TestRule::new("Company only", Behaviour::Allow);
        let error = set(&[&one, &malformed]).expect_err("no set");
        assert_eq!(error, RuleSetError::MalformedName("Company only"));
        assert!(error.to_string().contains("Company only"));
        assert!(RuleSet::default().is_empty() && set(&[]).expect("a set").is_empty());
    }

    #[tokio::test]
    async fn rules_are_asked_in_their_order_until_one_refuses() {
        let (allows, refuses) =
            (TestRule::new("allows", Behaviour::Allow), TestRule::new("refuses", Behaviour::Refuse));
        let later = TestRule::new("later", Behaviour::Fail);
        assert_eq!(ask(&[&allows]).await, Ok(None));
        assert_eq!(ask(&[&allows, &refuses, &later]).await, Ok(Some(named("refuses"))));
        let asked = [&allows, &refuses, &later].map(|rule| rule.asked.load(Ordering::Relaxed));
        assert_eq!(asked, [2, 1, 0]);
    }

    #[tokio::test]
    async fn a_rule_that_fails_or_panics_is_not_available_and_no_later_one_is_asked() {
        let refuses = TestRule::new("refuses", Behaviour::Refuse);
        for behaviour in [Behaviour::Fail, Behaviour::Panic] {
            let faulty = TestRule::new("faulty", behaviour);
            assert_eq!(ask(&[&faulty, &refuses]).await, Err(RuleUnavailable { rule: named("faulty") }));
        }
        assert_eq!(refuses.asked.load(Ordering::Relaxed), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn all_rules_together_have_the_time_limit() {
        let half = RuleSet::TIME_LIMIT / 2;
        let (one, other) = (
            TestRule::new("one", Behaviour::Wait(half)),
            TestRule::new("other", Behaviour::Wait(half - Duration::from_millis(1))),
        );
        assert_eq!(ask(&[&one, &other]).await, Ok(None));
        let slow = TestRule::new("slow", Behaviour::Wait(half + Duration::from_millis(1)));
        assert_eq!(ask(&[&one, &slow]).await, Err(RuleUnavailable { rule: named("slow") }));
    }

    #[test]
    fn metrics_say_which_rule_refused_at_which_stage_and_how_one_failed() {
        let recorder = crate::runtime::telemetry::prometheus().build_recorder();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let runtime = runtime.expect("a runtime");
        let stages = [RuleStage::Code, RuleStage::SignIn, RuleStage::Refresh];
        let late = || Behaviour::Wait(RuleSet::TIME_LIMIT * 2);
        metrics::with_local_recorder(&recorder, || {
            for stage in stages {
                for behaviour in
                    [Behaviour::Refuse, Behaviour::Refuse, Behaviour::Fail, Behaviour::Panic, late()]
                {
                    let rule = TestRule::new("company_only", behaviour);
                    let asked = runtime.block_on(ask_at(stage, &[&rule]));
                    assert!(asked.is_ok_and(|refusal| refusal.is_some()) || asked.is_err());
                }
            }
        });
        let rendered = recorder.handle().render();
        let is_there =
            |line: String| assert!(rendered.lines().any(|each| each == line), "{line}: {rendered}");
        for stage in stages.map(RuleStage::as_str) {
            let labels = format!("rule=\"company_only\",stage=\"{stage}\"");
            is_there(format!("counterfoil_rule_refusals_total{{{labels}}} 2"));
            for outcome in ["failed", "panicked", "late"] {
                is_there(format!("counterfoil_rule_faults_total{{{labels},outcome=\"{outcome}\"}} 1"));
            }
        }
    }
}
