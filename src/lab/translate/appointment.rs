//! An appointment in the clinic's words.

use super::{Zone, claim, notes, orders::number};
use crate::{
    domain::event::{Appointment, AppointmentChange},
    hl7::{datatypes::Provider, siu::SiuView},
    lab::endpoint_profile::Profile,
};

/// What a scheduling message tells.
pub fn appointment(view: &SiuView, change: AppointmentChange, profile: &Profile) -> Appointment {
    let zone = Zone::of(profile, &view.header);
    let numbers = [&view.filler.id, &view.placer.id];
    Appointment {
        change,
        number: numbers.into_iter().flatten().next().cloned().unwrap_or_default(),
        placer: number(&view.placer),
        filler: number(&view.filler),
        claim: view.patient.as_ref().map(claim),
        starts_at: view.starts_at.as_ref().map(|time| zone.clinical(time)),
        ends_at: view.ends_at.as_ref().and_then(|time| zone.instant(time)),
        reason: view.reason.display().map(str::to_owned),
        service: view.service.display().map(str::to_owned),
        location: view.location.clone(),
        provider: view.provider.as_ref().and_then(Provider::display),
        notes: notes(&view.notes),
        sent_at: view.header.message_time.as_ref().and_then(|time| zone.instant(time)),
    }
}
