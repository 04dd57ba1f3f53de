//! Device sessions, and what the person signed in on one does.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use counterfoil_domain::user_account::commands::{
    DisownSession, Logout, LogoutAll, RefreshToken, RenameDevice, RevokeDevice, UpdateProfile,
};
use counterfoil_domain::user_account::{Refusal, SessionProof, SessionTokens};
use counterfoil_domain::values::{AccountId, Client, DeviceName, FullName, SessionId};
use counterfoil_projections::profile::Profile;
use serde_json::{Map, Value};

use super::commit::{late, until_available};
use super::{Accounts, AccountsError, CommandResult, RequestContext, TIME_LIMIT, outcome};
use crate::journal::AccountRef;
use crate::tokens::claims_source::{ClaimsOccasion, ClaimsRequest};
use crate::tokens::{ExtraClaims, IssuedTokens, Token, TokenKind};

impl Accounts {
    /// Trades a refresh token for the next generation of its session.
    ///
    /// # Errors
    /// [`AccountsError`]; refused when the token is spent or its session has ended.
    pub async fn refresh(
        &self,
        refresh_token: &str,
        origin: RequestContext,
    ) -> Result<IssuedTokens, AccountsError> {
        let at = self.clock.now();
        let opened = self.tokens.open(TokenKind::Refresh, refresh_token, at);
        let token = opened.map_err(|_| AccountsError::InvalidToken)?;
        let command = RefreshToken {
            at,
            session: token.session,
            generation: token.generation,
            client: origin.client.clone(),
            refused_by: None,
        };
        let done = self.execute(AccountRef::Account(token.account), &origin, at, command.into()).await?;
        let unchanged = done.unchanged.as_ref().and_then(|head| head.state.live_session(token.session, at));
        let (session, proof) = match unchanged {
            Some(session) => (SessionTokens::of_session(session), Some(SessionProof::of_session(session))),
            None => (outcome(&done.events, SessionTokens::from_event)?, done.proof),
        };
        self.issue(&done, &session, proof, ClaimsOccasion::Refresh, &origin.client).await
    }

    /// Records that the caller of a command that was decided at `decided_at` gets no answer although it was committed.
    pub fn leave_unanswered(&self, decided_at: DateTime<Utc>) {
        drop(self.journal.outages().expect_answer(decided_at));
    }

    /// Ends the session of a token of that kind, which may be spent or expired. Ending it again changes nothing.
    ///
    /// # Errors
    /// [`AccountsError`]; an invalid token when it never was one of ours.
    pub async fn logout(
        &self,
        kind: TokenKind,
        token: &str,
        origin: RequestContext,
    ) -> Result<(), AccountsError> {
        let ip = origin.client.ip;
        self.end_session_of(kind, token, Some(ip), origin).await
    }

    /// The same, asked for by a service on behalf of many accounts.
    ///
    /// # Errors
    /// As [`logout`](Self::logout).
    pub async fn revoke_token(
        &self,
        kind: TokenKind,
        token: &str,
        origin: RequestContext,
    ) -> Result<(), AccountsError> {
        self.end_session_of(kind, token, None, origin).await
    }

    async fn end_session_of(
        &self,
        kind: TokenKind,
        token: &str,
        ip: Option<IpAddr>,
        origin: RequestContext,
    ) -> Result<(), AccountsError> {
        let at = self.clock.now();
        let opened = self.tokens.open_expired(kind, token, at);
        let token = opened.map_err(|_| AccountsError::InvalidToken)?;
        self.count_write(token.account, ip).await?;
        let command = Logout { at, session: token.session, client: origin.client.clone() };
        self.execute(AccountRef::Account(token.account), &origin, at, command.into()).await?;
        Ok(())
    }

    /// The account and the session that a link of a notice names; none where it is no link of ours.
    pub fn session_of_link(&self, link: &str) -> Option<(AccountId, SessionId)> {
        self.notices.links.read(link)
    }

    /// Ends the session that its owner's link names, if it has not ended. Ending it again changes nothing.
    ///
    /// # Errors
    /// [`AccountsError`]; an invalid token when it is no link of ours.
    pub async fn disown(&self, link: &str, origin: RequestContext) -> Result<(), AccountsError> {
        let (account, session) = self.session_of_link(link).ok_or(AccountsError::InvalidToken)?;
        self.count_write(account, Some(origin.client.ip)).await?;
        self.carry_out(account, &origin, |at, client| DisownSession { at, session, client }.into()).await?;
        Ok(())
    }

    /// Ends all sessions of the account that an access token speaks for, or all but the token's own.
    ///
    /// # Errors
    /// [`AccountsError`]; refused when the session has ended meanwhile.
    pub async fn logout_all(
        &self,
        token: Token,
        keep_current: bool,
        origin: RequestContext,
    ) -> Result<(), AccountsError> {
        let session = token.session;
        let command = |at, client| LogoutAll { at, session, keep_current, client }.into();
        self.carry_out(token.account, &origin, command).await?;
        Ok(())
    }

