//! News as the message that tells them. Pure: what is known in, bytes out.

use chrono::{DateTime, FixedOffset, Utc};

use super::{
    order_profile::OrderProfile,
    outbound_message::{Encoded, control_id, envelope, in_charset, local, visit},
    translate::number_out,
};
use crate::{
    config::Config,
    domain::event::Appointment,
    hl7::{
        adt_build::{AdtEvent, AdtMessage},
        datetime::format_dtm,
        outbound::{Envelope, PersonOut, ProviderOut, VisitOut},
        siu_build::BookingMessage,
    },
    store::entity::{encounter, lis_endpoint},
};

/// To whom a message goes, when, and under which row's id.
pub(super) struct Address<'a> {
    pub(super) config: &'a Config,
    pub(super) endpoint: &'a lis_endpoint::Model,
    pub(super) now: DateTime<Utc>,
    pub(super) message: i64,
}

impl Address<'_> {
    fn envelope(&self) -> Envelope {
        let profile = OrderProfile::of(self.endpoint);
        let control_id = control_id('P', self.now, self.message.unsigned_abs());
        envelope(self.config, (self.endpoint, &profile), control_id, self.local(self.now))
    }

    fn local(&self, moment: DateTime<Utc>) -> DateTime<FixedOffset> {
        local(self.endpoint, moment)
    }
}

/// The end of a visit (ADT^A03). Where nobody said when it ended, it ended when it was told.
pub(super) fn discharge(
    to: &Address<'_>,
    patient: PersonOut,
    row: &encounter::Model,
    disposition: Option<&str>,
) -> Encoded {
    let envelope = to.envelope();
    let ended_at = to.local(row.ended_at.unwrap_or(to.now));
    let visit = VisitOut {
        disposition: disposition.unwrap_or_default().to_owned(),
        admitted_at: row.started_at.map(|moment| to.local(moment)),
        discharged_at: Some(ended_at),
        ..visit(row, &envelope.sending_facility)
    };
    let event = AdtEvent::A03;
    let mut message = AdtMessage {
        envelope,
        event,
        occurred_at: Some(ended_at),
        patient,
        visit: Some(visit),
        prior_mrn: None,
    };
    let (bytes, charset_replaced) = in_charset(message.envelope.charset, |charset| {
        message.envelope.charset = charset;
        message.build()
    });
    Encoded { message_type: event.message_type(), envelope: message.envelope, bytes, charset_replaced }
}

/// A new appointment (SIU^S12), under the numbers it has elsewhere. Whoever is not certain here is not named.
pub(super) fn booking(to: &Address<'_>, patient: Option<PersonOut>, told: &Appointment) -> Encoded {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let starts_at = told.starts_at.as_ref().map(|time| match time.instant {
        Some(instant) => format_dtm(&to.local(instant)),
        None => time.text.clone(),
    });
    let mut message = BookingMessage {
        envelope: to.envelope(),
        placer: told.placer.as_ref().map(number_out).unwrap_or_default(),
        filler: told.filler.as_ref().map(number_out).unwrap_or_default(),
        reason: text(&told.reason),
        service: text(&told.service),
        starts_at: starts_at.unwrap_or_default(),
        ends_at: told.ends_at.map(|moment| to.local(moment)),
        minutes: told.minutes(),
        notes: told.notes.clone(),
        patient,
        location: text(&told.location),
        provider: told.provider.as_deref().map(ProviderOut::from_text),
    };
    let (bytes, charset_replaced) = in_charset(message.envelope.charset, |charset| {
        message.envelope.charset = charset;
        message.build()
    });
    let message_type = BookingMessage::MESSAGE_TYPE;
    Encoded { message_type, envelope: message.envelope, bytes, charset_replaced }
}
