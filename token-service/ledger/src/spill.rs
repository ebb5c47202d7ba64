//! Spilled grants: an account's row keeps the first of its open grants in burn-down order, the table
//! of grants the others, and the row a summary of them.
//!
//! A creator has one grant per tip, and thousands of them may be unspent; what a command costs must
//! not grow with them. So everything is decided from the row where that is possible, and where it
//! isn't, [`crate::apply`] asks for the spilled grants. What needs no deciding needs none of them: a
//! grant that burns after everything in the row goes to the table without anything being loaded.

use crate::{
    account::Account,
    grant::{Grant, GrantKind},
    id::TransactionId,
    notice::next_notice,
    policy::Policy,
    time::Time,
    tokens::{Exact, Tokens, is_default, sum},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The most open grants in an account's row, those aside that holds reserve.
pub(crate) const GRANTS_IN_ROW_MAX: usize = 64;

/// What an account's row says of its grants that are elsewhere. None of them is held, and none burns
/// before an unheld one in the row.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spilled {
    /// How many there are.
    count: usize,
    /// Their tokens by kind.
    kinds: BTreeMap<GrantKind, Sums>,
    /// When the first of the scheduled ones becomes effective.
    #[serde(default, skip_serializing_if = "is_default")]
    activates: Option<Time>,
    /// When the first of the effective ones lapses, and how many tokens lapse then.
    #[serde(default, skip_serializing_if = "is_default")]
    expires: Option<(Time, Tokens)>,
    /// When the next notice that one of them will expire is due.
    #[serde(default, skip_serializing_if = "is_default")]
    notice: Option<Time>,
    /// As much of a grant as the burn-down order depends on: none of them burns before it.
    first: Option<Box<Grant>>,
    /// The burn-down order by which they were chosen: [`Policy::order`].
    order: String,
}

/// Tokens of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Sums {
    /// Effective, for whatever action.
    #[serde(default, skip_serializing_if = "is_default")]
    free: Tokens,
    /// Effective, but only for some actions.
    #[serde(default, skip_serializing_if = "is_default")]
    bound: Tokens,
    /// Not effective yet.
    #[serde(default, skip_serializing_if = "is_default")]
    scheduled: Tokens,
}

impl Sums {
    fn add(&mut self, grant: &Grant, tokens: Tokens) {
        let sum = match grant.scheduled {
            Some(_) => &mut self.scheduled,
            None if grant.actions.is_empty() => &mut self.free,
            None => &mut self.bound,
        };
        *sum = sum.plus(tokens);
    }
}

impl Spilled {
    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// Posted tokens: those of the effective ones.
    #[must_use]
    pub fn posted(&self) -> Tokens {
        self.posted_of(|_| true)
    }

    /// Posted tokens of some kinds.
    #[must_use]
    pub fn posted_of(&self, wanted: impl Fn(GrantKind) -> bool) -> Tokens {
        let kinds = self.kinds.iter().filter(|(kind, _)| wanted(**kind));
        sum(kinds.map(|(_, sums)| sums.free.plus(sums.bound)))
    }

    /// Tokens that aren't effective yet.
    #[must_use]
    pub fn scheduled(&self) -> Tokens {
        sum(self.kinds.values().map(|sums| sums.scheduled))
    }

    /// When the first of the effective ones lapses, and how many tokens lapse then.
    #[must_use]
    pub fn expires(&self) -> Option<(Time, Tokens)> {
        self.expires
    }

    /// When one of them lapses or becomes effective next.
    #[must_use]
    pub fn due(&self) -> Option<Time> {
        self.activates.into_iter().chain(self.expires.map(|(at, _)| at)).min()
    }

    /// When the next notice that one of them will expire is due.
    #[must_use]
    pub fn notice(&self) -> Option<Time> {
        self.notice
    }

    /// Posted tokens of these kinds that pay for everything.
    pub(crate) fn free_of(&self, kinds: &[GrantKind]) -> Tokens {
        sum(self.kinds.iter().filter(|(kind, _)| kinds.contains(kind)).map(|(_, sums)| sums.free))
    }

    /// Posted tokens that pay for some actions only.
    pub(crate) fn bound(&self) -> Tokens {
        sum(self.kinds.values().map(|sums| sums.bound))
    }

    /// Whether there are tokens of this kind, effective or not.
    pub(crate) fn has(&self, kind: GrantKind) -> bool {
        self.kinds.contains_key(&kind)
    }

    /// Whether all of them burn after this grant.
    pub(crate) fn burn_after(&self, grant: &Grant, policy: &Policy) -> bool {
        self.first.as_ref().is_none_or(|first| policy.residence(grant, first).is_lt())
    }

    /// Whether the summary stays exact without this one of them: the next to lapse, or to be told of,
    /// isn't known.
    pub(crate) fn can_miss(&self, grant: &Grant) -> bool {
        if self.notice.is_some() && next_notice(grant) == self.notice {
            return false;
        }
        match (grant.scheduled, self.expires) {
            (Some(effective), _) => self.activates != Some(effective),
            (None, Some((at, tokens))) if grant.expire == Some(at) => tokens > grant.remaining,
            (None, _) => true,
        }
    }

    /// Without this one of them, which is in the row from now on.
    pub(crate) fn remove(&mut self, grant: &Grant) {
        self.count = self.count.saturating_sub(1);
        let sums = self.kinds.entry(grant.kind).or_default();
        sums.add(grant, 0_i64.minus(grant.remaining));
        if *sums == Sums::default() {
            self.kinds.remove(&grant.kind);
        }
        if let Some((at, tokens)) = &mut self.expires
            && grant.scheduled.is_none()
            && grant.expire == Some(*at)
        {
            *tokens = tokens.minus(grant.remaining);
        }
        if self.count == 0 {
            *self = Self::default();
        }
    }

