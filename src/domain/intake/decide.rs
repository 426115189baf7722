//! The decision over one message, in the order a lab manager would make it: whose is it, which order does it answer,
//! which version does it make, is it critical.

use super::{
    Correction, CurrentResult, Decision, Held, Ids, Known, KnownPatient, NewAlert, NewReport, NewResult,
    OrderMove, OrderNews, Owner, Place, Review, Rules, Shown, ShownDocument,
};
use crate::domain::{
    critical::{Assessment, CodeRef, Facts, Subject, assess},
    ids::{AlertId, OrderId, OrderTestId, PatientId, ReportId, ResultId},
    matching::{self, MatchOutcome, MatchWarning},
    order::{OrderStatus, Reported, TestStatus, order_status_from_tests},
    person::{Sex, age_in_days},
    report::{Observation, PatientBlock, Report, ReportedMessage},
    result::{
        IncomingVersion, Place as Standing, ResultStatus, Stamp, Supersede, supersede, supersede_overtaken,
    },
    thresholds::LOINC,
};

/// Decides what a message does, and applies it to what is known. Total: every message has a decision, and every
/// observation in it ends in a result row or in the review queue.
pub fn decide(message: &ReportedMessage, known: &mut Known, rules: &Rules, ids: &mut Ids) -> Decision {
    decide_for(message, &[], known, rules, ids)
}

/// The same, with the owners of some blocks settled beforehand, in the order of the blocks. A block beyond the list has to
/// say itself whose it is.
pub fn decide_for(
    message: &ReportedMessage,
    owners: &[Owner],
    known: &mut Known,
    rules: &Rules,
    ids: &mut Ids,
) -> Decision {
    let mut decision = Decision::default();
    for (block, patient_block) in message.blocks.iter().enumerate() {
        let mut desk = Desk { message, rules, known, ids, decision: &mut decision };
        let owner = match owners.get(block).copied().unwrap_or(Owner::Matched) {
            Owner::Settled => continue,
            Owner::Said(patient) => desk.named(patient),
            Owner::Matched => desk.owner(patient_block),
        };
        match owner {
            Ok(patient) => desk.file(block, patient_block, &patient),
            Err((held, candidates)) => desk.hold(block, patient_block, held, candidates),
        }
    }
    decision
}

/// Whom a block is filed to without a person's word, if so.
pub fn certain_owner(block: &PatientBlock, known: &Known, rules: &Rules) -> Option<PatientId> {
    owner(block, known, rules).ok().map(|(patient, _)| patient.id)
}

/// Whether anything in a message would have to wait for a person.
pub fn any_held(message: &ReportedMessage, known: &Known, rules: &Rules) -> bool {
    message.blocks.iter().any(|block| owner(block, known, rules).is_err())
}

/// Whose a block is, or why only a person can say.
fn owner(
    block: &PatientBlock,
    known: &Known,
    rules: &Rules,
) -> Result<(KnownPatient, Vec<MatchWarning>), HeldWith> {
    match known.owner(&block.claim, &rules.local_authority) {
        MatchOutcome::Review { reason, candidates } => Err((Held::Patient(reason), candidates)),
        MatchOutcome::Linked { patient_id, warnings } => {
            let of_another = |report: &Report| {
                let order = known.named_order(report).and_then(|tie| known.orders.get(&tie.order));
                order.is_some_and(|order| order.patient != patient_id)
            };
            if block.reports.iter().any(of_another) {
                return Err((Held::OrderOfAnotherPatient, Vec::new()));
            }
            let patient = known.patient(patient_id).cloned();
            let patient =
                patient.ok_or((Held::Patient(matching::ReviewReason::UnknownIdentifier), Vec::new()))?;
            Ok((patient, warnings))
        }
    }
}

/// Characters of a laboratory's number that an ordered test remembers.
const FILLER_MAX: usize = 100;

/// Everything at hand while one message is decided.
pub(super) struct Desk<'a> {
    pub(super) message: &'a ReportedMessage,
    pub(super) rules: &'a Rules,
    pub(super) known: &'a mut Known,
    pub(super) ids: &'a mut Ids,
    pub(super) decision: &'a mut Decision,
}

type HeldWith = (Held, Vec<matching::ScoredCandidate>);

