//! Encryption of raw messages at rest: AES-256-GCM, a random 96-bit nonce for each, and a keyring with one active
//! key and any number of old ones.
//!
//! The envelope is `v1:key-id:nonce:ciphertext` (base64). What the ciphertext is bound to (AAD) is the message's
//! `message_uid`, its direction and the key id, so a row's content cannot be moved to another row.

use std::{collections::BTreeMap, path::Path};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

use super::{SecurityError, random_bytes, secret_file};

/// The keys. The active one seals; all of them open.
pub struct Keyring {
    active: String,
    keys: BTreeMap<String, LessSafeKey>,
}

/// What stands in the key file.
#[derive(Serialize, Deserialize)]
struct KeyFile {
    active: String,
    keys: BTreeMap<String, String>,
}

impl Keyring {
    /// Reads the key file, or makes one with a single new key.
    pub fn open(path: &Path) -> Result<Self, SecurityError> {
        let bytes = secret_file::read_or_create(path, || {
            let key = STANDARD.encode(random_bytes::<32>()?);
            Ok(format!("active = \"k1\"\n\n[keys]\nk1 = \"{key}\"\n"))
        })?;
        let broken = |what: &str| SecurityError::KeyFile(format!("{}: {what}", path.display()));
        let file: KeyFile = toml::from_slice(&bytes).map_err(|_| broken("is not a keyring"))?;
        let mut keys = BTreeMap::new();
        for (id, encoded) in &file.keys {
            let bytes = STANDARD.decode(encoded).map_err(|_| broken("has a key that is not base64"))?;
            let key = UnboundKey::new(&AES_256_GCM, &bytes)
                .map_err(|_| broken("has a key that is not 32 bytes long"))?;
            keys.insert(id.clone(), LessSafeKey::new(key));
        }
        if !keys.contains_key(&file.active) || file.keys.keys().any(|id| id.contains(':')) {
            return Err(broken("names no active key of its own"));
        }
        Ok(Self { active: file.active, keys })
    }

    /// Encrypts the bytes of a message.
    pub fn seal(&self, message_uid: &str, direction: &str, bytes: &[u8]) -> Result<String, SecurityError> {
        let key = &self.keys[&self.active];
        let nonce_bytes = random_bytes::<NONCE_LEN>()?;
        let nonce = Nonce::assume_unique_for_key(nonce_bytes);
        let mut sealed = bytes.to_vec();
        let aad = Aad::from(bound_to(message_uid, direction, &self.active));
        key.seal_in_place_append_tag(nonce, aad, &mut sealed).map_err(|_| SecurityError::Decrypt)?;
        Ok(format!("v1:{}:{}:{}", self.active, STANDARD.encode(nonce_bytes), STANDARD.encode(sealed)))
    }

    /// Decrypts an envelope. Errors: altered, moved, or sealed with a key that is not here.
    pub fn open_envelope(
        &self,
        message_uid: &str,
        direction: &str,
        envelope: &str,
    ) -> Result<Vec<u8>, SecurityError> {
        let mut parts = envelope.splitn(4, ':');
        let (Some("v1"), Some(id), Some(nonce), Some(sealed)) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(SecurityError::Decrypt);
        };
        let key = self.keys.get(id).ok_or_else(|| SecurityError::UnknownKey(id.to_owned()))?;
        let nonce = STANDARD.decode(nonce).map_err(|_| SecurityError::Decrypt)?;
        let nonce = Nonce::try_assume_unique_for_key(&nonce).map_err(|_| SecurityError::Decrypt)?;
        let mut bytes = STANDARD.decode(sealed).map_err(|_| SecurityError::Decrypt)?;
        let aad = Aad::from(bound_to(message_uid, direction, id));
        let length = key.open_in_place(nonce, aad, &mut bytes).map_err(|_| SecurityError::Decrypt)?.len();
        bytes.truncate(length);
        Ok(bytes)
    }
}

fn bound_to(message_uid: &str, direction: &str, key_id: &str) -> Vec<u8> {
    format!("{message_uid}\n{direction}\n{key_id}").into_bytes()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn keyring() -> (tempfile::TempDir, Keyring) {
        let dir = tempfile::tempdir().unwrap();
        let keyring = Keyring::open(&dir.path().join("keys.toml")).unwrap();
        (dir, keyring)
    }

    #[test]
    fn a_message_opens_only_where_it_was_sealed() {
        let (_dir, keyring) = keyring();
        let envelope = keyring.seal("uid-a", "inbound", b"MSH|").unwrap();
        assert!(!envelope.contains("MSH"));
        assert_eq!(keyring.open_envelope("uid-a", "inbound", &envelope).unwrap(), b"MSH|");
        for (uid, direction) in [("uid-b", "inbound"), ("uid-a", "outbound")] {
            assert_eq!(keyring.open_envelope(uid, direction, &envelope), Err(SecurityError::Decrypt));
        }
    }

    #[test]
    fn a_flipped_character_is_found() {
        let (_dir, keyring) = keyring();
        let envelope = keyring.seal("u", "inbound", b"MSH|").unwrap();
        let last = envelope.len() - 4;
        let flipped = if envelope.as_bytes()[last] == b'A' { "B" } else { "A" };
        let altered = format!("{}{flipped}{}", &envelope[..last], &envelope[last + 1..]);
        assert!(keyring.open_envelope("u", "inbound", &altered).is_err());
    }

    #[test]
    fn no_two_envelopes_are_alike_and_a_second_start_reads_the_first_key() {
        let (dir, keyring) = keyring();
        let envelope = keyring.seal("u", "inbound", b"x").unwrap();
        assert_ne!(envelope, keyring.seal("u", "inbound", b"x").unwrap());
        let again = Keyring::open(&dir.path().join("keys.toml")).unwrap();
        assert_eq!(again.open_envelope("u", "inbound", &envelope).unwrap(), b"x");
    }

    #[test]
    fn a_missing_key_is_named() {
        let (_dir, keyring) = keyring();
        let envelope = keyring.seal("u", "inbound", b"x").unwrap().replace("v1:k1:", "v1:k9:");
        let error = keyring.open_envelope("u", "inbound", &envelope).unwrap_err();
        assert_eq!(error, SecurityError::UnknownKey("k9".into()));
    }
}