    /// Ends a session of the account that an access token speaks for.
    ///
    /// # Errors
    /// [`AccountsError`]; refused when the account has no such session, or the token's own has ended meanwhile.
    pub async fn revoke_device(
        &self,
        token: Token,
        device: SessionId,
        origin: RequestContext,
    ) -> Result<(), AccountsError> {
        let session = token.session;
        let command = |at, client| RevokeDevice { at, session, device, client }.into();
        self.carry_out(token.account, &origin, command).await?;
        Ok(())
    }

    /// Names a device of the account that an access token speaks for.
    ///
    /// # Errors
    /// [`AccountsError`]; refused when the account has no such session, or the token's own has ended meanwhile.
    pub async fn rename_device(
        &self,
        token: Token,
        device: SessionId,
        name: DeviceName,
        origin: RequestContext,
    ) -> Result<(), AccountsError> {
        let session = token.session;
        let command = |at, client| RenameDevice { at, session, device, name, client }.into();
        self.carry_out(token.account, &origin, command).await?;
        Ok(())
    }

    /// Changes the name of the account that an access token speaks for; its profile, where the commit gave it back.
    ///
    /// # Errors
    /// [`AccountsError`]; refused when the session has ended meanwhile.
    pub async fn update_profile(
        &self,
        token: Token,
        fullname: FullName,
        origin: RequestContext,
    ) -> Result<Option<Profile>, AccountsError> {
        let session = token.session;
        let command = |at, client| UpdateProfile { at, session, fullname, client }.into();
        Ok(self.carry_out(token.account, &origin, command).await?.profile)
    }

    /// Checks that the session of an access token was proved lately enough for what a copied token must not do. To be asked
    /// before anything is looked at, counted or sent; the command that follows checks it again.
    ///
    /// # Errors
    /// [`AccountsError`]; refused when it was not, or has ended meanwhile.
    pub async fn require_fresh_proof(&self, token: Token) -> Result<(), AccountsError> {
        let (at, address) = (self.clock.now(), AccountRef::Account(token.account));
        let policy = &self.services.policy;
        let check = async {
            let remembered = until_available(|| self.journal.load(&address, at)).await?;
            if remembered.head.state.require_fresh_proof(token.session, at, policy).is_ok() {
                return Ok(());
            }
            // Nothing is refused on memory alone: another node may have seen the proof.
            let loaded = until_available(|| self.journal.load_anew(&address, at)).await?;
            Ok(loaded.head.state.require_fresh_proof(token.session, at, policy)?)
        };
        tokio::time::timeout(TIME_LIMIT, check).await.unwrap_or_else(|_| Err(late().into()))
    }

    /// Makes tokens. Where that fails, the session has its generation all the same: the same refresh token gives the tokens
    /// a moment later.
    pub(super) async fn issue(
        &self,
        done: &CommandResult,
        session: &SessionTokens,
        proof: Option<SessionProof>,
        occasion: ClaimsOccasion,
        client: &Client,
    ) -> Result<IssuedTokens, AccountsError> {
        let proof = proof.ok_or(Refusal::SessionEnded)?;
        let is_at_hand =
            self.claims.source().is_none() && (done.profile.is_some() || !self.claims.needs_profile());
        let claims = if is_at_hand {
            self.claims.configured().claims(done.profile.as_ref())
        } else {
            Box::pin(self.gather_claims(done, session, occasion, client)).await?
        };
        let extra = ExtraClaims::new(&claims).unwrap_or_else(|error| {
            tracing::error!(%error, "a token goes without its extra claims");
            ExtraClaims::default()
        });
        Ok(self.tokens.issue(done.account, session, proof, extra, self.clock.now()))
    }

    /// Reads the profile where the claims need it, and asks the program that embeds the service for its own claims.
    async fn gather_claims(
        &self,
        done: &CommandResult,
        session: &SessionTokens,
        occasion: ClaimsOccasion,
        client: &Client,
    ) -> Result<Map<String, Value>, AccountsError> {
        // Dropped before it is given: the claims cannot be had, or the caller has gone meanwhile.
        let answer = self.journal.outages().expect_answer_of_acknowledged(session.issued_at);
        let read = match &done.profile {
            None if self.claims.needs_profile() => self.read_profile(done.account).await?,
            _ => None,
        };
        let profile = done.profile.as_ref().or(read.as_ref());
        let mut claims = self.claims.configured().claims(profile);
        if let Some(source) = self.claims.source() {
            let request = ClaimsRequest {
                account: done.account,
                session: session.session,
                occasion,
                roles: done.roles.clone(),
                profile: profile.filter(|_| source.needs_profile()).cloned(),
                client: client.clone(),
                at: self.clock.now(),
            };
            claims.extend(source.ask(&request).await?);
        }
        answer.given();
        Ok(claims)
    }
}
