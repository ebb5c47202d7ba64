//! What clients ask for: few accounts, small amounts, short lives, so that everything collides with
//! everything. Commands refer to what earlier ones may have made, whether they did or not.

use ledger::{
    AccountId, Act, Benefit, BurnCriterion, CapPeriod, Charge, Command, Credit, Entitlement,
    Extent, Fingerprint, FundingStep, GrantKind, Job, Mode, Money, Note, Policy, Purpose, Reach,
    SpendCap, Status, Supersede, Time, TransactionId, Transfers, Work,
};
use std::collections::BTreeMap;

const SECOND: i64 = 1_000_000;
const HOUR: i64 = 3_600 * SECOND;
const DAY: i64 = 24 * HOUR;

/// Actions, and the price of one.
const ACTIONS: [(&str, i64); 3] = [("one", 1), ("three", 3), ("five", 5)];

/// Makes commands, and remembers them.
#[derive(Debug)]
pub(super) struct Dice {
    accounts: Vec<AccountId>,
    /// All with a key.
    earlier: Vec<Command>,
    keys: u64,
}

/// A catalog's rules.
pub(super) fn policy(rng: &mut fastrand::Rng) -> Policy {
    use BurnCriterion::{Expiry, Oldest, Priority, UnpaidFirst};
    use FundingStep::{Entitlement, Kind, Tokens};
    let funding_orders: [&[FundingStep]; 4] = [
        &[Entitlement, Kind(GrantKind::Trial), Kind(GrantKind::Promotional), Tokens],
        &[Kind(GrantKind::Purchased), Entitlement, Tokens],
        &[Tokens, Entitlement],
        &[Tokens],
    ];
    let burn_orders: [&[BurnCriterion]; 4] = [
        &[Priority, Expiry, UnpaidFirst, Oldest],
        &[Expiry, Priority, Oldest],
        &[UnpaidFirst, Expiry],
        &[Oldest],
    ];
    let kinds: [&[GrantKind]; 3] =
        [&GrantKind::ALL, &[GrantKind::Purchased, GrantKind::Earned], &GrantKind::ALL];
    Policy {
        funding_order: pick(rng, &funding_orders).to_vec(),
        burn_order: pick(rng, &burn_orders).to_vec(),
        transfers: Transfers {
            kinds: pick(rng, &kinds).to_vec(),
            fee_basis_points: pick(rng, &[0, 250, 3_333]),
        },
        withdrawals: rng.bool(),
        maturity_days: pick(rng, &[0, 1, 2]),
        trial_tokens: pick(rng, &[0, 5]),
        trial_lasts_micros: pick(rng, &[None, Some(2 * HOUR)]),
    }
}

fn pick<T: Copy>(rng: &mut fastrand::Rng, choices: &[T]) -> T {
    choices[rng.usize(..choices.len())]
}

/// How long something is to last.
fn a_while(rng: &mut fastrand::Rng) -> i64 {
    match rng.u32(..8) {
        0..4 => rng.i64(1..600) * SECOND,
        4..7 => rng.i64(1..240) * 60 * SECOND,
        _ => rng.i64(1..4) * DAY,
    }
}

impl Dice {
    pub(super) fn new(accounts: usize) -> Self {
        let names = ["ann", "bob", "cid", "dee", "eve"];
        let accounts = names.into_iter().take(accounts).map(AccountId::new).collect();
        Self { accounts, earlier: Vec::new(), keys: 0 }
    }

    pub(super) fn accounts(&self) -> &[AccountId] {
        &self.accounts
    }

    /// A job of at most `commands_max` commands.
    pub(super) fn job(&mut self, rng: &mut fastrand::Rng, now: Time, commands_max: usize) -> Job {
        let (commands, mode) = match rng.u32(..40) {
            0..3 => (rng.usize(2..5), Mode::Atomic),
            3..5 => (rng.usize(2..5), Mode::Independent),
            5 => (1, Mode::DryRun),
            6 => (rng.usize(1..3), Mode::AtomicDryRun),
            _ => (1, Mode::Independent),
        };
        let commands = commands.min(commands_max);
        let commands = (0..commands).map(|_| self.command(rng, now)).collect();
        Job { commands, mode }
    }

