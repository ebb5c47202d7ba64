//! What each test card does, by its number.

use crate::fail::Fail;

/// What a bank says to a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The money is there, and then this happens.
    Pay(Aftermath),
    /// It isn't.
    Decline(Decline),
    /// The holder has to say that it is them.
    Authenticate,
}

/// What follows a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aftermath {
    Nothing,
    /// The holder disputes it, for this reason.
    Dispute(&'static str),
    /// The bank asks first.
    Inquiry,
    /// Radar warns.
    FraudWarning,
    /// A refund takes its time.
    SlowRefund,
    /// A refund comes back.
    FailedRefund,
}

/// A refusal: its code, and what the bank calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decline {
    pub(crate) code: &'static str,
    pub(crate) decline_code: &'static str,
    pub(crate) message: &'static str,
    pub(crate) advice: &'static str,
}

impl Decline {
    /// As a call's answer.
    pub(crate) fn fail(self) -> Fail {
        let mut fail = Fail::card(self.code, self.message);
        fail.decline_code = Some(self.decline_code);
        fail
    }
}

const fn decline(code: &'static str, decline_code: &'static str, message: &'static str) -> Decline {
    Decline { code, decline_code, message, advice: "try_again_later" }
}

/// One that will never pay.
const fn hard(decline: Decline) -> Decline {
    Decline { advice: "do_not_try_again", ..decline }
}

const DECLINED: &str = "Your card was declined.";
const GENERIC: Decline = decline("card_declined", "generic_decline", DECLINED);
const INSUFFICIENT: Decline =
    decline("card_declined", "insufficient_funds", "Your card has insufficient funds.");
const LOST: Decline = hard(decline("card_declined", "lost_card", DECLINED));
const STOLEN: Decline = hard(decline("card_declined", "stolen_card", DECLINED));
const EXPIRED: Decline = hard(decline("expired_card", "expired_card", "Your card has expired."));
const CVC: Decline =
    decline("incorrect_cvc", "incorrect_cvc", "Your card's security code is incorrect.");
const PROCESSING: Decline = decline(
    "processing_error",
    "processing_error",
    "An error occurred while processing your card. Try again in a little bit.",
);
const FRAUDULENT: Decline = hard(decline("card_declined", "fraudulent", DECLINED));
const NOT_AUTHENTICATED: Decline = decline(
    "authentication_required",
    "authentication_required",
    "Your card was declined. This transaction requires authentication.",
);

/// The payment that a bank is asked about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    /// Is the holder there?
    pub(crate) session: Session,
    /// Was the card set up for payments without its holder?
    pub(crate) is_set_up: bool,
    /// Did the holder say that it is them?
    pub(crate) is_authenticated: bool,
    /// Is money asked for, or is the card saved only?
    pub(crate) purpose: Purpose,
}

/// Is the holder there?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Session {
    On,
    Off,
}

/// Is money asked for?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Charge,
    Save,
}

/// What the bank says, by the card's number; nothing to one that isn't in the list.
pub(crate) fn judge(number: &str, asked: Asked) -> Option<Verdict> {
    let pay = Verdict::Pay(Aftermath::Nothing);
    let refuse = Verdict::Decline;
    let authenticate_then = |then: Verdict| match asked.is_authenticated {
        true => then,
        false => Verdict::Authenticate,
    };
    let when_charged = |then: Verdict| match asked.purpose {
        Purpose::Charge => then,
        Purpose::Save => pay,
    };
    let verdict = match number {
        "4000000000000002" => refuse(GENERIC),
        "4000000000009995" => refuse(INSUFFICIENT),
        "4000000000009987" => refuse(LOST),
        "4000000000009979" => refuse(STOLEN),
        "4000000000000069" => refuse(EXPIRED),
        "4000000000000127" => refuse(CVC),
        "4000000000000119" => refuse(PROCESSING),
        "4100000000000019" => refuse(FRAUDULENT),
        "4000000000000341" => when_charged(refuse(GENERIC)),
        "4000002500003155" if asked.is_set_up => pay,
        "4000003800000446" if asked.session == Session::Off || asked.purpose == Purpose::Save => {
            pay
        }
        "4000002500003155" | "4000003800000446" | "4000002760003184" | "4000000000003220" => {
            authenticate_then(pay)
        }
        "4000008400001629" => authenticate_then(when_charged(refuse(GENERIC))),
        "4000008260003178" => authenticate_then(when_charged(refuse(INSUFFICIENT))),
        "4000000000000259" => Verdict::Pay(Aftermath::Dispute("fraudulent")),
        "4000000000002685" => Verdict::Pay(Aftermath::Dispute("product_not_received")),
        "4000000000001976" => Verdict::Pay(Aftermath::Inquiry),
        "4000000000005423" => Verdict::Pay(Aftermath::FraudWarning),
        "4000000000007726" => Verdict::Pay(Aftermath::SlowRefund),
        "4000000000005126" => Verdict::Pay(Aftermath::FailedRefund),
        number if brand(number).is_some() => pay,
        _ => return None,
    };
    Some(verdict)
}

