//! Callers who prove who they are by the certificate of their connection: a file says what each name
//! may.

use super::{Caller, Scope};
use rustls::pki_types::CertificateDer;
use serde::Deserialize;
use std::{collections::BTreeMap, sync::Arc};
use webpki::EndEntityCert;

/// The names in the certificate of a connection, which its authority has vouched for: those of hosts,
/// and URIs.
#[derive(Clone, Debug, Default)]
pub struct PeerNames(pub Arc<[String]>);

impl PeerNames {
    /// Those in this certificate.
    #[must_use]
    pub fn of(certificate: &CertificateDer<'_>) -> Self {
        let Ok(certificate) = EndEntityCert::try_from(certificate) else { return Self::default() };
        let names = certificate.valid_dns_names().chain(certificate.valid_uri_names());
        Self(names.map(str::to_owned).collect())
    }
}

/// Callers by the name in their certificate.
#[derive(Clone, Debug)]
pub struct Callers(BTreeMap<String, Arc<Caller>>);

/// The file, as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    caller: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    scopes: Vec<String>,
    account_prefix: Option<String>,
    #[serde(default)]
    on_behalf_of: bool,
}

impl Callers {
    /// Reads a file of `[[caller]]` tables: `name`, `scopes`, and if need be `account_prefix` and
    /// `on_behalf_of`.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
        let mut callers = BTreeMap::new();
        for entry in file.caller {
            let name = entry.name;
            let scopes = entry.scopes.iter().map(|scope| {
                let wrong = || format!("caller {name}: no scope {scope}; there are {}", known());
                Scope::of(scope).ok_or_else(wrong)
            });
            let scopes = scopes.collect::<Result<Vec<_>, _>>()?;
            if !Caller::is_name(&name) {
                return Err("give names of 1 to 128 visible ASCII characters".to_owned());
            }
            let caller =
                Caller::new(&name).with_scopes(scopes).with_on_behalf_of(entry.on_behalf_of);
            let caller = match entry.account_prefix.as_deref() {
                None => caller,
                Some("") => return Err(format!("caller {name}: account_prefix is empty")),
                Some(prefix) => caller.with_prefix(prefix),
            };
            if callers.insert(name.clone(), Arc::new(caller)).is_some() {
                return Err(format!("caller {name} is there twice"));
            }
        }
        match callers.is_empty() {
            true => Err("it names no [[caller]]".to_owned()),
            false => Ok(Self(callers)),
        }
    }

    /// The caller of the first of these names that is one's.
    #[must_use]
    pub fn named(&self, names: &PeerNames) -> Option<Arc<Caller>> {
        names.0.iter().find_map(|name| self.0.get(name)).cloned()
    }
}

fn known() -> String {
    Scope::ALL.map(Scope::as_str).join(", ")
}
