//! The currencies that a catalog can name, and how many digits their minor units have.

use serde::{Serialize, Serializer};

/// Currencies without minor units: 500 is ¥500.
const NO_DIGITS: &str = "bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf";

/// Currencies whose unit has 1,000 minor units: 4990 is 4.990 dinars.
const THREE_DIGITS: &str = "bhd iqd jod kwd lyd omr tnd";

/// All others of ISO 4217 (list one of 2026, without funds, metals and testing codes).
const TWO_DIGITS: &str = "\
    aed afn all amd aoa ars aud awg azn bam bbd bdt bmd bnd bob brl bsd btn bwp byn bzd cad cdf \
    chf cny cop crc cup cve czk dkk dop dzd egp ern etb eur fjd fkp gbp gel ghs gip gmd gtq gyd \
    hkd hnl htg huf idr ils inr irr isk jmd kes kgs khr kpw kyd kzt lak lbp lkr lrd lsl mad mdl \
    mkd mmk mnt mop mru mur mvr mwk mxn myr mzn nad ngn nio nok npr nzd pab pen pgk php pkr pln \
    qar ron rsd rub sar sbd scr sdg sek sgd shp sle sos srd ssp stn svc syp szl thb tjs tmt top \
    try ttd twd tzs uah ugx usd uyu uzs ved ves wst xcd xcg yer zar zmw zwg";

/// An ISO 4217 currency.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Currency {
    code: &'static str,
    minor_digits: u32,
}

impl Currency {
    /// The currency of a lower-case code such as `usd`; `None` if there is none.
    pub fn from_code(code: &str) -> Option<Self> {
        [(NO_DIGITS, 0), (TWO_DIGITS, 2), (THREE_DIGITS, 3)].into_iter().find_map(
            |(codes, minor_digits)| {
                let code = codes.split_whitespace().find(|known| *known == code)?;
                Some(Self { code, minor_digits })
            },
        )
    }

    /// The code in lower case, as Stripe writes it: `usd`.
    pub fn code(self) -> &'static str {
        self.code
    }

    /// How many of an amount's last digits are minor units: 2 for `usd`, where 499 is $4.99.
    ///
    /// Counted as Stripe does, since amounts go there as they are: `mga` has none, `isk` and `ugx`
    /// have two, which is not what ISO 4217 says.
    pub fn minor_digits(self) -> u32 {
        self.minor_digits
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code)
    }
}
