//! An appointment is stored as its scheduling system last told of it, and shown on the stream.

use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, DbErr, EntityTrait, IntoActiveModel, QueryFilter,
};
use serde_json::json;

use super::{Applied, Desk, database};
use crate::{
    domain::{
        event::{Appointment, AppointmentChange},
        ids::PatientId,
        matching::MatchOutcome,
    },
    lab::{
        intake::rows::claimed,
        publish_news::{News, publish},
    },
    store::{
        db::Tx,
        entity::{alert_event, appointment},
    },
};

impl Desk<'_> {
    /// Makes or changes an appointment, and publishes one that is new. One that was told of later already stays as it is.
    pub(super) async fn appointment(&self, tx: &mut Tx, told: &Appointment) -> Result<Applied, DbErr> {
        let mut applied = Applied::default();
        let patient = self.whose(tx, told, &mut applied).await?;
        applied.patient = patient;
        let endpoint = self.arrival.profile.id.get();
        let stored = appointment::Entity::find()
            .filter(appointment::Column::LisEndpointId.eq(endpoint))
            .filter(appointment::Column::AppointmentNumber.eq(&told.number))
            .one(&**tx)
            .await?;
        if stored.as_ref().is_some_and(|stored| told.is_older_than(stored.message_time)) {
            applied.warnings.push("older_than_stored".into());
            return Ok(applied);
        }
        let is_booked = stored.is_none() && told.change == AppointmentChange::Booked;
        let row = if let Some(stored) = stored {
            self.fill(told, patient, stored.into_active_model()).update(&**tx).await?
        } else {
            let new = appointment::ActiveModel {
                lis_endpoint_id: Set(endpoint),
                appointment_number: Set(told.number.clone()),
                created_at: Set(self.ctx.clock.now()),
                ..Default::default()
            };
            self.fill(told, patient, new).insert(&**tx).await?
        };
        tx.emit(self.event(told, &row));
        if is_booked {
            let news = News::Booking { patient: row.patient_id, told };
            publish(self.ctx, tx, news, Some(self.origin())).await.map_err(database)?;
        }
        Ok(applied)
    }

    /// The patient, when that is certain. An appointment of somebody we do not know is shown as the message names them:
    /// nothing is filed into a chart by it.
    async fn whose(
        &self,
        tx: &Tx,
        told: &Appointment,
        applied: &mut Applied,
    ) -> Result<Option<PatientId>, DbErr> {
        let Some(claim) = &told.claim else { return Ok(None) };
        match self.owner(tx, claim).await? {
            MatchOutcome::Linked { patient_id, warnings } => {
                applied.warnings.extend(warnings.iter().map(ToString::to_string));
                Ok(Some(patient_id))
            }
            MatchOutcome::Review { .. } => {
                applied.warnings.push("patient_not_certain".into());
                Ok(None)
            }
        }
    }

    fn fill(
        &self,
        told: &Appointment,
        patient: Option<PatientId>,
        mut row: appointment::ActiveModel,
    ) -> appointment::ActiveModel {
        row.patient_id = Set(patient.map(PatientId::get));
        row.claimed_patient = Set(told.claim.as_ref().filter(|_| patient.is_none()).map(claimed));
        row.status = Set(told.change.status().to_string());
        row.starts_at = Set(told.starts_at.as_ref().and_then(|time| time.instant));
        row.starts_at_text = Set(told.starts_at.as_ref().map(|time| time.text.clone()));
        row.ends_at = Set(told.ends_at);
        row.reason = Set(told.reason.clone());
        row.service = Set(told.service.clone());
        row.location = Set(told.location.clone());
        row.provider = Set(told.provider.clone());
        row.notes = Set(json!(told.notes));
        row.hl7_message_id = Set(self.message);
        row.message_time = Set(told.sent_at);
        row.updated_at = Set(self.ctx.clock.now());
        row
    }

    fn event(&self, told: &Appointment, row: &appointment::Model) -> alert_event::ActiveModel {
        alert_event::ActiveModel {
            kind: Set("appointment".into()),
            patient_id: Set(row.patient_id),
            payload: Set(json!({
                "appointment_id": row.id,
                "appointment_number": row.appointment_number,
                "patient_id": row.patient_id,
                "change": told.change,
                "status": row.status,
                "starts_at": row.starts_at,
                "service": row.service,
                "location": row.location,
                "provider": row.provider,
            })),
            created_at: Set(self.ctx.clock.now()),
            ..Default::default()
        }
    }
}
