//! Credentials as others make them: tokens of an issuer that isn't ours, and certificates. Apart from
//! the service's own code, which a test must not ask what it should say.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer as Signer, KeyPair, SanType};
use ring::{
    hmac,
    rand::SystemRandom,
    rsa,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
        RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaKeyPair,
    },
};
use serde_json::{Value, json};
use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// What the tests' tokens say about who made them, and for whom.
pub const ISSUER: &str = "https://login.example.com";
/// See [`ISSUER`].
pub const AUDIENCE: &str = "tokens.example.com";

/// A key that protects nothing: making one takes seconds.
const RSA_KEY: &str = include_str!("../fixtures/rsa.pkcs8");

/// How a token is signed.
#[derive(Clone, Copy, Debug)]
pub enum Sign<'a> {
    /// By a shared secret.
    Secret(&'a [u8]),
    /// By RSA, with PKCS #1's padding.
    Rsa,
    /// By RSA, with PSS padding.
    RsaPss,
    /// By ECDSA on P-256.
    Ec,
    /// By Ed25519.
    Ed,
    /// Not at all.
    Nothing,
}

/// Makes tokens.
#[derive(Debug)]
pub struct Issuer {
    rsa: RsaKeyPair,
    ec: EcdsaKeyPair,
    ed: Ed25519KeyPair,
    random: SystemRandom,
}

impl Default for Issuer {
    fn default() -> Self {
        Self::new()
    }
}

impl Issuer {
    /// One with new keys, all but the RSA key.
    ///
    /// # Panics
    /// If there is no randomness.
    #[must_use]
    pub fn new() -> Self {
        let random = SystemRandom::new();
        let der = STANDARD.decode(RSA_KEY.replace('\n', "")).expect("Base64");
        let rsa = RsaKeyPair::from_pkcs8(&der).expect("a key");
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let ec = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("a key");
        let ec = EcdsaKeyPair::from_pkcs8(algorithm, ec.as_ref(), &random).expect("a key");
        let ed = Ed25519KeyPair::generate_pkcs8(&random).expect("a key");
        let ed = Ed25519KeyPair::from_pkcs8(ed.as_ref()).expect("a key");
        Self { rsa, ec, ed, random }
    }

    /// The public keys as a JSON Web Key Set: `rsa`, `ec`, `ed`, with `suffix` behind their names.
    ///
    /// # Panics
    /// Never.
    #[must_use]
    pub fn jwks(&self, suffix: &str) -> String {
        let public = rsa::PublicKeyComponents::<Vec<u8>>::from(self.rsa.public());
        let (_, point) = self.ec.public_key().as_ref().split_first().expect("a point");
        let (x, y) = point.split_at(32);
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let keys = json!({"keys": [
            {"kty": "RSA", "kid": format!("rsa{suffix}"), "use": "sig", "alg": "RS256",
             "n": text(&public.n), "e": text(&public.e)},
            {"kty": "EC", "crv": "P-256", "kid": format!("ec{suffix}"), "x": text(x), "y": text(y)},
            {"kty": "OKP", "crv": "Ed25519", "kid": format!("ed{suffix}"),
             "x": text(self.ed.public_key().as_ref())},
            // None of these may verify anything.
            {"kty": "oct", "kid": "shared", "k": text(&[7; 32])},
            {"kty": "RSA", "kid": "encrypts", "use": "enc", "n": text(&public.n), "e": text(&public.e)},
        ]});
        keys.to_string()
    }

    /// The RSA public key in the shapes that a careless verifier may take for a secret.
    #[must_use]
    pub fn rsa_public_shapes(&self) -> Vec<Vec<u8>> {
        let public = rsa::PublicKeyComponents::<Vec<u8>>::from(self.rsa.public());
        let der = self.rsa.public().as_ref().to_vec();
        let pem = |name: &str, der: &[u8]| {
            let text = STANDARD.encode(der);
            let lines: Vec<&str> =
                text.as_bytes().chunks(64).filter_map(|it| std::str::from_utf8(it).ok()).collect();
            format!("-----BEGIN {name}-----\n{}\n-----END {name}-----\n", lines.join("\n"))
        };
        let pkcs1 = pem("RSA PUBLIC KEY", &der).into_bytes();
        let spki = [SPKI_OF_RSA_2048, &der].concat();
        vec![public.n, der, pkcs1, pem("PUBLIC KEY", &spki).into_bytes(), spki]
    }