    fn command(&mut self, rng: &mut fastrand::Rng, now: Time) -> Command {
        if rng.u32(..16) == 0 && !self.earlier.is_empty() {
            return self.again(rng, now);
        }
        let account = self.account(rng);
        let (account, act) = self.act(rng, account, now);
        let keyed = !matches!(act, Act::SetStatus(_) | Act::SetSettings { .. } | Act::Sweep);
        let key = keyed.then(|| {
            self.keys += 1;
            format!("k{}", self.keys)
        });
        let command = command(account, key, act);
        if keyed {
            self.earlier.push(command.clone());
        }
        command
    }

    /// A key that was used before: for the same, or for something else.
    fn again(&mut self, rng: &mut fastrand::Rng, now: Time) -> Command {
        let earlier = self.earlier[rng.usize(..self.earlier.len())].clone();
        if rng.bool() {
            return earlier;
        }
        loop {
            let (account, act) = self.act(rng, earlier.account.clone(), now);
            let keyed = !matches!(act, Act::SetStatus(_) | Act::SetSettings { .. } | Act::Sweep);
            if keyed && account == earlier.account {
                return command(account, earlier.key, act);
            }
        }
    }

    fn account(&self, rng: &mut fastrand::Rng) -> AccountId {
        self.accounts[rng.usize(..self.accounts.len())].clone()
    }

    /// An act, and the account it is for: perhaps another one, if it refers to something there.
    fn act(&self, rng: &mut fastrand::Rng, account: AccountId, now: Time) -> (AccountId, Act) {
        let act = match rng.u32(..100) {
            0..24 => self.credit(rng, &account, now),
            24..44 => {
                let purpose = if rng.u32(..8) == 0 { Purpose::Withdrawal } else { Purpose::Usage };
                let charge = match purpose {
                    Purpose::Withdrawal => Charge::Tokens(rng.i64(1..10)),
                    Purpose::Usage => charge(rng),
                };
                let up_to = purpose == Purpose::Usage && rng.u32(..4) == 0;
                let extent = if up_to { Extent::UpTo } else { Extent::Exact };
                Act::Debit { charge, extent, purpose }
            }
            44..56 => {
                let others: Vec<_> = self.accounts.iter().filter(|it| **it != account).collect();
                let to = others[rng.usize(..others.len())].clone();
                Act::Transfer { amount: rng.i64(1..12), to }
            }
            56..66 => Act::CreateHold { charge: charge(rng), lasts_micros: a_while(rng) },
            66..72 => {
                return self.with_hold(rng, account, |rng, hold| Act::CaptureHold {
                    hold,
                    amount: if rng.bool() { None } else { Some(rng.i64(1..8)) },
                });
            }
            72..78 => return self.with_hold(rng, account, |_, hold| Act::ReleaseHold { hold }),
            78..85 => return self.reversal(rng, account),
            85..89 => return self.clawback(rng, account),
            89..92 => Act::SetEntitlement(Box::new(entitlement(rng, now))),
            92..95 => {
                let work = if rng.bool() { Work::Charge } else { Work::Hold(a_while(rng)) };
                Act::Authorize { charge: charge(rng), work }
            }
            95..97 => Act::SetStatus(pick(
                rng,
                &[Status::Active, Status::Active, Status::Frozen, Status::Closed],
            )),
            97 => Act::SetSettings {
                threshold: pick(rng, &[None, Some(None), Some(Some(5))]),
                caps: rng.bool().then(|| {
                    let period = pick(rng, &[CapPeriod::Day, CapPeriod::Month]);
                    vec![SpendCap { period, limit: rng.i64(10..200) }]
                }),
                expected: pick(rng, &[0, 0, 1, 2]),
            },
            _ => Act::Sweep,
        };
        (account, act)
    }

