//! TLS of every connection, by rustls with one crypto provider: versions 1.2 and 1.3, no renegotiation, no old ciphers.
//!
//! `certificate` reads them, `server` greets who connects to us, `client` greets whom we connect to.

mod certificate;
mod client;
mod server;

pub use certificate::{Facts, Fingerprint, read_authorities};
pub use client::{Trust, TrustIn, greet_ourselves};
pub use server::{Door, http_door, mllp_door};
use tokio_rustls::rustls::{
    AlertDescription, CertificateError, CommonState, Error, ProtocolVersion, SupportedProtocolVersion,
    version,
};

use crate::config::TlsVersion;

/// What is known of the other side of a connection that TLS protects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Secured {
    /// Protocol that was agreed on.
    pub version: TlsVersion,
    /// Certificate that it showed and has the key of, if any.
    pub certificate: Option<Fingerprint>,
}

impl Secured {
    /// As a message keeps it: the version's number, and the certificate's fingerprint in hexadecimal.
    pub fn kept(self) -> (String, Option<String>) {
        (self.version.number().to_owned(), self.certificate.map(|shown| shown.to_string()))
    }

    /// Reads what [`Self::kept`] wrote.
    pub fn of_kept(version: Option<&str>, certificate: Option<&str>) -> Option<Self> {
        let version = TlsVersion::parse(version?)?;
        Some(Self { version, certificate: certificate.and_then(Fingerprint::parse) })
    }

    fn of(connection: &CommonState) -> Self {
        let shown = connection.peer_certificates().and_then(|chain| chain.first());
        let is_13 = connection.protocol_version() == Some(ProtocolVersion::TLSv1_3);
        Self {
            version: if is_13 { TlsVersion::Tls13 } else { TlsVersion::Tls12 },
            certificate: shown.map(|certificate| Fingerprint::of(certificate)),
        }
    }
}

/// The protocols that may be agreed on.
fn versions(least: TlsVersion) -> &'static [&'static SupportedProtocolVersion] {
    const FROM_12: &[&SupportedProtocolVersion] = &[&version::TLS13, &version::TLS12];
    match least {
        TlsVersion::Tls12 => FROM_12,
        TlsVersion::Tls13 => &FROM_12[..1],
    }
}

/// Why two sides did not come to terms, in words that name the remedy. Never what the other side sent.
fn in_words(error: &std::io::Error) -> &'static str {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    match inner {
        Some(Error::InvalidCertificate(fault)) => about_certificate(fault),
        Some(Error::NoCertificatesPresented) => "TLS: it shows no certificate",
        Some(Error::InvalidMessage(_)) => "TLS: the other side speaks something else",
        Some(Error::PeerIncompatible(_)) => "TLS: no protocol or cipher in common",
        Some(Error::AlertReceived(alert)) => about_alert(*alert),
        Some(_) => "TLS: no agreement",
        None => "TLS: the connection ended before an agreement",
    }
}

fn about_certificate(fault: &CertificateError) -> &'static str {
    match fault {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "TLS: its certificate has expired"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "TLS: its certificate is not valid yet"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "TLS: its certificate is for another name"
        }
        CertificateError::UnknownIssuer => "TLS: its certificate is of an authority that is not trusted",
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "TLS: its certificate is not for this use"
        }
        CertificateError::ApplicationVerificationFailure => "TLS: its certificate is not the pinned one",
        _ => "TLS: its certificate cannot be used",
    }
}

fn about_alert(alert: AlertDescription) -> &'static str {
    match alert {
        AlertDescription::CertificateRequired => "TLS: it wants a certificate of ours",
        AlertDescription::BadCertificate
        | AlertDescription::UnknownCA
        | AlertDescription::CertificateUnknown
        | AlertDescription::CertificateExpired
        | AlertDescription::UnsupportedCertificate => "TLS: it does not accept our certificate",
        AlertDescription::ProtocolVersion => "TLS: no protocol or cipher in common",
        _ => "TLS: it refused",
    }
}
