//! Which LIS endpoint a sender is. Identity comes from the certificate that it shows, and from where the connection comes from;
//! MSH-3 and MSH-4 are text that anybody can write, so they only have to agree with it.
//!
//! | the connection | it can be the endpoint's when |
//! |---|---|
//! | in the clear, from this machine | the address is in `allowed_networks`, and no certificate is pinned |
//! | in the clear, from elsewhere | so, and `allow_plaintext` |
//! | by TLS, no certificate pinned | the address is in `allowed_networks` |
//! | by TLS, `client_cert_fingerprint` | it shows that certificate; the address counts only where networks are named |
//!
//! A sender on this machine that no endpoint fits is taken too, unless it shows the certificate of an endpoint or bears the
//! names of one that has a certificate: then it is somebody else than it says.

use std::{
    net::IpAddr,
    sync::{Arc, RwLock},
    time::{Duration, Instant},
};

use ipnet::IpNet;

use super::{endpoint_profile::Profile, error::LabError, views};
use crate::{
    context::Ctx,
    domain::ids::EndpointId,
    security::tls::{Fingerprint, Secured},
    store::{endpoints, entity::lis_endpoint},
};

/// How long a loaded directory is used before it is looked up again.
const FRESH: Duration = Duration::from_secs(2);

/// The endpoints as the listener needs them, looked up again every few seconds.
#[derive(Clone, Default)]
pub struct Directory {
    loaded: Arc<RwLock<Option<Loaded>>>,
}

/// Entries, and when they were looked up.
type Loaded = (Instant, Arc<Vec<Entry>>);

/// The other side of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Where it is.
    pub address: IpAddr,
    /// What TLS has agreed on; none in the clear.
    pub secured: Option<Secured>,
}

impl Peer {
    /// In the clear.
    pub fn plain(address: IpAddr) -> Self {
        Self { address, secured: None }
    }

    /// Whether it is on this machine.
    fn is_local(&self) -> bool {
        self.address.to_canonical().is_loopback()
    }

    fn certificate(&self) -> Option<Fingerprint> {
        self.secured?.certificate
    }
}

struct Entry {
    row: lis_endpoint::Model,
    profile: Profile,
    networks: Vec<IpNet>,
    /// The certificate that it must show.
    pinned: Option<Fingerprint>,
}

impl Directory {
    async fn entries(&self, ctx: &Ctx) -> Result<Arc<Vec<Entry>>, LabError> {
        if let Some(entries) = self.fresh() {
            return Ok(entries);
        }
        let rows = endpoints::all(ctx.db.reader()).await?;
        let entries = rows.into_iter().filter(endpoints::sends).filter_map(Entry::of);
        let entries = Arc::new(entries.collect::<Vec<_>>());
        if let Ok(mut loaded) = self.loaded.write() {
            *loaded = Some((Instant::now(), entries.clone()));
        }
        Ok(entries)
    }

    fn fresh(&self) -> Option<Arc<Vec<Entry>>> {
        let loaded = self.loaded.read().ok()?;
        let (at, entries) = loaded.as_ref()?;
        (at.elapsed() < FRESH).then(|| entries.clone())
    }

    /// Whether whoever is there may say anything at all. Asked before a byte of a message is read.
    pub async fn admits(&self, ctx: &Ctx, peer: Peer) -> Result<bool, LabError> {
        if peer.is_local() {
            return Ok(true);
        }
        Ok(self.entries(ctx).await?.iter().any(|entry| entry.can_be(&peer)))
    }

    /// The endpoint of a message. `None`: the connection is known, but not for a sender of this name.
    pub async fn identify(
        &self,
        ctx: &Ctx,
        peer: Peer,
        application: &str,
        facility: &str,
    ) -> Result<Option<Profile>, LabError> {
        Ok(choose(&self.entries(ctx).await?, &peer, application, facility))
    }

    /// Whether messages may come from an endpoint at all: it is there, in use, and meant to send.
    pub async fn hears(&self, ctx: &Ctx, endpoint: EndpointId) -> Result<bool, LabError> {
        Ok(endpoint.get() == 0 || self.entries(ctx).await?.iter().any(|entry| entry.row.id == endpoint.get()))
    }

    /// The profile for a message of an endpoint that is known by other means than its address. `None`: a sender of this
    /// name is not that endpoint.
    pub async fn profile_of(
        &self,
        ctx: &Ctx,
        endpoint: EndpointId,
        application: &str,
        facility: &str,
    ) -> Result<Option<Profile>, LabError> {
        if endpoint.get() == 0 {
            return Ok(Some(Profile::loopback()));
        }
        let entries = self.entries(ctx).await?;
        let found = entries.iter().find(|entry| entry.row.id == endpoint.get());
        let fits = |entry: &&Entry| entry.is_unnamed() || entry.is_named(application, facility);
        Ok(found.filter(fits).map(|entry| entry.profile.clone()))
    }
}

/// See the module.
fn choose(entries: &[Entry], peer: &Peer, application: &str, facility: &str) -> Option<Profile> {
    let here = || entries.iter().filter(|entry| entry.can_be(peer));
    let exact = here().find(|entry| entry.is_named(application, facility));
    if let Some(entry) = exact.or_else(|| here().find(|entry| entry.is_unnamed())) {
        return Some(entry.profile.clone());
    }
    let is_known = |entry: &Entry| entry.pinned.is_some() && entry.pinned == peer.certificate();
    let is_claimed = |entry: &Entry| entry.pinned.is_some() && entry.is_named(application, facility);
    let somebody_else = entries.iter().any(|entry| is_known(entry) || is_claimed(entry));
    (peer.is_local() && !somebody_else).then(Profile::loopback)
}

impl Entry {
    /// None: what is pinned cannot be read. To hear it without would be more than somebody has meant.
    fn of(row: lis_endpoint::Model) -> Option<Self> {
        let pinned = row.client_cert_fingerprint.as_deref();
        let read = pinned.and_then(Fingerprint::parse);
        if pinned.is_some() && read.is_none() {
            tracing::error!(
                endpoint = row.id,
                "the pinned certificate cannot be used; nothing is heard from it"
            );
            return None;
        }
        let blocks = views::strings(&row.allowed_networks);
        Some(Self {
            profile: Profile::of(&row),
            networks: blocks.iter().filter_map(|block| block.parse().ok()).collect(),
            pinned: read,
            row,
        })
    }

    /// Whether a connection can be this endpoint's.
    fn can_be(&self, peer: &Peer) -> bool {
        let placed = self.holds(peer.address);
        let Some(secured) = peer.secured else {
            return placed && self.pinned.is_none() && (peer.is_local() || self.row.allow_plaintext);
        };
        let least = self.profile.habits.tls.least().unwrap_or_default();
        let shown = match self.pinned {
            Some(pinned) => secured.certificate == Some(pinned) && (placed || self.networks.is_empty()),
            None => placed,
        };
        shown && secured.version >= least
    }

    fn holds(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.networks.iter().any(|block| block.contains(&peer))
    }

    /// Its configured names are those of the message; an empty one fits any.
    fn is_named(&self, application: &str, facility: &str) -> bool {
        let fits = |configured: &str, sent: &str| configured.is_empty() || configured == sent;
        !self.is_unnamed()
            && fits(&self.row.receiving_application, application)
            && fits(&self.row.receiving_facility, facility)
    }

    fn is_unnamed(&self) -> bool {
        self.row.receiving_application.is_empty() && self.row.receiving_facility.is_empty()
    }
}
