//! Orders as others speak of them. Promise: an order moves only by a word about its own number that names no other patient;
//! what is not certain changes nothing, and is answered so.

use std::collections::{HashMap, HashSet};

use sea_orm::DbErr;

use super::{Applied, Desk};
use crate::{
    domain::{
        event::{OrderControl, OrderRequest, Orders, OrdersOf},
        ids::{OrderId, PatientId},
        matching::MatchOutcome,
        order::{OrderEvent, OrderStatus, Reported, TestStatus, order_status_from_tests},
    },
    hl7::{ack_orders::AnsweredOrder, datatypes::EntityId},
    lab::{
        order_progress::{Cause, move_order, note},
        order_reply::{event_to, remember_number, update_test},
        translate::number_out,
    },
    store::{
        db::Tx,
        entity::{lab_order, lab_order_test},
        orders,
    },
};

/// Whose the orders of a PID are.
#[derive(Clone, Copy)]
enum Whose {
    /// The message does not say. An order's own number is enough then.
    Unsaid,
    /// This patient's.
    Of(PatientId),
    /// Only a person could say.
    Uncertain,
}

impl Whose {
    /// Why an order of a patient cannot be meant, if so.
    fn excludes(self, patient: i64) -> Option<&'static str> {
        match self {
            Self::Of(said) if said.get() != patient => Some("order_of_another_patient"),
            Self::Uncertain => Some("patient_not_certain"),
            Self::Unsaid | Self::Of(_) => None,
        }
    }
}

/// Orders of ours that a message names, held until the end of the transaction.
struct Named {
    orders: HashMap<i64, lab_order::Model>,
    /// By our placer number.
    tests: HashMap<String, lab_order_test::Model>,
    /// What was said, by order, in the order of the message.
    said: Vec<Said>,
}

/// What a message said of one order.
struct Said {
    order: i64,
    controls: Vec<OrderControl>,
    fillers: Vec<String>,
}

impl Named {
    async fn load(tx: &Tx, told: &Orders) -> Result<Self, DbErr> {
        let placers = told.requests().filter_map(|request| request.placer.as_ref());
        let placers: HashSet<String> = placers.map(|number| number.id.clone()).collect();
        let placers: Vec<String> = placers.into_iter().collect();
        let mut ids: Vec<i64> = Vec::new();
        if !placers.is_empty() {
            ids = orders::tests_by_placer(&**tx, &placers).await?.iter().map(|t| t.lab_order_id).collect();
        }
        let held = orders::lock(&**tx, &ids).await?;
        // Read behind the lock: what stands in them now stays until we write.
        let tests = orders::tests_of(&**tx, &ids).await?;
        Ok(Self {
            orders: held.into_iter().map(|row| (row.id, row)).collect(),
            tests: tests.into_iter().map(|row| (row.placer_order_number.clone(), row)).collect(),
            said: Vec::new(),
        })
    }

