//! Which lab an order goes to: the one it names, else one that names its tests, else one that takes anything. Where there is
//! none yet, the order waits and is sent when one appears.

use sea_orm::{ActiveModelTrait, ActiveValue::Set, ConnectionTrait};

use super::{
    endpoint_profile::{Habits, OrderLayout},
    error::LabError,
    order_progress::{Cause, note},
    queue_message::queue_message,
};
use crate::{
    context::Ctx,
    domain::{
        order::TestStatus,
        routing::{self, Laboratory, Ordered, Route},
    },
    hl7::orm::OrderAction,
    store::{
        db::{self, Tx},
        endpoints,
        entity::{lab_order, lab_order_test, lis_endpoint},
        orders,
    },
};

/// Orders routed in one transaction at most, so that a new lab does not hold the database for a whole backlog.
const AT_ONCE: usize = 100;
/// Orders looked at in one query.
const PAGE: u64 = 500;

/// Where an order goes.
pub(super) enum Lab {
    /// There.
    Chosen(Box<lis_endpoint::Model>),
    /// Nowhere yet.
    NoneYet,
    /// Nowhere as it is, and why, for whoever places it.
    Apart(String),
}

impl Lab {
    /// Whether it is worth waiting for an answer.
    pub(super) fn sends_now(&self) -> bool {
        matches!(self, Self::Chosen(row) if !row.paused)
    }
}

/// What decides where an order goes.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    /// The lab that whoever orders has chosen.
    pub(super) named: Option<i64>,
    /// Who sent us the order, and must not get it back.
    pub(super) source: Option<i64>,
    /// What is ordered.
    pub(super) ordered: Ordered<'a>,
}

/// Chooses the lab of an order. Errors: `Invalid` when the lab named cannot take orders.
pub(super) async fn choose_lab(tx: &Tx, wanted: Wanted<'_>) -> Result<Lab, LabError> {
    let Some(id) = wanted.named else {
        return Ok(Labs::load(&**tx).await?.unnamed(wanted));
    };
    let row = endpoints::find(&**tx, id).await?.ok_or(LabError::NotFound("LIS endpoint"))?;
    if !endpoints::takes_orders(&row) {
        return Err(LabError::invalid("lis_endpoint_id", "must be an enabled outbound LIS endpoint"));
    }
    Ok(Lab::Chosen(Box::new(row)))
}

/// The labs that take orders, each as the rule sees it.
struct Labs(Vec<(lis_endpoint::Model, Laboratory)>);

impl Labs {
    async fn load(connection: &impl ConnectionTrait) -> Result<Self, LabError> {
        Ok(Self::of(endpoints::all(connection).await?))
    }

    fn of(rows: Vec<lis_endpoint::Model>) -> Self {
        let labs = rows.into_iter().filter(endpoints::takes_orders).map(|row| {
            let laboratory = laboratory(&row);
            (row, laboratory)
        });
        Self(labs.collect())
    }

    fn unnamed(&self, wanted: Wanted<'_>) -> Lab {
        let open = self.0.iter().map(|(_, laboratory)| laboratory);
        let open: Vec<_> = open.filter(|laboratory| wanted.source != Some(laboratory.id)).collect();
        match routing::route(&open, wanted.ordered) {
            Route::To(id) => {
                let found = self.0.iter().find(|(row, _)| row.id == id);
                found.map_or(Lab::NoneYet, |(row, _)| Lab::Chosen(Box::new(row.clone())))
            }
            Route::Undecided => Lab::NoneYet,
            Route::Apart => Lab::Apart(apart(&open, wanted.ordered.codes)),
        }
    }

    /// The lab of an order that named none, by its tests that were not called off.
    fn of_order(&self, order: &lab_order::Model, tests: &[lab_order_test::Model]) -> Lab {
        let stands = |test: &&lab_order_test::Model| {
            test.lab_order_id == order.id && test.status != TestStatus::Cancelled.as_str()
        };
        let codes: Vec<&str> = tests.iter().filter(stands).map(|test| test.test_code.as_str()).collect();
        let ordered = Ordered { codes: &codes, is_imaging: order.imaging.is_some() };
        self.unnamed(Wanted { named: None, source: order.source_endpoint_id, ordered })
    }
}

fn laboratory(row: &lis_endpoint::Model) -> Laboratory {
    let habits = Habits::read(&row.profile).unwrap_or_default();
    Laboratory {
        id: row.id,
        is_default: row.is_default,
        images: habits.order_layout == OrderLayout::Medsynapse23,
        is_told_news: !habits.publish.is_empty(),
        tests: habits.order_tests.into_iter().map(String::from).collect(),
    }
}

fn apart(laboratories: &[&Laboratory], codes: &[&str]) -> String {
    if routing::done_by_none(laboratories, codes).is_empty() {
        return "no laboratory does all of these tests; order those of each laboratory apart, or name one"
            .into();
    }
    "there is a test among them that no laboratory does; name the laboratory that is to have it".into()
}

/// Queues the order's message for a lab and ties both together.
pub(super) async fn send_to(
    ctx: &Ctx,
    tx: &Tx,
    order: lab_order::Model,
    endpoint: &lis_endpoint::Model,
) -> Result<lab_order::Model, LabError> {
    let message = queue_message(ctx, tx, &order, endpoint, OrderAction::New).await?;
    let mut tied: lab_order::ActiveModel = order.into();
    tied.hl7_message_id = Set(Some(message));
    tied.lis_endpoint_id = Set(Some(endpoint.id));
    Ok(tied.update(&**tx).await?)
}

