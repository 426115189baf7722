//! What a laboratory reports, in words: one message, its patients, their reports, their observations. `lab`
//! fills these from the wire; nothing here knows positions of fields.

use std::{collections::HashMap, fmt};

use chrono::{DateTime, Utc};

use super::{
    ids::EndpointId,
    matching::PatientClaim,
    order::TestStatus,
    result::{OrderRef, ResultKey, ResultStatus},
    specimen::{Parentage, Particulars, Specimen},
    thresholds::PatientClass,
    value::Quantity,
};

/// One message of results.
#[derive(Clone, PartialEq)]
pub struct ReportedMessage {
    /// Who sent it.
    pub endpoint: EndpointId,
    /// Control id, MSH-10.
    pub control_id: String,
    /// MSH-7.
    pub sent_at: Option<DateTime<Utc>>,
    /// One for each patient.
    pub blocks: Vec<PatientBlock>,
}

/// What a message says of one patient.
#[derive(Clone, PartialEq)]
pub struct PatientBlock {
    /// Who the message says it is.
    pub claim: PatientClaim,
    /// Inpatient or outpatient, where thresholds differ.
    pub class: Option<PatientClass>,
    /// One for each OBR.
    pub reports: Vec<Report>,
}

/// One report: the answer to one ordered test.
#[derive(Clone, PartialEq)]
pub struct Report {
    /// Our order number (OBR-2, else ORC-2).
    pub placer: Option<String>,
    /// The lab's order number (OBR-3, else ORC-3).
    pub filler: Option<String>,
    /// What was ordered (OBR-4).
    pub service: Term,
    /// OBR-25 as sent.
    pub status: Option<String>,
    /// How far the test is, from OBR-25, ORC-1 and ORC-5.
    pub test_status: Option<TestStatus>,
    /// When the specimen was taken (OBR-7).
    pub observed_at: Option<ClinicalTime>,
    /// OBR-22, when it has a time of day.
    pub status_changed_at: Option<DateTime<Utc>>,
    /// Who ordered (OBR-16).
    pub provider: Option<String>,
    /// Specimen in words (SPM-4, else OBR-15).
    pub specimen: Option<String>,
    /// Specimens in detail.
    pub specimens: Vec<Specimen>,
    /// What it grew out of.
    pub parent: Parentage,
    /// Comments on the report (NTE).
    pub notes: Vec<String>,
    /// The results.
    pub observations: Vec<Observation>,
}

/// A code with its text and system.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Term {
    /// Identifier.
    pub code: String,
    /// Text.
    pub text: Option<String>,
    /// Coding system, such as `LN` or `L`.
    pub system: Option<String>,
    /// LOINC code, when the sender gave one in either triplet.
    pub loinc: Option<String>,
}

/// A time as a laboratory gives it: the text is kept, because its precision is part of what was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClinicalTime {
    /// As sent.
    pub text: String,
    /// `year`, `month`, `day`, `hour`, `minute`, `second` or `fraction`.
    pub precision: &'static str,
    /// The instant; `None` for a bare date, which is not midnight.
    pub instant: Option<DateTime<Utc>>,
    /// Whether the sender left the zone out and that of its profile was taken.
    pub zone_assumed: bool,
}

/// One result.
#[derive(Clone, PartialEq)]
pub struct Observation {
    /// Digest of its [`ResultKey`].
    pub key: String,
    /// What was observed (OBX-3).
    pub code: Term,
    /// OBX-4.
    pub sub_id: Option<String>,
    /// OBX-2.
    pub value_type: String,
    /// OBX-5 as a reader sees it; `None` when there is no value.
    pub value: Option<String>,
    /// OBX-5 as sent.
    pub raw_value: Option<String>,
    /// The number in it.
    pub number: Option<Quantity>,
    /// Whether the value is a code.
    pub is_coded: bool,
    /// A document in it.
    pub document: Option<Document>,
    /// OBX-6.
    pub units: Option<String>,
    /// OBX-7.
    pub reference_range: Option<String>,
    /// OBX-8.
    pub flags: Vec<String>,
    /// Status as understood.
    pub status: ResultStatus,
    /// OBX-11 as sent, or what stood in for it.
    pub reported_status: Option<String>,
    /// OBX-14, else OBR-7.
    pub observed_at: Option<ClinicalTime>,
    /// OBX-14 as sent, to tell repeated observations apart.
    pub own_time: Option<String>,
    /// OBX-15.
    pub producer: Option<String>,
    /// OBX-23.
    pub performing_lab: Option<String>,
    /// How it came about.
    pub particulars: Option<Particulars>,
    /// Comments (NTE).
    pub notes: Vec<String>,
}

/// A document that came as a result.
#[derive(Clone, PartialEq, Eq)]
pub struct Document {
    /// Media type.
    pub media_type: String,
    /// SHA-256 of its bytes in hex: two reports of the same length differ in it.
    pub hash: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Types full of patient data print their name and nothing else.
macro_rules! print_name_only {
    ($($name:ident),+) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "([phi])"))
            }
        }
    )+};
}
print_name_only!(ReportedMessage, PatientBlock, Report, Observation, Document);

impl ReportedMessage {
    /// Observations in the message.
    pub fn observation_count(&self) -> usize {
        self.reports().map(|report| report.observations.len()).sum()
    }

    /// Reports of all patients.
    pub fn reports(&self) -> impl Iterator<Item = &Report> {
        self.blocks.iter().flat_map(|block| &block.reports)
    }

    /// Gives every observation its key. The time, then a count, joins the key only where this one message
    /// carries the same observation more than once: otherwise a corrected time would make a correction look
    /// like a new result.
    pub fn assign_keys(&mut self, digest: fn(&[u8]) -> [u8; 32]) {
        let plain = self.keys(|_| None);
        let mut times: HashMap<&ResultKey, u32> = HashMap::new();
        for key in &plain {
            *times.entry(key).or_default() += 1;
        }
        let timed = self.keys(|observation| observation.own_time.clone());
        let mut seen: HashMap<ResultKey, u32> = HashMap::new();
        let mut keys = Vec::with_capacity(plain.len());
        for (plain, timed) in plain.iter().zip(timed) {
            let mut key = if times[plain] > 1 { timed } else { plain.clone() };
            let occurrence = seen.entry(key.clone()).or_default();
            *occurrence += 1;
            key.occurrence = (*occurrence > 1).then_some(*occurrence);
            keys.push(key.hex(digest));
        }
        let mut keys = keys.into_iter();
        for block in &mut self.blocks {
            for observation in block.reports.iter_mut().flat_map(|report| &mut report.observations) {
                observation.key = keys.next().unwrap_or_default();
            }
        }
    }

    fn keys(&self, time: impl Fn(&Observation) -> Option<String>) -> Vec<ResultKey> {
        let key = |report: &Report, observation: &Observation| ResultKey {
            endpoint: self.endpoint,
            order: OrderRef::choose(report.filler.as_deref(), report.placer.as_deref(), &self.control_id),
            service_code: report.service.code.clone(),
            observation_code: observation.code.code.clone(),
            sub_id: observation.sub_id.clone().unwrap_or_default(),
            observed_at: time(observation),
            occurrence: None,
        };
        let reports = self.reports();
        reports
            .flat_map(|report| report.observations.iter().map(move |observation| key(report, observation)))
            .collect()
    }
}
