//! The keys that tokens are signed with. Each knows its one algorithm: what a token says about its
//! signature only chooses among them.

use super::secrets::{NamedSecret, NamedSecrets};
use jsonwebtoken::{
    Algorithm, DecodingKey, Header,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse},
};

/// A key that verifies.
#[derive(Clone, Debug)]
pub(super) struct Key {
    id: Option<String>,
    pub(super) algorithm: Algorithm,
    pub(super) verifies: DecodingKey,
}

/// Keys that verify.
#[derive(Clone, Debug, Default)]
pub(super) struct Keyring(Vec<Key>);

impl Keyring {
    /// The shared secrets: HS256.
    pub(super) fn of_secrets(secrets: Option<&NamedSecrets>) -> Self {
        let secrets = secrets.into_iter().flat_map(NamedSecrets::iter);
        let key = |named: &NamedSecret| Key {
            id: Some(named.id.clone()),
            algorithm: Algorithm::HS256,
            verifies: DecodingKey::from_secret(named.secret.expose().as_bytes()),
        };
        Self(secrets.map(key).collect())
    }

    /// The public keys of a JSON Web Key Set: RS256, ES256, EdDSA. Others are none of ours, secrets
    /// among them: whoever can read the set could sign with one.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub(super) fn of_jwks(text: &[u8]) -> Result<Self, String> {
        let set: JwkSet =
            serde_json::from_slice(text).map_err(|_| "it isn't a JSON Web Key Set".to_owned())?;
        let keys: Vec<Key> = set.keys.iter().filter_map(public_key).collect();
        if keys.is_empty() {
            // Whoever takes all keys back means it.
            tracing::warn!("the key set has no key for RS256, ES256 or EdDSA signatures");
        }
        Ok(Self(keys))
    }

    /// The keys that may have signed a token with this header.
    pub(super) fn matching<'a>(&'a self, header: &'a Header) -> impl Iterator<Item = &'a Key> {
        let named = |key: &&Key| match (&header.kid, &key.id) {
            (Some(asked), Some(id)) => asked == id,
            (None, _) | (_, None) => true,
        };
        self.0.iter().filter(named).filter(|key| key.algorithm == header.alg)
    }
}

fn public_key(key: &Jwk) -> Option<Key> {
    let (algorithm, name) = match &key.algorithm {
        AlgorithmParameters::RSA(_) => (Algorithm::RS256, KeyAlgorithm::RS256),
        AlgorithmParameters::EllipticCurve(it) if it.curve == EllipticCurve::P256 => {
            (Algorithm::ES256, KeyAlgorithm::ES256)
        }
        AlgorithmParameters::OctetKeyPair(it) if it.curve == EllipticCurve::Ed25519 => {
            (Algorithm::EdDSA, KeyAlgorithm::EdDSA)
        }
        _ => return None,
    };
    let signs = key.common.public_key_use.as_ref().is_none_or(|it| *it == PublicKeyUse::Signature);
    let fits = key.common.key_algorithm.is_none_or(|it| it == name);
    let verifies = DecodingKey::from_jwk(key).ok().filter(|_| signs && fits)?;
    Some(Key { id: key.common.key_id.clone(), algorithm, verifies })
}
