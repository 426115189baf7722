//! Reading the review queue: what waits, what it says of its patient and of the results, and who it might be.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{Datelike, NaiveDate};
use sea_orm::{DbErr, EntityTrait};

use super::{
    access::{self, Resource},
    error::LabError,
    intake::{known_patient, source_in_message, stated},
    page::{self, Page, PageRequest},
    resolve_review::{Held, HeldResults, read_again},
    views::{CandidateView, HeldObservationView, ReviewItemView},
};
use crate::{
    context::{Caller, Ctx},
    domain::{
        access::Action,
        intake::Place,
        matching::{self, Candidate, IdentifierKey, PatientClaim, ScoredCandidate},
        review::ReviewStatus,
    },
    store::{
        entity::{hl7_message, patient, review_item},
        intake::patients_of,
        orders, patients, reviews,
    },
};

/// Candidates shown at most.
const CANDIDATES: usize = 20;
const KIND: &str = "review_item";

/// Items that stand like this.
pub async fn list_review_items(
    ctx: &Ctx,
    caller: &Caller,
    status: ReviewStatus,
    request: PageRequest,
) -> Result<Page<ReviewItemView>, LabError> {
    access::permit(ctx, caller, Action::ReadReviewQueue, KIND).await?;
    let query = reviews::search(status.as_str());
    let page = page::fetch(ctx.db.reader(), query, review_item::Column::Id, request, |row| row.id).await?;
    let page = page.map(ReviewItemView::line);
    let named: Vec<i64> = page.items.iter().flat_map(named).collect();
    access::seen(ctx, caller, Action::ReadReviewQueue, Resource::many(KIND, &named)).await?;
    Ok(page)
}

/// One item with what it holds. Of an open one the candidates are looked up anew: the patient may have been registered
/// since it was held.
pub async fn read_review_item(ctx: &Ctx, caller: &Caller, id: i64) -> Result<ReviewItemView, LabError> {
    access::permit(ctx, caller, Action::ReadReviewQueue, KIND).await?;
    let row = reviews::find(ctx.db.reader(), id).await?.ok_or(LabError::NotFound("Review item"))?;
    let is_open = row.status == ReviewStatus::Open.as_str();
    let held = read_held(ctx, &row).await?;
    let mut view = ReviewItemView::whole(row);
    if let Some(held) = held {
        if is_open {
            view.candidates = candidates(ctx, &held).await?;
        }
        view.claimed_patient.get_or_insert_with(|| stated(held.claim()));
        view.observations = Some(observations(ctx, &view, &held).await?);
    }
    access::seen(ctx, caller, Action::ReadReviewQueue, Resource::one(KIND, id, &named(&view))).await?;
    Ok(view)
}

/// Patients whom an item names.
fn named(view: &ReviewItemView) -> Vec<i64> {
    view.candidates.iter().map(|candidate| candidate.patient_id).chain(view.patient_id).collect()
}

