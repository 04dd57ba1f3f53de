//! Who of the staff is calling: somebody signed in whose account has the role, by what it is now.

use std::fmt;
use std::marker::PhantomData;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use counterfoil_domain::user_account::RequiredProof;
use counterfoil_domain::values::{AccountId, Reason, Role};
use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;

use super::{Caller, Peer, caller};
use crate::accounts::{AccountsError, RequestContext, StaffAction, StaffActor, lack};
use crate::http::Problem;
use crate::http::State;
use crate::http::document::{DescribeOperation, OperationDraft};
use crate::tokens::Token;

/// A role that an endpoint asks for.
pub trait Needed {
    /// Which.
    const ROLE: Role;
}

/// The role of administrators.
#[derive(Debug)]
pub enum Admin {}

impl Needed for Admin {
    const ROLE: Role = Role::Admin;
}

/// The role of auditors.
#[derive(Debug)]
pub enum Auditor {}

impl Needed for Auditor {
    const ROLE: Role = Role::Auditor;
}

/// Somebody with the role `R`, and what he asks, which is not read before it is known that he may ask.
pub struct Staff<R, T> {
    /// His account.
    pub account: AccountId,
    /// The token he proved it with.
    pub token: Token,
    /// In which request.
    pub origin: RequestContext,
    /// What he asks.
    pub asked: T,
    action: String,
    role: PhantomData<R>,
}

impl<R, T: fmt::Debug> fmt::Debug for Staff<R, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Staff")
            .field("account", &self.account)
            .field("asked", &self.asked)
            .finish_non_exhaustive()
    }
}

impl<R, T> Staff<R, T> {
    /// What he asks, and himself, who does it for a reason.
    pub fn intervening<U>(self, read: impl FnOnce(T) -> (U, Option<Reason>)) -> (U, StaffAction) {
        let (asked, reason) = read(self.asked);
        let by = StaffActor::Administrator { token: self.token, action: self.action };
        (asked, StaffAction { by, reason, origin: self.origin })
    }
}

impl<R: Needed, T: FromRequest<Error: Into<Problem>> + 'static> FromRequest for Staff<R, T> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let state = request.app_data::<web::Data<State>>().cloned();
        let (caller, peer) = (Caller::from_request(request, payload), Peer::from_request(request, payload));
        let asked = T::from_request(request, payload);
        // What changes something takes a second factor that was passed a moment ago.
        let passed =
            if request.method().is_safe() { RequiredProof::InSession } else { RequiredProof::Lately };
        let action = format!("{} {}", request.method(), request.match_pattern().unwrap_or_default());
        async move {
            let state = state.ok_or(Problem::Internal)?;
            let token = caller.await?.token;
            let origin: RequestContext = peer.await?.into();
            if let Err(error) = may(&state, token, R::ROLE, passed).await {
                if let AccountsError::Refused(refusal) = error
                    && let Some(lacks) = lack(refusal)
                {
                    let noted = state.accounts.deny_access(token, action, (R::ROLE, lacks), origin).await;
                    noted.map_err(|error| state.problem(&error))?;
                }
                return Err(state.problem(&error));
            }
            Ok(Self {
                account: token.account,
                token,
                origin,
                asked: asked.await.map_err(Into::into)?,
                action,
                role: PhantomData,
            })
        }
        .boxed_local()
    }
}

impl<R: Needed, T: DescribeOperation> DescribeOperation for Staff<R, T> {
    fn describe(operation: &mut OperationDraft) {
        caller::describe(operation, &[R::ROLE.as_str()]);
        operation.problems([Problem::Forbidden, Problem::SecondFactorRequired]);
        T::describe(operation);
    }
}

/// Whether the account of a token has the role now, and its session has passed the second factor. Neither the token nor this
/// node's memory is asked: a role that was taken is of no use from then on.
///
/// # Errors
/// [`AccountsError`] when it may not, or the account cannot be read.
pub async fn may(
    state: &State,
    token: Token,
    role: Role,
    passed: RequiredProof,
) -> Result<(), AccountsError> {
    let account = state.accounts.standing(token.account).await?;
    Ok(account.may(token.session, role, passed, state.clock.now())?)
}