    fn credit(&self, rng: &mut fastrand::Rng, account: &AccountId, now: Time) -> Act {
        let effective = (rng.u32(..8) == 0).then(|| now.after_micros(a_while(rng)));
        let from = effective.unwrap_or(now);
        let expire = (rng.u32(..5) < 3).then(|| from.after_micros(a_while(rng)));
        let earlier = self.earlier.iter().rev();
        let mut credits = earlier.filter(|it| it.account == *account && is_credit(&it.act));
        let supersede = (rng.u32(..8) == 0).then(|| credits.next()).flatten();
        let supersede = supersede.and_then(Command::id);
        Act::Credit(Box::new(Credit {
            amount: rng.i64(1..30),
            kind: pick(rng, &GrantKind::ALL),
            priority: rng.i32(0..3),
            effective,
            expire,
            actions: if rng.u32(..6) == 0 { vec!["three".to_owned()] } else { Vec::new() },
            cost: (rng.u32(..4) == 0)
                .then(|| Money { amount_minor: rng.i64(0..500), currency: "usd".to_owned() }),
            supersede: supersede.map(|grant| Supersede { grant, carry_over_max: rng.i64(0..10) }),
        }))
    }

    fn with_hold(
        &self,
        rng: &mut fastrand::Rng,
        account: AccountId,
        act: impl FnOnce(&mut fastrand::Rng, TransactionId) -> Act,
    ) -> (AccountId, Act) {
        let holds = |it: &Act| {
            matches!(it, Act::CreateHold { .. } | Act::Authorize { work: Work::Hold(_), .. })
        };
        let (account, hold) = self.recent(rng, account, holds);
        (account, act(rng, hold))
    }

    fn reversal(&self, rng: &mut fastrand::Rng, account: AccountId) -> (AccountId, Act) {
        let (account, original) =
            self.recent(rng, account, |it| !matches!(it, Act::Reverse { .. }));
        let amount = if rng.bool() { None } else { Some(rng.i64(1..8)) };
        (account, Act::Reverse { original, amount, reach: Reach::Everything })
    }

    fn clawback(&self, rng: &mut fastrand::Rng, account: AccountId) -> (AccountId, Act) {
        let credits: Vec<&Command> =
            self.earlier.iter().rev().filter(|it| is_credit(&it.act)).take(6).collect();
        let target = rng.i64(0..25);
        let revision = rng.i64(1..4);
        let chosen = (!credits.is_empty()).then(|| credits[rng.usize(..credits.len())]);
        let credit = chosen.and_then(|it| it.key.clone()).unwrap_or_else(|| "none".to_owned());
        let account = chosen.map_or(account, |it| it.account.clone());
        (account, Act::SetClawback { credit, target, revision })
    }

    /// One of the last few commands of this sort, and its account.
    fn recent(
        &self,
        rng: &mut fastrand::Rng,
        account: AccountId,
        sort: impl Fn(&Act) -> bool,
    ) -> (AccountId, TransactionId) {
        let recent: Vec<&Command> =
            self.earlier.iter().rev().filter(|it| sort(&it.act)).take(6).collect();
        if recent.is_empty() {
            let id = TransactionId::of(&account, "none");
            return (account, id);
        }
        let chosen = recent[rng.usize(..recent.len())];
        let id = chosen.id().expect("only commands with keys are remembered");
        (chosen.account.clone(), id)
    }
}

fn is_credit(act: &Act) -> bool {
    matches!(act, Act::Credit(_))
}

fn charge(rng: &mut fastrand::Rng) -> Charge {
    if rng.bool() {
        return Charge::Tokens(rng.i64(1..12));
    }
    let (action, unit) = pick(rng, &ACTIONS);
    Charge::Action { action: action.to_owned(), quantity: rng.i64(1..4), unit }
}

fn entitlement(rng: &mut fastrand::Rng, now: Time) -> Entitlement {
    let benefit = match rng.u32(..4) {
        0 => Benefit::Unlimited(vec!["one".to_owned()]),
        _ => Benefit::Quota([("one".to_owned(), 4), ("five".to_owned(), 1)].into()),
    };
    Entitlement {
        source: pick(rng, &["sub/1", "sub/2"]).to_owned(),
        version: rng.i64(1..6),
        benefit,
        period: Some(Time(now.0 - now.0 % DAY)),
        expire: Some(now.after_micros(a_while(rng))),
        used: BTreeMap::new(),
    }
}

fn command(account: AccountId, key: Option<String>, act: Act) -> Command {
    let fingerprint = Fingerprint(vec![(3, digest(&format!("{act:?}")))]);
    Command { account, key, act, note: Note::default(), fingerprint }
}

/// FNV-1a, shortened: only the same text has to look the same.
fn digest(text: &str) -> [u8; 7] {
    let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325, mix).to_le_bytes();
    let [first @ .., _] = hash;
    first
}
