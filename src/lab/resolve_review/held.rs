//! Reading a held message again, as the intake did: the stored bytes, by the profile of their endpoint. What is found must
//! be what was held; otherwise the person would decide about something else than they were shown.

use std::sync::Arc;

use sea_orm::ConnectionTrait;

use crate::{
    context::Ctx,
    domain::{matching::PatientClaim, report::ReportedMessage},
    lab::{
        arrival::{self, Content},
        endpoint_profile::{Habits, Profile},
        error::LabError,
        intake::stated,
        read_messages,
    },
    store::{
        endpoints,
        entity::{hl7_message, review_item},
        reviews,
    },
};

/// What an item holds, by the kind of its message.
pub(in crate::lab) enum Held {
    /// Results.
    Results(HeldResults),
}

/// Held results.
pub(in crate::lab) struct HeldResults {
    /// The whole message.
    pub(in crate::lab) message: Box<ReportedMessage>,
    /// Which of its blocks the item holds; never empty.
    pub(in crate::lab) blocks: Vec<usize>,
    /// MSH-4.
    pub(in crate::lab) facility: Option<String>,
}

impl Held {
    /// The patient as the message states one.
    pub(in crate::lab) fn claim(&self) -> &PatientClaim {
        match self {
            Self::Results(results) => &results.message.blocks[results.blocks[0]].claim,
        }
    }
}

/// Reads what an item holds. Errors: `Conflict` when it cannot be read again, or reads differently now.
pub(in crate::lab) async fn read_again(
    ctx: &Ctx,
    connection: &impl ConnectionTrait,
    item: &review_item::Model,
    message: &hl7_message::Model,
) -> Result<Held, LabError> {
    let bytes = read_messages::open(ctx, message)?;
    let profile = profile(connection, message.lis_endpoint_id).await?;
    let reading = arrival::read(&bytes, &profile, true, message.received_at);
    let facility = reading.header.sending_facility.key().map(str::to_owned);
    match reading.content {
        Content::Results(results) => {
            let blocks = match blocks(item) {
                Some(blocks) => blocks,
                None => unfiled(connection, &results, message.id).await?,
            };
            let held = HeldResults { message: results, blocks, facility };
            same_as_held(&held, item)?;
            Ok(Held::Results(held))
        }
        // A chart's own data are not for us to choose between: whoever registers the patient does.
        Content::Event(_) => Err(LabError::Conflict(
            "A registration is mended where it comes from and sent again; here it can be rejected".into(),
        )),
        _ => Err(differs()),
    }
}

/// The profile, but for what it refuses: the message was accepted once.
async fn profile(connection: &impl ConnectionTrait, endpoint: i64) -> Result<Profile, LabError> {
    let row = if endpoint == 0 { None } else { endpoints::find(connection, endpoint).await? };
    let mut profile = row.as_ref().map_or_else(Profile::loopback, Profile::of);
    let standard = Habits::default();
    profile.habits = Arc::new(Habits {
        strict: false,
        versions: standard.versions,
        processing_ids: standard.processing_ids,
        ..Habits::clone(&profile.habits)
    });
    Ok(profile)
}

fn blocks(item: &review_item::Model) -> Option<Vec<usize>> {
    item.blocks.clone().and_then(|blocks| serde_json::from_value(blocks).ok())
}

/// The blocks of which nothing is in a chart, for items that do not say which they hold.
async fn unfiled(
    connection: &impl ConnectionTrait,
    message: &ReportedMessage,
    message_id: i64,
) -> Result<Vec<usize>, LabError> {
    let stored = reviews::stored_keys(connection, message_id).await?;
    let stored: std::collections::HashSet<String> = stored.into_iter().collect();
    let blocks = message.blocks.iter().enumerate().filter(|(_, block)| {
        let mut observations = block.reports.iter().flat_map(|report| &report.observations).peekable();
        observations.peek().is_some() && observations.all(|sent| !stored.contains(&sent.key))
    });
    Ok(blocks.map(|(index, _)| index).collect())
}

/// One patient, as many observations, and the name that was shown.
fn same_as_held(held: &HeldResults, item: &review_item::Model) -> Result<(), LabError> {
    let blocks: Option<Vec<_>> = held.blocks.iter().map(|block| held.message.blocks.get(*block)).collect();
    let blocks = blocks.filter(|blocks| !blocks.is_empty()).ok_or_else(differs)?;
    if blocks.iter().any(|block| block.claim != blocks[0].claim) {
        return Err(LabError::Conflict(
            "This item holds results of several patients, from before they were kept apart; ask the laboratory to send \
             them again"
                .into(),
        ));
    }
    let reports = blocks.iter().flat_map(|block| &block.reports);
    let observations: usize = reports.map(|report| report.observations.len()).sum();
    let claim = stated(&blocks[0].claim);
    let as_shown = item.claimed.as_ref().is_none_or(|shown| {
        let names = ["mrn", "last_name", "first_name", "date_of_birth"];
        names.iter().all(|name| shown.get(name) == claim.get(name))
    });
    if observations == item.observation_count.unsigned_abs() as usize && as_shown {
        Ok(())
    } else {
        Err(differs())
    }
}

fn differs() -> LabError {
    LabError::Conflict(
        "The message reads differently under its endpoint's present profile than when it was held".into(),
    )
}
