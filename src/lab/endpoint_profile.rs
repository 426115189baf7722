//! How a sender's messages are read: what its endpoint says, and the standard's answer where it says nothing.

use std::{collections::BTreeMap, sync::Arc};

use chrono::{FixedOffset, NaiveDateTime, Offset, TimeZone};
use serde::Deserialize;
use serde_json::Value;

use super::{
    endpoint_doors::{DirectoryDoor, SftpDoor},
    endpoint_tls::TlsHabits,
    order_profile::OrderCodes,
};
use crate::{
    domain::{
        event::AdmissionKind,
        ids::{EndpointId, TestCode},
        result::ResultStatus,
    },
    hl7::{charset::Charset, positions::Positions},
    store::entity::lis_endpoint,
};

/// A year.
const LONGEST_SILENCE_MINUTES: u32 = 525_600;

/// A sender, as the intake needs to know it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Profile {
    /// The endpoint; 0 for a loopback sender that none names.
    pub id: EndpointId,
    /// Set when MSH-18 is empty and the bytes are not UTF-8.
    pub charset: Option<Charset>,
    /// Zone of times without offset.
    pub time_zone: chrono_tz::Tz,
    /// Which acknowledgments it expects.
    pub ack_mode: AckMode,
    /// Its deviations from the standard.
    pub habits: Arc<Habits>,
    /// Where it puts what the standard has elsewhere.
    pub positions: Arc<Positions>,
}

/// Whether MSH-15 and MSH-16 are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum AckMode {
    /// As the standard says.
    #[default]
    Auto,
    /// One application acknowledgment whatever they say, for the many senders that fill them and still wait for an AA.
    Original,
    /// A commit acknowledgment also for a sender that leaves both fields empty.
    Enhanced,
}

/// The `profile` object of an endpoint.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Habits {
    /// Whether a missing field, a wrong type or an unknown code refuses the message (AE 101, 102, 103) instead of being
    /// noted.
    pub strict: bool,
    /// Families (MSH-9.1) this sender may send, such as `ORU`; any that are taken at all when empty. A laboratory that only
    /// reports should not be able to change charts by a registration.
    pub message_types: Vec<String>,
    /// Versions (MSH-12) taken; any of HL7 v2 when empty.
    pub versions: Vec<String>,
    /// Processing ids (MSH-11) taken.
    pub processing_ids: Vec<String>,
    /// Whether leniencies are told in the acknowledgment, as ERR of severity W.
    pub ack_warnings: bool,
    /// What becomes of results whose patient is not certain.
    pub unmatched: Unmatched,
    /// What becomes of types and events that are not taken.
    pub unsupported: Unsupported,
    /// Status of a result that has none anywhere (table 0085).
    pub default_result_status: Option<String>,
    /// Event of an ADT message that names none, neither in MSH-9 nor in EVN-1.
    pub adt_default_event: Option<String>,
    /// Whether the endpoint's character set also stands in for one that MSH-18 names and the bytes are not of, instead of
    /// refusing the message (AE 102).
    pub charset_over_declared: bool,
    /// How orders are answered.
    pub order_response: OrderResponse,
    /// Where orders have what only imaging needs.
    pub order_layout: OrderLayout,
    /// Processing id (MSH-11) of what is sent to it; `P` unless it is still being tried out.
    pub processing_id: Option<String>,
    /// Codes of the tests that orders which name no laboratory come here for; any when empty.
    pub order_tests: Vec<TestCode>,
    /// Which code of a test comes first in the orders sent to it.
    pub order_codes: OrderCodes,
    /// Coding system of the diagnoses sent to it (DG1-2, DG1-3.3).
    pub diagnosis_system: String,
    /// Whether `ack_mode` `enhanced` asks for a word of its application besides the commit acknowledgment (MSH-16).
    pub application_ack: ApplicationAck,
    /// News that is sent to it, each named by the message that tells it.
    pub publish: Vec<Publication>,
    /// Standard position (`OBX-11`) to the one this sender uses (`OBX-10`).
    pub positions: BTreeMap<String, String>,
    /// Directory that its files appear in.
    pub directory: Option<DirectoryDoor>,
    /// Server that its files are fetched from.
    pub sftp: Option<SftpDoor>,
    /// After how long without a message it is silent.
    pub silence: Silence,
    /// What it is trusted by where connections are encrypted.
    pub tls: TlsHabits,
}

impl Default for Habits {
    fn default() -> Self {
        Self {
            strict: false,
            message_types: Vec::new(),
            versions: Vec::new(),
            processing_ids: ["P", "T", "D"].map(str::to_owned).to_vec(),
            ack_warnings: false,
            unmatched: Unmatched::default(),
            unsupported: Unsupported::default(),
            default_result_status: None,
            adt_default_event: None,
            charset_over_declared: false,
            order_response: OrderResponse::default(),
            order_layout: OrderLayout::default(),
            processing_id: None,
            order_tests: Vec::new(),
            order_codes: OrderCodes::default(),
            diagnosis_system: "I10".to_owned(),
            application_ack: ApplicationAck::default(),
            publish: Vec::new(),
            positions: BTreeMap::new(),
            directory: None,
            sftp: None,
            silence: Silence::default(),
            tls: TlsHabits::default(),
        }
    }
}

