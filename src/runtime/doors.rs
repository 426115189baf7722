//! What is listened at, made before anything is started: a port that is taken or a certificate that cannot be used ends the
//! start, and no door opens without the lock that was asked for.

use std::net::SocketAddr;

use tokio::net::TcpListener;

use super::RuntimeError;
use crate::{
    context::Ctx,
    security::tls::{self, Door},
};

/// Days before the end of a certificate from which on a start says so. A hospital may take a month to make another.
const EXPIRES_SOON: i64 = 30;

/// A port and, where TLS is spoken there, the greeting.
pub(super) type Port = (TcpListener, Option<Door>);

/// All of them.
pub(super) struct Doors {
    pub(super) http: Port,
    pub(super) mllp: Port,
    /// MLLP over TLS, where it has a port of its own.
    pub(super) mllp_tls: Option<Port>,
}

impl Doors {
    pub(super) async fn open(ctx: &Ctx) -> Result<Self, RuntimeError> {
        let config = &ctx.config;
        let http_door = tls::http_door(&config.tls)?;
        let mut mllp_door = tls::mllp_door(&config.tls)?;
        for door in [&http_door, &mllp_door].into_iter().flatten() {
            warn_of_expiry(ctx, door);
        }
        let mut mllp_tls = None;
        if let Some(port) = config.tls.mllp_port {
            mllp_tls = Some((bind(&config.mllp_host, port).await?, mllp_door.take()));
        }
        Ok(Self {
            http: (bind(&config.http_host, config.http_port).await?, http_door),
            mllp: (bind(&config.mllp_host, config.mllp_port).await?, mllp_door),
            mllp_tls,
        })
    }
}

fn warn_of_expiry(ctx: &Ctx, door: &Door) {
    let Some(facts) = &door.facts else { return };
    let days = (facts.not_after - ctx.clock.now()).num_days();
    if days < EXPIRES_SOON {
        tracing::warn!(subject = facts.subject, until = %facts.not_after, days, "our certificate expires");
    }
}

async fn bind(host: &str, port: u16) -> Result<TcpListener, RuntimeError> {
    TcpListener::bind((host, port))
        .await
        .map_err(|error| RuntimeError::Listen { address: format!("{host}:{port}"), reason: error.kind() })
}

/// Where a port is.
pub(super) fn address((listener, _): &Port) -> Result<SocketAddr, RuntimeError> {
    listener
        .local_addr()
        .map_err(|error| RuntimeError::Listen { address: "socket".into(), reason: error.kind() })
}
