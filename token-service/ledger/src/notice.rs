//! Notices: what those who follow events are told before a grant expires.

use crate::{account::Account, grant::Grant, time::Time, transaction::Change};

/// Days before a grant expires at which it is worth a notice.
const NOTICE_DAYS: [i32; 3] = [30, 7, 1];

/// The notices that the grant is still to get: when, and how many days are left then. Nobody is told
/// of days that the grant never had.
fn notices(grant: &Grant) -> impl Iterator<Item = (Time, i32)> {
    let expire = grant.expire.filter(|_| grant.available() > 0);
    let since = grant.effective.unwrap_or(grant.created);
    let next = |days: &i32| grant.noticed == 0 || *days < grant.noticed;
    NOTICE_DAYS.into_iter().filter(next).filter_map(move |days| {
        let at = expire?.days_before(days.into());
        (at > since).then_some((at, days))
    })
}

/// When the grant's next notice is due.
pub(crate) fn next_notice(grant: &Grant) -> Option<Time> {
    notices(grant).map(|(at, _)| at).min()
}

/// The notices due by `now`: per grant the newest, for the ones before it come too late.
pub(crate) fn due_notices(account: &Account, now: Time) -> Vec<Change> {
    let notice = |grant: &Grant| {
        let (_, days_left) = notices(grant).filter(|(at, _)| *at <= now).last()?;
        Some(Change::Notice { grant: Box::new(grant.clone()), days_left })
    };
    account.body.grants.iter().filter_map(notice).collect()
}
