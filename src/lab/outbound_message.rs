//! What every message that we send has in common: who sends it to whom, when, under which number, and how a chart's patient
//! stands in it. Pure: rows in, values out.

use chrono::{DateTime, FixedOffset, Utc};

use super::order_profile::OrderProfile;
use crate::{
    config::Config,
    hl7::{
        charset::{self, Charset},
        message::Delimiters,
        outbound::{Envelope, PersonOut, ProviderOut, VisitOut, base36},
    },
    store::entity::{encounter, lis_endpoint, patient, patient_identifier},
};

/// The bytes of a message, and what its row says of it.
pub(super) struct Encoded {
    /// Code, event and structure (MSH-9).
    pub(super) message_type: [&'static str; 3],
    pub(super) envelope: Envelope,
    pub(super) bytes: Vec<u8>,
    /// The text did not fit the peer's character set and went out in UTF-8, which MSH-18 says.
    pub(super) charset_replaced: bool,
}

/// Writes a message in a character set, or in UTF-8 where that lacks a letter of it: a message must not be lost because of a
/// name. `build` is told which one it is. Answers whether it had to be UTF-8.
pub(super) fn in_charset(wanted: Charset, mut build: impl FnMut(Charset) -> String) -> (Vec<u8>, bool) {
    match charset::encode(&build(wanted), wanted) {
        Ok(bytes) => (bytes, false),
        Err(_) => (build(Charset::UTF_8).into_bytes(), true),
    }
}

/// MSH of a message to an endpoint.
pub(super) fn envelope(
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
pub(super) fn local(endpoint: &lis_endpoint::Model, moment: DateTime<Utc>) -> DateTime<FixedOffset> {
    let zone = endpoint.time_zone.parse().unwrap_or(chrono_tz::UTC);
    moment.with_timezone(&zone).fixed_offset()
}

/// Who gave the medical record number. One typed in by hand is the home facility's.
fn authority<'a>(
    config: &'a Config,
    row: &patient::Model,
    identifiers: &'a [patient_identifier::Model],
) -> &'a str {
    let own = identifiers.iter().filter(|known| known.id_type == "MR" && known.value == row.mrn);
    let mut authorities = own.map(|known| known.authority.as_str());
    let first = authorities.next().unwrap_or(&config.sending_facility);
    if authorities.any(|other| other == config.sending_facility) { &config.sending_facility } else { first }
}

/// A patient of ours, under the medical record number.
pub(super) fn person(
    config: &Config,
    row: &patient::Model,
    identifiers: &[patient_identifier::Model],
) -> PersonOut {
    let sex = match row.gender.as_str() {
        "male" => "M",
        "female" => "F",
        "other" => "O",
        _ => "U",
    };
    PersonOut {
        mrn: row.mrn.clone(),
        authority: authority(config, row, identifiers).to_owned(),
        family: row.last_name.clone(),
        given: row.first_name.clone(),
        middle: row.middle_name.clone().unwrap_or_default(),
        birth_date: row.date_of_birth,
        sex: sex.to_owned(),
    }
}

/// A visit, with the attending doctor where one is known.
pub(super) fn visit(row: &encounter::Model, facility: &str) -> VisitOut {
    VisitOut {
        class: row.class.clone(),
        location: row.location.clone().unwrap_or_default(),
        facility: facility.to_owned(),
        attending: row.attending_provider.as_deref().map(ProviderOut::from_text).unwrap_or_default(),
        visit_number: row.visit_number.clone().unwrap_or_else(|| row.id.to_string()),
        ..VisitOut::default()
    }
}

/// MSH-10: at most 20 characters before 2.6. The letter says what the number counts: `O` and `C` an order that is placed or
/// called off, `P` a message that is published, `T` a trial. The number comes from the database that all processes share, so no clock that
/// jumps and no second process can make the same one; the time tells two installations apart, and two messages of one order.
pub(super) fn control_id(letter: char, now: DateTime<Utc>, number: u64) -> String {
    let time = base36(now.timestamp_millis().unsigned_abs());
    format!("{letter}{time:0>9}{}", base36(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_base_36() {
        assert_eq!([0, 35, 36, 1296].map(base36), ["0", "Z", "10", "100"]);
    }
}
