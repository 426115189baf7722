//! One session: sign in, look, fetch, move or remove.

use std::{sync::Arc, time::Duration};

use ipnet::IpNet;
use russh::{
    Disconnect, MethodKind,
    client::{self, AuthResult, Handle, KeyboardInteractiveAuthResponse},
    keys::{HashAlg, PrivateKeyWithHashAlg, PublicKeyOrCertificate, decode_secret_key},
};
use russh_sftp::{
    client::{RawSftpSession, error::Error},
    protocol::{FileAttributes, OpenFlags, StatusCode},
};
use tokio::{
    io::{AsyncWrite, AsyncWriteExt},
    time::timeout,
};

use super::{Login, Server, SftpFault};
use crate::{domain::watched::Stamp, outbound};

/// Time to connect and sign in.
const SIGN_IN_WITHIN: Duration = Duration::from_secs(30);
/// Time for a list of files, however long it is.
const LIST_WITHIN: Duration = Duration::from_mins(1);
/// Silence after which a connection is given up.
const SILENCE: Duration = Duration::from_mins(1);
/// Time to say goodbye.
const LEAVE_WITHIN: Duration = Duration::from_secs(5);
/// Files in one directory at most, so that no list fills the memory.
const MOST_FILES: usize = 100_000;
/// Rounds of questions in a sign-in.
const MOST_ROUNDS: usize = 3;
/// Bytes of one read: every server takes so many.
const READ: u32 = 32 * 1024;
/// Bits of a mode that say what kind of file it is, and the kind that is a plain one (POSIX).
const KIND: u32 = 0o170_000;
const PLAIN: u32 = 0o100_000;

/// See the module.
pub struct Session {
    ssh: Handle<Doorman>,
    sftp: RawSftpSession,
}

/// Lets in the server with the pinned key and no other.
struct Doorman {
    pinned: [u8; 32],
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("ssh")]
    Ssh(#[from] russh::Error),
    #[error("{0}")]
    OtherKey(String),
}

impl client::Handler for Doorman {
    type Error = Ended;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, Ended> {
        let PublicKeyOrCertificate::PublicKey { key, .. } = shown else { return Ok(false) };
        let fingerprint = key.fingerprint(HashAlg::Sha256);
        if fingerprint.as_bytes() == self.pinned {
            return Ok(true);
        }
        let kind = key.algorithm();
        Err(Ended::OtherKey(format!(
            "the server's host key is not the pinned one; it shows {fingerprint} ({kind})"
        )))
    }
}

impl Session {
    /// Connects, checks the server's key, and signs in.
    pub async fn open(server: &Server, allowed: &[IpNet]) -> Result<Self, SftpFault> {
        let sign_in = Box::pin(sign_in(server, allowed));
        timeout(SIGN_IN_WITHIN, sign_in).await.map_err(|_| "the sign-in takes too long")?
    }

    /// The plain files in a directory. Links are left out: where they lead is the server's business.
    pub async fn list(&self, directory: &str) -> Result<Vec<(String, Stamp)>, SftpFault> {
        timeout(LIST_WITHIN, self.read_all(directory))
            .await
            .map_err(|_| "the list of files takes too long")?
    }

    async fn read_all(&self, directory: &str) -> Result<Vec<(String, Stamp)>, SftpFault> {
        let failed = |error| fault("the directory cannot be listed", &error);
        let handle = self.sftp.opendir(directory).await.map_err(failed)?.handle;
        let mut found = Vec::new();
        loop {
            match self.sftp.readdir(handle.as_str()).await {
                Ok(part) => {
                    let plain = part.files.into_iter().filter(|file| is_plain(&file.attrs));
                    let named = plain.filter(|file| !file.filename.contains('/'));
                    found.extend(named.map(|file| (file.filename, stamp(&file.attrs))));
                }
                Err(error) if has_code(&error, StatusCode::Eof) => break,
                Err(error) => return Err(failed(error)),
            }
            if found.len() > MOST_FILES {
                return Err("there are too many files in the directory".into());
            }
        }
        let _ = self.sftp.close(handle).await;
        Ok(found)
    }

    /// How a file is now; `None` when it is gone.
    pub async fn stamp(&self, path: &str) -> Result<Option<Stamp>, SftpFault> {
        match self.sftp.lstat(path).await {
            Ok(found) => Ok(Some(stamp(&found.attrs))),
            Err(error) if has_code(&error, StatusCode::NoSuchFile) => Ok(None),
            Err(error) => Err(fault("a file cannot be looked at", &error)),
        }
    }

    /// Copies a file. Returns its bytes, or more than `most` when it has more.
    pub async fn fetch(
        &self,
        path: &str,
        into: &mut (impl AsyncWrite + Unpin),
        most: u64,
    ) -> Result<u64, SftpFault> {
        let opened = self.sftp.open(path, OpenFlags::READ, FileAttributes::empty()).await;
        let handle = opened.map_err(|error| fault("a file cannot be opened", &error))?.handle;
        let mut size: u64 = 0;
        while size <= most {
            match self.sftp.read(handle.as_str(), size, READ).await {
                Ok(part) if part.data.is_empty() => break,
                Ok(part) => {
                    size += part.data.len() as u64;
                    into.write_all(&part.data).await.map_err(|_| "DATA_DIR cannot take a file")?;
                }
                Err(error) if has_code(&error, StatusCode::Eof) => break,
                Err(error) => return Err(fault("a file cannot be read", &error)),
            }
        }
        into.flush().await.map_err(|_| "DATA_DIR cannot take a file")?;
        // What was read is whole whether the handle closes or not.
        let _ = self.sftp.close(handle).await;
        Ok(size)
    }