impl Desk<'_> {
    /// The patient whom a person named.
    fn named(&self, patient: PatientId) -> Result<KnownPatient, HeldWith> {
        let known = self.known.patient(patient).cloned();
        known.ok_or((Held::Patient(matching::ReviewReason::UnknownIdentifier), Vec::new()))
    }

    /// Whose results these are, or why nobody but a person can say.
    fn owner(&mut self, block: &PatientBlock) -> Result<KnownPatient, HeldWith> {
        let (patient, warnings) = owner(block, self.known, self.rules)?;
        self.decision.warnings.extend(warnings.iter().map(ToString::to_string));
        Ok(patient)
    }

    /// Files a patient's reports into the chart.
    fn file(&mut self, block: usize, content: &PatientBlock, patient: &KnownPatient) {
        self.decision.patients.push(patient.id);
        for (number, report) in content.reports.iter().enumerate() {
            let tie = self.known.tie(report, patient.id);
            let id = ReportId::new(self.ids.reports.pop_front().unwrap_or_default());
            self.decision.reports.push(NewReport {
                id,
                at: (block, number),
                patient: patient.id,
                order: tie.map(|tie| (tie.order, tie.test)),
                is_child: tie.is_some_and(|tie| tie.is_child),
            });
            for observation in 0..report.observations.len() {
                let at = Place { block, report: number, observation };
                self.version(at, patient, id);
            }
            if let Some(tie) = tie.filter(|tie| !tie.is_child) {
                self.progress(tie.order, tie.test, report);
            }
        }
    }

    /// Makes one result version, and what follows from it.
    fn version(&mut self, at: Place, patient: &KnownPatient, report_id: ReportId) {
        let message = self.message;
        let report = &message.blocks[at.block].reports[at.report];
        let observation = &report.observations[at.observation];
        let incoming = self.facts(report, observation);
        let before = self.known.current.get(&(observation.key.clone(), patient.id)).cloned();
        let overtaken = before.as_ref().is_some_and(|before| before.overtook);
        let rule = if overtaken { supersede_overtaken } else { supersede };
        let ruling = rule(before.as_ref().map(|before| &before.facts), &incoming);
        let shown = shown(observation, before.as_ref(), ruling);
        let assessment = self.assess(at, &shown, ruling.shown, Some(patient));
        let id = ResultId::new(self.ids.results.pop_front().unwrap_or_default());
        let order = self.known.tie(report, patient.id).map(|tie| tie.order);
        let is_current = ruling.place == Standing::Current;
        let versions = self.known.versions.entry(observation.key.clone()).or_default();
        *versions += 1;
        let version = *versions;
        let result = NewResult {
            id,
            report: report_id,
            at,
            patient: patient.id,
            order,
            encounter: order.and_then(|order| self.known.orders.get(&order)?.encounter),
            version,
            is_current,
            status: if is_current { ruling.shown } else { incoming.status },
            kept: ruling.keeps_value.then(|| shown.clone()),
            loinc: self.loinc(observation),
            assessment,
            effect: ruling.effect,
            warnings: ruling.warning.map(|warning| warning.to_string()).into_iter().collect(),
        };
        self.follow_up(&result, before.as_ref(), ruling);
        self.remember(&result, before, incoming.stamp, shown, ruling);
        self.decision.results.push(result);
    }

    /// What a version means for the one before, for alerts, and for those who saw the old value.
    fn follow_up(&mut self, result: &NewResult, before: Option<&CurrentResult>, ruling: Supersede) {
        if let Some(before) = before {
            if result.is_current {
                self.decision.superseded.push(before.id);
            } else if ruling.confirms_current {
                let stamp = before.facts.stamp.newest(self.stamp(result.at));
                self.decision.confirmed.push((before.id, stamp));
            }
            // Somebody was called about a critical preliminary: that the final says otherwise concerns them as much.
            let alerted = before.is_critical && ruling.value_changed;
            if result.is_current && (ruling.concerns_readers() || alerted) {
                self.decision.corrections.push(Correction {
                    old: before.id,
                    new: result.id,
                    version: result.version,
                    patient: result.patient,
                    old_value: before.shown.value.clone(),
                    at: result.at,
                    effect: ruling.effect,
                });
            }
        }
        // A final that repeats its preliminary alerts nobody twice.
        let told = before.is_some_and(|before| before.is_critical) && !ruling.value_changed;
        if result.is_current && result.assessment.critical && !told {
            self.decision.alerts.push(NewAlert {
                id: AlertId::new(self.ids.alerts.pop_front().unwrap_or_default()),
                at: result.at,
                result: Some((result.id, result.patient)),
                order: result.order,
                assessment: result.assessment.clone(),
            });
        }
    }

    /// Applies the version to what is known, so that the next message of the batch sees it.
    fn remember(
        &mut self,
        result: &NewResult,
        before: Option<CurrentResult>,
        stamp: Stamp,
        shown: Shown,
        ruling: Supersede,
    ) {
        let next = match before {
            Some(before) if !result.is_current => {
                let mut facts = before.facts;
                if ruling.confirms_current {
                    facts.stamp = facts.stamp.newest(stamp);
                }
                CurrentResult { facts, ..before }
            }
            _ => CurrentResult {
                id: result.id,
                // As its row will be read: a version that keeps the value before it keeps all that goes with it.
                facts: IncomingVersion {
                    status: ruling.shown,
                    value: shown.value.clone(),
                    document: shown.document.as_ref().map(|document| document.hash.clone()),
                    units: shown.units.clone(),
                    flags: shown.flags.clone(),
                    reference_range: shown.reference_range.clone(),
                    stamp,
                },
                shown,
                is_critical: result.assessment.critical,
                overtook: false,
            },
        };
        let key = self.observation(result.at).1.key.clone();
        self.known.current.insert((key, result.patient), next);
    }

    pub(super) fn observation(&self, at: Place) -> (&Report, &Observation) {
        let report = &self.message.blocks[at.block].reports[at.report];
        (report, &report.observations[at.observation])
    }

    fn stamp(&self, at: Place) -> Stamp {
        let (report, _) = self.observation(at);
        Stamp { status_changed_at: report.status_changed_at, sent_at: self.message.sent_at }
    }

    fn facts(&self, report: &Report, observation: &Observation) -> IncomingVersion {
        IncomingVersion {
            status: observation.status,
            value: observation.value.clone(),
            document: observation.document.as_ref().map(|document| document.hash.clone()),
            units: observation.units.clone(),
            flags: observation.flags.clone(),
            reference_range: observation.reference_range.clone(),
            stamp: Stamp { status_changed_at: report.status_changed_at, sent_at: self.message.sent_at },
        }
    }

    pub(super) fn loinc(&self, observation: &Observation) -> Option<String> {
        let sent = observation.code.loinc.clone();
        let system = observation.code.system.as_deref().unwrap_or_default();
        sent.or_else(|| {
            self.rules.loinc(self.message.endpoint, system, &observation.code.code).map(str::to_owned)
        })
    }

    pub(super) fn assess(
        &self,
        at: Place,
        shown: &Shown,
        status: ResultStatus,
        patient: Option<&KnownPatient>,
    ) -> Assessment {
        let (report, observation) = self.observation(at);
        let block = &self.message.blocks[at.block];
        let loinc = self.loinc(observation);
        let system = observation.code.system.as_deref().unwrap_or("L");
        let mut codes = vec![CodeRef { system, code: &observation.code.code }];
        codes.extend(loinc.as_deref().map(|code| CodeRef { system: LOINC, code }));
        let name = observation.code.text.as_deref().unwrap_or(&observation.code.code);
        let facts = Facts {
            test_name: name,
            codes: &codes,
            status,
            number: shown.number.as_ref(),
            text: shown.value.as_deref().unwrap_or_default(),
            is_coded: observation.is_coded,
            units: shown.units.as_deref(),
            flags: &shown.flags,
        };
        let subject = self.subject(block, report, patient);
        assess(&facts, &subject, &self.rules.thresholds, &self.rules.critical_flags)
    }

    /// The patient as limits look at it: from the chart, else from what the message says.
    fn subject(&self, block: &PatientBlock, report: &Report, patient: Option<&KnownPatient>) -> Subject {
        let birth =
            patient.map_or(block.claim.birth_date, |patient| patient.birth_date.or(block.claim.birth_date));
        let at = report.observed_at.as_ref().and_then(|time| time.instant).or(self.message.sent_at);
        let age_days = birth.zip(at).and_then(|(birth, at)| age_in_days(birth, at.date_naive()));
        let sex = patient.map_or(block.claim.sex, |patient| patient.sex);
        let sex = if sex == Sex::Unknown { block.claim.sex } else { sex };
        Subject { age_days, sex, class: block.class }
    }

    /// Moves the test, and with it the order.
    pub(super) fn progress(&mut self, order_id: OrderId, test_id: OrderTestId, report: &Report) {
        let Some(order) = self.known.orders.get_mut(&order_id) else { return };
        let Some(test) = order.tests.iter_mut().find(|test| test.id == test_id) else { return };
        let arrived = (!report.observations.is_empty()).then_some(TestStatus::Partial);
        let said = report.test_status.or(arrived).unwrap_or(test.status);
        test.status = test.status.advance(said);
        let moved = (test_id, test.status, report.filler.clone());
        let filler = report.filler.as_deref().filter(|filler| filler.chars().count() <= FILLER_MAX);
        let tests: Vec<TestStatus> = order.tests.iter().map(|test| test.status).collect();
        let next = order_status_from_tests(order.status, &tests);
        let news = news(order.status, next);
        order.status = next;
        self.known.number_of_lab(filler, order_id, test_id);
        match self.decision.orders.iter_mut().find(|entry| entry.order == order_id) {
            Some(entry) => {
                entry.tests.push(moved);
                entry.news = news.or(entry.news);
            }
            None => self.decision.orders.push(OrderMove { order: order_id, tests: vec![moved], news }),
        }
    }

    /// Puts a patient's reports into the review queue. What is critical still alerts: a person has to find out whose
    /// potassium this is, and soon.
    fn hold(
        &mut self,
        block: usize,
        content: &PatientBlock,
        held: Held,
        candidates: Vec<matching::ScoredCandidate>,
    ) {
        let count: usize = content.reports.iter().map(|report| report.observations.len()).sum();
        for (number, report) in content.reports.iter().enumerate() {
            for observation in 0..report.observations.len() {
                let at = Place { block, report: number, observation };
                self.alert_unowned(at);
            }
        }
        // Senders repeat the PID before every OBR: what follows under the same name is one decision. Only the last one is
        // compared, or a message of a hundred thousand strangers would hold up everybody else.
        let message = self.message;
        let same = |review: &&mut Review| {
            let first = review.blocks.first().and_then(|first| message.blocks.get(*first));
            review.reason == held && first.is_some_and(|first| first.claim == content.claim)
        };
        match self.decision.reviews.last_mut().filter(same) {
            Some(review) => {
                review.observations += count;
                review.blocks.push(block);
            }
            None => self.decision.reviews.push(Review {
                blocks: vec![block],
                reason: held,
                candidates,
                observations: count,
            }),
        }
    }

    fn alert_unowned(&mut self, at: Place) {
        let (report, observation) = self.observation(at);
        let ruling = supersede(None, &self.facts(report, observation));
        let shown = shown(observation, None, ruling);
        let assessment = self.assess(at, &shown, ruling.shown, None);
        if assessment.critical {
            let id = AlertId::new(self.ids.alerts.pop_front().unwrap_or_default());
            self.decision.alerts.push(NewAlert { id, at, result: None, order: None, assessment });
        }
    }
}

