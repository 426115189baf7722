//! What a batch needs to know, in a handful of queries.

use std::collections::{HashMap, HashSet, VecDeque};

use sea_orm::DbErr;

use super::{Outcome, save::split_frames};
use crate::{
    context::Ctx,
    domain::{
        ids::{EncounterId, OrderId, OrderTestId, PatientId, ResultId},
        intake::{CurrentResult, Ids, Known, KnownOrder, KnownPatient, KnownTest, Shown, ShownDocument},
        matching::{IdentifierKey, PatientClaim},
        order::{OrderStatus, TestStatus},
        person::Sex,
        report::{Report, ReportedMessage},
        result::{IncomingVersion, ResultStatus, Stamp},
        value::Quantity,
    },
    lab::{
        arrival::{Arrival, Content},
        views,
    },
    store::{
        db::Tx,
        entity::{lab_result, patient},
        intake::{Stored, patients_of, reserve_ids, results_of, stored_messages},
        orders,
    },
};

/// Facts for one batch.
pub(super) struct Loaded {
    /// What came before under the control ids of the batch.
    pub(super) messages: Messages,
    /// What the decision looks at and keeps up to date.
    pub(super) known: Known,
}

/// Messages under the control ids of a batch.
pub(super) struct Messages {
    stored: HashMap<(i64, String), Vec<Stored>>,
    /// Peer and control id of what was decided in this batch.
    decided: HashSet<(i64, String)>,
}

impl Messages {
    /// The stored answer, when these very bytes were here before.
    pub(super) fn stored(&self, arrival: &Arrival) -> Option<Outcome> {
        let stored = self.same_id(arrival).iter().find(|stored| stored.message_hash == arrival.hash)?;
        let answer = split_frames(stored.ack_bytes.as_deref().unwrap_or_default());
        Some(Outcome::Resent { message: stored.id, answer, refused: stored.is_refused() })
    }

    /// Whether the control id of a new message was used before, with other content; remembers it for the rest of the
    /// batch.
    pub(super) fn uses_known_id(&mut self, arrival: &Arrival) -> bool {
        let id = (arrival.profile.id.get(), arrival.control_id().to_owned());
        let stored = !self.same_id(arrival).is_empty();
        let decided = !self.decided.insert(id);
        !arrival.control_id().is_empty() && (stored || decided)
    }

    fn same_id(&self, arrival: &Arrival) -> &[Stored] {
        let key = (arrival.profile.id.get(), arrival.control_id().to_owned());
        self.stored.get(&key).map(Vec::as_slice).unwrap_or_default()
    }
}

fn results<'a>(arrivals: &'a [&Arrival]) -> impl Iterator<Item = &'a ReportedMessage> {
    arrivals.iter().filter_map(|arrival| match &arrival.content {
        Content::Results(results) => Some(&**results),
        _ => None,
    })
}

/// Loads what a batch needs.
pub(super) async fn batch(ctx: &Ctx, tx: &Tx, arrivals: &[&Arrival]) -> Result<Loaded, DbErr> {
    let messages = messages(tx, arrivals).await?;
    let mut known = Known::default();
    let blocks = results(arrivals).flat_map(|message| &message.blocks);
    patients(ctx, tx, blocks.map(|block| &block.claim), &mut known).await?;
    load_orders(tx, results(arrivals), &mut known).await?;
    load_results(tx, results(arrivals), None, &mut known).await?;
    Ok(Loaded { messages, known })
}

/// Loads what filing a message needs whose patient a person has named.
pub(super) async fn held(
    tx: &Tx,
    message: &ReportedMessage,
    message_id: i64,
    patient: patient::Model,
) -> Result<Known, DbErr> {
    let mut known = Known { named: vec![known_patient(patient)], ..Known::default() };
    load_orders(tx, std::iter::once(message), &mut known).await?;
    load_results(tx, std::iter::once(message), Some(message_id), &mut known).await?;
    Ok(known)
}

/// Loads what filing a message needs that came some time ago, as this row, and was not filed then.
pub(super) async fn late(
    ctx: &Ctx,
    tx: &Tx,
    message: &ReportedMessage,
    message_id: i64,
) -> Result<Known, DbErr> {
    let mut known = Known::default();
    patients(ctx, tx, message.blocks.iter().map(|block| &block.claim), &mut known).await?;
    load_orders(tx, std::iter::once(message), &mut known).await?;
    load_results(tx, std::iter::once(message), Some(message_id), &mut known).await?;
    Ok(known)
}

