//! Passwords: argon2id, always on a blocking thread, because one hash takes tens of milliseconds of CPU.

use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};

use super::SecurityError;
use crate::config::Secret;

/// Hashes a password with a salt of its own.
pub async fn hash(password: Secret) -> Result<String, SecurityError> {
    blocking(move || {
        Argon2::default()
            .hash_password(password.expose().as_bytes())
            .map(|hash| hash.to_string())
            .map_err(|_| SecurityError::Password)
    })
    .await
}

/// Whether a password is the one that was hashed. An unreadable hash counts as no.
pub async fn verify(password: Secret, hash: String) -> Result<bool, SecurityError> {
    blocking(move || {
        let Ok(hash) = PasswordHash::new(&hash) else { return Ok(false) };
        Ok(Argon2::default().verify_password(password.expose().as_bytes(), &hash).is_ok())
    })
    .await
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SecurityError> + Send + 'static,
) -> Result<T, SecurityError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| SecurityError::Password)?
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_same_password_verifies() {
        let stored = hash(Secret::new("correct horse")).await.unwrap();
        assert!(stored.starts_with("$argon2id$"));
        assert!(verify(Secret::new("correct horse"), stored.clone()).await.unwrap());
        assert!(!verify(Secret::new("wrong"), stored).await.unwrap());
        assert!(!verify(Secret::new("x"), "not a hash".into()).await.unwrap());
    }
}
