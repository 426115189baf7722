//! What today's rules say of results that are in charts. Three things can come of it:
//!
//! - a mapping or a limit has changed: the LOINC code and the judgement of the row follow, in place, because the laboratory
//!   said nothing new; what is critical by it and was not alerts once;
//! - an order is known by now that was not: report and results are tied to it, and it moves;
//! - the profile reads another value or time out of the same bytes: a new version, as after a correction. The version that
//!   readers saw stays in the history.
//!
//! A profile that finds other observations than are stored (another code or number) changes nothing: which row would be
//! which is a guess.

use std::collections::{HashMap, HashSet};

use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, DbErr, EntityTrait, QueryFilter, QueryOrder};
use serde_json::json;

use super::{Replayed, Rerun};
use crate::{
    domain::{
        critical::Assessment,
        ids::{AlertId, EncounterId, OrderId, PatientId, ReportId, ResultId},
        intake::{
            Correction, Decision, Judgement, KnownPatient, NewAlert, NewResult, NewTie, Place, Shown,
            judge_again, tie_again,
        },
        report::{Observation, Report, ReportedMessage},
        result::{Effect, ResultStatus},
    },
    lab::{
        error::LabError,
        intake::{
            load::{self, known_patient},
            rows::set_assessment,
            save::{self, annotate},
        },
        views::strings,
    },
    store::{
        db::Tx,
        entity::{critical_alert, hl7_message, lab_report, lab_result},
        intake::{Rows, reserve_ids, results_of},
        patients, reviews,
    },
};

/// A result in a chart with the observation that it came from.
struct Pair<'m> {
    at: Place,
    sent: &'m Observation,
    row: lab_result::Model,
}

/// What is to be written.
#[derive(Default)]
struct Plan {
    /// New versions, what they supersede, alerts, corrections and moves of orders.
    decision: Decision,
    /// Rows that change in place.
    changes: Vec<lab_result::ActiveModel>,
    /// Results whose alerts are told that they are no longer critical.
    calmed: Vec<i64>,
}