/// Loads the orders that a message names.
pub(super) async fn orders_of(tx: &Tx, message: &ReportedMessage) -> Result<Known, DbErr> {
    let mut known = Known::default();
    load_orders(tx, std::iter::once(message), &mut known).await?;
    Ok(known)
}

/// A patient as the decision looks at one.
pub(crate) fn known_patient(row: patient::Model) -> KnownPatient {
    KnownPatient {
        id: PatientId::new(row.id),
        family: row.last_name,
        given: row.first_name,
        birth_date: row.date_of_birth,
        sex: row.gender.parse().unwrap_or(Sex::Unknown),
    }
}

/// Loads what came before under the same control ids.
pub(super) async fn messages(tx: &Tx, arrivals: &[&Arrival]) -> Result<Messages, DbErr> {
    let control_ids: HashSet<String> =
        arrivals.iter().map(|arrival| arrival.control_id().to_owned()).collect();
    let mut stored: HashMap<(i64, String), Vec<Stored>> = HashMap::new();
    for row in stored_messages(&**tx, control_ids.into_iter().collect()).await? {
        stored.entry((row.lis_endpoint_id, row.message_control_id.clone())).or_default().push(row);
    }
    Ok(Messages { stored, decided: HashSet::new() })
}

/// Loads the patients whom these claims may mean.
pub(super) async fn patients<'a>(
    ctx: &Ctx,
    tx: &Tx,
    claims: impl Iterator<Item = &'a PatientClaim>,
    known: &mut Known,
) -> Result<(), DbErr> {
    let authority = &ctx.config.sending_facility;
    let values: HashSet<String> =
        claims.flat_map(|claim| claim.keys(authority)).map(|key| key.value).collect();
    for (identifier, patient) in patients_of(&**tx, values.into_iter().collect()).await? {
        let key = IdentifierKey::new(Some(&identifier.authority), &identifier.value, authority);
        let patient = known_patient(patient);
        let holders = known.patients.entry(key).or_default();
        if !holders.contains(&patient) {
            holders.push(patient);
        }
    }
    Ok(())
}

async fn load_orders<'a>(
    tx: &Tx,
    messages: impl Iterator<Item = &'a ReportedMessage>,
    known: &mut Known,
) -> Result<(), DbErr> {
    let (mut placers, mut fillers): (HashSet<String>, HashSet<String>) = Default::default();
    for report in messages.flat_map(ReportedMessage::reports) {
        placers.extend([&report.placer, &report.parent.placer].into_iter().flatten().cloned());
        fillers.extend(report.parent.filler.clone());
    }
    if placers.is_empty() && fillers.is_empty() {
        return Ok(());
    }
    let placers: Vec<String> = placers.into_iter().collect();
    let mut named = orders::tests_by_placer(&**tx, &placers).await?;
    let known_here: HashSet<&str> = named.iter().map(|test| test.placer_order_number.as_str()).collect();
    let others: Vec<String> =
        placers.iter().filter(|placer| !known_here.contains(placer.as_str())).cloned().collect();
    if !others.is_empty() {
        let outside = orders::tests_by_outside_number(&**tx, &others).await?;
        named.extend(outside.into_iter().map(|(test, _)| test));
    }
    if !fillers.is_empty() {
        named.extend(orders::tests_by_filler(&**tx, &fillers.into_iter().collect::<Vec<_>>()).await?);
    }
    let whole = others.iter().filter_map(|number| OrderId::of_number(number)).map(OrderId::get);
    let ids: HashSet<i64> = named.iter().map(|test| test.lab_order_id).chain(whole).collect();
    let ids: Vec<i64> = ids.into_iter().collect();
    if ids.is_empty() {
        return Ok(());
    }
    for order in orders::lock(&**tx, &ids).await? {
        let known_order = KnownOrder {
            patient: PatientId::new(order.patient_id),
            encounter: order.encounter_id.map(EncounterId::new),
            status: order.status.parse().unwrap_or(OrderStatus::Pending),
            tests: Vec::new(),
        };
        known.orders.insert(OrderId::new(order.id), known_order);
    }
    for test in orders::tests_of(&**tx, &ids).await? {
        let (order, id) = (OrderId::new(test.lab_order_id), OrderTestId::new(test.id));
        known.placers.insert(test.placer_order_number, (order, id));
        if let Some(number) = test.outside_placer_number {
            known.outside.entry(number).or_default().push((order, id));
        }
        if let Some(filler) = test.filler_order_number {
            known.fillers.entry(filler).or_default().push((order, id));
        }
        if let Some(order) = known.orders.get_mut(&order) {
            order.tests.push(KnownTest {
                id,
                code: test.test_code,
                status: test.status.parse().unwrap_or(TestStatus::Ordered),
            });
        }
    }
    Ok(())
}

