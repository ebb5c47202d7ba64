//! Whether a purchase by Checkout is credited: the quote beside what Stripe says of the session.

/// Where a purchase stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is written down; Stripe may know of it or not.
    Created,
    /// Its session is open.
    Open,
    /// Its bank takes days.
    Awaiting,
    /// The money is there; the tokens may be or not.
    Paid,
    /// The tokens are there.
    Credited,
    /// Nobody paid in time.
    Expired,
    /// The bank said no, for good.
    Failed,
    /// What was paid isn't what was quoted: an operator decides.
    Mismatch,
    /// Some of the money is back.
    PartlyReversed,
    /// All of it is.
    Reversed,
}

/// What a line costs: a price that Stripe keeps, or one that we sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Price {
    /// The id of Stripe's price.
    Stripe(String),
    /// Minor units of one.
    Inline(i64),
}

/// A purchase as it was quoted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quote {
    /// The purchase's id, as the session's metadata has to repeat it.
    pub purchase_id: String,
    /// What the account gets.
    pub tokens: i64,
    /// What it costs, before discounts and taxes.
    pub price_minor: i64,
    /// ISO 4217, lower case.
    pub currency: String,
    /// Is it real money?
    pub livemode: bool,
    /// What was asked of Stripe: a price, and how many.
    pub line: (Price, i64),
    /// May it cost nothing, by a promotion that is ours?
    pub may_be_free: bool,
}

/// What kind of session it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Something is bought once.
    Payment,
    /// Something is subscribed to.
    Subscription,
    /// A card is saved.
    Setup,
}

/// Where a session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionStatus {
    /// It waits for its buyer.
    Open,
    /// The buyer has done everything.
    Complete,
    /// Nobody did in time.
    Expired,
}

/// What a session says of its money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaymentStatus {
    /// It is there.
    Paid,
    /// It isn't, or not yet.
    Unpaid,
    /// None is needed.
    NoPaymentRequired,
}

/// Where a session's payment stands, for those whose banks take days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intent {
    /// There is none.
    None,
    /// The bank hasn't answered.
    Processing,
    /// The bank said yes.
    Succeeded,
    /// The bank said no, or nobody waits any more.
    Failed,
}

/// A line of a session, as Stripe has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The id of its price.
    pub price_id: String,
    /// Minor units of one.
    pub unit_amount_minor: i64,
    /// How many.
    pub quantity: i64,
}

/// A session, fetched anew, with its lines and its payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The purchase that its metadata names.
    pub purchase_id: Option<String>,
    /// What kind it is.
    pub mode: Mode,
    /// Where it stands.
    pub status: SessionStatus,
    /// What it says of its money.
    pub payment_status: PaymentStatus,
    /// Where its payment stands.
    pub intent: Intent,
    /// ISO 4217, lower case.
    pub currency: String,
    /// Is it real money?
    pub livemode: bool,
    /// Before discounts and taxes.
    pub subtotal_minor: i64,
    /// What discounts took off.
    pub discount_minor: i64,
    /// What shipping and taxes added.
    pub added_minor: i64,
    /// What is paid.
    pub total_minor: i64,
    /// Are all its discounts ours?
    pub discounts_are_ours: bool,
    /// What is bought.
    pub lines: Vec<Line>,
}

/// One thing that isn't as it was quoted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// The session names another purchase, or none.
    Purchase(Option<String>),
    /// It isn't a session in which something is bought once.
    Mode(Mode),
    /// Money of a test, where it should be real, or the other way round.
    Livemode(bool),
    /// Another currency.
    Currency(String),
    /// Other things, or another number of them.
    Lines(Vec<Line>),
    /// Another sum, before discounts and taxes.
    Subtotal(i64),
    /// A discount that isn't ours.
    Discount(i64),
    /// The sums don't add up.
    Total(i64),
    /// It cost nothing, and that isn't allowed.
    Free,
}

/// Why there is nothing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The tokens are there already.
    Credited,
    /// The buyer hasn't done anything yet.
    Open,
    /// An operator has it.
    WithOperator,
    /// It was closed already.
    Closed,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Credit so many tokens, for so much paid (minor units, 0 for a promotion of ours).
    Credit {
        /// The quote's.
        tokens: i64,
        /// What was paid.
        paid_minor: i64,
    },
    /// Wait for the bank.
    Await,
    /// Nobody paid in time.
    Expire,
    /// The bank said no.
    Fail,
    /// Credit nothing; tell an operator.
    Mismatch(Vec<Difference>),
    /// Nothing.
    Nothing(Why),
}

