//! Reads the fields of a request. What isn't as it must be is noted with what to do about it, and
//! reading goes on, so that the caller is told everything at once. `None` is a field that was noted.
//!
//! Nothing here looks at the clock: a repetition must not be refused because time went by.

mod economy;

use crate::{
    grpc::status,
    identity::{Caller, Scope, method::Access},
};
use ledger::{AMOUNT_MAX, AccountId, Note, Reach, Time, Tokens};
use proto::{
    catalog::Catalog,
    reason::{Error, Violation},
    v1::ErrorReason,
};
use std::{collections::BTreeMap, str::FromStr};
use tonic::Code;

/// The longest account id.
pub const ACCOUNT_ID_CHARS_MAX: usize = 128;
/// The longest idempotency key.
pub const KEY_CHARS_MAX: usize = 255;
/// The longest description, reference or note.
pub const TEXT_CHARS_MAX: usize = 200;
/// The most pairs of metadata.
pub const METADATA_PAIRS_MAX: usize = 20;
/// The longest key of a pair.
pub const METADATA_KEY_CHARS_MAX: usize = 64;
/// The longest value of a pair.
pub const METADATA_VALUE_CHARS_MAX: usize = 500;
/// The longest name of whom a caller acts for, of an entitlement's source, of an action.
pub const NAME_CHARS_MAX: usize = 128;
/// The last second of the year 9999, the last that a Timestamp can tell.
const SECONDS_MAX: i64 = 253_402_300_799;

const SECOND_MICROS: i64 = 1_000_000;
const NANOS_PER_MICRO: i32 = 1_000;
const NANOS_MAX: i32 = 999_999_999;

/// Names that begin so are the service's own.
const OURS: &str = "sys/";

/// What every command carries beside what it asks for.
#[derive(Clone, Copy, Debug)]
pub struct Common<'a> {
    /// Whose command it is.
    pub account_id: &'a str,
    /// The caller's name for the effect.
    pub idempotency_key: &'a str,
    /// Words for people.
    pub description: &'a str,
    /// The caller's reference.
    pub reference: &'a str,
    /// The caller's own pairs.
    pub metadata: &'a BTreeMap<String, String>,
    /// For whom.
    pub on_behalf_of: &'a str,
}

/// What a request is read by.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// What prices and allows.
    pub catalog: &'a Catalog,
    /// Who asks.
    pub caller: &'a Caller,
}

/// The fields of one request.
#[derive(Debug)]
pub struct Fields<'a> {
    /// What prices and allows.
    pub catalog: &'a Catalog,
    caller: &'a Caller,
    /// What stands before the name of each field, e.g. `commands[3].`.
    prefix: String,
    violations: Vec<Violation>,
    unknown_action: Option<String>,
    /// Why the caller may not ask this at all.
    denied: Option<Error>,
}

