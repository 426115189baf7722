//! Loops of a job, one for each endpoint, that come, change and go with it.

use std::{collections::HashMap, hash::Hash};

use chrono::{DateTime, Utc};
use tokio::task::JoinHandle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The loops that run, by what they are for.
pub(super) struct Loops<K> {
    tracker: TaskTracker,
    running: HashMap<K, Running>,
}

struct Running {
    /// The endpoint as it was when the loop began.
    as_of: DateTime<Utc>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl<K: Copy + Eq + Hash> Loops<K> {
    /// None yet.
    pub(super) fn new(tracker: TaskTracker) -> Self {
        Self { tracker, running: HashMap::new() }
    }

    /// Lets the loops be those of these endpoints, as they are now. `key`: which endpoint it is, and as of when.
    pub(super) async fn follow<E, F: Future<Output = ()> + Send + 'static>(
        &mut self,
        endpoints: Vec<E>,
        key: impl Fn(&E) -> (K, DateTime<Utc>),
        make: impl Fn(E, CancellationToken) -> F,
    ) {
        self.keep(|id, as_of| endpoints.iter().any(|row| key(row) == (id, as_of))).await;
        for row in endpoints {
            let (id, as_of) = key(&row);
            self.begin(id, as_of, |stop| make(row, stop));
        }
    }

    /// Ends the loops that are not wanted any more, or not as they are.
    async fn keep(&mut self, wanted: impl Fn(K, DateTime<Utc>) -> bool) {
        for (key, running) in &self.running {
            if !wanted(*key, running.as_of) {
                running.stop.cancel();
            }
        }
        self.reap().await;
    }

    /// Begins a loop where none runs. One that was told to stop finishes first: two loops to one lab would overtake each
    /// other.
    fn begin<F: Future<Output = ()> + Send + 'static>(
        &mut self,
        key: K,
        as_of: DateTime<Utc>,
        make: impl FnOnce(CancellationToken) -> F,
    ) {
        self.running.entry(key).or_insert_with(|| {
            let stop = CancellationToken::new();
            Running { as_of, task: self.tracker.spawn(make(stop.clone())), stop }
        });
    }

    /// Forgets the loops that have ended. One that panicked takes this task, and so the process, with it: a lab that
    /// is silently forgotten is worse than a restart.
    async fn reap(&mut self) {
        let ended: Vec<K> = self
            .running
            .iter()
            .filter(|(_, running)| running.task.is_finished())
            .map(|(key, _)| *key)
            .collect();
        for key in ended {
            if let Some(running) = self.running.remove(&key) {
                join(running.task).await;
            }
        }
    }

    /// Tells all to stop, and waits for what they are at.
    pub(super) async fn finish(&mut self) {
        for running in self.running.values() {
            running.stop.cancel();
        }
        for (_, running) in self.running.drain() {
            join(running.task).await;
        }
    }
}

async fn join(task: JoinHandle<()>) {
    if let Err(error) = task.await
        && error.is_panic()
    {
        std::panic::resume_unwind(error.into_panic());
    }
}
