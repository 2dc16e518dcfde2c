//! Certificates of registries that no authority of the machine vouches for.
//!
//! Many a registry shows a certificate that it signed itself. Docker takes one that stands in the file of authorities;
//! the usual verification does not, because an authority is not a server.

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use std::sync::Arc;

/// A certificate or key that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The file has none, or they are malformed.
    #[error("it is not PEM with certificates, or not with a certificate and its key")]
    NotPem,
    /// They do not fit.
    #[error(transparent)]
    Tls(#[from] rustls::Error),
    /// No verification can be made of them.
    #[error(transparent)]
    Verifier(#[from] rustls::client::VerifierBuilderError),
}

/// Returns a configuration that trusts the certificates of `ca` and shows the one of `identity`.
pub(crate) fn config(ca: &[u8], identity: Option<&[u8]>) -> Result<ClientConfig, CertificateError> {
    let known = certificates(ca)?;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(known.iter().cloned());
    let verifier = OwnCertificates { known, usual: WebPkiServerVerifier::builder(Arc::new(roots)).build()? };
    let builder = ClientConfig::builder().dangerous().with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(pem) => {
            let key = PrivateKeyDer::from_pem_slice(pem).map_err(|_| CertificateError::NotPem)?;
            builder.with_client_auth_cert(certificates(pem)?, key)?
        }
    };
    // A configuration that is given whole has to name the protocols itself.
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    found.ok().filter(|found| !found.is_empty()).ok_or(CertificateError::NotPem)
}

/// Verifies as usual, and takes a server's certificate that is itself known if it is for the server's name.
#[derive(Debug)]
struct OwnCertificates {
    known: Vec<CertificateDer<'static>>,
    usual: Arc<WebPkiServerVerifier>,
}

impl ServerCertVerifier for OwnCertificates {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verified = self.usual.verify_server_cert(shown, between, name, ocsp, now);
        if verified.is_ok() || !self.known.iter().any(|known| known.as_ref() == shown.as_ref()) {
            return verified;
        }
        verify_server_name(&ParsedCertificate::try_from(shown)?, name)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.usual.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.usual.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.usual.supported_verify_schemes()
    }
}
