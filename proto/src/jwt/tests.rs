//! Tokens by shared secrets; those by public keys are asked of the services themselves.

use super::{
    Bearer, Expected, NamedSecret, NamedSecrets, Names, Refused, Secret, Verified, Verifier, mint,
};
use jsonwebtoken::{EncodingKey, Header};
use serde::Deserialize;
use serde_json::{Map, Value, json, value::RawValue};
use std::{sync::Arc, time::Duration};

const SECRETS: &str = "new:0123456789abcdef0123456789abcdef,old:fedcba9876543210fedcba9876543210";

/// Some time in 2023, in seconds and in microseconds.
const NOW: i64 = 1_700_000_000;
const NOW_MICROS: i64 = NOW * 1_000_000;

const MINUTE: Duration = Duration::from_secs(60);

/// Somebody with scopes.
#[derive(Debug, PartialEq, Eq)]
struct Somebody {
    name: String,
    until_unix_micros: i64,
    scopes: Vec<String>,
}

#[derive(Deserialize)]
struct Scopes {
    #[serde(default)]
    scope: Names,
}

impl Bearer for Somebody {
    type Claims = Scopes;

    fn of(verified: Verified<Scopes>) -> Result<Self, &'static str> {
        let Verified { subject: name, until_unix_micros, claims } = verified;
        let scopes = claims.scope.iter().map(str::to_owned).collect();
        match name.as_str() {
            "" => Err("it is nobody's"),
            _ => Ok(Self { name, until_unix_micros, scopes }),
        }
    }
}

fn secrets() -> NamedSecrets {
    NamedSecrets::for_tokens(SECRETS).unwrap()
}

/// The secret of this place in the setting.
fn secret(at: usize) -> NamedSecret {
    secrets().iter().nth(at).unwrap().clone()
}

fn expected(issuer: Option<&str>) -> Expected {
    Expected { issuer: issuer.map(str::to_owned), audience: "here".to_owned() }
}

async fn verifier(issuer: Option<&str>) -> Verifier<Somebody> {
    Verifier::open(Some(&secrets()), None, expected(issuer)).await.unwrap()
}

/// A token of exactly these claims.
fn signed(claims: &str) -> String {
    super::crypto::install();
    let NamedSecret { id, secret } = secret(0);
    let claims = RawValue::from_string(claims.to_owned()).unwrap();
    let header = Header { kid: Some(id), ..Header::default() };
    let key = EncodingKey::from_secret(secret.expose().as_bytes());
    jsonwebtoken::encode(&header, &claims, &key).unwrap()
}

/// Claims that are good, with these in their place or beside them; null takes one away.
fn good(with: Value) -> String {
    let mut all = json!({"iss": "us", "aud": ["there", "here"], "sub": "ann", "exp": NOW + 60});
    let Value::Object(with) = with else { panic!("an object") };
    let object = all.as_object_mut().unwrap();
    object.extend(with);
    object.retain(|_, value| !value.is_null());
    all.to_string()
}

#[tokio::test]
async fn a_token_is_its_bearers_until_it_ends() {
    let verifier = verifier(Some("us")).await;
    let claims = Map::from_iter([("scope".to_owned(), json!("a b"))]);
    let now = (NOW_MICROS, MINUTE);
    for at in [0, 1] {
        let token = mint("ann", claims.clone(), &secret(at), &expected(Some("us")), now);
        let end = NOW_MICROS + 90_000_000;
        let ann = verifier.verify(&token, end - 1).await.unwrap();
        let scopes = ["a", "b"].map(str::to_owned).to_vec();
        assert_eq!(*ann, Somebody { name: "ann".to_owned(), until_unix_micros: end, scopes });
        assert_eq!(
            verifier.verify(&token, end).await,
            Err(Refused::Because("the token has expired")),
        );
        // It is remembered, though it had ended.
        assert!(Arc::ptr_eq(&ann, &verifier.verify(&token, NOW_MICROS).await.unwrap()));
    }
}

#[tokio::test]
async fn a_token_that_isnt_as_it_must_be_is_refused_with_why() {
    let verifier = verifier(Some("us")).await;
    for (with, why) in [
        (json!({"iss": "them"}), "the token is from another issuer"),
        (json!({"iss": null}), "the token must have iss, aud, sub and exp"),
        (json!({"aud": "there"}), "the token is for another audience"),
        (json!({"exp": null}), "the token must have iss, aud, sub and exp"),
        (json!({"nbf": -1}), "the token's `exp` and `nbf` must be seconds since 1970"),
        (json!({"nbf": NOW + 31}), "the token isn't valid yet"),
        (json!({"sub": ""}), "it is nobody's"),
        (json!({"scope": 1}), "the token isn't a JSON Web Token as this service accepts them"),
    ] {
        let refused = verifier.verify(&signed(&good(with)), NOW_MICROS).await;
        assert_eq!(refused, Err(Refused::Because(why)));
    }
    let other = NamedSecret { id: "other".to_owned(), ..secret(0) };
    let wrong = NamedSecret { secret: secret(1).secret, ..secret(0) };
    for (secret, why) in [
        (other, "the token isn't signed with a key that is known here"),
        (wrong, "the token's signature is wrong"),
    ] {
        let now = (NOW_MICROS, MINUTE);
        let token = mint("ann", Map::new(), &secret, &expected(Some("us")), now);
        assert_eq!(verifier.verify(&token, NOW_MICROS).await, Err(Refused::Because(why)));
    }
}

#[tokio::test]
async fn where_no_issuer_is_expected_any_will_do() {
    let verifier = verifier(None).await;
    for issuer in [json!("us"), json!("them"), Value::Null] {
        let token = signed(&good(json!({"iss": issuer})));
        verifier.verify(&token, NOW_MICROS).await.unwrap();
    }
    let minted = mint("ann", Map::new(), &secret(0), &expected(None), (NOW_MICROS, MINUTE));
    verifier.verify(&minted, NOW_MICROS).await.unwrap();
    let refused = verifier.verify(&signed(&good(json!({"sub": null}))), NOW_MICROS).await;
    assert_eq!(refused, Err(Refused::Because("the token must have aud, sub and exp")));
}

#[tokio::test]
async fn claims_that_nobody_reads_neednt_make_sense() {
    let verifier = verifier(Some("us")).await;
    for nonsense in [r#""\ud800""#.to_owned(), "1e999".to_owned(), "[".repeat(200)] {
        let rest = "]".repeat(nonsense.matches('[').count());
        let claims = good(json!({})).replacen('{', &format!("{{\"x\":{nonsense}{rest},"), 1);
        let ann = verifier.verify(&signed(&claims), NOW_MICROS).await.unwrap();
        assert_eq!(ann.name, "ann");
    }
}

#[test]
fn secrets_are_long_enough_and_never_printed() {
    let printed = "new:********,old:********";
    assert_eq!(secrets().to_string(), printed);
    assert_eq!(serde_json::to_value(secrets()).unwrap(), printed);
    let secret: Secret = "0123456789".parse().unwrap();
    assert_eq!(format!("{secret} {secret:?}"), "******** ********");
    assert_eq!(serde_json::to_value(&secret).unwrap(), Secret::MASK);
    for (text, why) in [
        ("a:0123456789abcdef0123456789abcde", "the secret of key 1 must be 32 or more characters"),
        ("a:0123456789abcde", "the secret of key 1 must be 16 or more visible ASCII characters"),
        ("0123456789abcdef", "key 1 must be id:secret"),
    ] {
        assert_eq!(NamedSecrets::for_tokens(text).unwrap_err(), why);
    }
}