/// What an item holds; `None` when it cannot be read again, which the decision will say in words.
async fn read_held(ctx: &Ctx, row: &review_item::Model) -> Result<Option<Held>, LabError> {
    let message = hl7_message::Entity::find_by_id(row.hl7_message_id).one(ctx.db.reader()).await?;
    let message = message.ok_or(LabError::NotFound("Message"))?;
    match read_again(ctx, ctx.db.reader(), row, &message).await {
        Ok(held) => Ok(Some(held)),
        Err(LabError::Conflict(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn observations(
    ctx: &Ctx,
    view: &ReviewItemView,
    held: &Held,
) -> Result<Vec<HeldObservationView>, DbErr> {
    let Held::Results(HeldResults { message, blocks, .. }) = held;
    let alerts = reviews::alerts_of(ctx.db.reader(), view.hl7_message_id).await?;
    let alerts: HashMap<String, i64> = alerts.into_iter().map(|row| (row.source_ref, row.id)).collect();
    let mut views = Vec::new();
    for block in blocks {
        for (number, report) in message.blocks[*block].reports.iter().enumerate() {
            for (index, sent) in report.observations.iter().enumerate() {
                let at = Place { block: *block, report: number, observation: index };
                let source = source_in_message(view.hl7_message_id, at);
                views.push(HeldObservationView::new(report, sent, alerts.get(&source).copied()));
            }
        }
    }
    Ok(views)
}

/// Everybody who has one of the identifiers, an order that is named, the family name or the birth date; best first.
async fn candidates(ctx: &Ctx, held: &Held) -> Result<Vec<CandidateView>, DbErr> {
    let claim = held.claim();
    let authority = &ctx.config.sending_facility;
    let mut found = Found::default();
    let keys = claim.keys(authority);
    let values = keys.iter().map(|key| key.value.clone()).collect();
    for (identifier, row) in patients_of(ctx.db.reader(), values).await? {
        let key = IdentifierKey::new(Some(&identifier.authority), &identifier.value, authority);
        if keys.contains(&key) {
            found.candidate(row).hits.push(key);
        }
    }
    for row in owners_of_orders(ctx, held).await? {
        found.candidate(row).order_hit = true;
    }
    for row in reviews::alike(ctx.db.reader(), &spellings(claim), &birth_dates(claim)).await? {
        found.candidate(row);
    }
    let candidates: Vec<Candidate> = found.candidates.into_values().collect();
    let ranked = matching::rank(claim, &candidates, authority);
    let worth_a_look = ranked.iter().filter(|scored: &&ScoredCandidate| scored.score > 0).take(CANDIDATES);
    Ok(worth_a_look
        .map(|scored| CandidateView::new(scored, found.rows.get(&scored.patient_id.get())))
        .collect())
}

/// Patients found in one way or another, each once.
#[derive(Default)]
struct Found {
    candidates: BTreeMap<i64, Candidate>,
    rows: HashMap<i64, patient::Model>,
}

impl Found {
    fn candidate(&mut self, row: patient::Model) -> &mut Candidate {
        self.rows.entry(row.id).or_insert_with(|| row.clone());
        self.candidates.entry(row.id).or_insert_with(|| known_patient(row).candidate(Vec::new()))
    }
}

/// Patients of the orders that the message names.
async fn owners_of_orders(ctx: &Ctx, held: &Held) -> Result<Vec<patient::Model>, DbErr> {
    let Held::Results(HeldResults { message, blocks, .. }) = held;
    let reports = blocks.iter().flat_map(|block| &message.blocks[*block].reports);
    let placers: HashSet<String> = reports.filter_map(|report| report.placer.clone()).collect();
    if placers.is_empty() {
        return Ok(Vec::new());
    }
    let placers: Vec<String> = placers.into_iter().collect();
    let mut owners = Vec::new();
    for test in orders::tests_by_placer(ctx.db.reader(), &placers).await? {
        owners.extend(orders::find(ctx.db.reader(), test.lab_order_id).await?.map(|order| order.patient_id));
    }
    patients::find_all(ctx.db.reader(), &owners).await
}

/// The family name in the spellings that people and machines write it in.
fn spellings(claim: &PatientClaim) -> Vec<String> {
    let Some(family) = claim.family.as_deref().map(str::trim).filter(|family| !family.is_empty()) else {
        return Vec::new();
    };
    let mut letters = family.chars();
    let first: String = letters.by_ref().take(1).flat_map(char::to_uppercase).collect();
    let title = first + &letters.as_str().to_lowercase();
    vec![family.to_owned(), family.to_uppercase(), title]
}

/// The birth date, and the same with day and month changed.
fn birth_dates(claim: &PatientClaim) -> Vec<NaiveDate> {
    let Some(date) = claim.birth_date else { return Vec::new() };
    let swapped = NaiveDate::from_ymd_opt(date.year(), date.day(), date.month());
    std::iter::once(date).chain(swapped).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::domain::person::Sex;

    #[test]
    fn names_and_dates_are_looked_up_as_they_are_mistyped() {
        let date = |y, m, d| NaiveDate::from_ymd_opt(y, m, d).unwrap();
        let mut claim = PatientClaim {
            identifiers: Vec::new(),
            family: Some(" DOE ".into()),
            given: None,
            birth_date: Some(date(1990, 3, 12)),
            sex: Sex::Unknown,
        };
        assert_eq!(spellings(&claim), ["DOE", "DOE", "Doe"]);
        assert_eq!(birth_dates(&claim), [date(1990, 3, 12), date(1990, 12, 3)]);
        claim.birth_date = Some(date(1990, 3, 15));
        claim.family = Some(String::new());
        assert_eq!(birth_dates(&claim), [date(1990, 3, 15)]);
        assert!(spellings(&claim).is_empty());
    }
}
