//! Keys of machines: random, shown once, kept as a hash.

use aws_lc_rs::constant_time::verify_slices_are_equal;

use super::{SecurityError, hex, random_hex, sha256};

/// What every key begins with, so that one found in a file or a log can be told for what it is.
const MARK: &str = "pms";

/// A new key.
pub struct NewKey {
    /// The key itself.
    pub key: String,
    /// Its visible part, which finds its row.
    pub prefix: String,
    /// What is kept of it. A plain hash will do: nobody guesses 192 random bits, so there is nothing to slow down.
    pub hash: String,
}

/// Makes a key: `pms_<prefix>_<secret>`.
pub fn generate() -> Result<NewKey, SecurityError> {
    let prefix = random_hex::<6>()?;
    let key = format!("{MARK}_{prefix}_{}", random_hex::<24>()?);
    let hash = hash_of(&key);
    Ok(NewKey { key, prefix, hash })
}

/// The visible part of what may be a key.
pub fn prefix_of(key: &str) -> Option<&str> {
    let (prefix, secret) = key.strip_prefix(MARK)?.strip_prefix('_')?.split_once('_')?;
    (prefix.len() == 12 && secret.len() == 48).then_some(prefix)
}

/// Whether a key is the one that is kept as `hash`. Takes as long for a wrong one as for a right one.
pub fn matches(key: &str, hash: &str) -> bool {
    verify_slices_are_equal(hash_of(key).as_bytes(), hash.as_bytes()).is_ok()
}

fn hash_of(key: &str) -> String {
    hex(&sha256(key.as_bytes()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_its_own_and_no_other() {
        let (one, other) = (generate().unwrap(), generate().unwrap());
        assert_eq!(prefix_of(&one.key), Some(one.prefix.as_str()));
        assert!(matches(&one.key, &one.hash) && !matches(&other.key, &one.hash));
        assert!(!one.hash.contains(&one.key[17..]), "the secret is not kept");
        assert_ne!(one.prefix, other.prefix);
    }

    #[test]
    fn what_is_no_key_has_no_prefix() {
        for text in ["", "pms", "pms_", "pms_abc_def", "sk_000000000000_0", "pms_00000000000é_x"] {
            assert_eq!(prefix_of(text), None, "{text}");
        }
    }
}
