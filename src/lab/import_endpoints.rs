//! Endpoints that the operator keeps in a file. Promise: the whole file or nothing of it, every fault named at once, and
//! what a person changed by the API since is not undone by importing the same file again.
//!
//! For that, each endpoint remembers the entry it was last imported from. An entry says anew only what it says otherwise
//! than that one: these fields are written, as by a PATCH, and all others stay as they are. So an endpoint that was renamed
//! or deleted by the API stays renamed or deleted, and one that the file does not name is none of its business.

mod entries;
mod place;

use std::{collections::HashSet, fmt};

use serde_json::{Map, Value, json};

use super::{
    LabError,
    manage_endpoints::{self, EndpointSettings, EndpointUpdate},
    route_order::route_waiting_orders,
};
use crate::{
    context::{Caller, Ctx},
    reader::{Reader, Reading},
    store::{
        db::{self, Tx},
        endpoints,
        entity::lis_endpoint,
    },
};
use entries::{Entry, Wrong};
use place::{Place, place};

/// What became of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It is a new endpoint.
    Created,
    /// These settings of the endpoint changed.
    Changed(Vec<String>),
    /// Nothing was to be done.
    Unchanged,
    /// Somebody deleted the endpoint, and the entry is the same since: it stays deleted.
    LeftDeleted,
}

/// An entry and what became of it. Prints as a line for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// The name in the file.
    pub name: String,
    /// What was done.
    pub effect: Effect,
}

impl fmt::Display for Imported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.name)?;
        match &self.effect {
            Effect::Created => f.write_str("created"),
            Effect::Changed(fields) => write!(f, "changed ({})", fields.join(", ")),
            Effect::Unchanged => f.write_str("unchanged"),
            Effect::LeftDeleted => f.write_str("unchanged (it was deleted, and stays so)"),
        }
    }
}

/// Why nothing was imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// What is wrong with the file, a line each.
    #[error("{}", .0.join("\n"))]
    Faults(Vec<String>),
    /// Something else failed.
    #[error(transparent)]
    Lab(#[from] LabError),
}

impl From<sea_orm::DbErr> for ImportError {
    fn from(error: sea_orm::DbErr) -> Self {
        Self::Lab(error.into())
    }
}

/// Imports the text of a file; `dry_run` only tells what would be done. `caller` is who it is written down for: whoever may
/// put the file there decides, so nobody is asked for a role.
pub async fn import_endpoints(
    ctx: &Ctx,
    caller: &Caller,
    text: &[u8],
    dry_run: bool,
) -> Result<Vec<Imported>, ImportError> {
    let entries = entries::read(text, &ctx.config.outbound_allowed_networks);
    let entries = entries.map_err(|fault| ImportError::Faults(vec![fault]))?;
    let tx = db::write(&ctx.db, "import_endpoints").await?;
    // Processes that start at once on one PostgreSQL take turns; the second one finds everything done.
    endpoints::take_turn_to_import(&tx).await?;
    let import = Import::new(ctx, &tx, caller, &entries).await?;
    let (mut imported, mut faults) = (Vec::new(), Vec::new());
    for entry in &entries {
        match import.apply(entry).await? {
            Ok(effect) => imported.push(Imported { name: entry.name().to_owned(), effect }),
            Err(wrong) => faults.extend(wrong.iter().map(|wrong| entry.line(wrong))),
        }
    }
    if !faults.is_empty() {
        return Err(ImportError::Faults(faults));
    }
    if !dry_run {
        // Once and at the end: the first of two new labs must not get what waits only because it is alone for a moment.
        route_waiting_orders(ctx, &tx).await?;
        tx.commit().await?;
        ctx.hints.endpoints.wake();
        ctx.hints.outbox.wake();
    }
    Ok(imported)
}

/// What all entries are imported with.
struct Import<'a> {
    ctx: &'a Ctx,
    tx: &'a Tx,
    caller: &'a Caller,
    /// Every endpoint there was when the import began, those that were deleted too.
    rows: Vec<lis_endpoint::Model>,
    names: HashSet<&'a str>,
}

/// What was done, or what stands in the way.
type Outcome = Result<Effect, Vec<Wrong>>;