/// Queues orders that waited for a lab, the hundred oldest that have one now; answers how many. To be called in the
/// transaction that makes or changes an endpoint; the caller wakes `hints.outbox` after its commit.
pub async fn route_waiting_orders(ctx: &Ctx, tx: &Tx) -> Result<usize, LabError> {
    let routable = routable(&**tx).await?;
    send_waiting(ctx, tx, routable).await
}

/// The same for what is left: the rest of a long backlog, and an order that was placed while the endpoint was made and
/// saw none. Answers how many were routed.
pub async fn route_leftovers(ctx: &Ctx) -> Result<usize, LabError> {
    let routable = routable(ctx.db.reader()).await?;
    if routable.is_empty() {
        return Ok(0);
    }
    let tx = db::write(&ctx.db, "route_leftovers").await?;
    let count = send_waiting(ctx, &tx, routable).await?;
    tx.commit().await?;
    ctx.hints.outbox.wake();
    Ok(count)
}

/// The oldest orders that wait and need not. An order that has no lab does not stand in the way of those behind it.
async fn routable(connection: &impl ConnectionTrait) -> Result<Vec<i64>, LabError> {
    let mut found = Vec::new();
    let mut page = orders::waiting_for_lab(connection, 0, PAGE).await?;
    if page.is_empty() {
        return Ok(found);
    }
    let labs = Labs::load(connection).await?;
    while let Some(last) = page.last().map(|order| order.id) {
        let all: Vec<i64> = page.iter().map(|order| order.id).collect();
        let tests = orders::tests_of(connection, &all).await?;
        let have = page.iter().filter(|order| matches!(labs.of_order(order, &tests), Lab::Chosen(_)));
        found.extend(have.map(|order| order.id));
        if found.len() >= AT_ONCE {
            found.truncate(AT_ONCE);
            break;
        }
        page = orders::waiting_for_lab(connection, last, PAGE).await?;
    }
    Ok(found)
}

/// Sends those that wait still, decided anew: an endpoint may have changed meanwhile.
async fn send_waiting(ctx: &Ctx, tx: &Tx, ids: Vec<i64>) -> Result<usize, LabError> {
    if ids.is_empty() {
        return Ok(0);
    }
    let tests = orders::tests_of(&**tx, &ids).await?;
    let labs = Labs::load(&**tx).await?;
    let mut count = 0;
    for order in orders::lock_waiting_for_lab(&**tx, ids).await? {
        let Lab::Chosen(endpoint) = labs.of_order(&order, &tests) else { continue };
        let order = send_to(ctx, tx, order, &endpoint).await?;
        let message_id = order.hl7_message_id;
        let cause = Cause { actor: "system", kind: "routed", message_id, ..Cause::default() };
        note(ctx, tx, &order, cause, None).await?;
        count += 1;
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lab(id: i64, change: impl FnOnce(&mut lis_endpoint::Model)) -> lis_endpoint::Model {
        let mut row = lis_endpoint::Model {
            id,
            name: id.to_string(),
            direction: "both".into(),
            ..crate::lab::order_message::tests::endpoint()
        };
        change(&mut row);
        row
    }

    fn chosen(rows: Vec<lis_endpoint::Model>, source: Option<i64>) -> Option<i64> {
        let ordered = Ordered { codes: &["CBC"], is_imaging: false };
        match Labs::of(rows).unnamed(Wanted { named: None, source, ordered }) {
            Lab::Chosen(row) => Some(row.id),
            Lab::NoneYet | Lab::Apart(_) => None,
        }
    }

    #[test]
    fn an_order_never_goes_back_to_where_it_came_from() {
        let plain = |id| lab(id, |_| {});
        assert_eq!(chosen(vec![plain(1)], Some(1)), None);
        assert_eq!(chosen(vec![plain(1), plain(2)], Some(1)), Some(2));
        assert_eq!(chosen(vec![lab(1, |row| row.is_default = true), plain(2)], Some(1)), Some(2));
        assert_eq!(chosen(vec![lab(1, |row| row.is_default = true), plain(2), plain(3)], Some(1)), None);
    }

    #[test]
    fn what_cannot_take_orders_does_not_count() {
        let unusable: [fn(&mut lis_endpoint::Model); 4] = [
            |row| row.enabled = false,
            |row| row.direction = "inbound".into(),
            |row| row.host = None,
            |row| row.port = None,
        ];
        for change in unusable {
            let other = lab(1, |row| {
                row.is_default = true;
                change(row);
            });
            assert_eq!(chosen(vec![other, lab(2, |row| row.paused = true)], None), Some(2));
        }
    }

    #[test]
    fn the_tests_of_a_profile_count() {
        let does = |tests: &[&str]| lab(1, |row| row.profile = serde_json::json!({ "order_tests": tests }));
        assert_eq!(chosen(vec![does(&["CBC"]), lab(2, |row| row.is_default = true)], None), Some(1));
        assert_eq!(chosen(vec![does(&["TSH"]), lab(2, |row| row.is_default = true)], None), Some(2));
        assert_eq!(chosen(vec![does(&["TSH"])], None), None);
    }

    #[test]
    fn why_it_goes_nowhere_is_said_without_the_codes() {
        let said = |codes: &[&str]| {
            let row = lab(1, |row| row.profile = serde_json::json!({ "order_tests": ["CBC"] }));
            let other = lab(2, |row| row.profile = serde_json::json!({ "order_tests": ["TSH"] }));
            let ordered = Ordered { codes, is_imaging: false };
            match Labs::of(vec![row, other]).unnamed(Wanted { named: None, source: None, ordered }) {
                Lab::Apart(why) => why,
                Lab::Chosen(_) | Lab::NoneYet => String::new(),
            }
        };
        assert!(said(&["CBC", "TSH"]).starts_with("no laboratory does all"));
        assert!(said(&["CBC", "K"]).starts_with("there is a test"));
    }
}
