//! Which LIS endpoint a sender is. Identity comes from where the connection comes from; MSH-3 and MSH-4 are text that
//! anybody can write, so they only have to agree with it.

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

struct Entry {
    row: lis_endpoint::Model,
    networks: Vec<IpNet>,
}

impl Directory {
    async fn entries(&self, ctx: &Ctx) -> Result<Arc<Vec<Entry>>, LabError> {
        if let Some(entries) = self.fresh() {
            return Ok(entries);
        }
        let rows = endpoints::all(ctx.db.reader()).await?;
        let entries = rows.into_iter().filter(endpoints::sends).map(|row| {
            let blocks = views::strings(&row.allowed_networks);
            Entry { networks: blocks.iter().filter_map(|block| block.parse().ok()).collect(), row }
        });
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

    /// Whether anybody at this address may connect at all, in the clear. Asked before a byte is read.
    pub async fn admits(&self, ctx: &Ctx, peer: IpAddr) -> Result<bool, LabError> {
        if peer.to_canonical().is_loopback() {
            return Ok(true);
        }
        let entries = self.entries(ctx).await?;
        Ok(entries.iter().any(|entry| entry.row.allow_plaintext && entry.holds(peer)))
    }

    /// The endpoint of a message. `None`: the address is known, but not for a sender of this name.
    pub async fn identify(
        &self,
        ctx: &Ctx,
        peer: IpAddr,
        application: &str,
        facility: &str,
    ) -> Result<Option<Profile>, LabError> {
        let entries = self.entries(ctx).await?;
        let loopback = peer.to_canonical().is_loopback();
        let here = |entry: &&Entry| entry.holds(peer) && (loopback || entry.row.allow_plaintext);
        let exact = entries.iter().filter(here).find(|entry| entry.is_named(application, facility));
        let any = || entries.iter().filter(here).find(|entry| entry.is_unnamed());
        if let Some(entry) = exact.or_else(any) {
            return Ok(Some(Profile::of(&entry.row)));
        }
        Ok(loopback.then(Profile::loopback))
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
        Ok(found.filter(fits).map(|entry| Profile::of(&entry.row)))
    }
}

impl Entry {
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
