//! A client of SFTP servers (SSH_FXP version 3 over SSH 2). Promise: nothing is sent to a server whose host key is not the one
//! that was pinned, not even a user name; a server cannot make us keep more than was asked for; what it says in words of its
//! own goes nowhere, for it may hold the name of a file and so of a patient.

mod session;

pub use session::Session;

use crate::config::Secret;

/// A server and how to sign in to it.
#[derive(Clone, Debug)]
pub struct Server {
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Who signs in.
    pub username: String,
    /// By what.
    pub login: Login,
    /// SHA-256 of its host key, as it was pinned.
    pub host_key: [u8; 32],
}

/// What proves who signs in.
#[derive(Clone, Debug)]
pub enum Login {
    /// A password.
    Password(Secret),
    /// The text of a private key file, not encrypted: OpenSSH, PKCS#8 or PKCS#1.
    PrivateKey(Secret),
}

/// Why the server cannot be used, in words for the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SftpFault(pub String);

impl From<&str> for SftpFault {
    fn from(words: &str) -> Self {
        Self(words.to_owned())
    }
}
