//! What is known before a message is decided: loaded for the whole batch, and kept up to date by each
//! decision.

use std::collections::HashMap;

use chrono::NaiveDate;

use crate::domain::{
    ids::{EncounterId, OrderId, OrderTestId, PatientId, ResultId},
    matching::{self, Candidate, IdentifierKey, MatchOutcome, PatientClaim},
    order::{OrderStatus, TestStatus},
    person::Sex,
    result::CurrentVersion,
    value::Quantity,
};

/// Facts from the database.
#[derive(Default)]
pub struct Known {
    /// Patients by identifier. A number that leads to several of them is no identifier.
    pub patients: HashMap<IdentifierKey, Vec<KnownPatient>>,
    /// Orders by id.
    pub orders: HashMap<OrderId, KnownOrder>,
    /// Order tests by placer order number.
    pub placers: HashMap<String, (OrderId, OrderTestId)>,
    /// Order tests by the number that somebody else ordered them under through us. Every such clinic counts for itself, so
    /// several patients' may share one.
    pub outside: HashMap<String, Vec<(OrderId, OrderTestId)>>,
    /// Order tests by the laboratory's number. Laboratories count anew, so several patients' may share one.
    pub fillers: HashMap<String, Vec<(OrderId, OrderTestId)>>,
    /// Current versions by result key and patient. A lab that counts its orders anew every day gives one key to
    /// several patients; their results never replace each other.
    pub current: HashMap<(String, PatientId), CurrentResult>,
    /// Patients whom a person has named, whatever the message says.
    pub named: Vec<KnownPatient>,
    /// Highest version stored under a key, whoever's it is.
    pub versions: HashMap<String, i32>,
}

/// A patient who has one of the identifiers named in the batch. Old identifiers of a merged record lead here too.
#[derive(Clone, PartialEq)]
pub struct KnownPatient {
    /// Who.
    pub id: PatientId,
    /// Family name.
    pub family: String,
    /// Given name.
    pub given: String,
    /// Birth date.
    pub birth_date: Option<NaiveDate>,
    /// Administrative sex.
    pub sex: Sex,
}

/// An order named in the batch.
#[derive(Clone)]
pub struct KnownOrder {
    /// Whose it is.
    pub patient: PatientId,
    /// The visit it was placed in.
    pub encounter: Option<EncounterId>,
    /// Where it stands.
    pub status: OrderStatus,
    /// Its tests.
    pub tests: Vec<KnownTest>,
}

/// A test of an order.
#[derive(Clone)]
pub struct KnownTest {
    /// Its id.
    pub id: OrderTestId,
    /// Code as ordered.
    pub code: String,
    /// How far it is.
    pub status: TestStatus,
}

/// The version of a result that readers see.
#[derive(Clone)]
pub struct CurrentResult {
    /// Its row.
    pub id: ResultId,
    /// As the version rule looks at it.
    pub facts: CurrentVersion,
    /// What is shown.
    pub shown: Shown,
    /// Whether it raised an alert.
    pub is_critical: bool,
    /// Whether it arrived after the message that is decided now, which waited for a person.
    pub overtook: bool,
}

/// A value as shown.
#[derive(Clone, PartialEq)]
pub struct Shown {
    /// As a reader sees it.
    pub value: Option<String>,
    /// As sent.
    pub raw_value: Option<String>,
    /// OBX-2.
    pub value_type: String,
    /// The number in it.
    pub number: Option<Quantity>,
    /// OBX-6.
    pub units: Option<String>,
    /// OBX-7.
    pub reference_range: Option<String>,
    /// OBX-8.
    pub flags: Vec<String>,
    /// The document in it.
    pub document: Option<ShownDocument>,
}

/// A document as far as it is known without its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownDocument {
    /// Media type.
    pub media_type: String,
    /// SHA-256 of its bytes in hex.
    pub hash: String,
}

impl std::fmt::Debug for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shown([phi])")
    }
}

impl Known {
    /// Patients whom the claim's identifiers may mean, each once, with the identifiers that hit.
    fn candidates(&self, claim: &PatientClaim, local_authority: &str) -> Vec<Candidate> {
        let mut candidates: Vec<Candidate> = Vec::new();
        for key in claim.keys(local_authority) {
            for patient in self.patients.get(&key).map(Vec::as_slice).unwrap_or_default() {
                match candidates.iter_mut().find(|candidate| candidate.patient_id == patient.id) {
                    Some(candidate) => candidate.hits.push(key.clone()),
                    None => candidates.push(patient.candidate(vec![key.clone()])),
                }
            }
        }
        candidates
    }

    /// Whom a claim means.
    pub fn owner(&self, claim: &PatientClaim, local_authority: &str) -> MatchOutcome {
        matching::decide(claim, &self.candidates(claim, local_authority), local_authority)
    }

    /// A patient by id, among those loaded.
    pub(super) fn patient(&self, id: PatientId) -> Option<&KnownPatient> {
        self.patients.values().flatten().chain(&self.named).find(|patient| patient.id == id)
    }
}

impl KnownPatient {
    /// The patient as a candidate, found by an identifier.
    pub fn candidate(&self, hits: Vec<IdentifierKey>) -> Candidate {
        let stated = |name: &String| Some(name.clone()).filter(|name| !name.is_empty());
        Candidate {
            patient_id: self.id,
            hits,
            family: stated(&self.family),
            given: stated(&self.given),
            birth_date: self.birth_date,
            sex: self.sex,
            order_hit: false,
        }
    }
}
