//! An item with its message, in the hands of one person: from the look at it to the decision nobody else can touch either.

use chrono::{DateTime, SecondsFormat, Utc};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, DbErr};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::held::{self, Held};
use crate::{
    context::{Caller, Ctx},
    domain::{
        matching::ScoreReason,
        review::{NotAllowed, ReviewStatus, Verb, message_status},
    },
    lab::{error::LabError, intake::Footprint},
    store::{
        db::Tx,
        entity::{hl7_message, review_item},
        reviews,
    },
};

/// What was decided, as it stands in the item.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Resolution {
    /// Which decision.
    pub(super) action: Verb,
    /// Who decided.
    pub(super) by: String,
    /// When.
    pub(super) at: DateTime<Utc>,
    /// The patient it was filed to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) patient_id: Option<i64>,
    /// Whether the patient was registered for it.
    #[serde(default)]
    pub(super) created_patient: bool,
    /// How much that patient looked like the one the message states.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) score: Option<u8>,
    /// What spoke for and against it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) reasons: Vec<ScoreReason>,
    /// Why it was rejected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
    /// Alerts that the rejection closed, with where they stood.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) closed_alerts: Vec<(i64, String)>,
    /// What filing it wrote and changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) made: Option<Footprint>,
}

impl Resolution {
    pub(super) fn new(ctx: &Ctx, caller: &Caller, action: Verb) -> Self {
        Self {
            action,
            by: caller.username.clone(),
            at: ctx.clock.now(),
            patient_id: None,
            created_patient: false,
            score: None,
            reasons: Vec::new(),
            reason: None,
            closed_alerts: Vec::new(),
            made: None,
        }
    }
}

/// An item and its message, held until the end of the transaction.
pub(super) struct Case {
    pub(super) item: review_item::Model,
    pub(super) message: hl7_message::Model,
    /// Where the decision leads.
    next: ReviewStatus,
    from: ReviewStatus,
}

impl Case {
    /// Takes an item into hand. Errors: `Conflict`, with who and when, if it does not stand where this can be decided.
    pub(super) async fn take(tx: &Tx, id: i64, verb: Verb) -> Result<Self, LabError> {
        let item = reviews::lock(tx, id).await?.ok_or(LabError::NotFound("Review item"))?;
        let message = reviews::lock_message(tx, item.hl7_message_id).await?;
        let message = message.ok_or(LabError::NotFound("Message"))?;
        let from: ReviewStatus = item.status.parse().unwrap_or(ReviewStatus::Open);
        match from.advance(verb) {
            Ok(next) => Ok(Self { item, message, next, from }),
            Err(refused) => Err(LabError::Conflict(already(refused, &item))),
        }
    }

    /// What the item holds.
    pub(super) async fn read(&self, ctx: &Ctx, tx: &Tx) -> Result<Held, LabError> {
        held::read_again(ctx, &**tx, &self.item, &self.message).await
    }

    /// The decision that stands in the item.
    pub(super) fn resolution(&self) -> Result<Resolution, LabError> {
        let stored = self.item.resolution.clone().and_then(|stored| serde_json::from_value(stored).ok());
        stored.ok_or_else(|| LabError::Conflict("The record of the decision cannot be read".into()))
    }

    /// Writes the decision down.
    pub(super) async fn decide(self, tx: &Tx, resolution: Resolution) -> Result<review_item::Model, DbErr> {
        let (message, observations) = (self.message, self.item.observation_count);
        let mut change: review_item::ActiveModel = self.item.into();
        change.status = Set(self.next.to_string());
        change.patient_id = Set(resolution.patient_id);
        change.resolved_by = Set(Some(resolution.by.clone()));
        change.resolved_at = Set(Some(resolution.at));
        change.resolution = Set(Some(json!(resolution)));
        let item = change.update(&**tx).await?;
        settle_message(tx, message, (self.from, self.next), observations).await?;
        Ok(item)
    }

    /// Opens the item again, and keeps what was decided among what was.
    pub(super) async fn reopen(self, tx: &Tx, undone: Value) -> Result<review_item::Model, DbErr> {
        let (message, observations) = (self.message, self.item.observation_count);
        let mut history = self.item.history.as_ref().and_then(Value::as_array).cloned().unwrap_or_default();
        let mut taken_back = self.item.resolution.clone().unwrap_or_else(|| json!({}));
        taken_back["undone"] = undone;
        history.push(taken_back);
        let mut change: review_item::ActiveModel = self.item.into();
        change.status = Set(self.next.to_string());
        change.patient_id = Set(None);
        change.resolved_by = Set(None);
        change.resolved_at = Set(None);
        change.resolution = Set(None);
        change.history = Set(Some(Value::Array(history)));
        let item = change.update(&**tx).await?;
        settle_message(tx, message, (self.from, self.next), observations).await?;
        Ok(item)
    }
}

/// Brings a message's row in line with its items: received is stored, in review and rejected at any time.
async fn settle_message(
    tx: &Tx,
    message: hl7_message::Model,
    (from, to): (ReviewStatus, ReviewStatus),
    observations: i32,
) -> Result<(), DbErr> {
    let statuses: Vec<ReviewStatus> = reviews::items_of(tx, message.id)
        .await?
        .iter()
        .map(|item| item.status.parse().unwrap_or(ReviewStatus::Open))
        .collect();
    let filed = reviews::filed(tx, message.id).await?;
    let moved = |status| observations * (i32::from(to == status) - i32::from(from == status));
    let stored = message.observations_stored + moved(ReviewStatus::Linked);
    // A message that holds, or held, somebody else's results is no part of this patient's chart.
    let whole = statuses.iter().all(|status| *status == ReviewStatus::Linked);
    let owner = filed.first().map(|(patient, _)| *patient);
    let owner = owner.filter(|owner| whole && filed.iter().all(|(patient, _)| patient == owner));
    let mut change = hl7_message::ActiveModel { id: Set(message.id), ..Default::default() };
    change.status = Set(message_status(&statuses, stored).into());
    change.observations_stored = Set(stored);
    change.observations_in_review = Set(message.observations_in_review + moved(ReviewStatus::Open));
    change.observations_rejected = Set(message.observations_rejected + moved(ReviewStatus::Rejected));
    change.patient_id = Set(owner);
    change.lab_order_id = Set(filed.iter().find_map(|(_, order)| *order));
    change.update(&**tx).await.map(|_| ())
}

/// Who was faster, and when.
fn already(refused: NotAllowed, item: &review_item::Model) -> String {
    let what = match refused.status {
        ReviewStatus::Open => return "The item is open: there is no decision to undo".into(),
        ReviewStatus::Linked => "linked",
        ReviewStatus::Rejected => "rejected",
    };
    let by = item.resolved_by.as_deref().unwrap_or("somebody else");
    match item.resolved_at {
        Some(at) => {
            let at = at.to_rfc3339_opts(SecondsFormat::Secs, true);
            format!("The item was already {what} by {by} at {at}")
        }
        None => format!("The item was already {what} by {by}"),
    }
}
