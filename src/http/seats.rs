//! How many streams a user may hold open. A stream is a connection and a query a second, and a browser that opens
//! one per tab would take them without end.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Streams per user.
const PER_USER: usize = 5;

/// The streams that are open in this process. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Seats(Arc<Mutex<HashMap<String, usize>>>);

/// One open stream; dropping it gives the seat back.
pub(super) struct Seat {
    seats: Seats,
    username: String,
}

impl Seats {
    /// A seat, if the user has one left.
    pub(super) fn take(&self, username: &str) -> Option<Seat> {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(username.to_owned()).or_default();
        if *count >= PER_USER {
            return None;
        }
        *count += 1;
        Some(Seat { seats: self.clone(), username: username.to_owned() })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.username) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.username);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sixth_stream_waits_until_one_ends() {
        let seats = Seats::default();
        let mut held: Vec<_> = (0..PER_USER).filter_map(|_| seats.take("ada")).collect();
        assert_eq!(held.len(), PER_USER);
        assert!(seats.take("ada").is_none());
        assert!(seats.take("bob").is_some());
        held.pop();
        assert!(seats.take("ada").is_some());
        drop(held);
        assert!(seats.0.lock().is_ok_and(|taken| taken.is_empty()), "nobody is remembered who has no stream");
    }
}
