//! A code on its way through the limits: counted, and then sent or given back.

use std::fmt;
use std::sync::Arc;

use super::{Inner, LimitKind, Use};

/// A code that was counted, of which it is still to be told whether it was sent. Without an answer, it stays counted.
#[must_use]
pub struct CountedCode(pub(super) Option<(Arc<Inner>, Vec<Use>, i64)>);

impl fmt::Debug for CountedCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CountedCode").finish_non_exhaustive()
    }
}

impl CountedCode {
    /// It was sent, which its prefix has to answer for: where too few are redeemed it is stopped. Not before, since who
    /// asks a hundred times at once for one number gets one code.
    pub fn sent(self) {
        let Some((inner, limits, _)) = self.0 else { return };
        let of_prefix = limits.into_iter().find(|(limit, ..)| *limit == LimitKind::CodesPerPrefix);
        let Some((_, prefix, _)) = of_prefix else { return };
        inner.gather(prefix, |conversion| conversion.sent += 1);
    }

    /// It was not sent: all but the asking, from that address, is given back.
    pub fn not_sent(self) {
        let Some((inner, mut limits, asked_at)) = self.0 else { return };
        let now = inner.now();
        limits.retain_mut(|of| {
            of.2 = -of.2;
            // Out of another slot it would make room for too many.
            let slot = |time: i64| inner.entry(of).map(|entry| time / entry.rule.every);
            of.2 < 0 && slot(now) == slot(asked_at)
        });
        tokio::spawn(async move { inner.count_behind(&limits).await });
    }
}

/// How much of the daily budgets a code may be paid from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BudgetShare {
    /// All but the reserve: it is not known, or not asked, whether the identifier has signed in before.
    Strangers,
    /// All, the reserve included: the identifier has signed in before.
    Whole,
    /// Nothing, since no message goes out; but refused where an identifier that has signed in before would be.
    Nothing,
}
