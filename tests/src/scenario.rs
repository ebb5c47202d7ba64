//! Scenarios: what the ledger does, told in lines that people can review, run against anything that
//! is a [`Target`](crate::target::Target).
//!
//! A file is a list of scenarios. Each begins with `scenario` and a sentence, and has a world of its
//! own: no accounts, and a clock that stands at 2026-01-01. What stands before the first one holds
//! for all of them. A line is a command and, behind `->`, what it answers:
//!
//! ```text
//! catalog phoenix
//!
//! scenario A capture spends what the work cost and gives back the rest
//!   credit  alice 100  expires +30d  as g1
//!   hold    alice  40                as h1
//!   capture h1     25                -> 25 from g1, 15 given back
//!   debit   alice  90                -> INSUFFICIENT_BALANCE required=90 available=75
//! ```
//!
//! **Commands.** `credit` `debit` `withdraw` `reverse` `transfer` `hold` `capture` `release`
//! `clawback` `entitle` `authorize` `freeze` `unfreeze` `close` `cap` `threshold` are the RPCs, `batch
//! atomic|independent [dry]` … `end` is many of them, `again` is the last one once more with its key.
//! `balance` `account` `grants` `holds` `transaction` `transactions` `usage` `quote` read. `at TIME`
//! sets the clock, `at +7d` moves it. `catalog NAME`, or `catalog` … `end` with TOML between, is the
//! economy. `repeat N COMMAND` says it N times (`{n}` is the number). `as NAME` names what a command
//! made, `key K` is its idempotency key (else the line's number), `note`, `ref`, `meta` and `behalf`
//! are what the caller says about it. `unknown` names something that never existed, `of ACCOUNT`
//! looks for something in an account that it doesn't belong to.
//!
//! **Answers.** A command without `->` must succeed. A refusal is its reason and any of its metadata
//! (`retry` is the delay or `none`, `fields` what is malformed or differs). Everything else is facts
//! between commas. They belong to groups, and of a group that is mentioned all facts must be there and
//! no others:
//!
//! - moves: `50 from g2`, `10 back to g1`, `2 covered by SOURCE`, or `nothing`. So `-> 50 from g2` says
//!   that nothing came from elsewhere, and nothing about the balance. A grant without a name is called
//!   by its kind;
//! - who pays for an authorization or a quote: `3 by trial`, `2 by SOURCE`;
//! - the kinds of a balance: `purchased 50`, `trial 3 held 1`;
//! - rows of a list: `g1 40 left held 5`, `g2 10 scheduled`, `g3 closed`; `h1 40 open`, `h2 captured
//!   25`, `h3 released`, `h4 expired`; `debit 60`; `import_domain 40 tokens for 40`; or `none`;
//! - caps, rights and units used: `cap day 100 spent 20`, `right SOURCE v1`, `used 3 ACTION under
//!   SOURCE`, or `no caps`, `no rights`, `no use`;
//! - each on its own: `posted 65 held 0 available 65`, `sequence 3`, `amount 60`, `alice -60` (what an
//!   entry changed), `bob posted 10`, `fee 3`, `lapsed 10`, `15 given back`, `clawed back 50`,
//!   `revision 2`, `3 units`, `102 in all`, `affordable`, `because REASON`, `debt 5`, `scheduled 10`,
//!   `lifetime purchased 9 spent 5 earned 0`, `10 expire TIME`, `never expire`, `unlimited until TIME`,
//!   `not unlimited`, `active`, `frozen`, `closed`, `version 1`, `threshold 10`, `until TIME`, `at TIME`,
//!   `of NAME`, `against ACCOUNT`, `action ACTION`, `note TEXT`, `ref TEXT`;
//! - `replayed`, `stale` and `unchanged` must always be said.
//!
//! At the end of a scenario every accepted command is repeated with its key and must answer its first
//! transaction, whatever happened since; and every transaction must be found by its key.
//!
//! A word that isn't understood is a mistake, told with its line and what was expected.

mod charge;
mod command;
mod expect;
mod facts;
mod names;
mod parse;
mod read;
mod refusal;
mod run;
mod scope;
#[cfg(test)]
mod self_test;
mod settings;
mod time;
mod words;

pub use parse::{Mistake, parse};
pub use refusal::{Contract, contract};
pub use run::{Failure, Observed, run};

use crate::target::Call;

/// One scenario.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The file it stands in.
    pub file: String,
    /// Its first line.
    pub line: usize,
    /// What it shows, in a sentence.
    pub title: String,
    /// The economy it plays in: a catalog, as TOML.
    pub catalog: String,
    /// What happens, in order.
    pub steps: Vec<Step>,
}

/// One line, or a batch of lines.
#[derive(Clone, Debug)]
pub struct Step {
    line: usize,
    text: String,
    action: Action,
    answer: Answer,
}

#[derive(Clone, Debug)]
enum Action {
    /// The clock stands there now.
    At(i64),
    /// A call, and the name of what it makes.
    Call(Box<Call>, Option<String>),
    /// The last call once more.
    Again,
    /// A batch: the call, and its members for what they are called and expected to answer.
    Batch(Box<Call>, Vec<Member>),
}

#[derive(Clone, Debug)]
struct Member {
    line: usize,
    text: String,
    name: Option<String>,
    answer: Answer,
}

/// What is expected.
#[derive(Clone, Debug)]
enum Answer {
    /// Success.
    Accepted(Vec<Fact>),
    /// A refusal: the reason, and the pairs that were written.
    Refused(String, Vec<(String, String)>),
}

/// Something that an answer says, in the words in which a scenario says it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Fact {
    /// What it is about: of a group that is mentioned all facts are compared.
    group: Group,
    text: String,
}

/// What a fact is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Group {
    /// What was taken from grants, what came back to them, what an entitlement covered.
    Moves,
    /// Who pays, by kind.
    Funding,
    /// Whether anything was done: always compared.
    Flag,
    /// The kinds of a balance.
    Kinds,
    /// The grants or holds of an account.
    List,
    /// The members of something: caps, entitlements.
    Settings(&'static str),
    /// One figure or word; of an account's entry, the account.
    One(String),
}
