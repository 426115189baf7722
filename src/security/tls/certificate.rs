//! Certificates: reading them from PEM, telling them apart, and saying whose they are.

use std::{fmt, fs, path::Path, sync::Arc};

use chrono::{DateTime, Utc};
use tokio_rustls::rustls::{
    CertificateError, Error, RootCertStore,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, UnixTime, pem::PemObject},
};
use x509_cert::{Certificate, der::Decode};

use crate::{
    config::TlsFiles,
    security::{SecurityError, hex, sha256},
};

/// SHA-256 over a certificate as it goes over the wire (DER).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Of a certificate in DER.
    pub fn of(der: &[u8]) -> Self {
        Self(sha256(der))
    }

    /// Reads 64 hexadecimal digits, with or without colons, as `openssl x509 -fingerprint -sha256` prints them.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let text = text.split_once('=').map_or(text, |(_, digits)| digits);
        let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b':').collect();
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let bytes = digits.chunks(2).map(|pair| match pair {
            [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
            _ => None,
        });
        bytes.collect::<Option<Vec<u8>>>()?.try_into().ok().map(Self)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

/// Whose a certificate is, and how long it can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Subject, as RFC 4514 writes it.
    pub subject: String,
    /// From when.
    pub not_before: DateTime<Utc>,
    /// Until when.
    pub not_after: DateTime<Utc>,
}

impl Facts {
    /// Reads a certificate in DER; none if it is no certificate.
    pub fn of(der: &[u8]) -> Option<Self> {
        let certificate = Certificate::from_der(der).ok()?;
        let certificate = certificate.tbs_certificate();
        let validity = certificate.validity();
        let instant = |time: &x509_cert::time::Time| {
            let seconds = i64::try_from(time.to_unix_duration().as_secs()).ok()?;
            DateTime::from_timestamp(seconds, 0)
        };
        Some(Self {
            subject: certificate.subject().to_string(),
            not_before: instant(&validity.not_before)?,
            not_after: instant(&validity.not_after)?,
        })
    }

    /// Whether it can be used at this moment.
    fn holds_at(&self, now: UnixTime) -> bool {
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        (self.not_before.timestamp()..=self.not_after.timestamp()).contains(&now)
    }
}

/// A certificate that no authority vouches for must be one all the same, and of today.
pub(super) fn check_time(certificate: &[u8], now: UnixTime) -> Result<(), Error> {
    let facts = Facts::of(certificate).ok_or(CertificateError::BadEncoding)?;
    facts.holds_at(now).then_some(()).ok_or_else(|| CertificateError::Expired.into())
}

/// A chain and its key.
pub(super) type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// Reads a chain and its key, and notes one that will expire soon.
pub(super) fn read_identity(files: &TlsFiles) -> Result<Identity, SecurityError> {
    let chain = read_certificates(&fs::read(&files.cert).map_err(|_| unreadable(&files.cert))?);
    let chain = chain.ok_or_else(|| fault(&files.cert, "is no PEM file of certificates"))?;
    let key = fs::read(&files.key).map_err(|_| unreadable(&files.key))?;
    let key = PrivateKeyDer::from_pem_slice(&key)
        .map_err(|_| fault(&files.key, "is no PEM file of a private key without a password"))?;
    Ok((chain, key))
}

fn read_certificates(pem: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    chain.ok().filter(|chain| !chain.is_empty())
}

/// Reads authorities from PEM text. None: it has none, or one that cannot be used.
pub fn read_authorities(pem: &[u8]) -> Option<RootCertStore> {
    let mut store = RootCertStore::empty();
    for certificate in read_certificates(pem)? {
        store.add(certificate).ok()?;
    }
    Some(store)
}

/// Reads authorities from a file.
pub(super) fn read_authorities_file(path: &Path) -> Result<RootCertStore, SecurityError> {
    let pem = fs::read(path).map_err(|_| unreadable(path))?;
    read_authorities(&pem).ok_or_else(|| fault(path, "is no PEM file of authorities"))
}

pub(super) fn unreadable(path: &Path) -> SecurityError {
    fault(path, "cannot be read")
}

pub(super) fn fault(path: &Path, what: &str) -> SecurityError {
    SecurityError::Tls(format!("{} {what}", path.display()))
}

/// The one crypto provider.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_read_as_tools_write_it() {
        let expected = Fingerprint([0xab; 32]);
        let colons = ["AB"; 32].join(":");
        for text in
            ["ab".repeat(32), "AB".repeat(32), colons.clone(), format!("sha256 Fingerprint={colons}\n")]
        {
            assert_eq!(Fingerprint::parse(&text), Some(expected), "{text}");
        }
        for text in [String::new(), "ab".repeat(31), "ab".repeat(33), "zz".repeat(32), "a".repeat(63)] {
            assert_eq!(Fingerprint::parse(&text), None, "{text}");
        }
        assert_eq!(expected.to_string(), "ab".repeat(32));
    }

    #[test]
    fn a_certificate_says_whose_it_is_and_until_when() {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(vec!["lis.example.org".to_owned()]).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, "City lab");
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after = rcgen::date_time_ymd(2027, 3, 2);
        let certificate = params.self_signed(&key).unwrap();
        let facts = Facts::of(certificate.der()).unwrap();
        assert!(facts.subject.contains("CN=City lab"), "{}", facts.subject);
        assert_eq!(facts.not_after.to_rfc3339(), "2027-03-02T00:00:00+00:00");
        let at = |text: &str| {
            let seconds = text.parse::<DateTime<Utc>>().unwrap().timestamp();
            UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds.unsigned_abs()))
        };
        assert!(facts.holds_at(at("2026-06-01T00:00:00Z")));
        assert!(!facts.holds_at(at("2025-12-31T23:59:59Z")) && !facts.holds_at(at("2027-03-02T00:00:01Z")));
        assert!(Facts::of(b"no certificate").is_none());
    }
}