    /// Whether it is what it should be beside `spilled` and the grants `in_row`; `known` tells every
    /// grant of the account, and of one that was superseded when it would have expired.
    ///
    /// # Errors
    /// In words, what doesn't fit.
    pub(crate) fn check<'g>(
        &self,
        spilled: &[Grant],
        in_row: &[Grant],
        policy: &Policy,
        known: impl Fn(TransactionId) -> Option<(&'g Grant, Option<Option<Time>>)>,
    ) -> Result<(), &'static str> {
        let mut sums = Self::default();
        spilled.iter().for_each(|grant| sums.add(grant, policy));
        // What burns first, and by which order it was chosen, may be older than the grants are.
        (sums.first, sums.order) = (self.first.clone(), self.order.clone());
        if spilled.is_empty() {
            sums = Self::default();
        }
        if *self != sums {
            return Err("the sums in its row aren't those of its spilled grants");
        }
        if in_row.iter().filter(|grant| grant.held == 0).count() > GRANTS_IN_ROW_MAX {
            return Err("there are more grants in its row than it keeps");
        }
        let Some(first) = &self.first else {
            return if spilled.is_empty() { Ok(()) } else { Err("none is the first to burn") };
        };
        let (grant, ended) = known(first.id).ok_or("the first to burn isn't one of its grants")?;
        let told = |grant: &Grant| {
            let Grant { id, sequence, kind, priority, amount, cost, created, .. } = grant;
            (*id, *sequence, *kind, *priority, *amount, cost.clone(), *created)
        };
        if told(first) != told(grant)
            || (first.expire != grant.expire && Some(first.expire) != ended)
        {
            return Err("the first to burn isn't as that grant is");
        }
        let burns_after = |grant: &Grant| {
            if grant.id == first.id {
                grant.scheduled == first.scheduled
            } else {
                policy.residence(grant, first).is_gt()
            }
        };
        let stays_first = |grant: &Grant| grant.held > 0 || policy.residence(grant, first).is_lt();
        let fits = spilled.iter().all(burns_after) && in_row.iter().all(stays_first);
        // By another order nobody decides: all of them are loaded first.
        if self.order == policy.order() && !fits {
            return Err("grants in its row burn after spilled ones");
        }
        Ok(())
    }

    fn add(&mut self, grant: &Grant, policy: &Policy) {
        if self.count == 0 {
            self.order = policy.order();
        }
        self.count = self.count.saturating_add(1);
        self.kinds.entry(grant.kind).or_default().add(grant, grant.remaining);
        match (grant.scheduled, grant.expire) {
            (Some(effective), _) => {
                self.activates = Some(self.activates.map_or(effective, |it| it.min(effective)));
            }
            (None, Some(at)) => {
                self.expires = Some(match self.expires {
                    Some((known, tokens)) if known < at => (known, tokens),
                    Some((known, tokens)) if known == at => (at, tokens.plus(grant.remaining)),
                    Some(_) | None => (at, grant.remaining),
                });
            }
            (None, None) => {}
        }
        self.notice = self.notice.into_iter().chain(next_notice(grant)).min();
        if self.burn_after(grant, policy) {
            self.first = Some(Box::new(grant.ordering_part()));
        }
    }
}

impl Account {
    /// Whether something is due by `now` on grants that aren't in its row: without them nobody can
    /// tell what the account is at that time.
    #[must_use]
    pub fn lacks_due(&self, now: Time) -> bool {
        self.body.spilled.due().is_some_and(|due| due <= now)
    }

    /// Takes all its spilled grants in: it is then as if none had ever been spilled.
    pub fn take_in(&mut self, spilled: impl IntoIterator<Item = Grant>) {
        self.body.grants.extend(spilled);
        self.body.grants.sort_by_key(|grant| grant.sequence);
        self.body.spilled = Spilled::default();
    }

    /// Whether commands can be judged by its row: nothing that was spilled is due, and what is in
    /// the row is still what burns first, though the catalog may have changed.
    pub(crate) fn stands_alone(&self, policy: &Policy, now: Time) -> bool {
        let spilled = &self.body.spilled;
        spilled.count == 0 || (!self.lacks_due(now) && spilled.order == policy.order())
    }

    /// Takes out what has no place in the row: what burns after a spilled grant, or has too many
    /// before it. What a hold reserves stays.
    pub(crate) fn spill(&mut self, policy: &Policy) -> Vec<Grant> {
        let grants = &self.body.grants;
        if grants.len() <= GRANTS_IN_ROW_MAX && self.body.spilled.count == 0 {
            return Vec::new();
        }
        let mut ordered: Vec<&Grant> = grants.iter().collect();
        ordered.sort_by(|a, b| policy.residence(a, b));
        let goes = ordered.iter().enumerate().filter(|(place, grant)| {
            let stays = *place < GRANTS_IN_ROW_MAX && self.body.spilled.burn_after(grant, policy);
            grant.held == 0 && !stays
        });
        let gone: std::collections::BTreeSet<_> = goes.map(|(_, grant)| grant.id).collect();
        let gone = self.body.grants.extract_if(.., |grant| gone.contains(&grant.id)).collect();
        for grant in &gone {
            self.body.spilled.add(grant, policy);
        }
        gone
    }
}
