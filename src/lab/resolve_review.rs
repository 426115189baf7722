//! Deciding whose a held result is. Promise: nothing that was accepted stays out of reach; nothing enters a chart before a
//! person has said so; what they said can be taken back, and what was shown in the meantime is not denied.
//!
//! | decision | what it does |
//! |---|---|
//! | [`link_review`] | files what is held to a patient, by the rules of the intake and under the message it came in |
//! | [`create_reviewed_patient`] | registers the patient whom the message states, and files it there |
//! | [`reject_review`] | keeps it out of every chart; its alerts are closed with the reason |
//! | [`undo_review`] | takes the decision back; the item waits again |
//!
//! Of two who decide at once one wins, by the lock on the item's row. Each decision is one transaction, with its rows in the
//! access log.

mod alerts;
mod case;
mod held;
mod register;
mod undo;

use sea_orm::DbErr;

use self::case::{Case, Resolution};
pub(super) use self::held::{Held, HeldResults, read_again};
use super::{
    access::{self, Resource},
    error::LabError,
    intake::{Footprint, HeldBlocks, file_held, known_patient},
    views::ReviewItemView,
};
use crate::{
    context::{Caller, Ctx},
    domain::{
        access::Action,
        matching::{self, IdentifierKey, PatientClaim, ScoredCandidate},
        review::Verb,
    },
    store::{
        db::{self, Tx},
        entity::{patient, review_item},
        intake::{Failure, judge},
        patients, reviews,
    },
};

/// How often a decision that lost a race against a message that came in is made anew.
const RACES: u32 = 5;
const KIND: &str = "review_item";
/// Why an item was filed without a person's look at it.
const BY_RULE: &str = "run again: certain by the rules of the intake";

/// Files what an item holds to a patient. Errors: `NotFound` for the item or the patient; `Conflict`, with who and when, if
/// the item is decided already.
pub async fn link_review(
    ctx: &Ctx,
    caller: &Caller,
    id: i64,
    patient_id: i64,
) -> Result<ReviewItemView, LabError> {
    access::permit(ctx, caller, Action::ResolveReview, KIND).await?;
    for _ in 0..RACES {
        let tried = link_once(ctx, caller, id, patient_id).await;
        if !lost_a_race(&tried) {
            return tried.map(ReviewItemView::whole);
        }
    }
    Err(LabError::Unavailable)
}

async fn link_once(
    ctx: &Ctx,
    caller: &Caller,
    id: i64,
    patient_id: i64,
) -> Result<review_item::Model, LabError> {
    let mut tx = db::write(&ctx.db, "link_review").await?;
    let case = Case::take(&tx, id, Verb::Link).await?;
    let held = case.read(ctx, &tx).await?;
    let patient = reviews::lock_patient(&tx, patient_id).await?.ok_or(LabError::NotFound("Patient"))?;
    in_use(&patient)?;
    let resolution = Resolution::new(ctx, caller, Verb::Link);
    let resolution = file(ctx, &mut tx, &case, &held, patient, resolution).await?;
    finish(ctx, tx, caller, case, resolution, &[patient_id]).await
}

/// Registers the patient whom the message states, and files what the item holds there. Errors: `Invalid` when the message
/// states too little; `Conflict` when somebody has one of its identifiers, or the item is decided already.
pub async fn create_reviewed_patient(
    ctx: &Ctx,
    caller: &Caller,
    id: i64,
) -> Result<ReviewItemView, LabError> {
    access::permit(ctx, caller, Action::ResolveReview, KIND).await?;
    access::permit(ctx, caller, Action::WritePatient, "patient").await?;
    for _ in 0..RACES {
        let tried = create_once(ctx, caller, id).await;
        if !lost_a_race(&tried) {
            return tried.map(ReviewItemView::whole);
        }
    }
    Err(LabError::Unavailable)
}

async fn create_once(ctx: &Ctx, caller: &Caller, id: i64) -> Result<review_item::Model, LabError> {
    let mut tx = db::write(&ctx.db, "create_reviewed_patient").await?;
    let case = Case::take(&tx, id, Verb::CreatePatient).await?;
    let held = case.read(ctx, &tx).await?;
    let patient = register::stated(ctx, &tx, held.claim()).await?;
    let registered = [patient.id];
    let resource = Resource::one("patient", patient.id, &registered);
    access::wrote(ctx, &tx, caller, Action::WritePatient, resource).await?;
    let mut resolution = Resolution::new(ctx, caller, Verb::CreatePatient);
    resolution.created_patient = true;
    let resolution = file(ctx, &mut tx, &case, &held, patient, resolution).await?;
    finish(ctx, tx, caller, case, resolution, &registered).await
}

/// Keeps what an item holds out of every chart. Errors: `Invalid` without a reason; `Conflict` if the item is decided
/// already.
pub async fn reject_review(
    ctx: &Ctx,
    caller: &Caller,
    id: i64,
    reason: &str,
) -> Result<ReviewItemView, LabError> {
    access::permit(ctx, caller, Action::ResolveReview, KIND).await?;
    let reason = reason.trim();
    if reason.is_empty() {
        return Err(LabError::invalid("reason", "a reason is required"));
    }
    let mut tx = db::write(&ctx.db, "reject_review").await?;
    let case = Case::take(&tx, id, Verb::Reject).await?;
    let mut resolution = Resolution::new(ctx, caller, Verb::Reject);
    resolution.closed_alerts = alerts::close(ctx, &mut tx, caller, &case.item, reason).await?;
    resolution.reason = Some(reason.to_owned());
    finish(ctx, tx, caller, case, resolution, &[]).await.map(ReviewItemView::whole)
}