impl Rerun<'_> {
    /// Looks again at what a message has in charts.
    pub(super) async fn reread(&self, tx: &mut Tx, content: &ReportedMessage) -> Result<Replayed, LabError> {
        let Some(pairs) = self.pairs(tx, content).await? else {
            return Ok(Replayed::noted("reads_otherwise"));
        };
        let owners = owners(tx, &pairs).await?;
        let mut known = load::orders_of(tx, content).await?;
        let loose = self.loose_reports(tx, content).await?;
        let places: Vec<((usize, usize), PatientId)> =
            loose.iter().map(|(at, row)| (*at, PatientId::new(row.patient_id))).collect();
        let (ties, moves) = tie_again(content, &self.rules, &mut known, &places);
        let mut plan = Plan::default();
        plan.decision.orders = moves;
        let versions = self.versions(tx, &pairs).await?;
        for pair in &pairs {
            let tie = ties.iter().find(|tie| tie.at == (pair.at.block, pair.at.report));
            let order = tie.map(|tie| tie.order);
            let encounter = order.and_then(|order| known.orders.get(&order)?.encounter);
            let patient = owners.get(&pair.row.patient_id);
            let highest = versions.get(&pair.sent.key).copied().unwrap_or(pair.row.version);
            self.look_at(content, pair, (patient, highest), (order, encounter), &mut plan);
        }
        self.give_ids(tx, &mut plan).await?;
        self.tie_reports(tx, &loose, &ties).await?;
        self.write(tx, content, plan).await
    }

    /// The rows of this message in charts, each with its observation; `None` where they cannot be told.
    async fn pairs<'m>(
        &self,
        tx: &Tx,
        content: &'m ReportedMessage,
    ) -> Result<Option<Vec<Pair<'m>>>, LabError> {
        let Some(aside) = self.blocks_aside(tx).await? else { return Ok(None) };
        let mut rows: HashMap<String, lab_result::Model> = HashMap::new();
        // Of several versions of one observation the last one counts.
        for row in filed_rows(tx, self.message.id).await? {
            rows.insert(row.result_key.clone(), row);
        }
        let mut pairs = Vec::new();
        for (at, sent) in places(content).filter(|(at, _)| !aside.contains(&at.block)) {
            let Some(row) = rows.remove(&sent.key) else { return Ok(None) };
            pairs.push(Pair { at, sent, row });
        }
        Ok(rows.is_empty().then_some(pairs))
    }

    /// Blocks that a person has kept out of every chart; `None` where the items do not say which they hold.
    async fn blocks_aside(&self, tx: &Tx) -> Result<Option<HashSet<usize>>, DbErr> {
        let mut aside = HashSet::new();
        for item in reviews::items_of(tx, self.message.id).await? {
            let blocks: Option<Vec<usize>> =
                item.blocks.and_then(|blocks| serde_json::from_value(blocks).ok());
            let Some(blocks) = blocks else { return Ok(None) };
            if item.status != "linked" {
                aside.extend(blocks);
            }
        }
        Ok(Some(aside))
    }

    /// Reports of this message that stand in charts without an order, with their places.
    async fn loose_reports(
        &self,
        tx: &Tx,
        content: &ReportedMessage,
    ) -> Result<Vec<((usize, usize), lab_report::Model)>, DbErr> {
        use lab_report::Column as C;
        let mut rows = lab_report::Entity::find()
            .filter(C::Hl7MessageId.eq(self.message.id))
            .filter(C::WithdrawnAt.is_null())
            .order_by_asc(C::Id)
            .all(&**tx)
            .await?;
        let mut loose = Vec::new();
        for (block, patient_block) in content.blocks.iter().enumerate() {
            for (number, report) in patient_block.reports.iter().enumerate() {
                let same = rows.iter().position(|row| is_of(row, report));
                let Some(row) = same.map(|at| rows.remove(at)) else { continue };
                if row.lab_order_id.is_none() {
                    loose.push(((block, number), row));
                }
            }
        }
        Ok(loose)
    }

    /// Highest version under each key.
    async fn versions(&self, tx: &Tx, pairs: &[Pair<'_>]) -> Result<HashMap<String, i32>, DbErr> {
        let keys = pairs.iter().map(|pair| pair.sent.key.clone()).collect();
        let mut versions: HashMap<String, i32> = HashMap::new();
        for row in results_of(&**tx, keys).await? {
            let highest = versions.entry(row.result_key).or_default();
            *highest = row.version.max(*highest);
        }
        Ok(versions)
    }

    /// Looks at one result. `highest`: the version that was written last under its key.
    fn look_at(
        &self,
        content: &ReportedMessage,
        pair: &Pair<'_>,
        (patient, highest): (Option<&KnownPatient>, i32),
        order: (Option<OrderId>, Option<EncounterId>),
        plan: &mut Plan,
    ) {
        let judge = |shown| judge_again(content, &self.rules, pair.at, shown, patient);
        if is_read_otherwise(pair.sent, &pair.row) {
            let judgement = judge((&own(pair.sent), pair.sent.status));
            return plan.replace(pair, judgement, order, highest + 1);
        }
        let before = load::current(pair.row.clone());
        let status = pair.row.result_status.parse().unwrap_or(ResultStatus::Unknown);
        plan.change(pair, judge((&before.shown, status)), order);
    }

    async fn give_ids(&self, tx: &Tx, plan: &mut Plan) -> Result<(), DbErr> {
        let (results, alerts) = (plan.decision.results.len(), plan.decision.alerts.len());
        if results + alerts == 0 {
            return Ok(());
        }
        let [mut results, mut alerts] =
            reserve_ids(tx, [("lab_results", results), ("critical_alerts", alerts)]).await?;
        plan.decision
            .number(|| results.pop_front().unwrap_or_default(), || alerts.pop_front().unwrap_or_default());
        Ok(())
    }

    async fn tie_reports(
        &self,
        tx: &Tx,
        loose: &[((usize, usize), lab_report::Model)],
        ties: &[NewTie],
    ) -> Result<(), DbErr> {
        for tie in ties {
            let Some((_, row)) = loose.iter().find(|(at, _)| *at == tie.at) else { continue };
            let change = lab_report::ActiveModel {
                id: Set(row.id),
                lab_order_id: Set(Some(tie.order.get())),
                lab_order_test_id: Set(Some(tie.test.get())),
                is_child: Set(tie.is_child),
                ..Default::default()
            };
            change.update(&**tx).await?;
        }
        let Some(first) = ties.first().filter(|_| self.message.lab_order_id.is_none()) else { return Ok(()) };
        let change = hl7_message::ActiveModel {
            id: Set(self.message.id),
            lab_order_id: Set(Some(first.order.get())),
            ..Default::default()
        };
        change.update(&**tx).await.map(|_| ())
    }

    async fn write(&self, tx: &mut Tx, content: &ReportedMessage, plan: Plan) -> Result<Replayed, LabError> {
        let Plan { mut decision, changes, calmed } = plan;
        self.alert_once(tx, &mut decision).await?;
        for change in changes {
            change.update(&**tx).await?;
        }
        for result in calmed {
            self.calm(tx, result).await?;
        }
        let mut written = Rows::default();
        save::collect_filed(self.ctx, tx, &self.around(content), &decision, &mut written);
        save::write(self.ctx, tx, written, &[self.filing(content, &decision)]).await?;
        let new = i32::try_from(decision.results.len()).unwrap_or(i32::MAX);
        if new > 0 {
            let change = hl7_message::ActiveModel {
                id: Set(self.message.id),
                observations_stored: Set(self.message.observations_stored.saturating_add(new)),
                ..Default::default()
            };
            change.update(&**tx).await?;
        }
        Ok(Replayed::default())
    }

    /// A row that has an alert raises no second one, whatever became of the first: it is told instead.
    async fn alert_once(&self, tx: &Tx, decision: &mut Decision) -> Result<(), DbErr> {
        let results = decision.alerts.iter().filter_map(|new| new.result).map(|(result, _)| result.get());
        let raised = critical_alert::Entity::find()
            .filter(critical_alert::Column::LabResultId.is_in(results))
            .all(&**tx)
            .await?;
        let has_one = |id: i64| raised.iter().any(|alert| alert.lab_result_id == Some(id));
        decision.alerts.retain(|new| !new.result.is_some_and(|(result, _)| has_one(result.get())));
        for alert in raised {
            let note = json!({
                "effect": "judged_anew", "result_id": alert.lab_result_id, "is_critical": true,
                "by": self.caller.username, "at": self.ctx.clock.now(),
            });
            annotate(tx, alert, note).await?;
        }
        Ok(())
    }

    /// An alert whose result is no longer critical by the rules says so; it is not closed for that.
    async fn calm(&self, tx: &Tx, result: i64) -> Result<(), DbErr> {
        let note = json!({
            "effect": "judged_anew", "result_id": result, "is_critical": false,
            "by": self.caller.username, "at": self.ctx.clock.now(),
        });
        let alerts = critical_alert::Entity::find().filter(critical_alert::Column::LabResultId.eq(result));
        for alert in alerts.all(&**tx).await? {
            annotate(tx, alert, note.clone()).await?;
        }
        Ok(())
    }
}

