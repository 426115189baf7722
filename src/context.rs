//! What every use case is given: the database, the clock, the configuration, the keys, and who is asking.

use std::{net::IpAddr, sync::Arc};

use tokio::sync::{broadcast, watch};

use crate::{
    clock::Clock,
    config::Config,
    domain::access::Role,
    security::{keyring::Keyring, tls::Trust, tokens::TokenKey},
    store::db::Db,
};

/// The service's shared parts. Cheap to clone.
#[derive(Clone)]
pub struct Ctx {
    /// The database.
    pub db: Db,
    /// Time.
    pub clock: Clock,
    /// Settings.
    pub config: Arc<Config>,
    /// Keys of message encryption.
    pub keys: Arc<Keyring>,
    /// Key of bearer tokens.
    pub tokens: Arc<TokenKey>,
    /// What laboratories are trusted by, where we connect by TLS.
    pub trust: Arc<Trust>,
    /// Wake-up calls between tasks.
    pub hints: Hints,
}

/// In-memory wake-up calls. They say no more than where to look: whoever wakes reads the database, so a lost hint costs
/// time, never a fact.
#[derive(Clone, Default)]
pub struct Hints {
    /// Rows were added to `alert_events`.
    pub events: Hint,
    /// Something was queued for a lab.
    pub outbox: Hint,
    /// An endpoint was made, changed or deleted.
    pub endpoints: Hint,
    /// Something happened that orders are looked after for: any of them may stand otherwise than before.
    pub orders: Hint,
    /// The status of one order moved.
    pub moves: Moves,
}

/// Wake-up calls for whoever waits for one order. Each names its order: messages come in a hundred times as often, and a
/// request that looked at each of them would slow down what it waits for.
#[derive(Clone)]
pub struct Moves(broadcast::Sender<i64>);

/// Moves that are kept for a listener that is slow. One that misses some is told so, and looks.
const MOVES_KEPT: usize = 256;

impl Default for Moves {
    fn default() -> Self {
        Self(broadcast::Sender::new(MOVES_KEPT))
    }
}

impl Moves {
    /// Wakes whoever waits for this order.
    pub fn wake(&self, order: i64) {
        // That nobody waits is no fault.
        let _ = self.0.send(order);
    }

    /// A listener that hears of moves made after this moment.
    pub fn listen(&self) -> MoveListener {
        MoveListener(self.0.subscribe())
    }
}

/// See [`Moves::listen`].
pub struct MoveListener(broadcast::Receiver<i64>);

impl MoveListener {
    /// Waits until this order moves, or may have moved unheard.
    pub async fn of(&mut self, order: i64) {
        while self.0.recv().await.is_ok_and(|moved| moved != order) {}
    }
}

/// One kind of wake-up call.
#[derive(Clone)]
pub struct Hint(Arc<watch::Sender<u64>>);

impl Default for Hint {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }
}

impl Hint {
    /// Wakes every listener.
    pub fn wake(&self) {
        self.0.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// A listener that wakes on calls made after this moment.
    pub fn listen(&self) -> watch::Receiver<u64> {
        self.0.subscribe()
    }
}

/// Who asks, for the access log and the access rules.
#[derive(Clone, Debug)]
pub struct Caller {
    /// `users.id`; 0 for the service itself.
    pub user_id: i64,
    /// Unique sign-in name.
    pub username: String,
    /// What the user may do.
    pub role: Role,
    /// Id of the request, in every log line and access row of it.
    pub request_id: String,
    /// Address of the peer.
    pub ip: Option<IpAddr>,
}

impl Caller {
    /// Whoever has the machine, the database and the keys in hand, at the command line.
    pub fn operator() -> Self {
        Self {
            user_id: 0,
            username: "operator".into(),
            role: Role::InterfaceEngineer,
            request_id: "cli".into(),
            ip: None,
        }
    }

    /// The service acting by itself, as in a background job or at the MLLP door.
    pub fn system(task: &str) -> Self {
        Self {
            user_id: 0,
            username: "system".into(),
            role: Role::Service,
            request_id: task.to_owned(),
            ip: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::{MOVES_KEPT, Moves};

    #[tokio::test]
    async fn who_waits_for_an_order_is_woken_by_that_order_alone() {
        let moves = Moves::default();
        let mut news = moves.listen();
        moves.wake(1);
        assert!(news.of(2).now_or_never().is_none());
        moves.wake(2);
        assert!(news.of(2).now_or_never().is_some());
        assert!(news.of(2).now_or_never().is_none());
    }

    #[tokio::test]
    async fn who_missed_moves_looks() {
        let moves = Moves::default();
        let mut news = moves.listen();
        (0..=MOVES_KEPT).for_each(|_| moves.wake(1));
        assert!(news.of(2).now_or_never().is_some());
    }
}
