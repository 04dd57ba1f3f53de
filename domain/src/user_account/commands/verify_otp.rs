//! Redeem a code to sign in, which begins a session.

use chrono::{DateTime, Utc};

use crate::user_account::{
    AccountFact, Challenge, CodeFact, CodeRejected, DeviceLimitPolicy, PersonalDetails, Policy, ProfileFact,
    Purpose, RedeemedCode, Refusal, Requester, RuleStage, Services, Session, SessionFact, SignOutReason,
    UserAccount, UserAccountEvent,
};
use crate::values::{
    ChallengeNonce, Client, Generation, Identifier, LanguageTag, OtpCode, RuleName, SessionId,
};

/// Redeem a code for a session, on an account that exists from then on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyOtp {
    pub at: DateTime<Utc>,
    /// Where the code had gone.
    pub identifier: Identifier,
    pub code: OtpCode,
    /// A fresh id for the session.
    pub session: SessionId,
    /// From where it came.
    pub client: Client,
    /// The language that it asks for, where messages are written in it.
    pub language: Option<LanguageTag>,
    /// The session of a token that came along, of this account.
    pub shown: Option<SessionId>,
    /// Whether the settings list the identifier for tests.
    pub test: bool,
    /// The access rule that does not let the right code sign in, once the rules were asked.
    pub refused_by: Option<RuleName>,
}

impl VerifyOtp {
    pub(super) fn decide(
        self,
        state: &UserAccount,
        services: &Services,
    ) -> Result<Vec<UserAccountEvent>, Refusal> {
        let policy = &services.policy;
        let at = state.time_of(self.at);
        // A device that is known may have asked before it showed that.
        let requester = state.requester(self.shown);
        let is_pending = state.codes_of(requester).is_some_and(|codes| {
            let redeemed = codes.redeemed.as_ref();
            codes.challenge.is_some() || redeemed.is_some_and(|redeemed| redeemed.purpose == Purpose::SignIn)
        });
        let requester = if is_pending { requester } else { Requester::Stranger };
        let tried = try_code(state, requester, Purpose::SignIn, &self.identifier, &self.code, at, services)?;
        let challenge = match tried {
            Tried::Right(challenge) => challenge,
            Tried::Repeated(redeemed) => return self.repeated(at, requester, redeemed, state, services),
            Tried::Rejected(fact) => return Ok(vec![self.rejected(at, fact)]),
        };
        // No session began, so the code is not used up, and its tries are as they were.
        let replaced = self.replaced(state, at, services);
        let others = state.live_sessions(at).count() - replaced.iter().count();
        if policy.device_limit_policy == DeviceLimitPolicy::Deny && others >= policy.places() {
            if challenge.recorded_no_place {
                return Err(Refusal::DeviceLimitReached);
            }
            let fact = AccountFact::Code(CodeFact::OtpRejected {
                purpose: Purpose::SignIn,
                reason: CodeRejected::DeviceLimit,
                channel: self.identifier.channel(),
                tries_left: policy.code_tries.saturating_sub(challenge.wrong_tries),
                until: None,
                requester,
            });
            return Ok(vec![self.rejected(at, fact)]);
        }
        if let Some(rule) = self.refused_by {
            return Ok(vec![self.refused(at, requester, rule)]);
        }
        Ok(self.signed_in(at, requester, replaced, state, services))
    }

