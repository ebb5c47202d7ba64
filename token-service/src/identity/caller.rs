//! Who asks, and what they may.

use ledger::Time;
use std::fmt;

/// Actors that no credential makes.
const RESERVED: [&str; 3] = ["token-service", ANONYMOUS, NOBODY];
const ANONYMOUS: &str = "anonymous";
const NOBODY: &str = "nobody";

/// What a caller may do: the scopes of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// See balances, transactions, grants, holds, usage, events, prices.
    Read,
    /// Spend: debits, holds, authorizations, and their reversal.
    Debit,
    /// Credit, claw back, entitle.
    Credit,
    /// Give one account's tokens to another.
    Transfer,
    /// Everything else, and everything above.
    Admin,
}

impl Scope {
    /// Every one of them.
    pub const ALL: [Self; 5] = [Self::Read, Self::Debit, Self::Credit, Self::Transfer, Self::Admin];

    /// As credentials name it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "tokens:read",
            Self::Debit => "tokens:debit",
            Self::Credit => "tokens:credit",
            Self::Transfer => "tokens:transfer",
            Self::Admin => "tokens:admin",
        }
    }

    /// The scope of this name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == name)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which accounts a caller may name.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Accounts {
    All,
    /// Those whose id begins so.
    Prefix(String),
    None,
}

/// Somebody who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    name: String,
    scopes: Vec<Scope>,
    accounts: Accounts,
    on_behalf_of: bool,
    /// When its credential ends, if it does by itself.
    until: Option<Time>,
}

impl Caller {
    /// The longest name of one.
    pub const NAME_CHARS_MAX: usize = 128;

    /// Whether a caller may be called so: visible ASCII, not too long, and not what we call
    /// ourselves and those whom we don't know.
    #[must_use]
    pub fn is_name(name: &str) -> bool {
        let visible = name.bytes().all(|byte| byte.is_ascii_graphic());
        let ours = RESERVED.contains(&name) || name.starts_with("sys/");
        (1..=Self::NAME_CHARS_MAX).contains(&name.len()) && visible && !ours
    }

    /// Somebody of this name, who may do nothing yet.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let name = name.to_owned();
        Self { name, scopes: Vec::new(), accounts: Accounts::All, on_behalf_of: false, until: None }
    }

    /// Whoever asks where nobody is identified: everything is allowed.
    #[must_use]
    pub fn anonymous() -> Self {
        Self { on_behalf_of: true, ..Self::new(ANONYMOUS).with_scopes([Scope::Admin]) }
    }

    /// Whoever came in by no door of ours: nothing is allowed.
    #[must_use]
    pub fn nobody() -> Self {
        Self { accounts: Accounts::None, ..Self::new(NOBODY) }
    }

    /// With these scopes.
    #[must_use]
    pub fn with_scopes(self, scopes: impl IntoIterator<Item = Scope>) -> Self {
        Self { scopes: scopes.into_iter().collect(), ..self }
    }

    /// Bound to accounts whose id begins so.
    #[must_use]
    pub fn with_prefix(self, prefix: &str) -> Self {
        Self { accounts: Accounts::Prefix(prefix.to_owned()), ..self }
    }

    /// Trusted to say for whom it acts.
    #[must_use]
    pub fn with_on_behalf_of(self, on_behalf_of: bool) -> Self {
        Self { on_behalf_of, ..self }
    }

    /// Whose credential ends then.
    #[must_use]
    pub fn with_until(self, until: Time) -> Self {
        Self { until: Some(until), ..self }
    }

    /// When its credential ends, if it does by itself.
    #[must_use]
    pub fn until(&self) -> Option<Time> {
        self.until
    }

    /// Its name: the actor of its transactions.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it may do this.
    #[must_use]
    pub fn may(&self, scope: Scope) -> bool {
        self.has(scope) || self.has(Scope::Admin)
    }

    /// Whether it was given this scope by name.
    #[must_use]
    pub fn has(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }

    /// Whether it may name this account.
    #[must_use]
    pub fn may_name(&self, account: &str) -> bool {
        match &self.accounts {
            Accounts::All => true,
            Accounts::Prefix(prefix) => account.starts_with(prefix),
            Accounts::None => false,
        }
    }

    /// What the ids of its accounts begin with, if it is bound to some.
    #[must_use]
    pub fn prefix(&self) -> Option<&str> {
        match &self.accounts {
            Accounts::Prefix(prefix) => Some(prefix),
            Accounts::All | Accounts::None => None,
        }
    }

    /// Whether it may ask about all accounts at once.
    #[must_use]
    pub fn may_name_all(&self) -> bool {
        self.accounts == Accounts::All
    }

    /// Whether it may say for whom it acts.
    #[must_use]
    pub fn may_act_for_others(&self) -> bool {
        self.on_behalf_of
    }
}
