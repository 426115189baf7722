//! Which LIS endpoint a sender is. Identity comes from where the connection comes from; MSH-3 and MSH-4 are text that
//! anybody can write, so they only have to agree with it.

use std::{
    net::IpAddr,
    sync::{Arc, RwLock},
    time::{Duration, Instant},
};

use chrono::{FixedOffset, NaiveDateTime, Offset, TimeZone};
use ipnet::IpNet;

use super::{error::LabError, views};
use crate::{
    context::Ctx,
    domain::ids::EndpointId,
    hl7::charset::Charset,
    store::{endpoints, entity::lis_endpoint},
};

/// How long a loaded directory is used before it is looked up again.
const FRESH: Duration = Duration::from_secs(2);

/// How a sender's messages are read.
#[derive(Clone, Debug)]
pub struct Profile {
    /// The endpoint; 0 for a loopback sender that none names.
    pub id: EndpointId,
    /// Set when MSH-18 is empty and the bytes are not UTF-8.
    pub charset: Option<Charset>,
    /// Zone of times without offset.
    pub time_zone: chrono_tz::Tz,
    /// `auto`, `original` or `enhanced`.
    pub ack_mode: AckMode,
}

/// Whether MSH-15 and MSH-16 are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum AckMode {
    /// As the standard says.
    #[default]
    Auto,
    /// One application acknowledgment whatever they say, for the many senders that fill them and still wait for an AA.
    Original,
}

impl Profile {
    /// The offset of a wall-clock time at the sender's place.
    pub fn offset(&self, local: NaiveDateTime) -> Option<FixedOffset> {
        self.time_zone.offset_from_local_datetime(&local).earliest().map(|offset| offset.fix())
    }

    /// A loopback sender that no endpoint names.
    fn loopback() -> Self {
        let time_zone = chrono_tz::UTC;
        Self { id: EndpointId::new(0), charset: Some(Charset::LATIN_1), time_zone, ack_mode: AckMode::Auto }
    }

    /// For a message whose sender is not who its address says: read far enough to be refused by name.
    pub fn unknown() -> Self {
        Self::loopback()
    }

    fn of(row: &lis_endpoint::Model) -> Self {
        Self {
            id: EndpointId::new(row.id),
            charset: row.charset.as_deref().and_then(Charset::parse),
            time_zone: row.time_zone.parse().unwrap_or(chrono_tz::UTC),
            ack_mode: if row.ack_mode == "original" { AckMode::Original } else { AckMode::Auto },
        }
    }
}

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
        let receives = |row: &lis_endpoint::Model| row.enabled && row.direction != "outbound";
        let entries = rows.into_iter().filter(receives).map(|row| {
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
