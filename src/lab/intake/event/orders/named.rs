//! Orders that a message names.

use std::collections::{HashMap, HashSet};

use sea_orm::DbErr;

use super::{Asked, Whose};
use crate::{
    domain::{
        event::{OrderControl, OrderRequest, Orders, SentNumber},
        ids::PatientId,
    },
    lab::outside_order::turn,
    store::{
        db::Tx,
        endpoints,
        entity::{lab_order, lab_order_test},
        orders, outbox,
    },
};

/// Orders that a message names, held until the end of the transaction.
pub(super) struct Named {
    pub(super) orders: HashMap<i64, lab_order::Model>,
    /// By our placer number.
    ours: HashMap<String, lab_order_test::Model>,
    /// By the number of who ordered them through us: this message's sender.
    outside: HashMap<String, Vec<lab_order_test::Model>>,
    /// Who speaks, if it is a laboratory that gets orders of its own.
    laboratory: Option<i64>,
    /// What was said, by order, in the order of the message.
    pub(super) said: Vec<Said>,
    /// Orders that were placed or changed, each with its patient.
    pub(super) touched: Vec<(i64, i64)>,
}

/// What a message said of one order.
pub(super) struct Said {
    pub(super) order: i64,
    pub(super) controls: Vec<OrderControl>,
    pub(super) fillers: Vec<String>,
}

/// Numbers in the requests that `which` chooses.
fn numbers(told: &Orders, which: impl Fn(&OrderRequest) -> bool) -> Vec<String> {
    let chosen = told.requests().filter(|request| which(request));
    let ids: HashSet<String> =
        chosen.filter_map(|request| Some(request.placer.as_ref()?.id.clone())).collect();
    ids.into_iter().collect()
}

impl Named {
    pub(super) async fn load(tx: &Tx, told: &Orders, source: i64) -> Result<Self, DbErr> {
        let is_placers = |request: &OrderRequest| request.control.is_some_and(OrderControl::is_placers);
        let outside = numbers(told, is_placers);
        let mut tests = Vec::new();
        if !outside.is_empty() {
            tx.take_turn(turn(Some(source))).await?;
            tests = orders::tests_by_outside_number(&**tx, &outside).await?;
            tests.retain(|(_, of)| *of == Some(source));
        }
        let mut ids: HashSet<i64> = tests.iter().map(|(test, _)| test.lab_order_id).collect();
        if told.requests().any(|request| request.control.is_some_and(OrderControl::changes)) {
            lock_messages(tx, &ids).await?;
        }
        let ours = numbers(told, |request| !is_placers(request));
        if !ours.is_empty() {
            let theirs: HashSet<i64> =
                orders::tests_by_placer(&**tx, &ours).await?.iter().map(|test| test.lab_order_id).collect();
            if told.requests().any(|request| request.control.is_some_and(OrderControl::keeps_order)) {
                lock_messages(tx, &theirs).await?;
            }
            ids.extend(theirs);
        }
        let ids: Vec<i64> = ids.into_iter().collect();
        let held = orders::lock(&**tx, &ids).await?;
        let mut named = Self {
            orders: held.into_iter().map(|row| (row.id, row)).collect(),
            ours: HashMap::new(),
            outside: HashMap::new(),
            laboratory: if ours.is_empty() { None } else { laboratory(tx, source).await? },
            said: Vec::new(),
            touched: Vec::new(),
        };
        // Read behind the lock: what stands in them now stays until we write.
        for test in orders::tests_of(&**tx, &ids).await? {
            let of_source =
                named.orders.get(&test.lab_order_id).is_some_and(|o| o.source_endpoint_id == Some(source));
            if let Some(number) = test.outside_placer_number.clone().filter(|_| of_source) {
                named.outside.entry(number).or_default().push(test.clone());
            }
            named.ours.insert(test.placer_order_number.clone(), test);
        }
        Ok(named)
    }

