//! What an economy calls each kind of transaction, for its history and statements.

use std::collections::BTreeMap;

use super::NAME_CHARS_MAX;
use super::value::{Value, hint};
use super::words::words;

words! {
    /// A type of transaction of the contract, or a narrower one where people see a difference.
    pub enum Label {
        /// Tokens in, whatever their kind.
        Credit = "credit",
        /// Tokens in that were bought.
        CreditPurchased = "credit_purchased",
        /// Tokens in that were bought by an auto-reload.
        CreditAutoReload = "credit_auto_reload",
        /// Tokens in that were given away.
        CreditPromotional = "credit_promotional",
        /// Tokens in to try the service with.
        CreditTrial = "credit_trial",
        /// A plan's tokens in.
        CreditAllowance = "credit_allowance",
        /// Tokens in that were earned.
        CreditEarned = "credit_earned",
        /// Tokens in to put something right.
        CreditAdjustment = "credit_adjustment",
        /// Tokens out, for an action.
        Debit = "debit",
        /// The mirror image of another transaction.
        Reversal = "reversal",
        /// Tokens from one user to another, whichever of them looks.
        Transfer = "transfer",
        /// A transfer as its payer sees it.
        TransferSent = "transfer_sent",
        /// A transfer as its receiver sees it.
        TransferReceived = "transfer_received",
        /// Tokens set aside.
        Hold = "hold",
        /// Held tokens out, for the work done.
        Capture = "capture",
        /// Held tokens given back.
        Release = "release",
        /// Tokens out, because money went back.
        Clawback = "clawback",
        /// What a plan allows, set or ended.
        Entitlement = "entitlement",
        /// Tokens out, past their time.
        GrantExpiry = "grant_expiry",
        /// Held tokens given back, past the hold's time.
        HoldExpiry = "hold_expiry",
        /// Tokens in whose time has come.
        Activation = "activation",
        /// Earnings out, for money.
        Withdrawal = "withdrawal",
        /// An account frozen, closed or set otherwise.
        AccountChange = "account_change",
        /// Tokens that will expire.
        ExpiryNotice = "expiry_notice",
    }
}

impl Label {
    /// What names a transaction when this label has no text of its own.
    pub fn wider(self) -> Option<Self> {
        match self {
            Self::CreditAutoReload => Some(Self::CreditPurchased),
            Self::CreditPurchased
            | Self::CreditPromotional
            | Self::CreditTrial
            | Self::CreditAllowance
            | Self::CreditEarned
            | Self::CreditAdjustment => Some(Self::Credit),
            Self::TransferSent | Self::TransferReceived => Some(Self::Transfer),
            Self::Credit
            | Self::Debit
            | Self::Reversal
            | Self::Transfer
            | Self::Hold
            | Self::Capture
            | Self::Release
            | Self::Clawback
            | Self::Entitlement
            | Self::GrantExpiry
            | Self::HoldExpiry
            | Self::Activation
            | Self::Withdrawal
            | Self::AccountChange
            | Self::ExpiryNotice => None,
        }
    }
}

/// Reads `[labels]`.
pub(super) fn read(value: &Value<'_>) -> Option<BTreeMap<Label, String>> {
    let labels = value.map(|text| {
        let label = Label::WORDS.iter().find(|(word, _)| *word == text.name);
        if label.is_none() {
            let hint = hint(&text.name, Label::WORDS.iter().map(|(word, _)| *word));
            text.fail(format_args!("there is no transaction `{}`{hint}", text.name));
        }
        let text = text.text(NAME_CHARS_MAX);
        Some((label?.1, text?))
    });
    Some(labels?.into_values().collect())
}
