//! How often a password may be tried for one account from one address.
//!
//! Only tries that fail count, so that a shift may sign in at once from behind one address. The count is this process's
//! own: with several of them, a guesser has as many times the tries, which is still far too few.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};

const WINDOW: TimeDelta = TimeDelta::minutes(1);
/// Accounts remembered at once; beyond it, those whose minute is over are forgotten.
const MANY: usize = 10_000;

/// The failed tries of the last minute. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct SignInLimit(Arc<Mutex<HashMap<Key, Window>>>);

type Key = (String, Option<IpAddr>);

#[derive(Clone, Copy)]
struct Window {
    began_at: DateTime<Utc>,
    tries: u32,
}

/// A try under way. It counts until it is [`Try::forgive`]n.
pub(super) struct Try {
    limit: SignInLimit,
    key: Key,
}

impl SignInLimit {
    /// Counts a try, or tells in how many seconds the next one is taken.
    pub(super) fn begin(
        &self,
        username: &str,
        ip: Option<IpAddr>,
        most: u32,
        now: DateTime<Utc>,
    ) -> Result<Try, u32> {
        let mut windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if windows.len() >= MANY {
            windows.retain(|_, window| now - window.began_at < WINDOW);
        }
        // A name longer than any account's is cut: it is not worth the memory.
        let key = (username.chars().take(100).collect::<String>(), ip);
        let window = windows.entry(key.clone()).or_insert(Window { began_at: now, tries: 0 });
        if now - window.began_at >= WINDOW {
            *window = Window { began_at: now, tries: 0 };
        }
        if window.tries >= most {
            let left = WINDOW - (now - window.began_at);
            return Err(u32::try_from(left.num_seconds()).unwrap_or(0) + 1);
        }
        window.tries += 1;
        Ok(Try { limit: self.clone(), key })
    }
}

impl Try {
    /// The password was right.
    pub(super) fn forgive(self) {
        let mut windows = self.limit.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(window) = windows.get_mut(&self.key) {
            window.tries = window.tries.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    #[test]
    fn failures_count_per_account_and_address_for_a_minute() {
        let limit = SignInLimit::default();
        let (here, there) = (Some(IpAddr::from([10, 0, 0, 1])), Some(IpAddr::from([10, 0, 0, 2])));
        for second in 0..3 {
            assert!(limit.begin("ada", here, 3, at(second)).is_ok());
        }
        assert_eq!(limit.begin("ada", here, 3, at(10)).err(), Some(51));
        assert!(limit.begin("ada", there, 3, at(10)).is_ok());
        assert!(limit.begin("bob", here, 3, at(10)).is_ok());
        assert!(limit.begin("ada", here, 3, at(60)).is_ok());
    }

    #[test]
    fn a_right_password_costs_nothing() {
        let limit = SignInLimit::default();
        for _ in 0..10 {
            let tried = limit.begin("ada", None, 1, at(0));
            assert!(tried.is_ok());
            tried.into_iter().for_each(Try::forgive);
        }
    }
}