impl Plan {
    /// The row follows the judgement, and is tied to its order.
    fn change(
        &mut self,
        pair: &Pair<'_>,
        judgement: Judgement,
        (order, encounter): (Option<OrderId>, Option<EncounterId>),
    ) {
        let row = &pair.row;
        let mut change = lab_result::ActiveModel { id: Set(row.id), ..Default::default() };
        let judged = is_judged_otherwise(row, &judgement.assessment);
        if row.loinc_code != judgement.loinc {
            change.loinc_code = Set(judgement.loinc);
        }
        if judged {
            set_assessment(&mut change, &strings(&row.flags), &judgement.assessment);
        }
        if let Some(order) = order.filter(|_| row.lab_order_id.is_none()) {
            change.lab_order_id = Set(Some(order.get()));
            if let Some(encounter) = encounter.filter(|_| row.encounter_id.is_none()) {
                change.encounter_id = Set(Some(encounter.get()));
            }
        }
        if change.is_changed() {
            self.changes.push(change);
        }
        if judged && row.is_current && row.is_critical && !judgement.assessment.critical {
            self.calmed.push(row.id);
        }
        if row.is_current && !row.is_critical && judgement.assessment.critical {
            let result = (ResultId::new(row.id), PatientId::new(row.patient_id));
            self.alert(pair.at, result, order.or(row.lab_order_id.map(OrderId::new)), judgement.assessment);
        }
    }

