//! What every use case is given: the database, the clock, the configuration, the keys, and who is asking.

use std::{net::IpAddr, sync::Arc};

use tokio::sync::watch;

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

/// In-memory wake-up calls. They carry no data: whoever wakes reads the database, so a lost hint costs time, never
/// a fact.
#[derive(Clone, Default)]
pub struct Hints {
    /// Rows were added to `alert_events`.
    pub events: Hint,
    /// Something was queued for a lab, or an endpoint changed.
    pub outbox: Hint,
    /// The status of an order changed.
    pub orders: Hint,
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
