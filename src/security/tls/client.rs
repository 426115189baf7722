//! Greeting whom we connect to.

use std::{net::IpAddr, sync::Arc, time::Duration};

use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
        client::{
            Resumption, WebPkiServerVerifier,
            danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        },
        crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
        pki_types::{CertificateDer, ServerName, UnixTime},
    },
};

use super::{
    Facts, Fingerprint, Secured,
    certificate::{Identity, check_time, provider, read_authorities_file, read_identity},
    in_words, versions,
};
use crate::{
    config::{TlsConfig, TlsFiles, TlsVersion},
    security::SecurityError,
};

/// Time to come to terms.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// What one peer is trusted by.
#[derive(Clone, Debug, Default)]
pub struct TrustIn {
    /// Name that its certificate must be for. None: the host's.
    pub name: Option<String>,
    /// Authorities (PEM) that alone may vouch for it. None: the installation's and the public ones.
    pub authorities: Option<String>,
    /// The one certificate that it must show, whoever vouches for it and whatever name it is for.
    pub pinned: Option<Fingerprint>,
    /// Oldest protocol, where the installation's is too old.
    pub least: Option<TlsVersion>,
}

/// What the installation trusts, and shows of itself.
pub struct Trust {
    authorities: Arc<RootCertStore>,
    identity: Option<Identity>,
    least: TlsVersion,
    provider: Arc<CryptoProvider>,
}

impl Trust {
    /// Reads the files that the settings name.
    pub fn open(config: &TlsConfig) -> Result<Self, SecurityError> {
        let mut authorities = match &config.outbound_ca {
            Some(path) => read_authorities_file(path)?,
            None => RootCertStore::empty(),
        };
        authorities.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        Ok(Self {
            authorities: Arc::new(authorities),
            identity: config.outbound.as_ref().map(read_identity).transpose()?,
            least: config.mllp_least,
            provider: provider(),
        })
    }

    /// Comes to terms with a peer, and says whose its certificate is. Errors: why not, in words; nothing was said to it then.
    pub async fn greet(
        &self,
        stream: TcpStream,
        host: &str,
        trust: &TrustIn,
    ) -> Result<(TlsStream<TcpStream>, Secured, Option<Facts>), &'static str> {
        let connector = TlsConnector::from(Arc::new(self.config(trust)?));
        let name = server_name(trust.name.as_deref().unwrap_or(host))?;
        let greeting = timeout(HANDSHAKE_TIMEOUT, connector.connect(name, stream)).await;
        let stream = greeting.map_err(|_| "TLS: no handshake in time")?.map_err(|error| in_words(&error))?;
        let connection = stream.get_ref().1;
        let shown = connection.peer_certificates().and_then(|chain| chain.first());
        let (secured, facts) =
            (Secured::of(connection), shown.and_then(|certificate| Facts::of(certificate)));
        Ok((stream, secured, facts))
    }

    fn config(&self, trust: &TrustIn) -> Result<ClientConfig, &'static str> {
        let least = trust.least.map_or(self.least, |least| least.max(self.least));
        let builder = ClientConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(versions(least))
            .map_err(|_| "TLS: no protocol to speak")?
            .dangerous()
            .with_custom_certificate_verifier(self.verifier(trust)?);
        let mut config = match &self.identity {
            Some((chain, key)) => builder
                .with_client_auth_cert(chain.clone(), key.clone_key())
                .map_err(|_| "TLS: our own certificate cannot be used")?,
            None => builder.with_no_client_auth(),
        };
        config.resumption = Resumption::disabled();
        Ok(config)
    }

    fn verifier(&self, trust: &TrustIn) -> Result<Arc<dyn ServerCertVerifier>, &'static str> {
        if let Some(pinned) = trust.pinned {
            return Ok(Arc::new(OneCertificate { pinned, provider: self.provider.clone() }));
        }
        let unusable = "TLS: the endpoint's authority cannot be used";
        let roots = match &trust.authorities {
            Some(pem) => Arc::new(super::read_authorities(pem.as_bytes()).ok_or(unusable)?),
            None => self.authorities.clone(),
        };
        let builder = WebPkiServerVerifier::builder_with_provider(roots, self.provider.clone());
        builder.build().map(|verifier| verifier as Arc<dyn ServerCertVerifier>).map_err(|_| unusable)
    }
}

/// Comes to terms with the service that shows the certificate in this file, whatever name it is called by.
pub async fn greet_ourselves(
    files: &TlsFiles,
    host: &str,
    stream: TcpStream,
) -> Result<TlsStream<TcpStream>, SecurityError> {
    let (chain, _) = read_identity(files)?;
    let own = TrustIn { pinned: chain.first().map(|first| Fingerprint::of(first)), ..TrustIn::default() };
    let trust = Trust::open(&TlsConfig::default())?;
    let greeting = trust.greet(stream, host, &own).await;
    greeting.map(|(stream, ..)| stream).map_err(|why| SecurityError::Tls(why.to_owned()))
}

/// A certificate is for a name or for an address.
fn server_name(host: &str) -> Result<ServerName<'static>, &'static str> {
    match host.parse::<IpAddr>() {
        Ok(address) => Ok(address.into()),
        Err(_) => ServerName::try_from(host.to_owned())
            .map_err(|_| "TLS: the host is no name that a certificate can be for"),
    }
}

/// Only one certificate, by its fingerprint: for systems that made their own. Its bearer must have the key, and it must not
/// have expired.
#[derive(Debug)]
struct OneCertificate {
    pinned: Fingerprint,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for OneCertificate {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if Fingerprint::of(end_entity) != self.pinned {
            return Err(CertificateError::ApplicationVerificationFailure.into());
        }
        check_time(end_entity, now)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