impl<'a> Import<'a> {
    async fn new(
        ctx: &'a Ctx,
        tx: &'a Tx,
        caller: &'a Caller,
        entries: &'a [Entry],
    ) -> Result<Self, LabError> {
        let rows = endpoints::with_deleted(&**tx).await?;
        Ok(Self { ctx, tx, caller, rows, names: entries.iter().map(Entry::name).collect() })
    }

    async fn apply(&self, entry: &Entry) -> Result<Outcome, LabError> {
        let settings = match &entry.settings {
            Ok(settings) => settings,
            Err(wrong) => return Ok(Err(wrong.clone())),
        };
        match place(&self.rows, &self.names, entry) {
            Place::Nowhere => self.create(entry, settings.clone()).await,
            Place::At(row) => self.change(entry, settings, row.id).await,
            Place::Deleted => Ok(Ok(Effect::LeftDeleted)),
            Place::Taken => Ok(Err(vec![Wrong::new("name", "an endpoint that another entry made has it")])),
        }
    }

    async fn create(&self, entry: &Entry, settings: EndpointSettings) -> Result<Outcome, LabError> {
        let faults = manage_endpoints::door_faults(self.ctx, self.tx, None, &settings).await?;
        if !faults.is_empty() {
            return Ok(Err(faults.into_iter().map(Wrong::from).collect()));
        }
        let row = manage_endpoints::add(self.ctx, self.tx, self.caller, settings).await?;
        self.remember(row.id, entry).await?;
        Ok(Ok(Effect::Created))
    }

    async fn change(&self, entry: &Entry, wanted: &EndpointSettings, id: i64) -> Result<Outcome, LabError> {
        let row = endpoints::lock(&**self.tx, id).await?.ok_or(LabError::NotFound("LIS endpoint"))?;
        let fields = entry.differs_from(&place::entry_of(&row));
        if fields.is_empty() {
            return Ok(Ok(Effect::Unchanged));
        }
        let before = EndpointSettings::of(&row);
        let after = match patched(&before, wanted, &fields) {
            Ok(after) => after,
            Err(wrong) => return Ok(Err(wrong)),
        };
        let mut faults = manage_endpoints::faults(&after, &self.ctx.config.outbound_allowed_networks);
        faults.extend(manage_endpoints::door_faults(self.ctx, self.tx, Some(&row), &after).await?);
        if !faults.is_empty() {
            return Ok(Err(faults.into_iter().map(Wrong::from).collect()));
        }
        self.remember(row.id, entry).await?;
        let changed = differing(&json!(before), &json!(after));
        if changed.is_empty() {
            return Ok(Ok(Effect::Unchanged));
        }
        manage_endpoints::put(self.ctx, self.tx, self.caller, row, after).await?;
        Ok(Ok(Effect::Changed(changed)))
    }

    async fn remember(&self, id: i64, entry: &Entry) -> Result<(), LabError> {
        Ok(endpoints::remember_entry(&**self.tx, id, &entry.given.to_string()).await?)
    }
}

/// The settings with these fields as they are wanted: what a PATCH with them would make of it.
fn patched(
    before: &EndpointSettings,
    wanted: &EndpointSettings,
    fields: &[String],
) -> Result<EndpointSettings, Vec<Wrong>> {
    let wanted = json!(wanted);
    let patch: Map<String, Value> = fields.iter().map(|name| (name.clone(), wanted[name].clone())).collect();
    let patch = Value::Object(patch);
    let update: EndpointUpdate = Reader::body(&patch, Reading::default())
        .read()
        .map_err(|problems| problems.iter().map(Wrong::from).collect::<Vec<_>>())?;
    let mut after = before.clone();
    update.apply(&mut after);
    Ok(after)
}

/// Names of the members in which two objects differ; one that is missing differs from every other.
fn differing(left: &Value, right: &Value) -> Vec<String> {
    let members = |value: &Value| value.as_object().cloned().unwrap_or_default();
    let (left, right) = (members(left), members(right));
    let gone = left.keys().filter(|name| !right.contains_key(*name));
    let changed = right.iter().filter(|(name, value)| left.get(*name) != Some(value)).map(|(name, _)| name);
    changed.chain(gone).cloned().collect()
}
