//! An order as the message a lab gets. Pure: rows in, bytes out.

#[cfg(test)]
mod tests;
mod trial;

use chrono::{DateTime, FixedOffset, Utc};

use super::{endpoint_profile::OrderLayout, order_profile::OrderProfile, views::strings};
use crate::{
    config::Config,
    domain::event::{Imaging, Placement},
    hl7::{
        charset::Charset,
        datetime::format_dtm,
        message::Delimiters,
        orm::{
            DiagnosisOut, Envelope, OrderAction, OrderMessage, OrderShape, PersonOut, ProviderOut, StudyOut,
            TestOut, VisitOut,
        },
    },
    store::entity::{
        encounter, lab_order, lab_order_test, lis_endpoint, patient, patient_identifier, test_catalog,
    },
};

pub(super) use trial::encode_trial;

/// Everything an order message is made of.
pub(super) struct Parts<'a> {
    pub(super) order: &'a lab_order::Model,
    pub(super) tests: &'a [lab_order_test::Model],
    /// The catalogue's entries of these tests, for the names of their LOINC codes.
    pub(super) catalogue: &'a [test_catalog::Model],
    pub(super) patient: &'a patient::Model,
    pub(super) identifiers: &'a [patient_identifier::Model],
    pub(super) encounter: Option<&'a encounter::Model>,
    pub(super) endpoint: &'a lis_endpoint::Model,
}

/// The bytes of a message, and what its row says of it.
pub(super) struct Encoded {
    pub(super) shape: OrderShape,
    pub(super) envelope: Envelope,
    pub(super) bytes: Vec<u8>,
    /// The text did not fit the lab's character set and went out in UTF-8, which MSH-18 says.
    pub(super) charset_replaced: bool,
}

/// Builds the message. It cannot fail: an order must not be lost because a name has a letter that the lab's character
/// set lacks.
pub(super) fn encode(config: &Config, parts: &Parts<'_>, action: OrderAction, now: DateTime<Utc>) -> Encoded {
    in_its_charset(order_message(config, parts, action, now))
}

fn in_its_charset(mut message: OrderMessage) -> Encoded {
    let in_its_charset = message.to_bytes().ok();
    let charset_replaced = in_its_charset.is_none();
    let bytes = in_its_charset.unwrap_or_else(|| {
        message.envelope.charset = Charset::UTF_8;
        message.build().into_bytes()
    });
    Encoded { shape: message.shape, envelope: message.envelope, bytes, charset_replaced }
}

fn order_message(
    config: &Config,
    parts: &Parts<'_>,
    action: OrderAction,
    now: DateTime<Utc>,
) -> OrderMessage {
    let Parts { order, patient, endpoint, .. } = parts;
    let profile = OrderProfile::of(endpoint);
    let provider = ProviderOut::from_text(&order.ordering_provider);
    let letter = match action {
        OrderAction::New => 'O',
        OrderAction::Cancel => 'C',
    };
    let id = control_id(letter, now, order.id.unsigned_abs());
    let envelope = envelope(config, (endpoint, &profile), id, local(endpoint, now));
    let diagnoses = strings(&order.diagnosis_codes).into_iter();
    let studies = studies(parts, profile.layout);
    let tests = parts.tests.iter().map(|row| {
        let study = studies.as_ref().map(|all| study(all, row.position, endpoint));
        profile.service(TestOut { study, ..test(row, parts.catalogue) })
    });
    OrderMessage {
        shape: profile.shape,
        visit: parts.encounter.map(|row| visit(row, &envelope.sending_facility, &provider)),
        placer_namespace: placer_namespace(profile.shape, &envelope),
        envelope,
        patient: person(patient, authority(config, parts)),
        action,
        placer_group: order.placer_order_number.clone(),
        provider,
        priority: order.priority.clone(),
        entered_at: local(endpoint, order.created_at),
        code_order: profile.code_order,
        tests: tests.collect(),
        diagnoses: diagnoses
            .map(|code| DiagnosisOut { code, text: String::new(), system: profile.diagnosis_system.clone() })
            .collect(),
        note: order.note.clone(),
    }
}

/// IHE wants to know whose number it is. The others were always sent without, and laboratories know them so.
fn placer_namespace(shape: OrderShape, envelope: &Envelope) -> String {
    match shape {
        OrderShape::OrmO01 => String::new(),
        OrderShape::OmlO21 => envelope.sending_application.clone(),
    }
}

fn envelope(
    config: &Config,
    (endpoint, profile): (&lis_endpoint::Model, &OrderProfile),
    control_id: String,
    time: DateTime<FixedOffset>,
) -> Envelope {
    let own = |text: &Option<String>, default: &str| or_default(text.as_deref().unwrap_or_default(), default);
    // Delivery waits for the commit acknowledgment, which says that the message is safe. What the application thinks of it may
    // come later, unless the profile says that it never does.
    let enhanced = endpoint.ack_mode == "enhanced";
    Envelope {
        delimiters: Delimiters::DEFAULT,
        sending_application: own(&endpoint.sending_application, &config.sending_application),
        sending_facility: own(&endpoint.sending_facility, &config.sending_facility),
        receiving_application: or_default(&endpoint.receiving_application, "LIS"),
        receiving_facility: or_default(&endpoint.receiving_facility, "LAB"),
        time,
        control_id,
        processing_id: profile.processing_id.clone(),
        version: endpoint.hl7_version.clone(),
        accept_ack: enhanced.then(|| "AL".to_owned()),
        application_ack: enhanced.then(|| profile.application_ack.code().to_owned()),
        charset: endpoint.charset.as_deref().and_then(Charset::parse).unwrap_or(Charset::UTF_8),
    }
}

