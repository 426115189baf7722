//! The one place where the words of HL7 become the words of the clinic: `hl7` and `domain` do not know each other.

mod admission;
mod appointment;
mod orders;
mod surroundings;
mod value;

use chrono::{DateTime, Datelike, FixedOffset, Utc};

pub use self::{
    admission::admission,
    appointment::appointment,
    orders::{number_out, orders},
};
use super::endpoint_profile::Profile;
use crate::{
    domain::{
        matching::{ClaimedIdentifier, PatientClaim},
        order::TestStatus,
        person::Sex,
        report::{ClinicalTime, Observation, PatientBlock, Report, ReportedMessage, Term},
        result::ResultStatus,
        thresholds::PatientClass,
        value::{Comparator, Quantity},
    },
    hl7::{
        self, Warning,
        datatypes::{Coded, Identifier},
        datetime::{Precision, Timestamp},
        header::Header,
        order::Note,
        oru::{OruView, PatientResults, ResultGroup},
        patient::{Patient, Visit},
        value::Content,
    },
    security::sha256,
};

/// Times of one message: its own zone, else the sender's.
struct Zone<'a> {
    profile: &'a Profile,
    of_message: Option<FixedOffset>,
}

/// When a message was made (MSH-7).
pub fn sent_at(header: &Header, profile: &Profile) -> Option<DateTime<Utc>> {
    let zone = Zone::of(profile, header);
    header.message_time.as_ref().and_then(|time| zone.instant(time))
}

/// A message of results in the clinic's words, with the key of each observation.
pub fn results(
    view: &OruView,
    profile: &Profile,
    received_at: DateTime<Utc>,
    warnings: &mut Vec<Warning>,
) -> ReportedMessage {
    let zone = Zone::of(profile, &view.header);
    let sent_at = view.header.message_time.as_ref().and_then(|time| zone.instant(time));
    if sent_at.is_some_and(|sent| sent > received_at + chrono::Duration::hours(24)) {
        warnings.push(Warning::new("sent_in_the_future"));
    }
    let mut message = ReportedMessage {
        endpoint: profile.id,
        control_id: view.header.control_id.clone().unwrap_or_default(),
        sent_at,
        blocks: view.patients.iter().map(|patient| zone.block(patient, warnings)).collect(),
    };
    message.assign_keys(sha256);
    message
}

impl<'a> Zone<'a> {
    fn of(profile: &'a Profile, header: &Header) -> Self {
        Self { profile, of_message: header.message_time.as_ref().and_then(|time| time.offset) }
    }

    /// An offset can move the first and the last year out of what the databases hold. Such a time stays a text.
    fn instant(&self, time: &Timestamp) -> Option<DateTime<Utc>> {
        let instant = time.to_utc(|local| self.of_message.or_else(|| self.profile.offset(local)))?;
        (1..=9999).contains(&instant.year()).then_some(instant)
    }

    fn clinical(&self, time: &Timestamp) -> ClinicalTime {
        ClinicalTime {
            text: time.text.clone(),
            precision: precision(time.precision),
            instant: self.instant(time),
            zone_assumed: time.offset.is_none(),
        }
    }

    fn block(&self, patient: &PatientResults, warnings: &mut Vec<Warning>) -> PatientBlock {
        PatientBlock {
            claim: patient.patient.as_ref().map_or_else(nobody, claim),
            class: patient.visit.as_ref().and_then(class),
            reports: patient.groups.iter().map(|group| self.report(group, warnings)).collect(),
        }
    }

    fn report(&self, group: &ResultGroup, warnings: &mut Vec<Warning>) -> Report {
        let request = &group.request;
        let control = group.control.as_ref();
        let status = request.status.map(String::from);
        let orc = |part: fn(&hl7::order::OrderControl) -> &Option<String>| {
            control.and_then(|control| part(control).as_deref())
        };
        let observed_at = request.observed_at.as_ref().map(|time| self.clinical(time));
        Report {
            placer: group.placer().id.clone(),
            filler: group.filler().id.clone(),
            service: term(&request.service),
            test_status: TestStatus::from_hl7(status.as_deref(), orc(|c| &c.status), orc(|c| &c.control)),
            status,
            status_changed_at: request.reported_at.as_ref().and_then(|time| self.instant(time)),
            provider: request.provider.as_ref().and_then(hl7::datatypes::Provider::display),
            specimen: specimen(group),
            specimens: surroundings::specimens(group),
            parent: surroundings::parentage(group),
            notes: notes(&group.notes),
            observations: group
                .observations
                .iter()
                .map(|observation| self.observation(observation, observed_at.as_ref(), warnings))
                .collect(),
            observed_at,
        }
    }

