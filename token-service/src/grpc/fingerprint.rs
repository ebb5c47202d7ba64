//! What a request asked, field by field, so that a repetition can be told from another request under
//! the same key. It works on the bytes of any message: a new field is part of it from its first day.

use ledger::Fingerprint;
use prost::{
    Message,
    bytes::Buf as _,
    encoding::{DecodeContext, decode_key, skip_field},
};
use prost_types::FileDescriptorSet;
use sha2::{Digest as _, Sha256};
use std::{collections::BTreeMap, sync::LazyLock};

/// `account_id` and `idempotency_key`: they find the transaction to compare with.
const NAMING_FIELDS: [u8; 2] = [1, 2];

/// Stands for the method; no message of the contract has so many fields.
const METHOD: u8 = 254;

/// Stands for who asked.
const CALLER: u8 = 255;

/// The fingerprint of a request to `method` by `caller`. Fields that are unset, or have the value
/// that unset ones have, are no part of it.
///
/// # Panics
/// If a command's message gets a field number above 253.
#[must_use]
pub fn of(method: &str, caller: &str, request: &impl Message) -> Fingerprint {
    let bytes = request.encode_to_vec();
    let mut fields: BTreeMap<u8, Sha256> = BTreeMap::new();
    let mut rest = bytes.as_slice();
    while rest.has_remaining() {
        let from = rest;
        let (tag, wire_type) = decode_key(&mut rest).expect("prost reads what it wrote");
        let skipped = skip_field(wire_type, tag, &mut rest, DecodeContext::default());
        skipped.expect("prost reads what it wrote");
        let number = u8::try_from(tag).expect("commands have few fields");
        assert!(number < METHOD, "commands have few fields");
        let (field, _) = from.split_at(from.len() - rest.len());
        fields.entry(number).or_default().update(field);
    }
    fields.retain(|number, _| !NAMING_FIELDS.contains(number));
    fields.insert(METHOD, Sha256::new_with_prefix(method));
    fields.insert(CALLER, Sha256::new_with_prefix(caller));
    Fingerprint(fields.into_iter().map(|(number, hash)| (number, short(hash))).collect())
}

/// The names of fields by which a request to `method` differs, as the contract has them.
#[must_use]
pub fn names(method: &str, numbers: &[u8]) -> Vec<String> {
    let fields = FIELDS.get(method);
    let name = |number: &u8| match *number {
        METHOD => "method".to_owned(),
        CALLER => "caller".to_owned(),
        number => {
            let known = fields.and_then(|fields| fields.get(&number)).cloned();
            // Of the first request, which was to another method.
            known.unwrap_or_else(|| number.to_string())
        }
    };
    numbers.iter().map(name).collect()
}

fn short(hash: Sha256) -> [u8; 7] {
    let mut digest = [0; 7];
    digest.iter_mut().zip(hash.finalize()).for_each(|(to, from)| *to = from);
    digest
}

/// Names of a message's fields by number.
type Names = BTreeMap<u8, String>;

/// The fields of the request of each method, by the method's name.
static FIELDS: LazyLock<BTreeMap<String, Names>> = LazyLock::new(|| {
    let files = FileDescriptorSet::decode(proto::v1::FILE_DESCRIPTOR_SET);
    let files = files.expect("the build wrote it").file;
    let messages = files.iter().flat_map(|file| &file.message_type);
    let requests = messages.filter_map(|message| {
        let method = message.name().strip_suffix("Request")?;
        let fields = message.field.iter();
        let names =
            fields.filter_map(|it| Some((u8::try_from(it.number()).ok()?, it.name().to_owned())));
        Some((method.to_owned(), names.collect()))
    });
    requests.collect()
});

#[cfg(test)]
mod tests {
    use super::*;
    use proto::v1::{CreditRequest, DebitRequest};

    #[test]
    fn the_same_request_has_the_same_fingerprint_whatever_its_name() {
        let metadata = [("a", "1"), ("b", "2")].map(|(key, value)| (key.into(), value.into()));
        let request = CreditRequest {
            account_id: "alice".into(),
            idempotency_key: "k".into(),
            amount: 5,
            actions: vec!["x".into(), "y".into()],
            metadata: metadata.into(),
            ..CreditRequest::default()
        };
        let named_otherwise = CreditRequest { idempotency_key: "other".into(), ..request.clone() };
        let fingerprint = of("Credit", "anonymous", &request);
        assert_eq!(fingerprint, of("Credit", "anonymous", &named_otherwise));
        let numbers = fingerprint.0.iter().map(|(number, _)| *number).collect::<Vec<_>>();
        assert_eq!(numbers, [3, 8, 13, METHOD, CALLER]);
    }

    #[test]
    fn what_differs_is_named() {
        let credit = CreditRequest { amount: 5, priority: -1, ..CreditRequest::default() };
        let debit = DebitRequest { amount: 5, ..DebitRequest::default() };
        let credit_print = of("Credit", "anonymous", &credit);
        let differing = |other: &Fingerprint| names("Credit", &credit_print.differing(other));

        let other = CreditRequest { reference: "r".into(), ..credit.clone() };
        assert_eq!(differing(&of("Credit", "anonymous", &other)), ["reference"]);
        let other = CreditRequest { amount: 6, priority: 0, ..credit.clone() };
        assert_eq!(differing(&of("Credit", "anonymous", &other)), ["amount", "priority"]);
        assert_eq!(differing(&of("Debit", "anonymous", &debit)), ["priority", "method"]);
        assert_eq!(differing(&of("Credit", "mallory", &credit)), ["caller"]);
    }
}
