//! What an endpoint is trusted by when a connection to or from it is encrypted: the `tls` object of its profile.

use serde::Deserialize;
use serde_json::Value;

use super::endpoint_profile::Habits;
use crate::{
    config::TlsVersion,
    outbound::{LONGEST_HOST, is_of_host},
    security::tls::{Fingerprint, TrustIn, read_authorities},
};

/// Authorities of one endpoint are few.
const LONGEST_PEM: usize = 64 * 1024;

/// The `tls` object of a profile. What it does not say is as the installation has it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsHabits {
    /// Authorities that alone may vouch for it when we connect, PEM.
    pub ca: Option<String>,
    /// Name that its certificate is for, where that is not `host`.
    pub server_name: Option<String>,
    /// SHA-256 of the one certificate that it must show when we connect, in hexadecimal; then nobody has to vouch for it.
    pub server_fingerprint: Option<String>,
    /// Oldest protocol, `1.2` or `1.3`, in either direction.
    pub min_version: Option<String>,
}

impl TlsHabits {
    /// What in it cannot be used.
    pub fn check(&self) -> Result<(), &'static str> {
        let unless = |good: bool, why| if good { Ok(()) } else { Err(why) };
        let known = self.min_version.as_deref().is_none_or(|number| TlsVersion::parse(number).is_some());
        unless(known, "tls.min_version must be 1.2 or 1.3")?;
        let digits = self.server_fingerprint.as_deref().is_none_or(|text| Fingerprint::parse(text).is_some());
        unless(
            digits,
            "tls.server_fingerprint must be 64 hexadecimal digits, the SHA-256 of the certificate",
        )?;
        let named = |name: &str| (1..=LONGEST_HOST).contains(&name.len()) && name.chars().all(is_of_host);
        unless(
            self.server_name.as_deref().is_none_or(named),
            "tls.server_name must be a host name or an address",
        )?;
        let usable = |pem: &str| pem.len() <= LONGEST_PEM && read_authorities(pem.as_bytes()).is_some();
        unless(self.ca.as_deref().is_none_or(usable), "tls.ca must be certificates of authorities, PEM")
    }

    /// The oldest protocol, where it says so.
    pub fn least(&self) -> Option<TlsVersion> {
        self.min_version.as_deref().and_then(TlsVersion::parse)
    }

    /// What it is trusted by when we connect.
    pub fn trust(&self) -> TrustIn {
        TrustIn {
            name: self.server_name.clone(),
            authorities: self.ca.clone(),
            pinned: self.server_fingerprint.as_deref().and_then(Fingerprint::parse),
            least: self.least(),
        }
    }
}

/// What an endpoint with this profile is trusted by when we connect. Errors: the profile cannot be used; to trust whatever
/// is trusted otherwise would be more than somebody has meant.
pub fn trust_in(profile: &Value) -> Result<TrustIn, &'static str> {
    let habits = Habits::read(profile).map_err(|_| "TLS: the endpoint's profile cannot be used")?;
    Ok(habits.tls.trust())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    fn authority() -> String {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.self_signed(&key).unwrap().pem()
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let good = json!({
            "ca": authority(), "server_name": "lis.example.org", "min_version": "1.3", "server_fingerprint": "AB:".repeat(31) + "AB"
        });
        let habits: TlsHabits = serde_json::from_value(good.clone()).unwrap();
        habits.check().unwrap();
        assert!(habits.trust().pinned.is_some() && habits.least() == Some(TlsVersion::Tls13));
        for (key, value) in [
            ("ca", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
            ("ca", ""),
            ("server_name", "a b"),
            ("server_name", ""),
            ("min_version", "1.1"),
            ("server_fingerprint", "abc"),
        ] {
            let mut bad = good.clone();
            bad[key] = value.into();
            let habits: TlsHabits = serde_json::from_value(bad).unwrap();
            let why = habits.check().unwrap_err();
            assert!(why.contains(&format!("tls.{key}")), "{why}");
        }
    }
}