/// What becomes of results whose patient is not certain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unmatched {
    /// They are kept and wait for a person: the laboratory cannot mend it.
    #[default]
    Review,
    /// AE 204, for laboratories that can.
    Reject,
}

/// What becomes of types and events that are not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unsupported {
    /// AR 200 or 201.
    #[default]
    Reject,
    /// Kept, accepted and otherwise ignored, for feeds that cannot be filtered at their source.
    Store,
}

/// After how long without a message a sender is silent: `"learned"`, `"off"` or `{"after_minutes": 240}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Silence {
    /// When it is out of the ordinary for it.
    #[default]
    Learned,
    /// Never.
    Off,
    /// After so many minutes, whatever the hour.
    AfterMinutes(u32),
}

/// How orders are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderResponse {
    /// ORR^O02 or ORL^O22, with a word on each order.
    #[default]
    Orr,
    /// A plain ACK, for senders that know no other answer.
    Ack,
}

/// News that an endpoint can ask for, named by the structure of the message that tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Publication {
    /// A visit has ended.
    #[serde(rename = "ADT_A03")]
    Discharge,
    /// An appointment was booked.
    #[serde(rename = "SIU_S12")]
    Booking,
}

/// What MSH-16 of our messages asks for in enhanced mode (table 0155).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ApplicationAck {
    /// Always.
    #[default]
    Al,
    /// Never.
    Ne,
}

impl ApplicationAck {
    /// Table 0155.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Al => "AL",
            Self::Ne => "NE",
        }
    }
}

/// Where orders have what only imaging needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Deserialize)]
pub enum OrderLayout {
    /// Nowhere that is known.
    #[default]
    #[serde(rename = "standard")]
    Standard,
    /// As Medsynapse PACS has it in HL7 2.3: accession number in OBR-2, priority in OBR-5, station in OBR-18, location in
    /// OBR-20, AE title in OBR-21, modality in OBR-24, start in OBR-36.
    #[serde(rename = "medsynapse_2_3")]
    Medsynapse23,
}

/// The part of a profile that cannot be used, for whoever sets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadHabit(pub String);

impl Habits {
    /// Reads a `profile` object. Errors: what in it cannot be used.
    pub fn read(profile: &Value) -> Result<Self, BadHabit> {
        let habits: Self =
            serde_json::from_value(profile.clone()).map_err(|error| BadHabit(error.to_string()))?;
        if let Some(status) = &habits.default_result_status {
            let known = status.len() == 1 && ResultStatus::from_hl7(status) != ResultStatus::Unknown;
            known.then_some(()).ok_or_else(|| bad("default_result_status must be a code of table 0085"))?;
        }
        if habits.processing_ids.iter().any(|id| !matches!(id.as_str(), "P" | "T" | "D")) {
            return Err(bad("processing_ids must be codes of table 0103: P, T, D"));
        }
        if habits.processing_id.as_deref().is_some_and(|id| !matches!(id, "P" | "T" | "D")) {
            return Err(bad("processing_id must be a code of table 0103: P, T, D"));
        }
        let system = &habits.diagnosis_system;
        if !(1..=20).contains(&system.len()) || !system.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(bad("diagnosis_system must be a coding system of table 0396, such as I10 or I9C"));
        }
        if habits.versions.iter().any(|version| !version.starts_with("2.")) {
            return Err(bad("versions must be of HL7 v2, such as 2.3 and 2.5.1"));
        }
        if habits.adt_default_event.as_deref().is_some_and(|event| event.parse::<AdmissionKind>().is_err()) {
            return Err(bad("adt_default_event must be an event of ADT that is taken, such as A08"));
        }
        if let Silence::AfterMinutes(minutes) = habits.silence
            && !(1..=LONGEST_SILENCE_MINUTES).contains(&minutes)
        {
            return Err(bad("silence.after_minutes must be between 1 and 525600"));
        }
        habits.positions()?;
        habits.directory.as_ref().map_or(Ok(()), DirectoryDoor::check).map_err(bad)?;
        habits.sftp.as_ref().map_or(Ok(()), SftpDoor::check).map_err(bad)?;
        habits.tls.check().map_err(bad)?;
        Ok(habits)
    }

    fn positions(&self) -> Result<Positions, BadHabit> {
        let pairs = self.positions.iter().map(|(to, from)| (to.as_str(), from.as_str()));
        Positions::read(pairs).map_err(|error| bad(&error.to_string()))
    }

    /// Whether this sender may send messages of a family.
    pub fn takes_family(&self, family: &str) -> bool {
        self.message_types.is_empty() || self.message_types.iter().any(|taken| taken == family)
    }

    /// Whether a message of this version is taken. Versions are compared as far as the profile names them: `2.5` takes
    /// 2.5.1 too.
    pub fn takes_version(&self, version: &str) -> bool {
        let named = |known: &String| version == known || version.starts_with(&format!("{known}."));
        self.versions.is_empty() || self.versions.iter().any(named)
    }
}

