//! Who sent a webhook: Stripe, if one of our secrets signed its time and body. Pure: secrets, header, body and
//! time come from outside.
//!
//! The header is `t=UNIX_SECONDS,v1=HEX,v1=HEX,…`: while a secret is being rotated there is a signature by each.
//! Signatures of other schemes (`v0`, of test mode) prove nothing. Whatever else is in the header is passed
//! over: Stripe may add to it.

use hmac::{Hmac, KeyInit as _, Mac as _};
use proto::jwt::Secret;
use sha2::Sha256;

/// How far a signature's time may be from ours, either way.
pub const TOLERANCE_SECONDS: i64 = 300;

/// The longest header that is looked at; Stripe's is about 150 bytes.
const HEADER_BYTES_MAX: usize = 4_096;

/// Signatures that are looked at; Stripe sends one for each secret.
const SIGNATURES_MAX: usize = 8;

/// Why a webhook isn't Stripe's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such header.
    #[error("there is no Stripe-Signature header: is this Stripe?")]
    Missing,
    /// It isn't one of Stripe's.
    #[error("the Stripe-Signature header has no time and signature (t=…,v1=…)")]
    Malformed,
    /// None of our secrets signed this.
    #[error("no signing secret of ours signed this: is STRIPE_WEBHOOK_SECRETS this endpoint's?")]
    Wrong,
    /// It was signed by one of them, but long ago.
    #[error("it was signed {seconds} s ago: a replay, or a clock that is wrong")]
    Old {
        /// How long ago.
        seconds: i64,
    },
    /// Or it will have been.
    #[error("it is signed {seconds} s in the future: a clock is wrong")]
    Future {
        /// How far.
        seconds: i64,
    },
}

/// Every secret that is active.
#[derive(Debug)]
pub struct Secrets(Vec<Secret>);

impl Secrets {
    /// These.
    #[must_use]
    pub fn new(secrets: Vec<Secret>) -> Self {
        Self(secrets)
    }

    /// See [`verify`].
    ///
    /// # Errors
    /// It isn't Stripe's, or it isn't fresh.
    pub fn verify(&self, header: Option<&str>, body: &[u8], now: i64) -> Result<(), Refusal> {
        let secrets: Vec<&str> = self.0.iter().map(Secret::expose).collect();
        verify(&secrets, header, body, now)
    }
}

/// Is this Stripe's? `secrets` are all that are active (`whsec_…`), `now` is in Unix seconds.
///
/// # Errors
/// It isn't, or it isn't fresh. The signature is judged first: a stranger learns nothing about our clock.
pub fn verify(
    secrets: &[impl AsRef<str>],
    header: Option<&str>,
    body: &[u8],
    now: i64,
) -> Result<(), Refusal> {
    let header = header.ok_or(Refusal::Missing)?;
    let (time, signatures) = parse(header).ok_or(Refusal::Malformed)?;
    let mut is_ours = false;
    for secret in secrets {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_ref().as_bytes())
            .map_err(|_| Refusal::Wrong)?;
        mac.update(time.as_bytes());
        mac.update(b".");
        mac.update(body);
        for signature in &signatures {
            // In constant time, and all of them: how long it takes says nothing of which one fits.
            is_ours |= mac.clone().verify_slice(signature).is_ok();
        }
    }
    if !is_ours {
        return Err(Refusal::Wrong);
    }
    let signed_at: i64 = time.parse().map_err(|_| Refusal::Malformed)?;
    match now.saturating_sub(signed_at) {
        seconds if seconds > TOLERANCE_SECONDS => Err(Refusal::Old { seconds }),
        seconds if seconds < -TOLERANCE_SECONDS => {
            Err(Refusal::Future { seconds: seconds.saturating_neg() })
        }
        _ => Ok(()),
    }
}