    /// The test that is meant, or why none can be.
    fn find(&self, request: &OrderRequest, whose: Whose) -> Result<lab_order_test::Model, &'static str> {
        if request.names_two {
            return Err("order_numbers_differ");
        }
        let number = request.placer.as_ref().ok_or("order_number_missing")?;
        let test = self.tests.get(&number.id).ok_or("order_unknown")?;
        let order = self.orders.get(&test.lab_order_id).ok_or("order_unknown")?;
        whose.excludes(order.patient_id).map_or_else(|| Ok(test.clone()), Err)
    }

    fn remember(&mut self, order: i64, control: OrderControl, request: &OrderRequest) {
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

impl Desk<'_> {
    /// Applies what a message says of orders, and answers each.
    pub(super) async fn orders(&self, tx: &mut Tx, told: &Orders) -> Result<Applied, DbErr> {
        let mut applied = Applied::default();
        let mut named = Named::load(tx, told).await?;
        for person in &told.people {
            let whose = self.whose_orders(tx, person, &mut applied).await?;
            for request in &person.requests {
                let answer = self.lab_says(tx, request, whose, &mut named, &mut applied).await?;
                applied.orders.push(answer);
            }
        }
        self.move_orders(tx, named, &mut applied).await?;
        Ok(applied)
    }

    async fn whose_orders(&self, tx: &Tx, person: &OrdersOf, applied: &mut Applied) -> Result<Whose, DbErr> {
        let Some(claim) = person.claim.as_ref().filter(|_| !person.is_nobodys()) else {
            return Ok(Whose::Unsaid);
        };
        Ok(match self.owner(tx, claim).await? {
            MatchOutcome::Linked { patient_id, warnings } => {
                applied.warnings.extend(warnings.iter().map(ToString::to_string));
                Whose::Of(patient_id)
            }
            MatchOutcome::Review { .. } => Whose::Uncertain,
        })
    }

    /// A laboratory's word on one of our orders.
    async fn lab_says(
        &self,
        tx: &Tx,
        request: &OrderRequest,
        whose: Whose,
        named: &mut Named,
        applied: &mut Applied,
    ) -> Result<AnsweredOrder, DbErr> {
        let found = match request.control {
            Some(control) => named.find(request, whose).map(|test| (control, test)),
            None => Err("order_control_not_taken"),
        };
        let (control, test) = match found {
            Ok(found) => found,
            Err(why) => {
                applied.warn(why);
                return Ok(answer("UA", request, None));
            }
        };
        if request.promises_results() {
            applied.warn("results_not_here_yet");
        }
        let filler = request.filler.as_ref().map(|number| number.id.as_str());
        let order = test.lab_order_id;
        let status = update_test(self.ctx, tx, test, request.news(), filler).await?;
        named.remember(order, control, request);
        Ok(answer("OK", request, Some(status)))
    }

    /// Lets the tests act on their orders, with a line in the history of each.
    async fn move_orders(&self, tx: &mut Tx, named: Named, applied: &mut Applied) -> Result<(), DbErr> {
        let Named { mut orders, said, .. } = named;
        let mut charts: Vec<i64> = Vec::new();
        for said in said {
            let Some(order) = orders.remove(&said.order) else { continue };
            charts.push(order.patient_id);
            applied.order = applied.order.or(Some(OrderId::new(order.id)));
            self.move_one(tx, order, &said).await?;
        }
        charts.sort_unstable();
        charts.dedup();
        // A message that also speaks of somebody else's orders is no part of this patient's chart.
        applied.patient = match charts.as_slice() {
            [one] => Some(PatientId::new(*one)),
            _ => None,
        };
        Ok(())
    }

    async fn move_one(&self, tx: &mut Tx, order: lab_order::Model, said: &Said) -> Result<(), DbErr> {
        let tests = orders::tests_of(&**tx, &[order.id]).await?;
        let tests: Vec<TestStatus> =
            tests.iter().map(|test| test.status.parse().unwrap_or(TestStatus::Ordered)).collect();
        let order = remember_number(self.ctx, tx, order, said.fillers.iter().map(String::as_str)).await?;
        let from: OrderStatus = order.status.parse().unwrap_or(OrderStatus::Pending);
        let to = order_status_from_tests(from, &tests);
        let controls: Vec<&str> = said.controls.iter().map(|control| control.as_str()).collect();
        let controls = controls.join(", ");
        let cause = Cause {
            actor: "lab",
            kind: "told_by_lab",
            detail: Some(&controls),
            message_id: Some(self.message),
        };
        match step(from, to) {
            Some((event, kind)) => {
                move_order(self.ctx, tx, order, event, Cause { kind, detail: None, ..cause })
                    .await
                    .map(|_| ())
            }
            None => note(self.ctx, tx, &order, cause, None).await,
        }
    }
}

/// The event that leads from one status to another, and its name in the history.
fn step(from: OrderStatus, to: OrderStatus) -> Option<(OrderEvent, &'static str)> {
    match to {
        _ if from == to => None,
        OrderStatus::Partial => Some((OrderEvent::Results(Reported::Some), "told_by_lab")),
        OrderStatus::Resulted => Some((OrderEvent::Results(Reported::All), "ended_by_lab")),
        to => event_to(to),
    }
}

impl Applied {
    /// Adds a word, once.
    pub(super) fn warn(&mut self, word: &str) {
        if !self.warnings.iter().any(|known| known == word) {
            self.warnings.push(word.to_owned());
        }
    }
}

/// The answer to one order: its numbers as they were sent.
fn answer(control: &'static str, request: &OrderRequest, status: Option<TestStatus>) -> AnsweredOrder {
    let number = |sent: Option<&_>| sent.map_or_else(EntityId::default, number_out);
    AnsweredOrder {
        control,
        placer: number(request.placer.as_ref()),
        filler: number(request.filler.as_ref()),
        status: status.map_or("", TestStatus::to_orc_5),
    }
}
