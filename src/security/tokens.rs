//! Bearer tokens: HS256 with one key, one algorithm, and every registered claim required and checked.

use std::path::Path;

use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, Duration, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde::{Deserialize, Serialize};

use super::{SecurityError, random_bytes, random_hex, secret_file};

const ISSUER: &str = "pms";

/// What a token is good for. An access token does not refresh, a refresh token does not read charts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Calls of the API, 15 minutes.
    Access,
    /// A new pair of tokens, 12 hours.
    Refresh,
    /// Opening one event stream, 30 seconds.
    Stream,
}

impl Purpose {
    const fn audience(self) -> &'static str {
        match self {
            Self::Access => "pms-api",
            Self::Refresh => "pms-refresh",
            Self::Stream => "pms-stream",
        }
    }

    /// How long a token of this purpose lives.
    pub fn lifetime(self) -> Duration {
        match self {
            Self::Access => Duration::minutes(15),
            Self::Refresh => Duration::hours(12),
            Self::Stream => Duration::seconds(30),
        }
    }
}

/// What a token says. Role and state of the user are read from the database at each use, so that a change holds at
/// once.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Claims {
    /// Username.
    pub sub: String,
    /// `users.token_version` at the time of issue; signing out raises it, which ends all earlier tokens.
    pub ver: i32,
    /// When the chain of tokens began, seconds since 1970: refreshing does not lengthen a session for ever.
    pub since: i64,
    /// Names a token that is good for one use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jti: Option<String>,
    iss: String,
    aud: String,
    exp: i64,
    nbf: i64,
}

impl Claims {
    fn new(purpose: Purpose, username: &str, version: i32, since: i64, now: DateTime<Utc>) -> Self {
        Self {
            sub: username.to_owned(),
            ver: version,
            since,
            jti: None,
            iss: ISSUER.into(),
            aud: purpose.audience().into(),
            exp: (now + purpose.lifetime()).timestamp(),
            nbf: now.timestamp(),
        }
    }
}

/// The signing key.
pub struct TokenKey {
    encoding: EncodingKey,
    decoding: DecodingKey,
}

impl TokenKey {
    /// Reads the key file's bytes, or makes a file with a new key. Errors: shorter than 32 bytes.
    pub fn open(path: &Path) -> Result<Self, SecurityError> {
        // The bytes as they stand, a line end included: another issuer may sign with the same file.
        let bytes = secret_file::read_or_create(path, || Ok(STANDARD.encode(random_bytes::<48>()?)))?;
        if bytes.len() < 32 {
            let what = format!("{}: shorter than 32 bytes", path.display());
            return Err(SecurityError::KeyFile(what));
        }
        Ok(Self { encoding: EncodingKey::from_secret(&bytes), decoding: DecodingKey::from_secret(&bytes) })
    }

    /// Signs a token. `since` is when the user signed in with a password.
    pub fn issue(
        &self,
        purpose: Purpose,
        username: &str,
        version: i32,
        since: i64,
        now: DateTime<Utc>,
    ) -> Result<String, SecurityError> {
        self.sign(&Claims::new(purpose, username, version, since, now))
    }

    /// Signs a ticket that opens one event stream. Whoever takes it must remember its id until it has expired.
    pub fn issue_ticket(
        &self,
        username: &str,
        version: i32,
        now: DateTime<Utc>,
    ) -> Result<String, SecurityError> {
        let claims = Claims::new(Purpose::Stream, username, version, now.timestamp(), now);
        self.sign(&Claims { jti: Some(random_hex::<16>()?), ..claims })
    }

    fn sign(&self, claims: &Claims) -> Result<String, SecurityError> {
        encode(&Header::new(Algorithm::HS256), claims, &self.encoding).map_err(|_| SecurityError::Random)
    }

    /// Checks a token: signature, algorithm, issuer, audience, both times. `None` says no more than "no".
    pub fn verify(&self, purpose: Purpose, token: &str, now: DateTime<Utc>) -> Option<Claims> {
        let mut rules = Validation::new(Algorithm::HS256);
        rules.set_issuer(&[ISSUER]);
        rules.set_audience(&[purpose.audience()]);
        rules.set_required_spec_claims(&["exp", "nbf", "iss", "aud", "sub"]);
        // Times are checked below, against the clock that the rest of the service uses.
        rules.validate_exp = false;
        rules.validate_nbf = false;
        let claims = decode::<Claims>(token, &self.decoding, &rules).ok()?.claims;
        let now = now.timestamp();
        (claims.exp > now && claims.nbf <= now + 30).then_some(claims)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn key() -> (tempfile::TempDir, TokenKey) {
        let dir = tempfile::tempdir().unwrap();
        let key = TokenKey::open(&dir.path().join("jwt")).unwrap();
        (dir, key)
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    #[test]
    fn a_token_is_good_for_its_purpose_and_time_only() {
        let (_dir, key) = key();
        let token = key.issue(Purpose::Access, "ada", 3, 7, at(0)).unwrap();
        let claims = key.verify(Purpose::Access, &token, at(60)).unwrap();
        assert_eq!((claims.sub.as_str(), claims.ver, claims.since), ("ada", 3, 7));
        assert!(key.verify(Purpose::Refresh, &token, at(60)).is_none(), "wrong purpose");
        assert!(key.verify(Purpose::Access, &token, at(15 * 60)).is_none(), "expired");
        assert!(key.verify(Purpose::Access, &token, at(-60)).is_none(), "from the future");
    }

    #[test]
    fn no_two_tickets_are_alike_and_none_is_an_access_token() {
        let (_dir, key) = key();
        let ticket = || key.issue_ticket("ada", 3, at(0)).unwrap();
        let (one, two) = (ticket(), ticket());
        let id = |ticket: &str| key.verify(Purpose::Stream, ticket, at(29)).unwrap().jti.unwrap();
        assert_ne!(id(&one), id(&two));
        assert!(key.verify(Purpose::Stream, &one, at(30)).is_none(), "expired");
        assert!(key.verify(Purpose::Access, &one, at(1)).is_none(), "wrong purpose");
    }

    #[test]
    fn forgeries_are_refused() {
        let (_dir, key) = key();
        let (_other_dir, other) = self::key();
        let token = key.issue(Purpose::Access, "ada", 1, 0, at(0)).unwrap();
        let (head, rest) = token.split_once('.').unwrap();
        let (body, _) = rest.split_once('.').unwrap();
        let none = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#);
        let forged = [
            other.issue(Purpose::Access, "ada", 1, 0, at(0)).unwrap(),
            format!("{none}.{body}."),
            format!("{head}.{body}."),
            format!("{head}.{body}"),
            String::new(),
        ];
        for token in forged {
            assert!(key.verify(Purpose::Access, &token, at(1)).is_none(), "{token}");
        }
    }
}