/// `waited`: the row of the message, when it waited for a person while others came in.
async fn load_results<'a>(
    tx: &Tx,
    messages: impl Iterator<Item = &'a ReportedMessage>,
    waited: Option<i64>,
    known: &mut Known,
) -> Result<(), DbErr> {
    let observations = messages.flat_map(ReportedMessage::reports).flat_map(|report| &report.observations);
    let keys: HashSet<String> = observations.map(|observation| observation.key.clone()).collect();
    for row in results_of(&**tx, keys.into_iter().collect()).await? {
        let highest = known.versions.entry(row.result_key.clone()).or_default();
        *highest = row.version.max(*highest);
        if row.is_current {
            let key = (row.result_key.clone(), PatientId::new(row.patient_id));
            let overtook = waited.is_some_and(|waited| row.hl7_message_id.is_some_and(|row| row > waited));
            known.current.insert(key, CurrentResult { overtook, ..current(row) });
        }
    }
    Ok(())
}

/// A version as the decision looks at the one that is shown.
pub(super) fn current(row: lab_result::Model) -> CurrentResult {
    let comparator = row.comparator.and_then(|sign| sign.parse().ok());
    let text = row.value.clone().unwrap_or_default();
    let shown = Shown {
        value: row.value,
        raw_value: row.raw_value,
        value_type: row.value_type,
        number: row.numeric_value.map(|number| Quantity { comparator, number, text }),
        units: row.units,
        reference_range: row.reference_range,
        flags: views::strings(&row.flags),
        document: row
            .document_hash
            .map(|hash| ShownDocument { media_type: row.document_type.unwrap_or_default(), hash }),
    };
    CurrentResult {
        id: ResultId::new(row.id),
        facts: IncomingVersion {
            status: row.result_status.parse().unwrap_or(ResultStatus::Unknown),
            value: shown.value.clone(),
            document: shown.document.as_ref().map(|document| document.hash.clone()),
            units: shown.units.clone(),
            flags: shown.flags.clone(),
            reference_range: shown.reference_range.clone(),
            stamp: Stamp { status_changed_at: row.status_changed_at, sent_at: row.message_time },
        },
        shown,
        is_critical: row.is_critical,
        overtook: false,
    }
}

/// Reserves as many ids as the batch can need at most: those of its messages, and those of what they bring.
pub(super) async fn ids(tx: &Tx, arrivals: &[&Arrival]) -> Result<(VecDeque<i64>, Ids), DbErr> {
    let observations = results(arrivals).map(ReportedMessage::observation_count).sum();
    let wanted = [
        ("hl7_messages", arrivals.len()),
        ("lab_reports", results(arrivals).flat_map(ReportedMessage::reports).count()),
        ("lab_results", observations),
        ("critical_alerts", observations),
    ];
    let [messages, reports, results, alerts] = reserve_ids(tx, wanted).await?;
    Ok((messages, Ids { reports, results, alerts }))
}

/// Reserves as many ids as these reports of a stored message can need at most.
pub(super) async fn ids_of(tx: &Tx, reports: &[&Report]) -> Result<Ids, DbErr> {
    let observations = reports.iter().map(|report| report.observations.len()).sum();
    let wanted =
        [("lab_reports", reports.len()), ("lab_results", observations), ("critical_alerts", observations)];
    let [reports, results, alerts] = reserve_ids(tx, wanted).await?;
    Ok(Ids { reports, results, alerts })
}