/// The refusal of a payment whose holder isn't there to be asked.
pub(crate) const fn not_authenticated() -> Decline {
    NOT_AUTHENTICATED
}

/// Test cards that pay: number, brand, country, funding.
const PAYING: [(&str, &str, &str, &str); 14] = [
    ("4242424242424242", "visa", "US", "credit"),
    ("4000056655665556", "visa", "US", "debit"),
    ("4000000000000077", "visa", "US", "credit"),
    ("4000002760000016", "visa", "DE", "credit"),
    ("5555555555554444", "mastercard", "US", "credit"),
    ("2223003122003222", "mastercard", "US", "credit"),
    ("5200828282828210", "mastercard", "US", "debit"),
    ("5105105105105100", "mastercard", "US", "prepaid"),
    ("378282246310005", "amex", "US", "credit"),
    ("371449635398431", "amex", "US", "credit"),
    ("6011111111111117", "discover", "US", "credit"),
    ("3056930009020004", "diners", "US", "credit"),
    ("3566002020360505", "jcb", "JP", "credit"),
    ("6200000000000005", "unionpay", "CN", "credit"),
];

/// Brand, country and funding of a card that pays.
fn brand(number: &str) -> Option<(&'static str, &'static str, &'static str)> {
    let found = PAYING.iter().find(|(paying, ..)| *paying == number);
    found.map(|(_, brand, country, funding)| (*brand, *country, *funding))
}

/// Brand, country and funding of any card.
pub(crate) fn face(number: &str) -> (&'static str, &'static str, &'static str) {
    let country = if number.starts_with("400000250") || number.starts_with("400000276") {
        "DE"
    } else {
        "US"
    };
    brand(number).unwrap_or(("visa", country, "credit"))
}

/// Stripe's names for numbers: what follows `pm_card_` or `tok_`.
pub(crate) fn number_of(alias: &str) -> Option<&'static str> {
    let name = alias.strip_prefix("pm_card_").or_else(|| alias.strip_prefix("tok_"))?;
    Some(match name {
        "visa" | "us" | "bypassPending" => "4242424242424242",
        "visa_debit" => "4000056655665556",
        "mastercard" => "5555555555554444",
        "amex" => "378282246310005",
        "discover" => "6011111111111117",
        "chargeDeclined" | "visa_chargeDeclined" => "4000000000000002",
        "chargeDeclinedInsufficientFunds" | "visa_chargeDeclinedInsufficientFunds" => {
            "4000000000009995"
        }
        "chargeDeclinedLostCard" | "visa_chargeDeclinedLostCard" => "4000000000009987",
        "chargeDeclinedStolenCard" | "visa_chargeDeclinedStolenCard" => "4000000000009979",
        "chargeDeclinedExpiredCard" => "4000000000000069",
        "chargeDeclinedIncorrectCvc" => "4000000000000127",
        "chargeDeclinedProcessingError" => "4000000000000119",
        "chargeDeclinedFraudulent" | "radarBlock" => "4100000000000019",
        "chargeCustomerFail" => "4000000000000341",
        "authenticationRequired" => "4000002760003184",
        "authenticationRequiredOnSetup" => "4000002500003155",
        "authenticationRequiredSetupForOffSession" => "4000003800000446",
        "threeDSecure2Required" | "threeDSecureRequired" => "4000000000003220",
        "authenticationRequiredChargeDeclinedInsufficientFunds" => "4000008260003178",
        "threeDSecureRequiredChargeDeclined" => "4000008400001629",
        "createDispute" => "4000000000000259",
        "createDisputeProductNotReceived" => "4000000000002685",
        "createDisputeInquiry" => "4000000000001976",
        "createIssuerFraudRecord" => "4000000000005423",
        "pendingRefund" => "4000000000007726",
        "refundFail" => "4000000000005126",
        _ => return None,
    })
}

/// Is it one of the numbers that do something?
pub(crate) fn is_known(number: &str) -> bool {
    let asked = Asked {
        session: Session::On,
        is_set_up: false,
        is_authenticated: false,
        purpose: Purpose::Charge,
    };
    judge(number, asked).is_some()
}