    /// A token of these claims, signed so.
    ///
    /// # Panics
    /// If it can't be signed.
    #[must_use]
    pub fn sign(&self, header: &Value, claims: &Value, sign: Sign<'_>) -> String {
        let text = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", text(header), text(claims));
        let bytes = message.as_bytes();
        let rsa = |padding| {
            let mut signature = vec![0; self.rsa.public().modulus_len()];
            let signed = self.rsa.sign(padding, &self.random, bytes, &mut signature);
            signed.expect("a signature");
            signature
        };
        let signature = match sign {
            Sign::Secret(secret) => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
                hmac::sign(&key, bytes).as_ref().to_vec()
            }
            Sign::Rsa => rsa(&RSA_PKCS1_SHA256),
            Sign::RsaPss => rsa(&RSA_PSS_SHA256),
            Sign::Ec => self.ec.sign(&self.random, bytes).expect("a signature").as_ref().to_vec(),
            Sign::Ed => self.ed.sign(bytes).as_ref().to_vec(),
            Sign::Nothing => Vec::new(),
        };
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// A token for the service under test, signed by RSA, with these claims beside what it must have.
    #[must_use]
    pub fn token(&self, claims: &Value) -> String {
        self.sign(&json!({"alg": "RS256", "kid": "rsa"}), &good(claims), Sign::Rsa)
    }
}

/// The head of the DER of an RSA public key of 2,048 bits.
const SPKI_OF_RSA_2048: &[u8] = &[
    0x30, 0x82, 0x01, 0x22, 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01,
    0x01, 0x05, 0x00, 0x03, 0x82, 0x01, 0x0f, 0x00,
];

/// Claims that the service under test accepts, with these in their place or beside them; null takes
/// one away.
///
/// # Panics
/// If `claims` are no object.
#[must_use]
pub fn good(claims: &Value) -> Value {
    let mut all = json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "somebody", "exp": now() + 600, "scope": "tokens:read",
    });
    let object = all.as_object_mut().expect("an object");
    for (name, value) in claims.as_object().expect("an object") {
        match value {
            Value::Null => object.remove(name),
            value => object.insert(name.clone(), value.clone()),
        };
    }
    all
}

/// Seconds since 1970.
///
/// # Panics
/// If the clock is set before.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "tokens are judged by the real service's clock")]
pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.as_ref().map(Duration::as_secs).expect("after 1970")
}

/// Vouches for certificates.
pub struct Authority {
    signer: Signer<'static, KeyPair>,
    certificate: String,
    folder: PathBuf,
}

impl Authority {
    /// A new one, whose files are kept in `folder` under `name`.
    ///
    /// # Panics
    /// If they can't be written.
    #[must_use]
    pub fn new(folder: &Path, name: &str) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).expect("a certificate").pem();
        let folder = folder.join(name);
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(folder.join("authority.pem"), &certificate).expect("written");
        Self { signer: Signer::new(params, key), certificate, folder }
    }

    /// Its own certificate, PEM.
    #[must_use]
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// The file of its own certificate.
    #[must_use]
    pub fn file(&self) -> String {
        self.folder.join("authority.pem").display().to_string()
    }

    /// A certificate for these names (hosts, or URIs) and its key, PEM.
    ///
    /// # Panics
    /// If a name can't be one.
    #[must_use]
    pub fn vouch(&self, names: &[&str]) -> (String, String) {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.subject_alt_names = names
            .iter()
            .map(|name| match name.contains("://") {
                true => SanType::URI((*name).try_into().expect("ASCII")),
                false => SanType::DnsName((*name).try_into().expect("ASCII")),
            })
            .collect();
        let certificate = params.signed_by(&key, &self.signer).expect("a certificate");
        (certificate.pem(), key.serialize_pem())
    }

    /// The same as files.
    ///
    /// # Panics
    /// If they can't be written.
    #[must_use]
    pub fn vouch_files(&self, names: &[&str]) -> (String, String) {
        let (certificate, key) = self.vouch(names);
        let name = names.join("+").replace(['/', ':'], "_");
        let file = |kind: &str, text: &str| {
            let path = self.folder.join(format!("{name}.{kind}.pem"));
            std::fs::write(&path, text).expect("written");
            path.display().to_string()
        };
        (file("certificate", &certificate), file("key", &key))
    }
}
