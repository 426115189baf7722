//! A server that files are fetched from.

use std::path::{Path, PathBuf};

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use serde::Deserialize;

use super::{LONGEST_POLL, any_hl7};
use crate::{domain::watched::Pattern, outbound::is_of_host};

/// Longest name or path on another machine.
const LONGEST_TEXT: usize = 1000;

/// The `sftp` of a profile.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SftpDoor {
    /// Name or address of the server.
    pub host: String,
    /// Its port.
    #[serde(default = "ssh_port")]
    pub port: u16,
    /// Who signs in.
    pub username: String,
    /// File with the password, below SECRETS_DIR. Either this or a private key.
    pub password_file: Option<PathBuf>,
    /// File with the private key, below SECRETS_DIR.
    pub private_key_file: Option<PathBuf>,
    /// `SHA256:` and the fingerprint of the server's host key, as `ssh-keygen -l` writes it.
    pub host_key_fingerprint: String,
    /// Directory that files appear in.
    pub remote_path: String,
    /// Which files are meant.
    #[serde(default = "any_hl7")]
    pub pattern: String,
    /// Seconds between two looks.
    #[serde(default = "a_minute")]
    pub poll_seconds: u64,
    /// What becomes of a file that was taken.
    #[serde(default)]
    pub after: After,
    /// Directory that taken files are moved to.
    pub move_to: Option<String>,
}

/// What becomes of a file on the server once everything in it is committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum After {
    /// It stays. A process that starts reads it once more, which changes nothing.
    #[default]
    Leave,
    /// It goes to another directory.
    Move,
    /// It is removed, unless something in it was refused.
    Delete,
}

fn ssh_port() -> u16 {
    22
}

fn a_minute() -> u64 {
    60
}

impl SftpDoor {
    /// What in it cannot be used, as far as the text shows.
    pub fn check(&self) -> Result<(), &'static str> {
        let line =
            |text: &str| !text.is_empty() && text.len() <= LONGEST_TEXT && !text.contains(char::is_control);
        if !line(&self.host) || !self.host.chars().all(is_of_host) || self.port == 0 {
            return Err("sftp.host and sftp.port must be those of a server");
        }
        if !line(&self.username) {
            return Err("sftp.username must not be empty");
        }
        if self.password_file.is_some() == self.private_key_file.is_some() {
            return Err("sftp needs a password_file or a private_key_file, and not both");
        }
        if self.host_key().is_none() {
            return Err(
                "sftp.host_key_fingerprint must be `SHA256:` and 43 letters, as `ssh-keygen -l` writes it",
            );
        }
        if !line(&self.remote_path) || !self.move_to.as_deref().is_none_or(line) {
            return Err("sftp.remote_path and sftp.move_to must be directories");
        }
        if (self.after == After::Move) != self.move_to.is_some() {
            return Err("sftp.move_to belongs to `after`: `move`, and is needed there");
        }
        if self
            .move_to
            .as_deref()
            .is_some_and(|to| to.trim_end_matches('/') == self.remote_path.trim_end_matches('/'))
        {
            return Err("sftp.move_to must be another directory than remote_path");
        }
        Pattern::parse(&self.pattern)?;
        if !(1..=LONGEST_POLL).contains(&self.poll_seconds) {
            return Err("sftp.poll_seconds must be between 1 and 86400");
        }
        Ok(())
    }

    /// The pinned SHA-256 of the server's host key.
    pub fn host_key(&self) -> Option<[u8; 32]> {
        let text = self.host_key_fingerprint.strip_prefix("SHA256:")?;
        STANDARD_NO_PAD.decode(text.trim_end_matches('=')).ok()?.try_into().ok()
    }

    /// The file that signs in, and whether it is a private key.
    pub fn secret_file(&self) -> (&Path, bool) {
        match (&self.private_key_file, &self.password_file) {
            (Some(key), _) => (key, true),
            (None, password) => (password.as_deref().unwrap_or(Path::new("")), false),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    type Spoil = fn(&mut SftpDoor);

    fn server() -> SftpDoor {
        serde_json::from_value(serde_json::json!({
            "host": "sftp.example.org", "username": "clinic", "password_file": "city",
            "host_key_fingerprint": "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "remote_path": "/out"
        }))
        .unwrap()
    }

    #[test]
    fn a_server_is_checked_by_its_text() {
        let good = server();
        assert_eq!((good.port, good.after, good.check()), (22, After::Leave, Ok(())));
        assert_eq!(good.host_key(), Some([0; 32]));
        let table: [(&str, Spoil); 13] = [
            ("host", |door| door.host = "user@host".into()),
            ("host", |door| door.host = String::new()),
            ("port", |door| door.port = 0),
            ("username", |door| door.username = "a\nb".into()),
            ("password_file", |door| door.password_file = None),
            ("private_key_file", |door| door.private_key_file = Some("key".into())),
            ("fingerprint", |door| door.host_key_fingerprint = "MD5:00:11".into()),
            ("fingerprint", |door| door.host_key_fingerprint = "SHA256:AAAA".into()),
            ("remote_path", |door| door.remote_path = String::new()),
            ("move_to", |door| door.after = After::Move),
            ("move_to", |door| door.move_to = Some("/done".into())),
            ("move_to", |door| {
                door.after = After::Move;
                door.move_to = Some("/out/".into());
            }),
            ("poll_seconds", |door| door.poll_seconds = 0),
        ];
        for (expected, spoil) in table {
            let mut door = server();
            spoil(&mut door);
            assert!(door.check().is_err_and(|why| why.contains(expected)), "{expected}: {:?}", door.check());
        }
    }
}