/// Files an item to the patient whom the rules of the intake name for it by now, in the caller's transaction. Errors:
/// `Conflict` when it is decided already, or reads otherwise now.
pub(super) async fn link_by_rule(
    ctx: &Ctx,
    tx: &mut Tx,
    caller: &Caller,
    id: i64,
    patient_id: i64,
) -> Result<(), LabError> {
    let case = Case::take(tx, id, Verb::Link).await?;
    let held = case.read(ctx, tx).await?;
    let patient = reviews::lock_patient(tx, patient_id).await?.ok_or(LabError::NotFound("Patient"))?;
    in_use(&patient)?;
    let resolution = Resolution { reason: Some(BY_RULE.into()), ..Resolution::new(ctx, caller, Verb::Link) };
    let resolution = file(ctx, tx, &case, &held, patient, resolution).await?;
    case.decide(tx, resolution).await?;
    Ok(())
}

/// Closes an item whose registration was applied after all, in the caller's transaction.
pub(super) async fn close_by_rule(
    ctx: &Ctx,
    tx: &Tx,
    caller: &Caller,
    id: i64,
    patient_id: Option<i64>,
) -> Result<(), LabError> {
    let case = Case::take(tx, id, Verb::Link).await?;
    let resolution = Resolution::new(ctx, caller, Verb::Link);
    let resolution = Resolution { reason: Some(BY_RULE.into()), patient_id, ..resolution };
    case.decide(tx, resolution).await?;
    Ok(())
}

/// Takes a decision back. Errors: `Conflict` when there is none, or when later results build on what was filed.
pub async fn undo_review(
    ctx: &Ctx,
    caller: &Caller,
    id: i64,
    reason: Option<&str>,
) -> Result<ReviewItemView, LabError> {
    access::permit(ctx, caller, Action::ResolveReview, KIND).await?;
    for _ in 0..RACES {
        let tried = undo::undo_once(ctx, caller, id, reason).await;
        if !lost_a_race(&tried) {
            return tried.map(ReviewItemView::whole);
        }
    }
    Err(LabError::Unavailable)
}

/// A message that came in at the same moment took a version number, or an identifier was registered: what is decided anew
/// sees it.
fn lost_a_race<T>(tried: &Result<T, LabError>) -> bool {
    matches!(tried, Err(LabError::Database(error)) if judge(error) == Failure::Raced)
}

/// Files what is held, by the kind of its message.
async fn file(
    ctx: &Ctx,
    tx: &mut Tx,
    case: &Case,
    held: &Held,
    patient: patient::Model,
    resolution: Resolution,
) -> Result<Resolution, LabError> {
    let scored = score(ctx, tx, held.claim(), &patient).await?;
    let patient_id = Some(patient.id);
    let made = match held {
        Held::Results(results) => file_results(ctx, tx, case, results, patient, &resolution.by).await?,
    };
    Ok(Resolution {
        patient_id,
        score: Some(scored.score),
        reasons: scored.reasons,
        made: Some(made),
        ..resolution
    })
}

async fn file_results(
    ctx: &Ctx,
    tx: &mut Tx,
    case: &Case,
    results: &HeldResults,
    patient: patient::Model,
    actor: &str,
) -> Result<Footprint, DbErr> {
    let blocks = HeldBlocks {
        message: &results.message,
        message_id: case.message.id,
        facility: results.facility.as_deref(),
        blocks: &results.blocks,
        actor,
    };
    file_held(ctx, tx, &blocks, patient).await
}

/// What spoke for and against the patient who was named, for whoever asks later.
async fn score(
    ctx: &Ctx,
    tx: &Tx,
    claim: &PatientClaim,
    patient: &patient::Model,
) -> Result<ScoredCandidate, DbErr> {
    let authority = &ctx.config.sending_facility;
    let claimed = claim.keys(authority);
    let known = patients::identifiers_of(&**tx, &[patient.id]).await?;
    let keys = known.iter().map(|row| IdentifierKey::new(Some(&row.authority), &row.value, authority));
    let hits = keys.filter(|key| claimed.contains(key)).collect();
    let candidate = known_patient(patient.clone()).candidate(hits);
    let nobody = ScoredCandidate { patient_id: patient.id.into(), score: 0, reasons: Vec::new() };
    Ok(matching::rank(claim, &[candidate], authority).pop().unwrap_or(nobody))
}

/// A record that is not in use takes no results: nobody would see them there.
fn in_use(patient: &patient::Model) -> Result<(), LabError> {
    if let Some(survivor) = patient.merged_into_id {
        return Err(LabError::Conflict(format!(
            "This record was merged into patient {survivor}; link to that one"
        )));
    }
    if patient.withdrawn_at.is_some() {
        return Err(LabError::Conflict("This record was withdrawn".into()));
    }
    Ok(())
}

async fn finish(
    ctx: &Ctx,
    tx: Tx,
    caller: &Caller,
    case: Case,
    resolution: Resolution,
    patients: &[i64],
) -> Result<review_item::Model, LabError> {
    let action = resolution.action;
    let row = case.decide(&tx, resolution).await?;
    access::wrote(ctx, &tx, caller, Action::ResolveReview, Resource::one(KIND, row.id, patients)).await?;
    tx.commit().await?;
    ctx.hints.orders.wake();
    tracing::info!(review_item = row.id, message = row.hl7_message_id, %action, "review item decided");
    Ok(row)
}
