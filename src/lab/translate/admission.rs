//! A registration, a visit or a merge in the clinic's words.

use super::{Zone, claim, identifier};
use crate::{
    domain::{
        event::{Admission, AdmissionKind, AdmittedPerson, Demographics, Said, VisitFacts},
        person::Sex,
    },
    hl7::{
        adt::{AdtView, Deleted, Person},
        datatypes::Provider,
        patient::Visit,
    },
    lab::endpoint_profile::Profile,
};

/// What an ADT message tells.
pub fn admission(view: &AdtView, kind: AdmissionKind, profile: &Profile) -> Admission {
    let zone = Zone::of(profile, &view.header);
    let sent = view.header.message_time.as_ref().and_then(|time| zone.instant(time));
    let recorded_at = view.recorded_at.as_ref().and_then(|time| zone.instant(time)).or(sent);
    Admission {
        kind,
        recorded_at,
        occurred_at: view.occurred_at.as_ref().and_then(|time| zone.instant(time)).or(recorded_at),
        people: view.people.iter().map(|person| admitted(person, &zone)).collect(),
    }
}

fn admitted(person: &Person, zone: &Zone<'_>) -> AdmittedPerson {
    let account = person.patient.account_number.as_ref().and_then(|account| account.id.clone());
    AdmittedPerson {
        claim: claim(&person.patient),
        demographics: demographics(person),
        visit: person.visit.as_ref().map(|visit| facts(visit, account, zone)),
        prior: person.prior_identifiers.iter().filter_map(identifier).collect(),
    }
}

fn demographics(person: &Person) -> Demographics {
    let deleted = |what| person.deleted.contains(&what);
    let patient = &person.patient;
    let text = |value: Option<&str>, what| Said::of(value.map(str::to_owned), deleted(what));
    // A sex that cannot be read, such as `M-`, is not a statement.
    let sex = patient.sex.as_deref().map(Sex::from_hl7);
    let stated = patient.sex.as_deref() == Some("U");
    Demographics {
        family: text(patient.family(), Deleted::Name),
        given: text(patient.given(), Deleted::Name),
        middle: text(patient.middle(), Deleted::Name),
        birth_date: Said::of(patient.birth_date(), deleted(Deleted::Birth)),
        sex: Said::of(sex.filter(|sex| stated || *sex != Sex::Unknown), deleted(Deleted::Sex)),
        phone: text(patient.phone.as_deref(), Deleted::Phone),
        email: text(patient.email.as_deref(), Deleted::Phone),
        address: text(patient.address.as_deref(), Deleted::Address),
    }
}

fn facts(visit: &Visit, account: Option<String>, zone: &Zone<'_>) -> VisitFacts {
    let place = [&visit.point_of_care, &visit.room, &visit.bed, &visit.facility];
    let place: Vec<&str> = place.into_iter().filter_map(|part| part.as_deref()).collect();
    VisitFacts {
        number: visit.visit_number.as_ref().and_then(|number| number.id.clone()).or(account),
        class: visit.class.clone().map(|class| class.chars().take(20).collect()),
        location: (!place.is_empty()).then(|| place.join(" ")),
        attending: visit.attending.as_ref().and_then(Provider::display),
        admitted_at: visit.admitted_at.as_ref().and_then(|time| zone.instant(time)),
        disposition: visit.discharge_disposition.clone(),
        discharged_at: visit.discharged_at.as_ref().and_then(|time| zone.instant(time)),
    }
}
