//! Time as a value that is passed in, so that retries, escalation and retention can be driven by a test.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, SubsecRound, Utc};
use tokio::sync::watch;

/// Where the time comes from.
#[derive(Clone)]
pub enum Clock {
    /// The machine's clock.
    System,
    /// A clock that stands still until it is moved.
    Fake(FakeClock),
}

impl Clock {
    /// The present, cut to microseconds: PostgreSQL keeps no more, and a value must read back as it was written.
    pub fn now(&self) -> DateTime<Utc> {
        match self {
            #[allow(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
            Self::System => Utc::now().trunc_subsecs(6),
            Self::Fake(clock) => *clock.now.borrow(),
        }
    }

    /// Waits until an instant. On a fake clock that is when a test has moved it there.
    pub async fn sleep_until(&self, instant: DateTime<Utc>) {
        match self {
            Self::System => {
                let pause = (instant - self.now()).to_std().unwrap_or(Duration::ZERO);
                tokio::time::sleep(pause).await;
            }
            Self::Fake(clock) => {
                let mut now = clock.now.subscribe();
                // The sender lives as long as `clock`, so waiting cannot fail.
                let _ = now.wait_for(|now| *now >= instant).await;
            }
        }
    }

    /// Waits for a span of time.
    pub async fn sleep(&self, span: Duration) {
        let instant = self.now() + chrono::Duration::from_std(span).unwrap_or(chrono::Duration::MAX);
        self.sleep_until(instant).await;
    }
}

/// A clock that a test moves.
#[derive(Clone)]
pub struct FakeClock {
    now: Arc<watch::Sender<DateTime<Utc>>>,
}

impl FakeClock {
    /// A clock that stands at an instant.
    pub fn new(start: DateTime<Utc>) -> Self {
        Self { now: Arc::new(watch::Sender::new(start.trunc_subsecs(6))) }
    }

    /// Moves the clock forward and wakes whoever waited for that.
    pub fn advance(&self, span: Duration) {
        let span = chrono::Duration::from_std(span).unwrap_or_default();
        self.now.send_modify(|now| *now += span);
    }
}