/// The time as it was signed, to the letter, and the signatures.
fn parse(header: &str) -> Option<(&str, Vec<[u8; 32]>)> {
    if header.len() > HEADER_BYTES_MAX {
        return None;
    }
    let mut time = None;
    let mut signatures = Vec::new();
    for part in header.split(',') {
        match part.trim().split_once('=') {
            // Two times would be two stories.
            Some(("t", _)) if time.is_some() => return None,
            Some(("t", value)) => time = Some(value),
            Some(("v1", value)) if signatures.len() < SIGNATURES_MAX => {
                let mut signature = [0; 32];
                if hex::decode_to_slice(value, &mut signature).is_ok() {
                    signatures.push(signature);
                }
            }
            _ => {}
        }
    }
    let time =
        time.filter(|time| !time.is_empty() && time.bytes().all(|digit| digit.is_ascii_digit()))?;
    (!signatures.is_empty()).then_some((time, signatures))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_test_secret";
    const BODY: &[u8] = br#"{"id":"evt_1","object":"event"}"#;
    const NOW: i64 = 1_800_000_000;

    fn sign(secret: &str, time: i64, body: &[u8]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any length");
        mac.update(format!("{time}.").as_bytes());
        mac.update(body);
        hex::encode(mac.finalize().into_bytes())
    }

    fn header(time: i64) -> String {
        format!("t={time},v1={}", sign(SECRET, time, BODY))
    }

    fn judge(header: &str) -> Result<(), Refusal> {
        verify(&[SECRET], Some(header), BODY, NOW)
    }

    #[test]
    fn what_stripe_signed_just_now_is_taken() {
        assert_eq!(judge(&header(NOW)), Ok(()));
        let with_others =
            format!("t={NOW},v0={},v1={},v2=x", "0".repeat(64), sign(SECRET, NOW, BODY));
        assert_eq!(judge(&with_others), Ok(()));
        assert_eq!(judge(&header(NOW).replace(',', ", ")), Ok(()));
    }

    #[test]
    fn five_minutes_are_the_border_on_both_sides() {
        for (age, expected) in [
            (299, Ok(())),
            (300, Ok(())),
            (301, Err(Refusal::Old { seconds: 301 })),
            (-300, Ok(())),
            (-301, Err(Refusal::Future { seconds: 301 })),
        ] {
            assert_eq!(judge(&header(NOW - age)), expected, "{age} s old");
        }
    }

    #[test]
    fn while_a_secret_is_rotated_either_side_may_have_both() {
        let (old, new) = ("whsec_old", "whsec_new");
        let both = format!("t={NOW},v1={},v1={}", sign(new, NOW, BODY), sign(old, NOW, BODY));
        for secrets in [&[old][..], &[new], &[old, new], &["whsec_other", new]] {
            assert_eq!(verify(secrets, Some(&both), BODY, NOW), Ok(()), "{secrets:?}");
        }
        let by_old = format!("t={NOW},v1={}", sign(old, NOW, BODY));
        assert_eq!(verify(&[old, new], Some(&by_old), BODY, NOW), Ok(()));
        assert_eq!(verify(&[new], Some(&by_old), BODY, NOW), Err(Refusal::Wrong));
    }

    #[test]
    fn what_isnt_signed_by_us_is_refused_in_words() {
        let signature = sign(SECRET, NOW, BODY);
        let table = [
            ("", Refusal::Malformed),
            ("nonsense", Refusal::Malformed),
            ("t=,v1=", Refusal::Malformed),
            (&format!("t={NOW}"), Refusal::Malformed),
            (&format!("v1={signature}"), Refusal::Malformed),
            (&format!("t=now,v1={signature}"), Refusal::Malformed),
            (&format!("t=-5,v1={signature}"), Refusal::Malformed),
            (&format!("t={NOW},t={NOW},v1={signature}"), Refusal::Malformed),
            (&format!("t={NOW},v0={signature}"), Refusal::Malformed),
            (&format!("t={NOW},v1={}", &signature[..63]), Refusal::Malformed),
            (&format!("t={},v1={signature}", NOW + 1), Refusal::Wrong),
            (&format!("t=0{NOW},v1={signature}"), Refusal::Wrong),
            (&format!("t={NOW},v1={}", sign("whsec_other", NOW, BODY)), Refusal::Wrong),
        ];
        for (header, expected) in table {
            assert_eq!(judge(header), Err(expected), "{header}");
        }
        assert_eq!(verify(&[SECRET], None, BODY, NOW), Err(Refusal::Missing));
        assert_eq!(verify(&[SECRET], Some(&header(NOW)), b"other", NOW), Err(Refusal::Wrong));
        assert_eq!(verify(&[""; 0], Some(&header(NOW)), BODY, NOW), Err(Refusal::Wrong));
    }

    #[test]
    fn of_many_mutations_of_header_and_body_none_is_taken() {
        let good = header(NOW);
        let mut dice = fastrand::Rng::with_seed(41);
        let mut refused = 0;
        for _ in 0..100_000 {
            let (mut said, mut body) = (good.clone().into_bytes(), BODY.to_vec());
            let target = if dice.bool() { &mut said } else { &mut body };
            let at = dice.usize(..target.len());
            match dice.u8(..4) {
                0 => target[at] ^= 1 << dice.u8(..8),
                1 => drop(target.remove(at)),
                2 => target.insert(at, dice.u8(..)),
                _ => target.truncate(at),
            }
            let Ok(said) = String::from_utf8(said) else { continue };
            // Another way to write the same: other case, or something that isn't looked at.
            let means_the_same = body == BODY && parse(&said) == parse(&good);
            let verdict = verify(&[SECRET], Some(&said), &body, NOW);
            assert_eq!(verdict.is_ok(), means_the_same, "{said} {body:?}");
            refused += u32::from(verdict.is_err());
        }
        assert!(refused > 80_000, "{refused} of 100,000 were refused");
    }
}
