//! What a browser posts: named fields, what is wrong with them, and how a refusal of the core finds the
//! field that it is about. A form is shown again with all of it, except a card's number and code.

use serde_json::Value;

use crate::fail::Fail;
use crate::json::Look as _;

/// The methods that are typed into fields; any other value of `method` is the id of a saved one.
const SHOWN_METHODS: [&str; 2] = ["card", "sepa_debit"];

/// The fields of a form as they were posted, or none when it is shown for the first time.
#[derive(Default)]
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    /// The fields of a url-encoded body or query.
    pub(super) fn parse(encoded: &[u8]) -> Self {
        Self(form_urlencoded::parse(encoded).into_owned().collect())
    }

    /// A field without surrounding blanks; empty if it wasn't posted.
    pub(super) fn get(&self, name: &str) -> &str {
        self.0
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.trim())
            .unwrap_or_default()
    }

    /// A field that may be left empty.
    pub(super) fn optional(&self, name: &str) -> Option<String> {
        Some(self.get(name)).filter(|value| !value.is_empty()).map(str::to_owned)
    }

    /// The fields that hold a whole number, by name.
    pub(super) fn numbers(&self) -> impl Iterator<Item = (String, i64)> {
        self.0.iter().filter_map(|(name, value)| Some((name.clone(), value.trim().parse().ok()?)))
    }

    /// The same form with one field set.
    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        self.0.retain(|(known, _)| known != name);
        self.0.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same form without a card's secrets, which are never sent back.
    pub(super) fn without_card(mut self) -> Self {
        self.0.retain(|(name, _)| name != "number" && name != "cvc");
        self
    }
}

/// What is wrong, and with which field, if with one.
pub(super) struct Problem {
    /// The field's name.
    pub(super) field: Option<&'static str>,
    /// A sentence for the buyer.
    pub(super) message: String,
}

impl Problem {
    /// A problem with one field.
    pub(super) fn of(field: &'static str, message: &str) -> Self {
        Self { field: Some(field), message: message.to_owned() }
    }

    /// A problem with no field of its own.
    pub(super) fn general(message: &str) -> Self {
        Self { field: None, message: message.to_owned() }
    }

    /// What an intent says went wrong at its last attempt.
    pub(super) fn of_intent(intent: &Value) -> Option<Self> {
        let error = |name| intent.at(name).opt("message");
        error("last_payment_error").or(error("last_setup_error")).map(Self::general)
    }
}

impl From<&Fail> for Problem {
    fn from(fail: &Fail) -> Self {
        let field = match fail.code {
            Some("incorrect_number" | "invalid_number") => Some("number"),
            Some("expired_card" | "invalid_expiry_month" | "invalid_expiry_year") => Some("expiry"),
            Some("incorrect_cvc" | "invalid_cvc") => Some("cvc"),
            Some("invalid_bank_account_iban" | "invalid_iban") => Some("iban"),
            Some("email_invalid") => Some("email"),
            _ => None,
        };
        Self { field, message: fail.message.clone() }
    }
}

/// A form as it is shown: what its fields hold, and what is wrong with them.
#[derive(Default)]
pub(super) struct Shown {
    /// What the fields hold.
    pub(super) form: Form,
    /// In the order of the fields.
    pub(super) problems: Vec<Problem>,
}

impl Shown {
    /// A form that was filled in for the buyer.
    pub(super) fn filled(form: Form) -> Self {
        Self { form, problems: Vec::new() }
    }

    /// A form that was refused, ready to be shown again.
    pub(super) fn again(form: Form, problems: Vec<Problem>) -> Self {
        Self { form: form.without_card(), problems }
    }

    /// A form that the core refused. What is wrong with a saved method is wrong with no field that shows.
    pub(super) fn refused(form: Form, fail: &Fail) -> Self {
        let problem = match SHOWN_METHODS.contains(&form.get("method")) {
            true => Problem::from(fail),
            false => Problem::general(&fail.message),
        };
        Self::again(form, vec![problem])
    }

    /// What is wrong with a field.
    pub(super) fn problem(&self, field: &str) -> Option<&str> {
        let of_field = |problem: &&Problem| problem.field == Some(field);
        self.problems.iter().find(of_field).map(|problem| problem.message.as_str())
    }

    /// Whether this field is the first that needs another look: it gets the focus.
    pub(super) fn is_first(&self, field: &str) -> bool {
        self.problems.first().is_some_and(|problem| problem.field == Some(field))
    }
}

#[cfg(test)]
mod tests {
    use super::Form;

    #[test]
    fn a_form_shown_again_has_no_card_in_it() {
        let form =
            Form::parse(b"email=ada%40example.com&number=4242+4242&cvc=123&li_1=2").without_card();
        assert_eq!(form.get("email"), "ada@example.com");
        assert_eq!((form.get("number"), form.get("cvc")), ("", ""));
        assert_eq!(form.numbers().collect::<Vec<_>>(), [("li_1".to_owned(), 2)]);
    }
}