impl<'a> Fields<'a> {
    /// Reads a whole request.
    ///
    /// # Errors
    /// SCOPE_MISSING, INVALID_FIELD with every field that isn't as it must be, or else
    /// ACTION_NOT_FOUND.
    pub fn read<T>(
        terms: Terms<'a>,
        read: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Result<T, Error> {
        let mut fields = Self::new(terms, String::new());
        let done = read(&mut fields);
        fields.finish(done)
    }

    /// Those of a part of this request.
    pub(super) fn part(&self, prefix: String) -> Self {
        Self::new(Terms { catalog: self.catalog, caller: self.caller }, prefix)
    }

    fn new(Terms { catalog, caller }: Terms<'a>, prefix: String) -> Self {
        let (violations, unknown_action, denied) = (Vec::new(), None, None);
        Self { catalog, caller, prefix, violations, unknown_action, denied }
    }

    fn finish<T>(self, read: Option<T>) -> Result<T, Error> {
        if let Some(denied) = self.denied {
            return Err(denied);
        }
        if !self.violations.is_empty() {
            return Err(Error::invalid(self.violations));
        }
        if let Some(action) = self.unknown_action {
            let message = format!("the catalog has no action {action}");
            let error = Error::new(Code::NotFound, ErrorReason::ActionNotFound, message);
            return Err(error
                .with("action", action)
                .with("next_step", "Use an action of the catalog: GetCatalog lists them."));
        }
        Ok(read.expect("what isn't there was noted"))
    }

    /// Takes over what was noted of a part. `None` if that was fields, or that the caller may not ask
    /// it; an unknown action is left to the part, which is then refused alone.
    pub(super) fn absorb<T>(&mut self, part: Self, read: Option<T>) -> Option<Result<T, Error>> {
        if part.violations.is_empty() && part.denied.is_none() {
            return Some(part.finish(read));
        }
        self.violations.extend(part.violations);
        self.denied = self.denied.take().or(part.denied);
        None
    }

    /// Notes that the caller may not ask this.
    fn deny<T>(&mut self, denied: impl FnOnce(&Caller) -> Error) -> Option<T> {
        self.denied.get_or_insert_with(|| denied(self.caller));
        None
    }

    /// Whether the caller may do this.
    pub fn may(&mut self, access: Access) -> Option<()> {
        if access.admits(self.caller) {
            return Some(());
        }
        self.deny(|caller| status::scope_missing(caller, access))
    }

    /// What the caller may reverse: spending is undone by whoever may spend, everything else by
    /// operators; what another account gives back by those who may name it.
    #[must_use]
    pub fn reach(&self) -> Reach {
        match (self.caller.may(Scope::Admin), self.caller.may_name_all()) {
            (false, _) => Reach::Spending,
            (true, false) => Reach::Account,
            (true, true) => Reach::Everything,
        }
    }

    /// Whether the caller may leave out `field`, and so ask about all accounts at once.
    pub fn all_accounts(&mut self, field: &str) -> Option<()> {
        if self.caller.may_name_all() {
            return Some(());
        }
        let field = self.named(field);
        self.deny(|caller| status::account_denied(caller, &field, "all accounts"))
    }

    /// A field's path in the whole request.
    fn named(&self, field: &str) -> String {
        format!("{}{field}", self.prefix)
    }

    /// Notes that a field isn't as it must be.
    pub fn fail<T>(&mut self, field: &str, description: impl Into<String>) -> Option<T> {
        let field = self.named(field);
        self.violations.push(Violation { field, description: description.into() });
        None
    }

    /// Whether the field is as it must be.
    pub fn check(&mut self, holds: bool, field: &str, description: &str) -> Option<()> {
        if holds { Some(()) } else { self.fail(field, description) }
    }

    /// The id of a customer's account.
    pub fn account(&mut self, field: &str, id: &str) -> Option<AccountId> {
        self.visible(field, id, 1, ACCOUNT_ID_CHARS_MAX)?;
        self.check(!id.starts_with(OURS), field, "ids that begin with sys/ are our own")?;
        if !self.caller.may_name(id) {
            let named = self.named(field);
            return self
                .deny(|caller| status::account_denied(caller, &named, &format!("account {id}")));
        }
        Some(AccountId::new(id))
    }

    /// What ids of accounts begin with.
    pub fn account_prefix(&mut self, field: &str, prefix: &str) -> Option<String> {
        let prefix = self.visible(field, prefix, 0, ACCOUNT_ID_CHARS_MAX)?;
        if !self.caller.may_name(&prefix) {
            let what = format!("all accounts that begin with \"{prefix}\"");
            let named = self.named(field);
            return self.deny(|caller| status::account_denied(caller, &named, &what));
        }
        Some(prefix)
    }

    /// The name that the caller gives to an effect.
    pub fn key(&mut self, field: &str, key: &str) -> Option<String> {
        let key = self.known_key(field, key)?;
        self.check(!key.starts_with(OURS), field, "keys that begin with sys/ are our own")?;
        Some(key)
    }

    /// The name that somebody, maybe the service, gave to an effect.
    pub fn known_key(&mut self, field: &str, key: &str) -> Option<String> {
        self.visible(field, key, 1, KEY_CHARS_MAX)
    }

    /// Tokens to move.
    pub fn amount(&mut self, field: &str, amount: Tokens) -> Option<Tokens> {
        self.within_range(field, amount, 1, AMOUNT_MAX)
    }

    /// A number from `min` to `max`.
    pub fn within_range(&mut self, field: &str, number: i64, min: i64, max: i64) -> Option<i64> {
        if (min..=max).contains(&number) {
            return Some(number);
        }
        self.fail(field, format!("give a number from {min} to {max}"))
    }

    /// What is named by a UUID.
    pub fn id<T: FromStr>(&mut self, field: &str, id: &str) -> Option<T> {
        let read = id.parse().ok();
        read.or_else(|| self.fail(field, "give the UUID that the service returned"))
    }

    /// A point in time; `Some(None)` if it is unset.
    pub fn time(
        &mut self,
        field: &str,
        time: Option<prost_types::Timestamp>,
    ) -> Option<Option<Time>> {
        let Some(time) = time else { return Some(None) };
        let known = (0..=SECONDS_MAX).contains(&time.seconds);
        if !known || !(0..=NANOS_MAX).contains(&time.nanos) {
            return self.fail(field, "give a time of the years 1970 to 9999");
        }
        let micros = i64::from(time.nanos / NANOS_PER_MICRO);
        Some(Some(Time(time.seconds * SECOND_MICROS + micros)))
    }

    /// Two times, the one before the other if both are set; `late` names the latter.
    pub fn period(
        &mut self,
        (start, start_time): (&str, Option<prost_types::Timestamp>),
        (late, end_time): (&str, Option<prost_types::Timestamp>),
    ) -> Option<(Option<Time>, Option<Time>)> {
        let (start_time, end_time) = (self.time(start, start_time), self.time(late, end_time));
        let (start_time, end_time) = (start_time?, end_time?);
        let ordered = start_time.zip(end_time).is_none_or(|(start, end)| start < end);
        self.check(ordered, late, &format!("give a time after {start}"))?;
        Some((start_time, end_time))
    }

    /// Who asks.
    #[must_use]
    pub fn actor(&self) -> &'a str {
        self.caller.name()
    }