    /// The test of ours that a laboratory means, or why none can be meant.
    pub(super) fn ours(&self, asked: &Asked<'_>) -> Result<lab_order_test::Model, &'static str> {
        let number = number(asked.request)?;
        let test = self.ours.get(&number.id).ok_or("order_unknown")?;
        if matches!(asked.whose, Whose::Unsaid) && self.is_of_another(test.lab_order_id) {
            return Err("order_of_another_laboratory");
        }
        self.of_patient(test, asked.whose)
    }

    /// Whether an order went to another laboratory than the one that speaks. Numbers are short: without a patient beside it,
    /// one of another laboratory is more likely mistyped than meant.
    fn is_of_another(&self, order: i64) -> bool {
        let went_to = self.orders.get(&order).and_then(|order| order.lis_endpoint_id);
        went_to.zip(self.laboratory).is_some_and(|(went_to, speaks)| went_to != speaks)
    }

    /// The test that who ordered it through us means, or why none can be meant.
    pub(super) fn theirs(&self, asked: &Asked<'_>) -> Result<lab_order_test::Model, &'static str> {
        match self.outside(number(asked.request)?).as_slice() {
            [] => Err("order_unknown"),
            [test] => self.of_patient(test, asked.whose),
            _ => Err("order_number_ambiguous"),
        }
    }

    /// Tests that this source ordered under a number.
    pub(super) fn outside(&self, number: &SentNumber) -> Vec<&lab_order_test::Model> {
        let same = |test: &&lab_order_test::Model| number.may_be_of(test.outside_placer_namespace.as_deref());
        self.outside.get(&number.id).into_iter().flatten().filter(same).collect()
    }

    /// Whether a test is this patient's and was neither called off nor refused.
    pub(super) fn stands(&self, test: &lab_order_test::Model, patient: PatientId) -> bool {
        let is_theirs =
            self.orders.get(&test.lab_order_id).is_some_and(|order| order.patient_id == patient.get());
        is_theirs && !matches!(test.status.as_str(), "cancelled" | "rejected")
    }

    fn of_patient(
        &self,
        test: &lab_order_test::Model,
        whose: Whose,
    ) -> Result<lab_order_test::Model, &'static str> {
        let order = self.orders.get(&test.lab_order_id).ok_or("order_unknown")?;
        whose.excludes(order.patient_id).map_or_else(|| Ok(test.clone()), Err)
    }

    /// Remembers that the message belongs to an order, and answers whose it is.
    pub(super) fn touch(&mut self, order: i64) -> i64 {
        let patient = self.orders.get(&order).map(|order| order.patient_id).unwrap_or_default();
        self.touched.push((order, patient));
        patient
    }

    pub(super) fn remember(&mut self, order: i64, control: OrderControl, request: &OrderRequest) {
        let at = self.said.iter().position(|said| said.order == order).unwrap_or_else(|| {
            self.said.push(Said { order, controls: Vec::new(), fillers: Vec::new() });
            self.said.len() - 1
        });
        let said = &mut self.said[at];
        if !said.controls.contains(&control) {
            said.controls.push(control);
        }
        said.fillers.extend(request.filler.as_ref().map(|number| number.id.clone()));
    }
}

/// The sender, if orders are sent to it. One that only sends may be the other half of any laboratory.
async fn laboratory(tx: &Tx, source: i64) -> Result<Option<i64>, DbErr> {
    let row = endpoints::find(&**tx, source).await?;
    Ok(row.filter(endpoints::takes_orders).map(|row| row.id))
}

/// Holds the messages of orders, before the orders, as everybody does who needs both.
async fn lock_messages(tx: &Tx, orders: &HashSet<i64>) -> Result<(), DbErr> {
    let mut orders: Vec<i64> = orders.iter().copied().collect();
    orders.sort_unstable();
    for id in orders {
        outbox::lock_of_order(&**tx, id).await?;
    }
    Ok(())
}

/// The number of a request, if there is one.
fn number(request: &OrderRequest) -> Result<&SentNumber, &'static str> {
    if request.names_two {
        return Err("order_numbers_differ");
    }
    request.placer.as_ref().ok_or("order_number_missing")
}
