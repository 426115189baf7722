//! A laboratory speaks of our orders.

use sea_orm::DbErr;

use super::{
    super::{Applied, Desk},
    Asked, answer, database,
    named::{Named, Said},
    refusal,
};
use crate::{
    domain::{
        event::OrderControl,
        order::{OrderEvent, OrderStatus, Reported, TestStatus, order_status_from_tests},
    },
    hl7::ack_orders::AnsweredOrder,
    lab::{
        application_ack::decline_cancellation,
        order_progress::{Cause, move_order, note},
        order_reply::{event_to, remember_number, update_test},
    },
    store::{db::Tx, entity::lab_order, orders, outbox},
};

impl Desk<'_> {
    /// A laboratory's word on one of our orders.
    pub(super) async fn lab_says(
        &self,
        tx: &Tx,
        asked: &Asked<'_>,
        control: OrderControl,
        named: &mut Named,
        applied: &mut Applied,
    ) -> Result<AnsweredOrder, DbErr> {
        let request = asked.request;
        let test = match named.ours(asked) {
            Ok(test) => test,
            Err(why) => {
                applied.warn(why);
                return Ok(refusal(request));
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
    pub(super) async fn move_told(&self, tx: &mut Tx, named: &mut Named) -> Result<(), DbErr> {
        for said in std::mem::take(&mut named.said) {
            // Read again: another part of the message may have changed it.
            let Some(order) = orders::find(&**tx, said.order).await? else { continue };
            named.touched.push((order.id, order.patient_id));
            self.move_one(tx, order, &said).await?;
        }
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
        let message_id = Some(self.message);
        let cause = Cause { actor: "lab", kind: "told_by_lab", detail: Some(&controls), message_id };
        if said.controls.iter().any(|control| control.keeps_order()) {
            let messages = outbox::lock_of_order(&**tx, order.id).await?;
            let declined = decline_cancellation(self.ctx, tx, (&order, messages), cause).await;
            if declined.map_err(database)? {
                return Ok(());
            }
        }
        match step(from, to) {
            Some((event, kind)) => {
                let cause = Cause { kind, detail: None, ..cause };
                move_order(self.ctx, tx, order, event, cause).await.map(|_| ())
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