fn or_default(text: &str, default: &str) -> String {
    if text.trim().is_empty() { default.to_owned() } else { text.to_owned() }
}

/// A moment as the clocks at the lab show it.
fn local(endpoint: &lis_endpoint::Model, moment: DateTime<Utc>) -> DateTime<FixedOffset> {
    let zone = endpoint.time_zone.parse().unwrap_or(chrono_tz::UTC);
    moment.with_timezone(&zone).fixed_offset()
}

/// Who gave the medical record number. One typed in by hand is the home facility's.
fn authority<'a>(config: &'a Config, parts: &'a Parts<'_>) -> &'a str {
    let own = parts.identifiers.iter().filter(|row| row.id_type == "MR" && row.value == parts.patient.mrn);
    let mut authorities = own.map(|row| row.authority.as_str());
    let first = authorities.next().unwrap_or(&config.sending_facility);
    if authorities.any(|other| other == config.sending_facility) { &config.sending_facility } else { first }
}

fn person(row: &patient::Model, authority: &str) -> PersonOut {
    let sex = match row.gender.as_str() {
        "male" => "M",
        "female" => "F",
        "other" => "O",
        _ => "U",
    };
    PersonOut {
        mrn: row.mrn.clone(),
        authority: authority.to_owned(),
        family: row.last_name.clone(),
        given: row.first_name.clone(),
        middle: row.middle_name.clone().unwrap_or_default(),
        birth_date: row.date_of_birth,
        sex: sex.to_owned(),
    }
}

fn visit(row: &encounter::Model, facility: &str, provider: &ProviderOut) -> VisitOut {
    let attending = row.attending_provider.as_deref().map(ProviderOut::from_text);
    VisitOut {
        class: row.class.clone(),
        location: row.location.clone().unwrap_or_default(),
        facility: facility.to_owned(),
        attending: attending.unwrap_or_else(|| provider.clone()),
        visit_number: row.visit_number.clone().unwrap_or_else(|| row.id.to_string()),
    }
}

fn test(row: &lab_order_test::Model, catalogue: &[test_catalog::Model]) -> TestOut {
    // Only the name of the very code that is sent: the catalogue may have changed since the order was placed.
    let entry =
        catalogue.iter().find(|entry| entry.code == row.test_code && entry.loinc_code == row.loinc_code);
    TestOut {
        placer: row.placer_order_number.clone(),
        filler: row.filler_order_number.clone().unwrap_or_default(),
        code: row.test_code.clone(),
        text: row.test_name.clone().unwrap_or_default(),
        system: row.code_system.clone(),
        loinc: row.loinc_code.clone().unwrap_or_default(),
        loinc_text: entry.and_then(|entry| entry.loinc_name.clone()).unwrap_or_default(),
        study: None,
    }
}

/// What only imaging needs of each test, for a receiver that has places for it.
fn studies(parts: &Parts<'_>, layout: OrderLayout) -> Option<Vec<Imaging>> {
    let stated = || parts.order.imaging.as_ref().map(Placement::studies).unwrap_or_default();
    (layout == OrderLayout::Medsynapse23).then(stated)
}

/// The study of a test; an order that says nothing of imaging has none, and its number stands for the accession number.
fn study(all: &[Imaging], position: i32, endpoint: &lis_endpoint::Model) -> StudyOut {
    let nth = usize::try_from(position - 1).ok();
    let Some(study) = nth.and_then(|nth| all.get(nth)) else { return StudyOut::default() };
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let starts_at = study.scheduled_at.map(|at| format_dtm(&local(endpoint, at)));
    StudyOut {
        accession: text(&study.accession_number),
        station: text(&study.station),
        location: text(&study.location),
        ae_title: text(&study.ae_title),
        modality: text(&study.modality),
        starts_at: starts_at.or_else(|| study.scheduled_at_text.clone()).unwrap_or_default(),
    }
}

/// MSH-10: at most 20 characters before 2.6. The order's id comes from the database that all processes share, so no
/// clock that jumps and no second process can make the same one; the time tells two installations apart, and two
/// cancellations of one order. The letter says what it is.
fn control_id(letter: char, now: DateTime<Utc>, number: u64) -> String {
    let time = base36(now.timestamp_millis().unsigned_abs());
    format!("{letter}{time:0>9}{}", base36(number))
}

fn base36(mut number: u64) -> String {
    let mut digits = Vec::new();
    loop {
        digits.push(char::from_digit((number % 36) as u32, 36).unwrap_or('0').to_ascii_uppercase());
        number /= 36;
        if number == 0 {
            return digits.into_iter().rev().collect();
        }
    }
}