    /// What the caller says about a command.
    pub fn note(&mut self, common: &Common<'_>) -> Option<Note> {
        let description = self.text("description", common.description, TEXT_CHARS_MAX);
        let reference = self.text("reference", common.reference, TEXT_CHARS_MAX);
        let on_behalf_of = self.visible("on_behalf_of", common.on_behalf_of, 0, NAME_CHARS_MAX);
        if !common.on_behalf_of.is_empty() && !self.caller.may_act_for_others() {
            let named = self.named("on_behalf_of");
            return self.deny(|caller| status::on_behalf_of_denied(caller, &named));
        }
        let metadata = self.metadata(common.metadata);
        Some(Note {
            description: description?,
            reference: reference?,
            metadata: metadata?,
            actor: self.actor().to_owned(),
            on_behalf_of: on_behalf_of?,
        })
    }

    /// The caller's own pairs.
    pub fn metadata(
        &mut self,
        pairs: &BTreeMap<String, String>,
    ) -> Option<BTreeMap<String, String>> {
        if pairs.is_empty() {
            return Some(BTreeMap::new());
        }
        let field = "metadata";
        let count = format!("give at most {METADATA_PAIRS_MAX} pairs");
        let few = self.check(pairs.len() <= METADATA_PAIRS_MAX, field, &count);
        let keys = pairs.keys().all(|key| is_visible(key, 1, METADATA_KEY_CHARS_MAX));
        let named = format!("give keys of 1 to {METADATA_KEY_CHARS_MAX} visible ASCII characters");
        let keys = self.check(keys, field, &named);
        let values = pairs.values().all(|value| is_text(value, METADATA_VALUE_CHARS_MAX));
        let told = format!(
            "give values of at most {METADATA_VALUE_CHARS_MAX} characters without control characters"
        );
        let values = self.check(values, field, &told);
        few.and(keys).and(values).map(|()| pairs.clone())
    }

    /// Words for people.
    pub fn text(&mut self, field: &str, text: &str, chars_max: usize) -> Option<String> {
        if is_text(text, chars_max) {
            return Some(text.to_owned());
        }
        let limit = format!("give at most {chars_max} characters without control characters");
        self.fail(field, limit)
    }

    /// Visible ASCII of `min` to `max` characters.
    pub fn visible(&mut self, field: &str, text: &str, min: usize, max: usize) -> Option<String> {
        if is_visible(text, min, max) {
            return Some(text.to_owned());
        }
        self.fail(field, format!("give {min} to {max} visible ASCII characters"))
    }
}

fn is_visible(text: &str, min: usize, max: usize) -> bool {
    (min..=max).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn is_text(text: &str, chars_max: usize) -> bool {
    text.chars().count() <= chars_max && !text.chars().any(char::is_control)
}
