//! Amounts: which currencies there are, how little is too little, how to say it.

use crate::fail::Fail;

/// The most that one payment may be.
pub(crate) const AMOUNT_MAX: i64 = 99_999_999;

const CURRENCIES: &str = "usd aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bhd bif bmd bnd bob brl bsd \
     bwp byn bzd cad cdf chf clp cny cop crc cve czk djf dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gnf gtq \
     gyd hkd hnl htg huf idr ils inr isk jmd jod jpy kes kgs khr kmf krw kwd kyd kzt lak lbp lkr lrd lsl mad mdl \
     mga mkd mmk mnt mop mur mvr mwk mxn myr mzn nad ngn nio nok npr nzd omr pab pen pgk php pkr pln pyg qar ron \
     rsd rub rwf sar sbd scr sek sgd shp sle sos srd std szl thb tjs tnd top try ttd twd tzs uah ugx uyu uzs vnd \
     vuv wst xaf xcd xcg xof xpf yer zar zmw";

/// A currency as it is kept, in lower case.
pub(crate) fn currency(given: &str, param: &str) -> Result<String, Fail> {
    let code = given.to_lowercase();
    if code.len() == 3 && CURRENCIES.split_whitespace().any(|known| known == code) {
        return Ok(code);
    }
    let known: Vec<_> = CURRENCIES.split_whitespace().collect();
    let said = format!(
        "Invalid currency: {code}. Stripe currently supports these currencies: {}",
        known.join(", ")
    );
    Err(Fail::param(param, said))
}

/// Digits behind the point.
pub(crate) fn digits(currency: &str) -> u32 {
    match currency {
        "bif" | "clp" | "djf" | "gnf" | "jpy" | "kmf" | "krw" | "mga" | "pyg" | "rwf" | "vnd"
        | "vuv" | "xaf" | "xof" | "xpf" => 0,
        "bhd" | "jod" | "kwd" | "omr" | "tnd" => 3,
        _ => 2,
    }
}

/// The least that is charged: about half a dollar.
pub(crate) fn least(currency: &str) -> i64 {
    match currency {
        "gbp" => 30,
        "jpy" => 50,
        "mxn" => 1_000,
        "dkk" => 250,
        "nok" | "sek" => 300,
        "hkd" => 400,
        "huf" => 17_500,
        "czk" => 1_500,
        "pln" | "ron" | "aed" | "myr" => 200,
        _ => 50,
    }
}

/// Is it an amount that can be charged?
pub(crate) fn check_amount(amount: i64, currency: &str, param: &str) -> Result<(), Fail> {
    if amount < 1 {
        let said = "This value must be greater than or equal to 1.";
        return Err(Fail::param(param, said).code("parameter_invalid_integer"));
    }
    if amount < least(currency) {
        let said = format!("Amount must be at least {}", say(least(currency), currency));
        return Err(Fail::param(param, said).code("amount_too_small"));
    }
    if amount > AMOUNT_MAX {
        let said = format!("Amount must be no more than {}", say(AMOUNT_MAX, currency));
        return Err(Fail::param(param, said).code("amount_too_large"));
    }
    Ok(())
}

/// An amount in words: `$20.00 usd`, `500 jpy`.
pub(crate) fn say(amount: i64, currency: &str) -> String {
    let sign = match currency {
        "usd" => "$",
        "eur" => "€",
        "gbp" => "£",
        _ => "",
    };
    let digits = digits(currency);
    let unit = 10_i64.pow(digits);
    let minus = if amount < 0 { "-" } else { "" };
    let (whole, part) = (amount.abs() / unit, amount.abs() % unit);
    match digits {
        0 => format!("{minus}{sign}{whole} {currency}"),
        digits => {
            let width = usize::try_from(digits).unwrap_or_default();
            format!("{minus}{sign}{whole}.{part:0width$} {currency}")
        }
    }
}