    /// Gives a file another path. False: something is there already.
    pub async fn rename(&self, from: &str, to: &str) -> Result<bool, SftpFault> {
        // Version 3 refuses to replace a file, but not every server keeps to it.
        if self.stamp(to).await?.is_some() {
            return Ok(false);
        }
        let renamed = self.sftp.rename(from, to).await;
        renamed.map(|_| true).map_err(|error| fault("a file cannot be moved", &error))
    }

    /// Removes a file.
    pub async fn remove(&self, path: &str) -> Result<(), SftpFault> {
        let removed = self.sftp.remove(path).await;
        removed.map(|_| ()).map_err(|error| fault("a file cannot be removed", &error))
    }

    /// Whether the connection is gone.
    pub fn is_closed(&self) -> bool {
        self.ssh.is_closed()
    }

    /// Takes leave.
    pub async fn close(self) {
        let _ = self.sftp.close_session();
        let _ = timeout(LEAVE_WITHIN, self.ssh.disconnect(Disconnect::ByApplication, "", "en")).await;
    }
}

async fn sign_in(server: &Server, allowed: &[IpNet]) -> Result<Session, SftpFault> {
    let stream = outbound::connect(&server.host, server.port, allowed).await?;
    let config = client::Config { inactivity_timeout: Some(SILENCE), nodelay: true, ..Default::default() };
    let doorman = Doorman { pinned: server.host_key };
    let mut ssh = client::connect_stream(Arc::new(config), stream, doorman).await.map_err(ended)?;
    prove(&mut ssh, server).await?;
    let channel = ssh.channel_open_session().await.map_err(|_| "the server opens no session")?;
    channel.request_subsystem(true, "sftp").await.map_err(|_| "the server has no SFTP")?;
    let sftp = RawSftpSession::new(channel.into_stream());
    sftp.init().await.map_err(|_| "the server has no SFTP")?;
    Ok(Session { ssh, sftp })
}

async fn prove(ssh: &mut Handle<Doorman>, server: &Server) -> Result<(), SftpFault> {
    let user = server.username.as_str();
    let proved = match &server.login {
        Login::Password(password) => {
            let result = ssh.authenticate_password(user, password.expose()).await.map_err(lost)?;
            match result {
                AuthResult::Failure { remaining_methods, .. }
                    if remaining_methods.contains(&MethodKind::KeyboardInteractive) =>
                {
                    answer_questions(ssh, user, password.expose()).await.map_err(lost)?
                }
                result => result.success(),
            }
        }
        Login::PrivateKey(text) => {
            let key = decode_secret_key(text.expose(), None)
                .map_err(|_| "the private key cannot be read; one without passphrase is needed")?;
            let hash = ssh.best_supported_rsa_hash().await.map_err(lost)?.flatten();
            let key = PrivateKeyWithHashAlg::new(Arc::new(key), hash);
            ssh.authenticate_publickey(user, key).await.map_err(lost)?.success()
        }
    };
    if proved { Ok(()) } else { Err("the server refuses the user name, password or key".into()) }
}

/// Some servers take a password as the answer to a question only.
async fn answer_questions(
    ssh: &mut Handle<Doorman>,
    user: &str,
    password: &str,
) -> Result<bool, russh::Error> {
    let mut reply = ssh.authenticate_keyboard_interactive_start(user, None::<String>).await?;
    for _ in 0..MOST_ROUNDS {
        reply = match reply {
            KeyboardInteractiveAuthResponse::Success => return Ok(true),
            KeyboardInteractiveAuthResponse::Failure { .. } => return Ok(false),
            // A second question is for something else than the password.
            KeyboardInteractiveAuthResponse::InfoRequest { prompts, .. } if prompts.len() > 1 => {
                return Ok(false);
            }
            KeyboardInteractiveAuthResponse::InfoRequest { prompts, .. } => {
                let answers = prompts.iter().map(|_| password.to_owned()).collect();
                ssh.authenticate_keyboard_interactive_respond(answers).await?
            }
        };
    }
    Ok(matches!(reply, KeyboardInteractiveAuthResponse::Success))
}

fn ended(error: Ended) -> SftpFault {
    match error {
        Ended::OtherKey(words) => SftpFault(words),
        Ended::Ssh(russh::Error::NoCommonAlgo { kind, .. }) => {
            SftpFault(format!("the server and this version have no {kind:?} algorithm in common"))
        }
        Ended::Ssh(_) => "no SSH connection can be made".into(),
    }
}

#[allow(clippy::needless_pass_by_value, reason = "it stands where errors are mapped")]
fn lost(_: russh::Error) -> SftpFault {
    "the connection was lost during the sign-in".into()
}

/// Only the code: a server's own words may name the file.
fn fault(what: &str, error: &Error) -> SftpFault {
    let why = match error {
        Error::Status(status) => match status.status_code {
            StatusCode::NoSuchFile => "it is not there",
            StatusCode::PermissionDenied => "not allowed",
            StatusCode::OpUnsupported => "the server does not do that",
            _ => "the server refuses",
        },
        Error::Timeout => "no answer in time",
        _ => "the connection was lost",
    };
    SftpFault(format!("{what}: {why}"))
}

fn has_code(error: &Error, code: StatusCode) -> bool {
    matches!(error, Error::Status(status) if status.status_code == code)
}

/// A server that does not say what kind of file it is has plain ones only.
fn is_plain(file: &FileAttributes) -> bool {
    file.permissions.is_none_or(|mode| mode & KIND == PLAIN)
}

fn stamp(file: &FileAttributes) -> Stamp {
    let modified = i128::from(file.mtime.unwrap_or_default()) * 1_000_000_000;
    Stamp { modified, size: file.size.unwrap_or_default(), inode: 0 }
}
