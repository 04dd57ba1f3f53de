//! A caller of the staff: signed in, with a role that the account has at the time of the request.

use std::fmt;
use std::marker::PhantomData;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use counterfoil_domain::user_account::RequiredProof;
use counterfoil_domain::values::{AccountId, Reason, Role};
use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;

use super::{ClientInfo, SignedInCaller, caller};
use crate::accounts::{AccountsError, RequestContext, StaffAction, StaffActor, lack};
use crate::http::AppState;
use crate::http::Problem;
use crate::http::document::{DescribeOperation, OperationDraft};
use crate::tokens::Token;

/// A role that an endpoint asks for.
pub trait NeededRole {
    /// The role that the account must have.
    const ROLE: Role;
}

/// The role of administrators.
#[derive(Debug)]
pub enum AdminRole {}

impl NeededRole for AdminRole {
    const ROLE: Role = Role::Admin;
}

/// The role of auditors.
#[derive(Debug)]
pub enum AuditorRole {}

impl NeededRole for AuditorRole {
    const ROLE: Role = Role::Auditor;
}

/// A caller with the role `R`, and what they ask, which is not read before the role is known.
pub struct StaffCaller<R, T> {
    /// The account of the caller.
    pub account: AccountId,
    /// The access token of the request.
    pub token: Token,
    /// The request that the caller sent, for the events that come of it.
    pub(crate) origin: RequestContext,
    /// What the request asks for.
    pub asked: T,
    action: String,
    role: PhantomData<R>,
}

impl<R, T: fmt::Debug> fmt::Debug for StaffCaller<R, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StaffCaller")
            .field("account", &self.account)
            .field("asked", &self.asked)
            .finish_non_exhaustive()
    }
}

impl<R, T> StaffCaller<R, T> {
    /// Divides the request into what is asked for and the action of the staff, with the reason that `read` finds in it.
    pub(crate) fn into_action<U>(self, read: impl FnOnce(T) -> (U, Option<Reason>)) -> (U, StaffAction) {
        let (asked, reason) = read(self.asked);
        let by = StaffActor::Administrator { token: self.token, action: self.action };
        (asked, StaffAction { by, reason, origin: self.origin })
    }
}

impl<R: NeededRole, T: FromRequest<Error: Into<Problem>> + 'static> FromRequest for StaffCaller<R, T> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let state = request.app_data::<web::Data<AppState>>().cloned();
        let (caller, client) =
            (SignedInCaller::from_request(request, payload), ClientInfo::from_request(request, payload));
        let asked = T::from_request(request, payload);
        // What changes something takes a second factor that was passed a moment ago.
        let passed =
            if request.method().is_safe() { RequiredProof::InSession } else { RequiredProof::Lately };
        let action = format!("{} {}", request.method(), request.match_pattern().unwrap_or_default());
        async move {
            let state = state.ok_or(Problem::Internal)?;
            let token = caller.await?.token;
            let origin: RequestContext = client.await?.into();
            if let Err(error) = check_role(&state, token, R::ROLE, passed).await {
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

impl<R: NeededRole, T: DescribeOperation> DescribeOperation for StaffCaller<R, T> {
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
pub async fn check_role(
    state: &AppState,
    token: Token,
    role: Role,
    passed: RequiredProof,
) -> Result<(), AccountsError> {
    let account = state.accounts.standing(token.account).await?;
    Ok(account.may(token.session, role, passed, state.clock.now())?)
}
