//! Visits as an ADT feed tells of them.

use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, DbErr, EntityTrait, QueryFilter, QueryOrder};

use super::{Applied, Desk};
use crate::{
    domain::event::{Admission, AdmissionKind, AdmittedPerson, VisitFacts, is_older},
    store::{
        db::Tx,
        entity::encounter::{self, Column},
    },
};

impl Desk<'_> {
    /// Opens, moves, ends or corrects a visit. One that was told of later already stays as it is.
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
        let found = visit_of(tx, patient, facts.number.as_deref()).await?;
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
        self.write_visit(tx, told, facts, patient, row).await
    }

    async fn write_visit(
        &self,
        tx: &Tx,
        told: &Admission,
        facts: &VisitFacts,
        patient: i64,
        row: Option<encounter::Model>,
    ) -> Result<(), DbErr> {
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
        if is_new { next.insert(&**tx).await } else { next.update(&**tx).await }.map(|_| ())
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
    let mut query = encounter::Entity::find().filter(Column::PatientId.eq(patient));
    if let Some(number) = number {
        query = query.filter(Column::VisitNumber.eq(number));
    }
    query.order_by_desc(Column::Id).one(&**tx).await
}