/// What to do about a purchase, by how it and its session stand.
#[must_use]
pub fn decide(quote: &Quote, state: State, session: &Session) -> Decision {
    match state {
        State::Credited | State::PartlyReversed | State::Reversed => {
            return Decision::Nothing(Why::Credited);
        }
        State::Mismatch => return Decision::Nothing(Why::WithOperator),
        State::Created
        | State::Open
        | State::Awaiting
        | State::Paid
        | State::Expired
        | State::Failed => {}
    }
    match (session.status, session.payment_status) {
        (SessionStatus::Open, _) => Decision::Nothing(Why::Open),
        (SessionStatus::Expired, _) => close(state, Decision::Expire),
        (SessionStatus::Complete, PaymentStatus::Paid | PaymentStatus::NoPaymentRequired) => {
            let differences = differences(quote, session);
            if differences.is_empty() {
                Decision::Credit { tokens: quote.tokens, paid_minor: session.total_minor }
            } else {
                Decision::Mismatch(differences)
            }
        }
        (SessionStatus::Complete, PaymentStatus::Unpaid) => match session.intent {
            // The session says so a moment later: we are asked again then.
            Intent::Processing | Intent::Succeeded | Intent::None => Decision::Await,
            Intent::Failed => close(state, Decision::Fail),
        },
    }
}

/// A purchase is closed once.
fn close(state: State, decision: Decision) -> Decision {
    match state {
        State::Expired | State::Failed => Decision::Nothing(Why::Closed),
        State::Created
        | State::Open
        | State::Awaiting
        | State::Paid
        | State::Credited
        | State::Mismatch
        | State::PartlyReversed
        | State::Reversed => decision,
    }
}

/// Everything that isn't as it was quoted.
fn differences(quote: &Quote, session: &Session) -> Vec<Difference> {
    let mut found = Vec::new();
    let mut note = |is_different: bool, difference: Difference| {
        if is_different {
            found.push(difference);
        }
    };
    let is_ours = session.purchase_id.as_ref() == Some(&quote.purchase_id);
    note(!is_ours, Difference::Purchase(session.purchase_id.clone()));
    note(session.mode != Mode::Payment, Difference::Mode(session.mode));
    note(session.livemode != quote.livemode, Difference::Livemode(session.livemode));
    note(session.currency != quote.currency, Difference::Currency(session.currency.clone()));
    note(!is_quoted_line(quote, session), Difference::Lines(session.lines.clone()));
    note(session.subtotal_minor != quote.price_minor, Difference::Subtotal(session.subtotal_minor));
    let is_foreign = session.discount_minor != 0 && !session.discounts_are_ours;
    note(is_foreign, Difference::Discount(session.discount_minor));
    let due = session.subtotal_minor.checked_sub(session.discount_minor);
    // Taxes may be on top of the price or in it, and then they are in the subtotal already.
    let at_most = due.and_then(|due| due.checked_add(session.added_minor));
    let is_between = |least, most| (least..=most).contains(&session.total_minor);
    let adds_up = due.zip(at_most).is_some_and(|(least, most)| is_between(least, most));
    note(!adds_up, Difference::Total(session.total_minor));
    let says_free = session.payment_status == PaymentStatus::NoPaymentRequired;
    let is_free = says_free || session.total_minor <= 0;
    note(is_free && !quote.may_be_free, Difference::Free);
    note(says_free && session.total_minor != 0, Difference::Total(session.total_minor));
    found
}

/// One line, of the price and number that were quoted.
fn is_quoted_line(quote: &Quote, session: &Session) -> bool {
    let (price, quantity) = &quote.line;
    let [line] = session.lines.as_slice() else { return false };
    let is_price = match price {
        Price::Stripe(id) => line.price_id == *id,
        Price::Inline(unit_minor) => line.unit_amount_minor == *unit_minor,
    };
    is_price && line.quantity == *quantity
}

#[cfg(test)]
mod tests;