    fn observation(
        &self,
        sent: &hl7::observation::Observation,
        collected: Option<&ClinicalTime>,
        warnings: &mut Vec<Warning>,
    ) -> Observation {
        let (value, document) = value::shown(sent, warnings);
        let own_time = sent.observed_at.as_ref();
        Observation {
            key: String::new(),
            code: term(&sent.code),
            sub_id: sent.sub_id.clone(),
            value_type: sent.obx_type.clone().unwrap_or_default().chars().take(10).collect(),
            value,
            raw_value: Some(sent.value.raw.clone()).filter(|raw| !raw.is_empty()),
            number: number(&sent.value),
            is_coded: matches!(sent.value.content, Content::Coded(_)),
            document,
            units: sent.units.code.clone().or_else(|| sent.units.text.clone()),
            reference_range: sent.range.clone(),
            flags: sent.flags.clone(),
            status: self.status(sent, warnings),
            reported_status: sent.status.map(String::from),
            observed_at: own_time.map(|time| self.clinical(time)).or_else(|| collected.cloned()),
            own_time: own_time.map(|time| time.text.clone()),
            producer: sent.producer.display().map(str::to_owned),
            performing_lab: sent.performer.name.clone(),
            particulars: surroundings::particulars(sent),
            notes: notes(&sent.notes),
        }
    }

    /// OBX-11, or what the profile of this sender puts in its place. Without either it stays unknown, and is shown so.
    fn status(&self, sent: &hl7::observation::Observation, warnings: &mut Vec<Warning>) -> ResultStatus {
        if let Some(status) = sent.status {
            return ResultStatus::from_hl7(&status.to_string());
        }
        let Some(default) = &self.profile.habits.default_result_status else { return ResultStatus::Unknown };
        warnings.push(Warning::at("status_from_profile", sent.location));
        ResultStatus::from_hl7(default)
    }
}

fn precision(precision: Precision) -> &'static str {
    match precision {
        Precision::Year => "year",
        Precision::Month => "month",
        Precision::Day => "day",
        Precision::Hour => "hour",
        Precision::Minute => "minute",
        Precision::Second => "second",
        Precision::Fraction => "fraction",
    }
}

fn nobody() -> PatientClaim {
    PatientClaim { identifiers: Vec::new(), family: None, given: None, birth_date: None, sex: Sex::Unknown }
}

/// Who the message says the patient is. PID-2 and PID-4 speak only where PID-3 is silent: before 2.3.1 the medical
/// record number often stood there.
fn claim(patient: &Patient) -> PatientClaim {
    let mut identifiers: Vec<ClaimedIdentifier> = patient.identifiers.iter().filter_map(identifier).collect();
    if identifiers.is_empty() {
        let older = [&patient.external_id, &patient.alternate_id];
        identifiers.extend(older.into_iter().flatten().filter_map(identifier));
    }
    PatientClaim {
        identifiers,
        family: patient.family().map(str::to_owned),
        given: patient.given().map(str::to_owned),
        birth_date: patient.birth_date(),
        sex: patient.sex.as_deref().map_or(Sex::Unknown, Sex::from_hl7),
    }
}

fn identifier(sent: &Identifier) -> Option<ClaimedIdentifier> {
    Some(ClaimedIdentifier {
        value: sent.id.clone()?,
        authority: sent.authority.key().map(str::to_owned),
        kind: sent.kind.clone(),
    })
}

fn class(visit: &Visit) -> Option<PatientClass> {
    match visit.class.as_deref()? {
        "I" | "B" => Some(PatientClass::Inpatient),
        "O" | "E" | "P" | "R" => Some(PatientClass::Outpatient),
        _ => None,
    }
}

/// A code. Codes that stand only in the alternate triplet are taken from there; LOINC counts wherever it stands.
fn term(sent: &Coded) -> Term {
    let is_loinc = |system: &Option<String>| {
        system.as_deref().is_some_and(|system| matches!(system.to_uppercase().as_str(), "LN" | "LOINC"))
    };
    let loinc = if is_loinc(&sent.system) {
        sent.code.clone()
    } else if is_loinc(&sent.alt_system) {
        sent.alt_code.clone()
    } else {
        None
    };
    let first = sent.code.is_some();
    Term {
        code: sent
            .code
            .clone()
            .or_else(|| sent.alt_code.clone())
            .or_else(|| sent.text.clone())
            .unwrap_or_default(),
        text: sent.display().map(str::to_owned),
        system: if first { sent.system.clone() } else { sent.alt_system.clone() },
        loinc: loinc.map(|code| code.chars().take(20).collect()),
    }
}

fn notes(notes: &[Note]) -> Vec<String> {
    notes.iter().map(|note| note.text.clone()).filter(|text| !text.is_empty()).collect()
}

fn specimen(group: &ResultGroup) -> Option<String> {
    group.examined().iter().find_map(|specimen| specimen.kind.display().map(str::to_owned))
}

fn number(value: &hl7::value::Value) -> Option<Quantity> {
    let sent = value.numeric.as_ref()?;
    let comparator = sent.comparator.and_then(|sign| sign.as_str().parse::<Comparator>().ok());
    Some(Quantity { comparator, number: sent.value, text: sent.text.clone() })
}
