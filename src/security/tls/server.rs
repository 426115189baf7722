//! Greeting who connects to us.

use std::{sync::Arc, time::Duration};

use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        DigitallySignedStruct, DistinguishedName, Error, ServerConfig, SignatureScheme,
        client::danger::HandshakeSignatureValid,
        crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
        pki_types::{CertificateDer, UnixTime},
        server::{
            NoServerSessionStorage, WebPkiClientVerifier,
            danger::{ClientCertVerified, ClientCertVerifier},
        },
    },
    server::TlsStream,
};

use super::{
    Facts, Secured,
    certificate::{check_time, fault, provider, read_authorities_file, read_identity},
    in_words, versions,
};
use crate::{
    config::{TlsConfig, TlsFiles, TlsVersion},
    security::SecurityError,
};

/// Time to come to terms. A peer that does not begin must not hold a place.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Greets by TLS. Cheap to clone.
#[derive(Clone)]
pub struct Door {
    acceptor: TlsAcceptor,
    /// Whose our certificate is, and until when.
    pub facts: Option<Facts>,
}

impl Door {
    /// Comes to terms with who connected. Errors: why not, in words; no byte of what it had to say was read then.
    pub async fn greet(&self, stream: TcpStream) -> Result<(TlsStream<TcpStream>, Secured), &'static str> {
        let greeting = timeout(HANDSHAKE_TIMEOUT, self.acceptor.accept(stream)).await;
        let stream = greeting.map_err(|_| "TLS: no handshake in time")?.map_err(|error| in_words(&error))?;
        let secured = Secured::of(stream.get_ref().1);
        Ok((stream, secured))
    }
}

/// The door of messages, if it has a certificate. With authorities, nobody comes in without a certificate of theirs; without,
/// one is asked for and taken for what it is, so that an endpoint can be told by it.
pub fn mllp_door(config: &TlsConfig) -> Result<Option<Door>, SecurityError> {
    let Some(files) = &config.mllp else { return Ok(None) };
    let verifier: Arc<dyn ClientCertVerifier> = match &config.mllp_client_ca {
        Some(path) => {
            let roots = Arc::new(read_authorities_file(path)?);
            let builder = WebPkiClientVerifier::builder_with_provider(roots, provider());
            builder.build().map_err(|_| fault(path, "has no authority that can be used"))?
        }
        None => Arc::new(AnyCertificate(provider())),
    };
    door(files, verifier, config.mllp_least).map(Some)
}

/// The door of the API, if it has a certificate.
pub fn http_door(config: &TlsConfig) -> Result<Option<Door>, SecurityError> {
    let Some(files) = &config.http else { return Ok(None) };
    door(files, WebPkiClientVerifier::no_client_auth(), TlsVersion::Tls12).map(Some)
}

fn door(
    files: &TlsFiles,
    verifier: Arc<dyn ClientCertVerifier>,
    least: TlsVersion,
) -> Result<Door, SecurityError> {
    let (chain, key) = read_identity(files)?;
    let facts = chain.first().and_then(|certificate| Facts::of(certificate));
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(versions(least))
        .map_err(|_| fault(&files.cert, "cannot be used with this version of TLS"))?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .map_err(|_| fault(&files.key, "is not the key of the certificate"))?;
    // Connections last for days. Who comes again shows the certificate again, and it is checked again.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Door { acceptor: TlsAcceptor::from(Arc::new(config)), facts })
}

/// Takes a certificate of any authority, or none. That its bearer has the key is checked; that it is the right one is for
/// whoever compares the fingerprint.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ClientCertVerifier for AnyCertificate {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        check_time(end_entity, now)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