    /// The live session of the token that came along, where it is on the same device: the new session takes its place, so that
    /// one device has one session.
    fn replaced<'a>(
        &self,
        state: &'a UserAccount,
        at: DateTime<Utc>,
        services: &Services,
    ) -> Option<&'a Session> {
        let session = self.shown.and_then(|shown| state.live_session(shown, at));
        session.filter(|session| services.clients.is_on_device_of(session, &self.client))
    }

    /// The client repeats a sign-in that was not answered: it gets the tokens of the session that the sign-in began, as
    /// long as nothing has been done with them.
    fn repeated(
        self,
        at: DateTime<Utc>,
        requester: Requester,
        redeemed: &RedeemedCode,
        state: &UserAccount,
        services: &Services,
    ) -> Result<Vec<UserAccountEvent>, Refusal> {
        let session = redeemed.session.and_then(|session| state.live_session(session, at));
        let session = session.ok_or(Refusal::InvalidCode)?;
        let is_unused = session.generation == Generation::FIRST && session.last_used_at == redeemed.at;
        let is_same = |mark| services.clients.mark_beside(mark, session.id, &self.client) == mark;
        let is_same_client = session.mark.is_some_and(is_same);
        let answer_possible_at =
            services.unanswered_until(redeemed.at, at).filter(|_| is_unused && is_same_client);
        let fact = AccountFact::Session(SessionFact::SignInRepeated {
            session: session.id,
            generation: session.generation,
            issued_at: session.last_used_at,
            expires_at: session.expires_at,
            answer_possible_at: answer_possible_at.ok_or(Refusal::InvalidCode)?,
        });
        if let Some(rule) = self.refused_by {
            return Ok(vec![self.refused(at, requester, rule)]);
        }
        Ok(vec![UserAccountEvent { at, fact, person: None, client: Some(self.client) }])
    }

    fn signed_in(
        self,
        at: DateTime<Utc>,
        requester: Requester,
        replaced: Option<&Session>,
        state: &UserAccount,
        services: &Services,
    ) -> Vec<UserAccountEvent> {
        let policy = &services.policy;
        let channel = self.identifier.channel();
        let person =
            Some(PersonalDetails { identifier: Some(self.identifier), ..PersonalDetails::default() });
        let event = |fact, person| UserAccountEvent { at, fact, person, client: Some(self.client.clone()) };

        let mut events = Vec::with_capacity(2);
        if state.member().is_none() {
            events.push(event(AccountFact::Profile(ProfileFact::UserRegistered { channel }), person.clone()));
        }
        if state.requested_erasure().is_some() {
            events.push(event(AccountFact::Profile(ProfileFact::ErasureCancelled {}), None));
        }
        events.extend(replaced.map(|session| session.ended(at, SignOutReason::SignedInAgain, &self.client)));
        let evicted = over_the_limit(state, replaced, at, policy);
        events.extend(evicted.map(|session| session.ended(at, SignOutReason::DeviceLimit, &self.client)));
        let ends_at = at + policy.session_absolute;
        let its_mark = services.clients.mark(self.session, &self.client);
        let (seen, unfamiliar) = state.unfamiliar(&*services.clients, &self.client).unzip();
        let logged_in = AccountFact::Session(SessionFact::LoggedIn {
            session: self.session,
            channel,
            generation: Generation::FIRST,
            expires_at: ends_at.min(at + policy.session_idle),
            ends_at,
            mark: Some(its_mark),
            address: Some(services.clients.address(self.session, &self.client, its_mark.network)),
            seen,
            // A device that has a token to show is no stranger, wherever it comes from.
            unfamiliar: unfamiliar.flatten().filter(|_| state.requester(self.shown) == Requester::Stranger),
            language: self.language,
            requester,
            test: self.test,
        });
        events.push(event(logged_in, person));
        events
    }

    /// The right code came, and a rule does not let it sign in. The code is spent: the refusal cannot be tried for as long as
    /// the code lives, and each refusal on record takes a code.
    fn refused(self, at: DateTime<Utc>, requester: Requester, rule: RuleName) -> UserAccountEvent {
        let fact = AccountFact::Session(SessionFact::SignInRefused {
            rule,
            stage: RuleStage::SignIn,
            channel: Some(self.identifier.channel()),
            purpose: Purpose::SignIn,
            session: None,
            requester,
            until: None,
        });
        let person = PersonalDetails { identifier: Some(self.identifier), ..PersonalDetails::default() };
        UserAccountEvent { at, fact, person: Some(person), client: Some(self.client) }
    }

    fn rejected(self, at: DateTime<Utc>, fact: AccountFact) -> UserAccountEvent {
        UserAccountEvent { at, fact, person: None, client: Some(self.client) }
    }
}

