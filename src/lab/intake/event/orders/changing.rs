//! Who ordered through us wants an order called off, changed, or asks how it stands. Promise: what is changed here has never
//! been sent; of what was sent the laboratory decides, and nobody is told that it is called off before it is.

use std::collections::HashMap;

use sea_orm::DbErr;

use super::{
    super::{Applied, Desk},
    Asked, answer, database,
    named::Named,
    refusal,
};
use crate::{
    context::Caller,
    domain::{
        access::Action,
        event::{OrderControl, OrderRequest, Placement},
        order::TestStatus,
    },
    hl7::{ack_orders::AnsweredOrder, datatypes::EntityId},
    lab::{
        access::{self, Resource},
        order_progress::Cause,
        outside_order::{self, CalledOff},
    },
    store::{
        db::Tx,
        entity::{lab_order, lab_order_test, outbox as outbox_row},
        orders, outbox,
    },
};

/// Answers to what was to be changed, by the place in the message.
pub(super) struct Changed(HashMap<u32, AnsweredOrder>);

impl Changed {
    pub(super) fn answer(&self, asked: &Asked<'_>) -> AnsweredOrder {
        self.0.get(&asked.at.1).cloned().unwrap_or_else(|| refusal(asked.request))
    }
}

/// What a message wants of one order.
struct Wish<'a> {
    order: i64,
    control: OrderControl,
    parts: Vec<(Asked<'a>, lab_order_test::Model)>,
}