fn bad(text: &str) -> BadHabit {
    BadHabit(text.to_owned())
}

impl Profile {
    /// The offset of a wall-clock time at the sender's place.
    pub fn offset(&self, local: NaiveDateTime) -> Option<FixedOffset> {
        self.time_zone.offset_from_local_datetime(&local).earliest().map(|offset| offset.fix())
    }

    /// A loopback sender that no endpoint names.
    pub fn loopback() -> Self {
        Self {
            id: EndpointId::new(0),
            charset: Some(Charset::LATIN_1),
            time_zone: chrono_tz::UTC,
            ack_mode: AckMode::Auto,
            habits: Arc::default(),
            positions: Arc::default(),
        }
    }

    /// For a message whose sender is not who its address says: read far enough to be refused by name.
    pub fn unknown() -> Self {
        Self::loopback()
    }

    /// The profile of an endpoint. What is stored was checked when it was set; should it not read all the same, the
    /// standard holds, and the log says so.
    pub(crate) fn of(row: &lis_endpoint::Model) -> Self {
        let habits = Habits::read(&row.profile).unwrap_or_else(|_| {
            tracing::error!(
                endpoint = row.id,
                "the profile of this endpoint cannot be used; the standard holds"
            );
            Habits::default()
        });
        Self {
            id: EndpointId::new(row.id),
            charset: row.charset.as_deref().and_then(Charset::parse),
            time_zone: row.time_zone.parse().unwrap_or(chrono_tz::UTC),
            ack_mode: match row.ack_mode.as_str() {
                "original" => AckMode::Original,
                "enhanced" => AckMode::Enhanced,
                _ => AckMode::Auto,
            },
            positions: Arc::new(habits.positions().unwrap_or_default()),
            habits: Arc::new(habits),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_empty_profile_is_the_standard() {
        let habits = Habits::read(&json!({})).unwrap();
        assert!(!habits.strict && !habits.ack_warnings && habits.takes_version("2.1"));
        assert_eq!(habits.processing_ids, ["P", "T", "D"]);
        assert!(habits.publish.is_empty());
    }

    #[test]
    fn what_cannot_be_used_is_refused() {
        for profile in [
            json!({ "stricct": true }),
            json!({ "processing_ids": ["X"] }),
            json!({ "versions": ["3.0"] }),
            json!({ "default_result_status": "Q" }),
            json!({ "unmatched": "drop" }),
            json!({ "order_response": "orl" }),
            json!({ "order_layout": "medsynapse" }),
            json!({ "processing_id": "X" }),
            json!({ "order_codes": "loinc" }),
            json!({ "order_tests": "CBC" }),
            json!({ "order_tests": [" "] }),
            json!({ "order_tests": ["C\rBC"] }),
            json!({ "diagnosis_system": "" }),
            json!({ "diagnosis_system": "I|10" }),
            json!({ "publish": ["ADT_A01"] }),
            json!({ "publish": "ADT_A03" }),
            json!({ "publish": ["ADT_A03", "adt_a03"] }),
            json!({ "positions": { "OBX-11": "OBR-25" } }),
            json!({ "positions": { "OBX": "OBX-3" } }),
            json!({ "silence": "on" }),
            json!({ "silence": { "after_minutes": 0 } }),
            json!({ "silence": { "after_minutes": 10, "before": 5 } }),
            json!({ "directory": { "path": "city" } }),
            json!({ "directory": { "path": "/in/city", "poll_seconds": 0 } }),
            json!({ "directory": { "path": "/in/city", "recursive": true } }),
        ] {
            assert!(Habits::read(&profile).is_err(), "{profile}");
        }
    }

    #[test]
    fn a_silence_is_learned_fixed_or_switched_off() {
        for (profile, expected) in [
            (json!({}), Silence::Learned),
            (json!({ "silence": "learned" }), Silence::Learned),
            (json!({ "silence": "off" }), Silence::Off),
            (json!({ "silence": { "after_minutes": 240 } }), Silence::AfterMinutes(240)),
        ] {
            assert_eq!(Habits::read(&profile).unwrap().silence, expected, "{profile}");
        }
    }

    #[test]
    fn a_version_stands_for_its_minor_ones() {
        let habits = Habits::read(&json!({ "versions": ["2.3", "2.5"] })).unwrap();
        for (version, taken) in
            [("2.3", true), ("2.3.1", true), ("2.5.1", true), ("2.4", false), ("2.31", false)]
        {
            assert_eq!(habits.takes_version(version), taken, "{version}");
        }
    }
}
