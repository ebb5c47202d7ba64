//! The words that the tables have for states and kinds, beside the values that the wire has.

use proto::payments::v1::{
    AlertKind, AlertState, InboxState, PurchaseKind, PurchaseState, StripeCallOutcome,
};

/// An enum of the contract whose values are words in a table: their names, without the prefix, in lower case.
pub trait Word: Copy + PartialEq + TryFrom<i32> + Into<i32> + 'static {
    /// Every value but the unspecified one, with its word.
    const WORDS: &'static [(Self, &'static str)];
}

/// A value's word; `None` if there is no such value, or it is the unspecified one.
pub fn word<E: Word>(number: i32) -> Option<&'static str> {
    let value = E::try_from(number).ok()?;
    E::WORDS.iter().find(|(known, _)| *known == value).map(|(_, word)| *word)
}

/// A word's value as the wire has it; unspecified if this version doesn't know the word.
pub fn value<E: Word>(word: &str) -> i32 {
    E::WORDS.iter().find(|(_, known)| *known == word).map_or(0, |(value, _)| (*value).into())
}

impl Word for PurchaseState {
    const WORDS: &'static [(Self, &'static str)] = &[
        (Self::Created, "created"),
        (Self::Open, "open"),
        (Self::Awaiting, "awaiting"),
        (Self::Paid, "paid"),
        (Self::Credited, "credited"),
        (Self::Expired, "expired"),
        (Self::Failed, "failed"),
        (Self::Mismatch, "mismatch"),
        (Self::PartlyReversed, "partly_reversed"),
        (Self::Reversed, "reversed"),
    ];
}

impl Word for PurchaseKind {
    const WORDS: &'static [(Self, &'static str)] =
        &[(Self::Checkout, "checkout"), (Self::PaymentIntent, "payment_intent")];
}

impl Word for StripeCallOutcome {
    const WORDS: &'static [(Self, &'static str)] =
        &[(Self::Open, "open"), (Self::Done, "done"), (Self::Refused, "refused")];
}

impl Word for InboxState {
    const WORDS: &'static [(Self, &'static str)] = &[
        (Self::Received, "received"),
        (Self::Processing, "processing"),
        (Self::Retry, "retry"),
        (Self::Done, "done"),
        (Self::Ignored, "ignored"),
        (Self::Parked, "parked"),
    ];
}

impl Word for AlertKind {
    const WORDS: &'static [(Self, &'static str)] = &[
        (Self::BadSignature, "bad_signature"),
        (Self::OtherMode, "other_mode"),
        (Self::Mismatch, "mismatch"),
        (Self::Parked, "parked"),
        (Self::PurchaseLimit, "purchase_limit"),
        (Self::DuplicateCredit, "duplicate_credit"),
        (Self::ForeignSession, "foreign_session"),
        (Self::FraudWarning, "fraud_warning"),
        (Self::UnknownPurchase, "unknown_purchase"),
    ];
}

impl Word for AlertState {
    const WORDS: &'static [(Self, &'static str)] = &[
        (Self::Open, "open"),
        (Self::Acknowledged, "acknowledged"),
        (Self::FalsePositive, "false_positive"),
    ];
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::purchases::state_name;
    use billing::State;
    use prost::Message as _;
    use prost_types::FileDescriptorSet;
    use proto::payments::v1::FILE_DESCRIPTOR_SET;

    /// The values of an enum as the contract has them, in the words of a table.
    fn contract(name: &str) -> Vec<(i32, String)> {
        let files = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap().file;
        let found = files.iter().flat_map(|file| &file.enum_type).find(|it| it.name() == name);
        let values = found.unwrap().value.iter().filter(|value| value.number() != 0);
        let words = values.map(|value| (value.number(), value.name().to_lowercase()));
        let prefix = found.unwrap().value[0].name().to_lowercase().replace("unspecified", "");
        words.map(|(number, name)| (number, name.replacen(&prefix, "", 1))).collect()
    }

    fn every_value_has_its_word<E: Word>(name: &str) {
        let mut ours: Vec<(i32, String)> =
            E::WORDS.iter().map(|(value, word)| ((*value).into(), (*word).to_owned())).collect();
        ours.sort();
        assert_eq!(ours, contract(name));
        for (number, name) in ours {
            assert_eq!(word::<E>(number), Some(&*name));
            assert_eq!(value::<E>(&name), number);
        }
        assert_eq!((word::<E>(0), word::<E>(99), value::<E>("")), (None, None, 0));
    }

    #[test]
    fn every_value_of_the_contract_has_the_word_that_it_is_named_by() {
        every_value_has_its_word::<PurchaseState>("PurchaseState");
        every_value_has_its_word::<PurchaseKind>("PurchaseKind");
        every_value_has_its_word::<StripeCallOutcome>("StripeCallOutcome");
        every_value_has_its_word::<InboxState>("InboxState");
        every_value_has_its_word::<AlertKind>("AlertKind");
        every_value_has_its_word::<AlertState>("AlertState");
    }

    #[test]
    fn states_of_purchases_are_called_as_the_table_calls_them() {
        let state = State::PartlyReversed;
        let wire: i32 = PurchaseState::PartlyReversed.into();
        assert_eq!(value::<PurchaseState>(state_name(state)), wire);
    }
}
