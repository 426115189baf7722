//! Patients as an ADT feed tells of them. Promise: one number, one patient; an older event never overwrites a newer one; what
//! is not certain changes nobody and waits for a person.

use std::collections::HashSet;

use sea_orm::{ActiveModelTrait, ActiveValue::Set, DbErr};
use serde_json::json;

use super::{Applied, Desk};
use crate::{
    context::Caller,
    domain::{
        access::Action,
        event::{Admission, AdmittedPerson, Demographics, StoredPerson, is_older, is_somebody_else},
        ids::PatientId,
        matching::{ClaimedIdentifier, IdentifierKey, PatientClaim},
        person::Sex,
    },
    lab::{
        access::{self, Resource},
        intake::rows::claimed,
        merge_patients::merge,
    },
    store::{
        db::Tx,
        entity::{patient, patient_identifier, review_item},
        intake::patients_of,
        patients,
    },
};

/// Characters of table 0203 that the column holds.
const LONGEST_TYPE: usize = 20;

/// Who a message means, or why only a person can say.
type Identity = Result<Option<patient::Model>, &'static str>;

impl Desk<'_> {
    /// Applies an ADT event. Nobody is changed unless everybody in the message is certain.
    pub(super) async fn admission(&self, tx: &mut Tx, told: &Admission) -> Result<Applied, DbErr> {
        let mut applied = Applied::default();
        for person in &told.people {
            if let Err(reason) = self.identify(tx, &person.claim).await? {
                return self.hold(tx, reason, &person.claim, applied).await;
            }
            if told.kind.is_merge() && self.priors(tx, person).await?.is_none() {
                return self.hold(tx, "several_candidates", &person.claim, applied).await;
            }
        }
        for person in &told.people {
            // Looked up again: the pair before may have merged what this one names.
            let Ok(known) = self.identify(tx, &person.claim).await? else { continue };
            let row = self.person(tx, told, person, known, &mut applied).await?;
            if told.kind.concerns_visit() {
                self.visit(tx, told, person, row.id, &mut applied).await?;
            }
            applied.patient = applied.patient.or(Some(PatientId::new(row.id)));
            let caller = Caller::system("hl7");
            let action = if told.kind.is_merge() { Action::MergePatients } else { Action::WritePatient };
            access::wrote(self.ctx, tx, &caller, action, Resource::one("patient", row.id, &[row.id])).await?;
        }
        Ok(applied)
    }

    async fn person(
        &self,
        tx: &mut Tx,
        told: &Admission,
        person: &AdmittedPerson,
        known: Option<patient::Model>,
        applied: &mut Applied,
    ) -> Result<patient::Model, DbErr> {
        let row = match known {
            Some(row) if told.kind.is_merge() => row,
            Some(row) if is_older(told.recorded_at, row.last_event_at) => {
                applied.warnings.push("older_than_stored".into());
                return Ok(row);
            }
            Some(row) => self.update(tx, told, &person.demographics, row).await?,
            None => self.register(tx, told, person).await?,
        };
        self.add_identifiers(tx, row.id, &person.claim.identifiers).await?;
        if told.kind.is_merge() {
            self.merge(tx, person, row.id, applied).await?;
        }
        Ok(row)
    }

    /// Whom a claim means. Other than for results a new number is a new patient, and a changed name or birth date is news.
    async fn identify(&self, tx: &Tx, claim: &PatientClaim) -> Result<Identity, DbErr> {
        let keys = claim.keys(&self.rules.local_authority);
        if keys.is_empty() {
            return Ok(Err("no_identifier"));
        }
        let mut found = self.holders(tx, &keys).await?;
        if found.len() > 1 {
            return Ok(Err("several_candidates"));
        }
        let Some(row) = found.pop() else { return Ok(Ok(None)) };
        let stored = StoredPerson { family: &row.last_name, birth_date: row.date_of_birth };
        if is_somebody_else(claim, stored) {
            return Ok(Err("demographics_contradict"));
        }
        if self.brings_second_number(tx, claim, row.id).await? {
            return Ok(Err("identifier_contradicts"));
        }
        Ok(Ok(Some(row)))
    }

    /// The patients in use who hold one of these identifiers, each once.
    async fn holders(&self, tx: &Tx, keys: &[IdentifierKey]) -> Result<Vec<patient::Model>, DbErr> {
        let values = keys.iter().map(|key| key.value.clone()).collect();
        let mut found: Vec<patient::Model> = Vec::new();
        for (identifier, row) in patients_of(&**tx, values).await? {
            let key = IdentifierKey::new(
                Some(&identifier.authority),
                &identifier.value,
                &self.rules.local_authority,
            );
            if keys.contains(&key) && !found.iter().any(|known| known.id == row.id) {
                found.push(row);
            }
        }
        Ok(found)
    }

    /// A record number of ours that we do not know, for a patient who has another one: one of the two is wrong, and giving
    /// a chart a second number is a merge, not an update.
    async fn brings_second_number(&self, tx: &Tx, claim: &PatientClaim, patient: i64) -> Result<bool, DbErr> {
        let authority = &self.rules.local_authority;
        let key = |identifier: &ClaimedIdentifier| {
            IdentifierKey::new(identifier.authority.as_deref(), &identifier.value, authority)
        };
        let ours = IdentifierKey::new(None, "", authority).authority;
        let claimed: Vec<IdentifierKey> =
            claim.identifiers.iter().filter(|sent| sent.is_record_number()).map(key).collect();
        let known = self.keys_of(tx, patient).await?;
        let unknown = |key: &&IdentifierKey| key.authority == ours && !known.contains(*key);
        let has_one = known.iter().any(|key| key.authority == ours);
        Ok(has_one && claimed.iter().any(|key| unknown(&key)))
    }

    async fn keys_of(&self, tx: &Tx, patient: i64) -> Result<HashSet<IdentifierKey>, DbErr> {
        let authority = &self.rules.local_authority;
        let rows = patients::identifiers_of(&**tx, &[patient]).await?;
        Ok(rows.iter().map(|row| IdentifierKey::new(Some(&row.authority), &row.value, authority)).collect())
    }

    async fn register(
        &self,
        tx: &Tx,
        told: &Admission,
        person: &AdmittedPerson,
    ) -> Result<patient::Model, DbErr> {
        let now = self.ctx.clock.now();
        let new = patient::ActiveModel {
            mrn: Set(self.record_number(&person.claim)),
            last_name: Set(String::new()),
            first_name: Set(String::new()),
            gender: Set(Sex::Unknown.to_string()),
            restricted: Set(false),
            row_version: Set(1),
            last_event_at: Set(told.recorded_at),
            created_at: Set(now),
            updated_at: Set(now),
            ..Default::default()
        };
        let row = new.insert(&**tx).await?;
        self.update(tx, told, &person.demographics, row).await
    }

    /// The number a patient is known by: our own record number, else any record number, else the first that names a patient.
    fn record_number(&self, claim: &PatientClaim) -> String {
        let ours = |sent: &&ClaimedIdentifier| {
            let key = IdentifierKey::new(sent.authority.as_deref(), "", &self.rules.local_authority);
            sent.is_record_number() && key == IdentifierKey::new(None, "", &self.rules.local_authority)
        };
        let all = || claim.identifiers.iter().filter(|sent| sent.names_a_patient());
        let found = all().find(ours).or_else(|| all().find(|sent| sent.is_record_number()));
        found.or_else(|| all().next()).map(|sent| sent.value.trim().to_owned()).unwrap_or_default()
    }

    async fn update(
        &self,
        tx: &Tx,
        told: &Admission,
        said: &Demographics,
        mut row: patient::Model,
    ) -> Result<patient::Model, DbErr> {
        let mut names = (Some(row.last_name.clone()), Some(row.first_name.clone()));
        said.family.over(&mut names.0);
        said.given.over(&mut names.1);
        said.middle.over(&mut row.middle_name);
        said.birth_date.over(&mut row.date_of_birth);
        said.phone.over(&mut row.phone);
        said.email.over(&mut row.email);
        said.address.over(&mut row.address);
        let mut sex = row.gender.parse::<Sex>().ok();
        said.sex.over(&mut sex);
        let next = patient::ActiveModel {
            id: Set(row.id),
            last_name: Set(names.0.unwrap_or_default()),
            first_name: Set(names.1.unwrap_or_default()),
            middle_name: Set(row.middle_name),
            date_of_birth: Set(row.date_of_birth),
            phone: Set(row.phone),
            email: Set(row.email),
            address: Set(row.address),
            gender: Set(sex.unwrap_or(Sex::Unknown).to_string()),
            last_event_at: Set(told.recorded_at.or(row.last_event_at)),
            row_version: Set(row.row_version + 1),
            updated_at: Set(self.ctx.clock.now()),
            ..Default::default()
        };
        next.update(&**tx).await
    }

    /// Numbers that nobody has yet become this patient's. That nobody has them was seen when the patient was looked up.
    async fn add_identifiers(
        &self,
        tx: &Tx,
        patient: i64,
        claimed: &[ClaimedIdentifier],
    ) -> Result<(), DbErr> {
        let mut known = self.keys_of(tx, patient).await?;
        for sent in claimed.iter().filter(|sent| sent.names_a_patient()) {
            let key = IdentifierKey::new(sent.authority.as_deref(), &sent.value, &self.rules.local_authority);
            if known.insert(key) {
                self.identifier(patient, sent, true).insert(&**tx).await?;
            }
        }
        Ok(())
    }

    fn identifier(
        &self,
        patient: i64,
        sent: &ClaimedIdentifier,
        active: bool,
    ) -> patient_identifier::ActiveModel {
        let stated = sent.authority.as_deref().map(str::trim).filter(|authority| !authority.is_empty());
        let kind = sent.kind.as_deref().map(str::trim).filter(|kind| !kind.is_empty()).unwrap_or("MR");
        patient_identifier::ActiveModel {
            patient_id: Set(patient),
            authority: Set(stated.unwrap_or(&self.rules.local_authority).to_owned()),
            id_type: Set(kind.chars().take(LONGEST_TYPE).collect()),
            value: Set(sent.value.trim().to_owned()),
            active: Set(active),
            created_at: Set(self.ctx.clock.now()),
            ..Default::default()
        }
    }

    /// The patients that prior identifiers name, each with its identifier; `None` when one of them names several.
    async fn priors<'p>(
        &self,
        tx: &Tx,
        person: &'p AdmittedPerson,
    ) -> Result<Option<Vec<(&'p ClaimedIdentifier, Option<patient::Model>)>>, DbErr> {
        let mut priors = Vec::new();
        for prior in person.prior.iter().filter(|prior| prior.names_a_patient()) {
            let key =
                IdentifierKey::new(prior.authority.as_deref(), &prior.value, &self.rules.local_authority);
            let mut found = self.holders(tx, &[key]).await?;
            if found.len() > 1 {
                return Ok(None);
            }
            priors.push((prior, found.pop()));
        }
        Ok(Some(priors))
    }

    /// Makes the records under the prior identifiers part of the survivor's.
    async fn merge(
        &self,
        tx: &mut Tx,
        person: &AdmittedPerson,
        survivor: i64,
        applied: &mut Applied,
    ) -> Result<(), DbErr> {
        for (prior, holder) in self.priors(tx, person).await?.unwrap_or_default() {
            match holder {
                None => {
                    // Kept as an alias, so that what still comes under the old number finds the survivor.
                    self.identifier(survivor, prior, false).insert(&**tx).await?;
                    applied.warnings.push("prior_unknown".into());
                }
                Some(row) if row.id == survivor => applied.warnings.push("merged_already".into()),
                Some(row) => {
                    merge(self.ctx, tx, &Caller::system("hl7"), (survivor, row.id), Some(self.message))
                        .await?;
                }
            }
        }
        if person.prior.is_empty() {
            applied.warnings.push("prior_missing".into());
        }
        Ok(())
    }

    /// Leaves everything as it is, for a person to decide.
    async fn hold(
        &self,
        tx: &Tx,
        reason: &str,
        claim: &PatientClaim,
        mut applied: Applied,
    ) -> Result<Applied, DbErr> {
        applied.in_review = true;
        if self.waits {
            return Ok(applied);
        }
        let item = review_item::ActiveModel {
            hl7_message_id: Set(self.message),
            reason: Set(reason.to_owned()),
            candidates: Set(json!([])),
            observation_count: Set(0),
            blocks: Set(Some(json!([0]))),
            claimed: Set(Some(claimed(claim))),
            status: Set("open".into()),
            created_at: Set(self.ctx.clock.now()),
            ..Default::default()
        };
        item.insert(&**tx).await?;
        Ok(applied)
    }
}
