//! Arithmetic on tokens that is exact or doesn't happen.

/// A number of tokens. Indivisible; below zero only for differences and indebted accounts.
pub type Tokens = i64;

/// The most tokens one command may move.
pub const AMOUNT_MAX: Tokens = 1_000_000_000_000;

/// The most tokens an account may hold, or may ever have received. Together with [`AMOUNT_MAX`] it
/// keeps every sum below in range, so that overflow is a bug and not an outcome.
pub const BALANCE_MAX: Tokens = 1_000_000_000_000_000_000;

/// Sums that are impossible to get wrong within [`BALANCE_MAX`]; outside of it they panic.
pub(crate) trait Exact: Sized {
    fn plus(self, other: Self) -> Self;
    fn minus(self, other: Self) -> Self;
}

impl Exact for i64 {
    fn plus(self, other: Self) -> Self {
        self.checked_add(other).expect("sums stay within BALANCE_MAX")
    }

    fn minus(self, other: Self) -> Self {
        self.checked_sub(other).expect("differences stay within BALANCE_MAX")
    }
}

/// The sum of many.
pub(crate) fn sum(amounts: impl IntoIterator<Item = Tokens>) -> Tokens {
    amounts.into_iter().fold(0, Exact::plus)
}

/// ⌊`whole` × `part` ÷ `of`⌋ in 128 bits; `of` must be above zero and the result in range.
pub(crate) fn share(whole: Tokens, part: Tokens, of: Tokens) -> Tokens {
    i128::from(whole)
        .checked_mul(i128::from(part))
        .and_then(|product| product.checked_div(i128::from(of)))
        .and_then(|quotient| quotient.try_into().ok())
        .expect("a share is no larger than the whole")
}

/// What rows leave out.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
