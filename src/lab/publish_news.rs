//! Telling other systems what happened here. Promise: the messages are in the queues of all who asked for such news, in the
//! transaction in which it happened; whoever brought the news does not get it back.

use sea_orm::DbErr;

use super::{
    access::{self, Resource},
    endpoint_profile::{Habits, Publication},
    error::LabError,
    outbound_message::{Encoded, person},
    published_message::{self, Address},
    queue_message::{Letter, queue_letter},
};
use crate::{
    context::{Caller, Ctx},
    domain::{access::Action, event::Appointment},
    hl7::outbound::PersonOut,
    store::{
        db::Tx,
        endpoints,
        entity::{encounter, lis_endpoint},
        intake::reserve_ids,
        outbox, patients,
    },
};

/// What happened.
#[derive(Clone, Copy)]
pub(super) enum News<'a> {
    /// A visit has ended.
    Discharge {
        /// As it stands now.
        visit: &'a encounter::Model,
        /// Where the patient went (table 0112), where that was said.
        disposition: Option<&'a str>,
    },
    /// An appointment was booked.
    Booking {
        /// Whose it is, when that is certain.
        patient: Option<i64>,
        /// As it was told.
        told: &'a Appointment,
    },
}

/// Which message brought the news, and from whom.
#[derive(Clone, Copy)]
pub(super) struct Origin {
    /// The endpoint, which knows already.
    pub(super) endpoint: i64,
    /// Row of the message.
    pub(super) message: i64,
}

/// A patient in whose chart the news stand, and how they are written.
struct Subject {
    id: i64,
    person: PersonOut,
}

/// Queues the news for every endpoint that asked for such and can be sent to. Answers whether there is one; the caller then wakes
/// `hints.outbox` after its commit. The endpoints are looked up here and not in a cache: who asks for news from now on misses
/// none.
pub(super) async fn publish(
    ctx: &Ctx,
    tx: &Tx,
    news: News<'_>,
    origin: Option<Origin>,
) -> Result<bool, LabError> {
    let subscribers = subscribers(tx, news.publication(), origin).await?;
    if subscribers.is_empty() {
        return Ok(false);
    }
    let subject = subject(ctx, tx, news.patient()).await?;
    let [ids] = reserve_ids(tx, [("hl7_messages", subscribers.len())]).await?;
    for (endpoint, message) in subscribers.iter().zip(ids) {
        let to = Address { config: &ctx.config, endpoint, now: ctx.clock.now(), message };
        let letter = Letter {
            message: Some(message),
            endpoint: endpoint.id,
            kind: news.kind(),
            patient: subject.as_ref().map(|subject| subject.id),
            order: None,
            cause: origin.map(|origin| origin.message),
            encoded: news.encode(&to, subject.as_ref())?,
        };
        let patients = letter.patient;
        queue_letter(ctx, tx, letter).await?;
        let resource = Resource::one("hl7_message", message, patients.as_slice());
        access::wrote(ctx, tx, &Caller::system("publish"), Action::PublishMessage, resource).await?;
        tracing::info!(message, endpoint = endpoint.id, kind = news.kind(), "news queued");
    }
    Ok(true)
}

impl News<'_> {
    fn publication(&self) -> Publication {
        match self {
            Self::Discharge { .. } => Publication::Discharge,
            Self::Booking { .. } => Publication::Booking,
        }
    }

    /// As the outbox calls it.
    fn kind(&self) -> &'static str {
        match self {
            Self::Discharge { .. } => outbox::DISCHARGE,
            Self::Booking { .. } => outbox::BOOKING,
        }
    }

    fn patient(&self) -> Option<i64> {
        match self {
            Self::Discharge { visit, .. } => Some(visit.patient_id),
            Self::Booking { patient, .. } => *patient,
        }
    }

    fn encode(&self, to: &Address<'_>, subject: Option<&Subject>) -> Result<Encoded, LabError> {
        let person = subject.map(|subject| subject.person.clone());
        match *self {
            Self::Discharge { visit, disposition } => {
                let person = person.ok_or(LabError::NotFound("Patient"))?;
                Ok(published_message::discharge(to, person, visit, disposition))
            }
            Self::Booking { told, .. } => Ok(published_message::booking(to, person, told)),
        }
    }
}

/// Who asked for such news, each kept in use until the end of the transaction.
async fn subscribers(
    tx: &Tx,
    publication: Publication,
    origin: Option<Origin>,
) -> Result<Vec<lis_endpoint::Model>, DbErr> {
    let source = origin.map(|origin| origin.endpoint);
    let asks = |row: &lis_endpoint::Model| {
        Some(row.id) != source
            && endpoints::takes_orders(row)
            && Habits::read(&row.profile).is_ok_and(|habits| habits.publish.contains(&publication))
    };
    let mut held = Vec::new();
    for row in endpoints::all(&**tx).await?.into_iter().filter(asks) {
        if endpoints::hold(&**tx, row.id).await? {
            held.push(row);
        }
    }
    Ok(held)
}

/// The patient under the number of the record that is in use: a merged chart is known by the survivor's.
async fn subject(ctx: &Ctx, tx: &Tx, patient: Option<i64>) -> Result<Option<Subject>, LabError> {
    let Some(patient) = patient else { return Ok(None) };
    let row = patients::survivor(&**tx, patient).await?.ok_or(LabError::NotFound("Patient"))?;
    let identifiers = patients::identifiers_of(&**tx, &[row.id]).await?;
    Ok(Some(Subject { id: row.id, person: person(&ctx.config, &row, &identifiers) }))
}
