//! Inputs with everything that makes them usable: a bound label, what a browser may fill in, and what was
//! wrong, tied to the input and announced. One that is wrong gets the focus, so no script has to find it.

use maud::{Markup, html};

use super::form::Shown;

/// One input of a form.
pub(super) struct Field {
    /// Its name, which is also its id.
    pub(super) name: &'static str,
    /// What it is called.
    pub(super) label: &'static str,
    /// What is typed: it decides which keyboard a phone shows.
    pub(super) kind: Kind,
    /// The browser's token for filling it in.
    pub(super) autocomplete: &'static str,
    /// An example of what it takes, or nothing.
    pub(super) example: &'static str,
}

/// What is typed into an input.
pub(super) enum Kind {
    /// An address of mail.
    Email,
    /// Digits, which may be grouped: not a number, which browsers would let be turned up and down.
    Digits,
    /// Anything.
    Text,
}

/// An input with its label and its problem.
pub(super) fn field(shown: &Shown, field: &Field) -> Markup {
    let problem = shown.problem(field.name);
    let (kind, inputmode) = match field.kind {
        Kind::Email => ("email", "email"),
        Kind::Digits => ("text", "numeric"),
        Kind::Text => ("text", "text"),
    };
    html! {
        div.field {
            label for=(field.name) { (field.label) }
            input id=(field.name) name=(field.name) type=(kind) inputmode=(inputmode)
                autocomplete=(field.autocomplete) placeholder=[example(field)] maxlength="200"
                spellcheck="false" value=[typed(shown, field)] autofocus[shown.is_first(field.name)]
                aria-invalid=[problem.map(|_| "true")]
                aria-describedby=[problem.map(|_| format!("{}-problem", field.name))];
            @if let Some(problem) = problem {
                p.problem id={ (field.name) "-problem" } role="alert" { (problem) }
            }
        }
    }
}

/// What is wrong with the form as a whole, at its top and with the focus on it.
pub(super) fn alert(shown: &Shown) -> Markup {
    html! {
        @for problem in shown.problems.iter().filter(|problem| problem.field.is_none()) {
            div.alert role="alert" tabindex="-1" autofocus { (problem.message) }
        }
    }
}

fn example(field: &Field) -> Option<&'static str> {
    Some(field.example).filter(|example| !example.is_empty())
}

fn typed<'a>(shown: &'a Shown, field: &Field) -> Option<&'a str> {
    Some(shown.form.get(field.name)).filter(|typed| !typed.is_empty())
}

#[cfg(test)]
mod tests {
    use super::{Field, Kind, field};
    use crate::pages::form::{Form, Problem, Shown};

    const NUMBER: Field =
        Field { name: "iban", label: "IBAN", kind: Kind::Text, autocomplete: "off", example: "" };

    #[test]
    fn a_problem_is_tied_to_its_input_and_what_was_typed_is_escaped() {
        let form = Form::parse(b"iban=%22%3E%3Cscript%3E");
        let problems = vec![Problem::of("iban", "Enter your IBAN.")];
        let markup = field(&Shown::again(form, problems), &NUMBER).into_string();
        assert!(
            markup.contains(r#"aria-invalid="true" aria-describedby="iban-problem""#),
            "{markup}"
        );
        assert!(
            markup.contains(
                r#"<p class="problem" id="iban-problem" role="alert">Enter your IBAN.</p>"#
            )
        );
        assert!(markup.contains(r#"value="&quot;&gt;&lt;script&gt;""#));
    }
}
