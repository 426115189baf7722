//! Where the certificates are, and how old a TLS may be.

use std::path::PathBuf;

use super::layers::Reader;

/// A certificate chain and its private key, both PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, then those that vouch for it.
    pub cert: PathBuf,
    /// PKCS#8, PKCS#1 or SEC1; never encrypted.
    pub key: PathBuf,
}

/// The oldest protocol that is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum TlsVersion {
    /// RFC 5246, for systems that know no other.
    #[default]
    Tls12,
    /// RFC 8446.
    Tls13,
}

impl TlsVersion {
    /// `1.2` or `1.3`.
    pub const fn number(self) -> &'static str {
        match self {
            Self::Tls12 => "1.2",
            Self::Tls13 => "1.3",
        }
    }

    /// Reads [`Self::number`].
    pub fn parse(number: &str) -> Option<Self> {
        [Self::Tls12, Self::Tls13].into_iter().find(|version| version.number() == number)
    }
}

/// Encryption of connections: the doors of messages, the API, and what we connect to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsConfig {
    /// Of the MLLP door. None: it speaks plain text only.
    pub mllp: Option<TlsFiles>,
    /// Port of its own for MLLP over TLS. None: the one MLLP port speaks TLS, if anything does.
    pub mllp_port: Option<u16>,
    /// Authorities that vouch for senders. Some: nobody is heard who shows no certificate of theirs.
    pub mllp_client_ca: Option<PathBuf>,
    /// Oldest protocol of MLLP, in and out.
    pub mllp_least: TlsVersion,
    /// Of the API. None: plain HTTP.
    pub http: Option<TlsFiles>,
    /// What we show to a laboratory that asks for a certificate.
    pub outbound: Option<TlsFiles>,
    /// Authorities that vouch for laboratories, besides the public ones.
    pub outbound_ca: Option<PathBuf>,
}

impl TlsConfig {
    pub(super) fn read(read: &mut Reader<'_>) -> Self {
        let mllp = files(read, "mllp.tls_cert", "mllp.tls_key");
        let own = files(read, "delivery.tls_cert", "delivery.tls_key");
        let config = Self {
            mllp_port: port(read, "mllp.tls_listen_port"),
            mllp_client_ca: read.path("mllp.tls_client_ca"),
            mllp_least: read
                .choice("mllp.tls_min_version", &[("1.2", TlsVersion::Tls12), ("1.3", TlsVersion::Tls13)]),
            http: files(read, "http.tls_cert", "http.tls_key"),
            outbound: own.or_else(|| mllp.clone()),
            outbound_ca: read.path("delivery.tls_ca"),
            mllp,
        };
        // Somebody who sets these believes that the door is locked.
        for (key, is_set) in [
            ("mllp.tls_listen_port", config.mllp_port.is_some()),
            ("mllp.tls_client_ca", config.mllp_client_ca.is_some()),
        ] {
            if is_set && config.mllp.is_none() {
                read.fault(key, "needs MLLP_TLS_CERT and MLLP_TLS_KEY");
            }
        }
        config
    }
}

/// Both or neither.
fn files(read: &mut Reader<'_>, cert: &str, key: &str) -> Option<TlsFiles> {
    match (read.path(cert), read.path(key)) {
        (Some(cert), Some(key)) => Some(TlsFiles { cert, key }),
        (None, None) => None,
        (Some(_), None) => {
            read.fault(cert, "needs the private key too");
            None
        }
        (None, Some(_)) => {
            read.fault(key, "needs the certificate too");
            None
        }
    }
}

fn port(read: &mut Reader<'_>, key: &str) -> Option<u16> {
    (!read.text(key).is_empty()).then(|| read.number(key, 0, 65_535))
}