    /// A new version takes the place of the row.
    fn replace(
        &mut self,
        pair: &Pair<'_>,
        judgement: Judgement,
        (order, encounter): (Option<OrderId>, Option<EncounterId>),
        version: i32,
    ) {
        let row = &pair.row;
        let changed = row.value != pair.sent.value || row.units != pair.sent.units;
        let (id, patient) = (ResultId::new(0), PatientId::new(row.patient_id));
        let order = row.lab_order_id.map(OrderId::new).or(order);
        let effect = if changed { Effect::Correction } else { Effect::Progress };
        let critical = judgement.assessment.critical;
        if row.is_current {
            self.decision.superseded.push(ResultId::new(row.id));
        }
        if row.is_current && changed {
            let (old, old_value) = (ResultId::new(row.id), row.value.clone());
            let correction = Correction { old, new: id, version, patient, old_value, at: pair.at, effect };
            self.decision.corrections.push(correction);
        }
        if row.is_current && critical && (changed || !row.is_critical) {
            self.alert(pair.at, (id, patient), order, judgement.assessment.clone());
        }
        self.decision.results.push(NewResult {
            id,
            report: ReportId::new(row.lab_report_id.unwrap_or_default()),
            at: pair.at,
            patient,
            order,
            encounter: row.encounter_id.map(EncounterId::new).or(encounter),
            version,
            is_current: row.is_current,
            status: pair.sent.status,
            kept: None,
            loinc: judgement.loinc,
            assessment: judgement.assessment,
            effect,
            warnings: vec!["read_again".into()],
        });
    }

    fn alert(
        &mut self,
        at: Place,
        result: (ResultId, PatientId),
        order: Option<OrderId>,
        assessment: Assessment,
    ) {
        self.decision.alerts.push(NewAlert {
            id: AlertId::new(0),
            at,
            result: Some(result),
            order,
            assessment,
        });
    }
}

async fn filed_rows(tx: &Tx, message: i64) -> Result<Vec<lab_result::Model>, DbErr> {
    use lab_result::Column as C;
    lab_result::without_documents()
        .filter(C::Hl7MessageId.eq(message))
        .filter(C::WithdrawnAt.is_null())
        .order_by_asc(C::Id)
        .all(&**tx)
        .await
}

async fn owners(tx: &Tx, pairs: &[Pair<'_>]) -> Result<HashMap<i64, KnownPatient>, DbErr> {
    let ids: HashSet<i64> = pairs.iter().map(|pair| pair.row.patient_id).collect();
    let rows = patients::find_all(&**tx, &ids.into_iter().collect::<Vec<_>>()).await?;
    Ok(rows.into_iter().map(|row| (row.id, known_patient(row))).collect())
}

/// Every observation of a message with its place.
fn places(content: &ReportedMessage) -> impl Iterator<Item = (Place, &Observation)> {
    content.blocks.iter().enumerate().flat_map(|(block, patient_block)| {
        patient_block.reports.iter().enumerate().flat_map(move |(report, sent)| {
            let at = move |observation| Place { block, report, observation };
            sent.observations.iter().enumerate().map(move |(number, sent)| (at(number), sent))
        })
    })
}

fn is_of(row: &lab_report::Model, report: &Report) -> bool {
    row.placer_order_number == report.placer
        && row.filler_order_number == report.filler
        && row.service_code == report.service.code
}

fn own(sent: &Observation) -> Shown {
    Shown {
        value: sent.value.clone(),
        raw_value: sent.raw_value.clone(),
        value_type: sent.value_type.clone(),
        number: sent.number.clone(),
        units: sent.units.clone(),
        reference_range: sent.reference_range.clone(),
        flags: sent.flags.clone(),
        document: None,
    }
}

/// Whether today's profile reads something else out of the same bytes. A version that brought no value of its own shows the
/// one before it, so there is nothing to compare; documents are known by their digest and read as they are.
fn is_read_otherwise(sent: &Observation, row: &lab_result::Model) -> bool {
    if sent.value.is_none() || sent.document.is_some() || row.document_hash.is_some() {
        return false;
    }
    let unknown = row.result_status == ResultStatus::Unknown.as_str();
    let instant = sent.observed_at.as_ref().and_then(|time| time.instant);
    row.value != sent.value
        || row.raw_value != sent.raw_value
        || row.value_type != sent.value_type
        || row.units != sent.units
        || row.reference_range != sent.reference_range
        || strings(&row.flags) != sent.flags
        || row.numeric_value != sent.number.as_ref().map(|number| number.number)
        || row.observation_date != instant
        || (unknown && sent.status != ResultStatus::Unknown)
}

fn is_judged_otherwise(row: &lab_result::Model, assessment: &Assessment) -> bool {
    row.is_critical != assessment.critical
        || row.threshold_status != assessment.threshold_status.to_string()
        || row.critical_reasons != json!(assessment.reasons)
}
