//! Passwords, bearer tokens, keys of machines, the keyring of message encryption, and TLS.

pub mod api_keys;
pub mod keyring;
pub mod passwords;
pub(crate) mod secret_file;
pub mod tls;
pub mod tokens;

use aws_lc_rs::{digest, rand};

/// Why a security operation failed. Never says with what value.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SecurityError {
    /// A key file cannot be read, written or understood.
    #[error("key file {0}")]
    KeyFile(String),
    /// A certificate, its key or an authority cannot be used.
    #[error("TLS: {0}")]
    Tls(String),
    /// The ciphertext was altered, moved to another row, or the key is not the one it was sealed with.
    #[error("stored message cannot be decrypted")]
    Decrypt,
    /// A key that stored messages need is not in the keyring.
    #[error("message key {0} is not in the keyring")]
    UnknownKey(String),
    /// The system's random source failed.
    #[error("no random bytes")]
    Random,
    /// A password could not be hashed.
    #[error("password hashing")]
    Password,
}

/// Random bytes from the operating system's generator.
pub fn random_bytes<const N: usize>() -> Result<[u8; N], SecurityError> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| SecurityError::Random)?;
    Ok(bytes)
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        text.push(char::from_digit(u32::from(byte >> 4), 16).unwrap_or('0'));
        text.push(char::from_digit(u32::from(byte & 15), 16).unwrap_or('0'));
        text
    })
}

/// SHA-256 of bytes as received.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    hash
}

/// SHA-256 of what comes in parts.
pub struct Sha256(digest::Context);

impl Sha256 {
    /// Of nothing so far.
    pub fn new() -> Self {
        Self(digest::Context::new(&digest::SHA256))
    }

    /// The next part.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The hash of all parts, as [`sha256`] of the whole.
    pub fn finish(self) -> [u8; 32] {
        let mut hash = [0; 32];
        hash.copy_from_slice(self.0.finish().as_ref());
        hash
    }
}

impl Default for Sha256 {
    fn default() -> Self {
        Self::new()
    }
}

/// An id that no other process makes: `bytes` random bytes as hexadecimal.
pub fn random_hex<const N: usize>() -> Result<String, SecurityError> {
    random_bytes::<N>().map(|bytes| hex(&bytes))
}
