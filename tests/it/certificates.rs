//! Certificates as tests need them, good and bad, and tunnels that put TLS around what speaks none.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use pms::security::sha256;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{
    TlsAcceptor, TlsConnector,
    rustls::{
        ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion,
        crypto::{CryptoProvider, aws_lc_rs},
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
        server::WebPkiClientVerifier,
        version::{TLS12, TLS13},
    },
};

/// Whoever vouches for others.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) pem: String,
}

/// A certificate with its key.
pub(crate) struct Certificate {
    pub(crate) pem: String,
    key: String,
    der: Vec<u8>,
}

/// What a certificate is for.
#[derive(Clone, Copy)]
pub(crate) enum For {
    Server,
    Client,
}

/// A way to make a certificate bad.
pub(crate) type Spoil = fn(&mut CertificateParams);

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    pub(crate) fn issue(&self, purpose: For) -> Certificate {
        self.issue_spoilt(purpose, |_| {})
    }

    pub(crate) fn issue_spoilt(&self, purpose: For, spoil: Spoil) -> Certificate {
        let mut params = params(purpose);
        spoil(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Certificate { pem: certificate.pem(), key: key.serialize_pem(), der: certificate.der().to_vec() }
    }

    fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.pem.as_bytes()).unwrap()).unwrap();
        Arc::new(roots)
    }

    /// Writes it where settings can name it.
    pub(crate) fn write(&self, directory: &Path) -> String {
        write(&directory.join("authority.pem"), &self.pem)
    }
}

/// One that nobody vouches for.
pub(crate) fn self_signed(purpose: For) -> Certificate {
    let key = KeyPair::generate().unwrap();
    let certificate = params(purpose).self_signed(&key).unwrap();
    Certificate { pem: certificate.pem(), key: key.serialize_pem(), der: certificate.der().to_vec() }
}

fn params(purpose: For) -> CertificateParams {
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, "City lab");
    params.extended_key_usages = vec![match purpose {
        For::Server => ExtendedKeyUsagePurpose::ServerAuth,
        For::Client => ExtendedKeyUsagePurpose::ClientAuth,
    }];
    params
}

impl Certificate {
    /// As `openssl x509 -fingerprint -sha256` prints it.
    pub(crate) fn fingerprint(&self) -> String {
        let bytes = sha256(&self.der);
        bytes.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
    }

    /// As it is written down.
    pub(crate) fn digits(&self) -> String {
        self.fingerprint().replace(':', "").to_lowercase()
    }

    /// Writes both files where settings can name them.
    pub(crate) fn write(&self, directory: &Path) -> (String, String) {
        (write(&directory.join("server.pem"), &self.pem), write(&directory.join("server.key"), &self.key))
    }

    fn der(&self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap();
        (vec![CertificateDer::from(self.der.clone())], key)
    }
}

fn write(path: &PathBuf, text: &str) -> String {
    fs::write(path, text).unwrap();
    path.display().to_string()
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// The versions of TLS by their numbers.
fn versions(numbers: &[&str]) -> Vec<&'static SupportedProtocolVersion> {
    let known = |number: &&str| if *number == "1.2" { &TLS12 } else { &TLS13 };
    numbers.iter().map(known).collect()
}

/// How a sender connects: whom it trusts, what it shows, what it speaks.
pub(crate) fn client(trusts: &Authority, shows: Option<&Certificate>, speaks: &[&str]) -> ClientConfig {
    let config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&versions(speaks))
        .unwrap()
        .with_root_certificates(trusts.roots());
    match shows.map(Certificate::der) {
        Some((chain, key)) => config.with_client_auth_cert(chain, key).unwrap(),
        None => config.with_no_client_auth(),
    }
}

/// How a lab is connected to: what it shows, who must vouch for us, what it speaks.
pub(crate) fn server(shows: &Certificate, asks_for: Option<&Authority>, speaks: &[&str]) -> ServerConfig {
    let config =
        ServerConfig::builder_with_provider(provider()).with_protocol_versions(&versions(speaks)).unwrap();
    let config = match asks_for {
        Some(authority) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(authority.roots(), provider());
            config.with_client_cert_verifier(verifier.build().unwrap())
        }
        None => config.with_no_client_auth(),
    };
    let (chain, key) = shows.der();
    config.with_single_cert(chain, key).unwrap()
}

/// A port in the clear whose connections go on to another one by TLS.
pub(crate) async fn tunnel_to(port: u16, config: ClientConfig) -> u16 {
    let connector = TlsConnector::from(Arc::new(config));
    let (listener, entry) = listen().await;
    #[allow(clippy::disallowed_methods, reason = "a test's own task")]
    tokio::spawn(async move {
        while let Ok((plain, _)) = listener.accept().await {
            tokio::spawn(wrapped(plain, port, connector.clone()));
        }
    });
    entry
}

/// A port by TLS whose connections go on to another one in the clear.
pub(crate) async fn tunnel_before(port: u16, config: ServerConfig) -> u16 {
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let (listener, entry) = listen().await;
    #[allow(clippy::disallowed_methods, reason = "a test's own task")]
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(unwrapped(stream, port, acceptor.clone()));
        }
    });
    entry
}

async fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

// That a connection ended badly is for its two ends to notice.

async fn wrapped(mut plain: TcpStream, port: u16, connector: TlsConnector) -> std::io::Result<()> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let mut secure = connector.connect("127.0.0.1".try_into().unwrap(), stream).await?;
    copy_bidirectional(&mut plain, &mut secure).await.map(|_| ())
}

async fn unwrapped(stream: TcpStream, port: u16, acceptor: TlsAcceptor) -> std::io::Result<()> {
    let mut secure = acceptor.accept(stream).await?;
    let mut plain = TcpStream::connect(("127.0.0.1", port)).await?;
    copy_bidirectional(&mut secure, &mut plain).await.map(|_| ())
}