/// How a wish ends.
enum Outcome {
    Done,
    /// The laboratory was asked.
    Awaited,
    /// Not done, for a reason.
    Not(&'static str),
}

/// An order with its messages and tests, all held.
struct Held {
    order: lab_order::Model,
    messages: Vec<outbox_row::Model>,
    tests: Vec<lab_order_test::Model>,
}

impl Held {
    /// Tests that are neither done nor called off.
    fn open(&self) -> impl Iterator<Item = &lab_order_test::Model> {
        self.tests.iter().filter(|test| !matches!(test.status.as_str(), "done" | "cancelled" | "rejected"))
    }
}

impl Desk<'_> {
    /// Does what is to be done to orders of this sender, each order once.
    pub(super) async fn change_theirs(
        &self,
        tx: &mut Tx,
        asked: &[Asked<'_>],
        named: &mut Named,
        applied: &mut Applied,
    ) -> Result<Changed, DbErr> {
        let replaces = asked.iter().any(|asked| asked.request.control == Some(OrderControl::Replacement));
        let mut answers = HashMap::new();
        for wish in wishes(asked, named, applied) {
            let outcome = match wish.control {
                OrderControl::Cancel | OrderControl::Discontinue => self.call_off(tx, &wish).await?,
                // A replacement under a number of its own is more than a change.
                OrderControl::Replace if replaces => Outcome::Not("order_control_not_done"),
                _ => self.change(tx, &wish).await?,
            };
            if let Outcome::Not(why) = outcome {
                applied.warn(why);
            }
            answers.extend(self.settle_wish(tx, wish, &outcome, named).await?);
        }
        Ok(Changed(answers))
    }

    /// Writes down who did it, and answers each part.
    async fn settle_wish(
        &self,
        tx: &Tx,
        wish: Wish<'_>,
        outcome: &Outcome,
        named: &mut Named,
    ) -> Result<Vec<(u32, AnsweredOrder)>, DbErr> {
        let control = match outcome {
            Outcome::Done => wish.control.consent(),
            // The request was received; the laboratory decides.
            Outcome::Awaited => "RR",
            Outcome::Not(_) => wish.control.refusal(),
        };
        let action = match wish.control {
            OrderControl::Cancel | OrderControl::Discontinue => Action::CancelOrder,
            _ => Action::PlaceOrder,
        };
        let patient = named.touch(wish.order);
        if !matches!(outcome, Outcome::Not(_)) {
            self.log(tx, action, wish.order, patient).await?;
        }
        let tests = orders::tests_of(&**tx, &[wish.order]).await?;
        let standing = |(asked, test): &(Asked<'_>, lab_order_test::Model)| {
            let now = tests.iter().find(|row| row.id == test.id).unwrap_or(test);
            (asked.at.1, standing(control, asked.request, now))
        };
        Ok(wish.parts.iter().map(standing).collect())
    }

    async fn log(&self, tx: &Tx, action: Action, order: i64, patient: i64) -> Result<(), DbErr> {
        let patients = [patient];
        let resource = Resource::one("lab_order", order, &patients);
        access::wrote(self.ctx, tx, &Caller::system("hl7"), action, resource).await
    }

    /// The order of a wish as it stands now: a wish before it in the message may have changed it.
    async fn held(&self, tx: &Tx, wish: &Wish<'_>) -> Result<Option<Held>, DbErr> {
        let messages = outbox::lock_of_order(&**tx, wish.order).await?;
        let Some(order) = orders::find(&**tx, wish.order).await? else { return Ok(None) };
        let tests = orders::tests_of(&**tx, &[wish.order]).await?;
        Ok(Some(Held { order, messages, tests }))
    }

    async fn call_off(&self, tx: &mut Tx, wish: &Wish<'_>) -> Result<Outcome, DbErr> {
        let Some(held) = self.held(tx, wish).await? else { return Ok(Outcome::Not("order_unknown")) };
        let is_meant = |test: &lab_order_test::Model| wish.parts.iter().any(|(_, part)| part.id == test.id);
        let over = |test: &lab_order_test::Model| test.status == TestStatus::Cancelled.as_str();
        if held.tests.iter().filter(|test| is_meant(test)).all(over) {
            return Ok(Outcome::Done);
        }
        let cause = self.by_placer("tests_cancelled");
        if held.open().all(is_meant) {
            let Held { order, messages, .. } = held;
            let called_off = outside_order::call_off(self.ctx, tx, (order, messages), cause).await;
            return Ok(match called_off.map_err(database)? {
                CalledOff::Done => Outcome::Done,
                CalledOff::Asked => Outcome::Awaited,
                CalledOff::Refused => Outcome::Not("order_goes_on"),
            });
        }
        let mine = outside_order::is_ours_to_change(tx, &held.order, &held.messages).await;
        if !mine.map_err(database)? {
            // A laboratory is asked about whole orders only.
            return Ok(Outcome::Not("part_of_an_order"));
        }
        let Held { order, messages, tests } = held;
        let dropped = tests.into_iter().filter(is_meant).collect();
        outside_order::drop_tests(self.ctx, tx, (order, messages), dropped, cause).await.map_err(database)?;
        Ok(Outcome::Done)
    }

    /// Changes an order that was never sent. Its tests stay what they are.
    async fn change(&self, tx: &Tx, wish: &Wish<'_>) -> Result<Outcome, DbErr> {
        let Some(held) = self.held(tx, wish).await? else { return Ok(Outcome::Not("order_unknown")) };
        let other_test = |(asked, test): &(Asked<'_>, lab_order_test::Model)| {
            let code = asked.request.service.code.trim();
            !code.is_empty() && code != test.test_code
        };
        if wish.parts.iter().any(other_test) {
            return Ok(Outcome::Not("test_cannot_be_changed"));
        }
        let is_meant = |test: &lab_order_test::Model| wish.parts.iter().any(|(_, part)| part.id == test.id);
        if !held.open().all(is_meant) {
            return Ok(Outcome::Not("part_of_an_order"));
        }
        let mine =
            outside_order::is_ours_to_change(tx, &held.order, &held.messages).await.map_err(database)?;
        if !mine {
            return Ok(Outcome::Not("order_sent_already"));
        }
        let requests: Vec<&OrderRequest> = wish.parts.iter().map(|(asked, _)| asked.request).collect();
        let notes: Vec<String> =
            wish.parts.iter().flat_map(|(asked, _)| &asked.person.notes).cloned().collect();
        let new = Placement::of(&requests, &notes);
        let Held { order, messages, .. } = held;
        let cause = self.by_placer("changed");
        outside_order::change(self.ctx, tx, (order, messages), new, cause).await.map_err(database)?;
        Ok(Outcome::Done)
    }

    /// How a test stands.
    pub(super) async fn status(
        &self,
        tx: &Tx,
        asked: &Asked<'_>,
        named: &mut Named,
        applied: &mut Applied,
    ) -> Result<AnsweredOrder, DbErr> {
        let test = match named.theirs(asked) {
            Ok(test) => test,
            Err(why) => {
                applied.warn(why);
                return Ok(refusal(asked.request));
            }
        };
        let patient = named.touch(test.lab_order_id);
        self.log(tx, Action::ReadOrder, test.lab_order_id, patient).await?;
        Ok(standing(OrderControl::StatusRequest.consent(), asked.request, &test))
    }

    fn by_placer(&self, kind: &'static str) -> Cause<'static> {
        Cause { actor: "placer", kind, detail: None, message_id: Some(self.message) }
    }
}

/// What is wanted, by order, in the order of the message. What names no order of this sender is refused.
fn wishes<'a>(asked: &[Asked<'a>], named: &Named, applied: &mut Applied) -> Vec<Wish<'a>> {
    let mut wishes: Vec<Wish<'a>> = Vec::new();
    for asked in asked {
        let Some(control) = asked.request.control.filter(|control| control.changes()) else { continue };
        match named.theirs(asked) {
            Err(why) => applied.warn(why),
            Ok(test) => {
                let order = test.lab_order_id;
                let known = wishes.iter_mut().find(|wish| wish.order == order && wish.control == control);
                match known {
                    Some(wish) => wish.parts.push((*asked, test)),
                    None => wishes.push(Wish { order, control, parts: vec![(*asked, test)] }),
                }
            }
        }
    }
    wishes
}

/// The answer about a test: our number, and where it stands.
pub(super) fn standing(
    control: &'static str,
    request: &OrderRequest,
    test: &lab_order_test::Model,
) -> AnsweredOrder {
    let status = test.status.parse().unwrap_or(TestStatus::Ordered);
    let ours = EntityId { id: Some(test.placer_order_number.clone()), ..EntityId::default() };
    AnsweredOrder { filler: ours, ..answer(control, request, Some(status)) }
}