/// What comes of a code that was tried.
pub(super) enum Tried<'a> {
    /// It is the code of this challenge.
    Right(&'a Challenge),
    /// It is the code that was redeemed last, and an outage kept its caller from an answer.
    Repeated(&'a RedeemedCode),
    /// It is not, which is to be put on record by this.
    Rejected(AccountFact),
}

/// Tries a code against the one that is pending for that purpose.
pub(super) fn try_code<'a>(
    state: &'a UserAccount,
    requester: Requester,
    purpose: Purpose,
    identifier: &Identifier,
    code: &OtpCode,
    at: DateTime<Utc>,
    services: &Services,
) -> Result<Tried<'a>, Refusal> {
    let policy = &services.policy;
    let (codes, channel) = (state.pending_codes(requester, purpose), identifier.channel());
    let challenge =
        codes.and_then(|codes| codes.pending(purpose)).filter(|challenge| challenge.channel == channel);

    let redeemed = codes.and_then(|codes| codes.redeemed.as_ref()).filter(|redeemed| {
        redeemed.purpose == purpose
            && redeemed.channel == channel
            && services.unanswered_until(redeemed.at, at).is_some()
    });

    // Compared before anything else is looked at, and against a nonce of no challenge where there is none, so that the
    // answer takes the same time whatever it is.
    let nonce = challenge.map(|pending| pending.nonce).or(redeemed.map(|redeemed| redeemed.nonce));
    let nonce = nonce.unwrap_or(ChallengeNonce::new([0; 16]));
    let matches = services.codes.matches(&nonce, identifier, purpose, code);

    let rejected = |reason, tries_left, until| {
        Ok(Tried::Rejected(AccountFact::Code(CodeFact::OtpRejected {
            purpose,
            reason,
            channel,
            tries_left,
            until,
            requester,
        })))
    };
    if let Some((bar, until)) = state.barred(requester, channel, at, policy) {
        if let Some(until) =
            state.codes_of(requester).and_then(|codes| codes.counters(channel).wrong.recorded(at))
        {
            return Err(Refusal::TooManyTries { until });
        }
        return rejected(bar.into(), 0, Some(until));
    }
    let Some(challenge) = challenge else {
        return match redeemed {
            Some(redeemed) if matches => Ok(Tried::Repeated(redeemed)),
            // One wrong code, and the redeemed one may not be presented again.
            Some(_) => rejected(CodeRejected::Wrong, 0, None),
            None => Err(Refusal::InvalidCode),
        };
    };
    if challenge.expires_at <= at {
        return rejected(CodeRejected::Expired, 0, None);
    }
    let tries_left = policy.code_tries.saturating_sub(challenge.wrong_tries.saturating_add(1));
    if !matches {
        return rejected(CodeRejected::Wrong, tries_left, None);
    }
    if state.is_suspended(at) || challenge.precedes_suspension {
        return rejected(CodeRejected::Suspended, tries_left, None);
    }
    Ok(Tried::Right(challenge))
}

/// The least recently used sessions that have to go so that one more fits, besides the one that it replaces.
fn over_the_limit<'a>(
    state: &'a UserAccount,
    replaced: Option<&Session>,
    now: DateTime<Utc>,
    policy: &Policy,
) -> impl Iterator<Item = &'a Session> {
    let is_replaced = |session: &Session| replaced.is_some_and(|replaced| replaced.id == session.id);
    let mut live: Vec<&Session> = state.live_sessions(now).filter(|session| !is_replaced(session)).collect();
    live.sort_by_key(|session| session.last_used_at);
    let excess = (live.len() + 1).saturating_sub(policy.places());
    live.into_iter().take(excess)
}
