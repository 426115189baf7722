//! Visits as an ADT feed tells of them.

use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, DbErr, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect, Select,
};

use super::{Applied, Desk, database};
use crate::{
    domain::event::{Admission, AdmissionKind, AdmittedPerson, VisitFacts, has_ended, is_older},
    lab::publish_news::{News, publish},
    store::{
        db::Tx,
        entity::encounter::{self, Column},
    },
};

impl Desk<'_> {
    /// Opens, moves, ends or corrects a visit, and publishes its end. One that was told of later already stays as it is.
    pub(super) async fn visit(
        &self,
        tx: &Tx,
        told: &Admission,
        person: &AdmittedPerson,
        patient: i64,
        applied: &mut Applied,
    ) -> Result<(), DbErr> {
        let nothing = VisitFacts::default();
        let facts = person.visit.as_ref().unwrap_or(&nothing);
        // Held: of two who end it at once the second finds that it has ended.
        let found = visits_of(patient, facts.number.as_deref()).lock_exclusive().one(&**tx).await?;
        let opens =
            matches!(told.kind, AdmissionKind::Admit | AdmissionKind::Register | AdmissionKind::PreAdmit);
        let row = match found {
            Some(row) if is_older(told.recorded_at, row.last_event_at) => {
                applied.warnings.push("visit_older_than_stored".into());
                return Ok(());
            }
            // Without a number a new admission is a new visit; the last one is over.
            Some(row) if opens && facts.number.is_none() && row.status == "finished" => None,
            found => found,
        };
        if row.is_none() && !opens && facts.number.is_none() {
            // An update of a person who is not here; nothing says which visit it means.
            if told.kind != AdmissionKind::Update {
                applied.warnings.push("visit_unknown".into());
            }
            return Ok(());
        }
        if row.is_none() && !opens {
            applied.warnings.push("visit_unknown".into());
        }
        let before = row.as_ref().map(|row| row.status.clone());
        let visit = self.write_visit(tx, told, facts, patient, row).await?;
        if has_ended(before.as_deref(), &visit.status) {
            let news = News::Discharge { visit: &visit, disposition: facts.disposition.as_deref() };
            publish(self.ctx, tx, news, Some(self.origin())).await.map_err(database)?;
        }
        Ok(())
    }

    async fn write_visit(
        &self,
        tx: &Tx,
        told: &Admission,
        facts: &VisitFacts,
        patient: i64,
        row: Option<encounter::Model>,
    ) -> Result<encounter::Model, DbErr> {
        let now = self.ctx.clock.now();
        let is_new = row.is_none();
        let mut next = row.map_or_else(
            || encounter::ActiveModel {
                patient_id: Set(patient),
                class: Set("U".into()),
                status: Set("in-progress".into()),
                visit_number: Set(facts.number.clone()),
                started_at: Set(told.occurred_at),
                created_at: Set(now),
                ..Default::default()
            },
            encounter::ActiveModel::from,
        );
        fill(&mut next, told, facts);
        next.last_event_at = Set(told.recorded_at);
        next.updated_at = Set(now);
        if is_new { next.insert(&**tx).await } else { next.update(&**tx).await }
    }
}

/// What the event says over what is stored.
fn fill(row: &mut encounter::ActiveModel, told: &Admission, facts: &VisitFacts) {
    if let Some(class) = &facts.class {
        row.class = Set(class.clone());
    }
    if facts.location.is_some() {
        row.location = Set(facts.location.clone());
    }
    if facts.attending.is_some() {
        row.attending_provider = Set(facts.attending.clone());
    }
    if facts.admitted_at.is_some() {
        row.started_at = Set(facts.admitted_at);
    }
    if let Some(status) = told.kind.visit_status() {
        row.status = Set(status.into());
    }
    match told.kind {
        AdmissionKind::Discharge => row.ended_at = Set(facts.discharged_at.or(told.occurred_at)),
        AdmissionKind::CancelDischarge => row.ended_at = Set(None),
        _ if facts.discharged_at.is_some() => row.ended_at = Set(facts.discharged_at),
        _ => {}
    }
}

/// The visit of this number, or, where none is sent, the patient's last.
pub(super) async fn visit_of(
    tx: &Tx,
    patient: i64,
    number: Option<&str>,
) -> Result<Option<encounter::Model>, DbErr> {
    visits_of(patient, number).one(&**tx).await
}

/// Visits of a patient, under a number if there is one, the last one first.
fn visits_of(patient: i64, number: Option<&str>) -> Select<encounter::Entity> {
    let query = encounter::Entity::find().filter(Column::PatientId.eq(patient));
    let query = number.into_iter().fold(query, |query, number| query.filter(Column::VisitNumber.eq(number)));
    query.order_by_desc(Column::Id)
}