/// What a change of status means for the order's own state machine.
fn news(before: OrderStatus, after: OrderStatus) -> Option<OrderNews> {
    if before == after {
        return None;
    }
    match after {
        OrderStatus::Resulted => Some(OrderNews::Results(Reported::All)),
        OrderStatus::Partial => Some(OrderNews::Results(Reported::Some)),
        OrderStatus::Rejected => Some(OrderNews::Refused),
        OrderStatus::Acknowledged => Some(OrderNews::Accepted),
        OrderStatus::Cancelled => Some(OrderNews::Cancelled),
        OrderStatus::Pending | OrderStatus::Sent | OrderStatus::Failed => None,
    }
}

/// The value a reader sees: this version's own, or the one it confirms without repeating it.
fn shown(observation: &Observation, before: Option<&CurrentResult>, ruling: Supersede) -> Shown {
    match before {
        Some(before) if ruling.keeps_value => before.shown.clone(),
        _ => Shown {
            value: observation.value.clone(),
            raw_value: observation.raw_value.clone(),
            value_type: observation.value_type.clone(),
            number: observation.number.clone(),
            units: observation.units.clone(),
            reference_range: observation.reference_range.clone(),
            flags: observation.flags.clone(),
            document: observation.document.as_ref().map(|document| ShownDocument {
                media_type: document.media_type.clone(),
                hash: document.hash.clone(),
            }),
        },
    }
}
