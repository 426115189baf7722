//! Which lab an order goes to: the one it names, else the default one, else the only one. Where there is none yet, the
//! order waits and is sent when one appears.

use sea_orm::{ActiveModelTrait, ActiveValue::Set};

use super::{
    error::LabError,
    order_progress::{Cause, note},
    queue_message::queue_message,
};
use crate::{
    context::Ctx,
    hl7::orm::OrderAction,
    store::{
        db::{self, Tx},
        endpoints,
        entity::{lab_order, lis_endpoint},
        orders,
    },
};

/// Orders routed in one transaction at most, so that a new lab does not hold the database for a whole backlog.
const AT_ONCE: u64 = 100;

/// Where an order goes.
pub(super) enum Lab {
    /// There.
    Chosen(Box<lis_endpoint::Model>),
    /// Nowhere yet.
    NoneYet,
}

impl Lab {
    /// Whether it is worth waiting for an answer.
    pub(super) fn sends_now(&self) -> bool {
        matches!(self, Self::Chosen(row) if !row.paused)
    }
}

/// Chooses the lab of an order. `source`: who sent us the order, and must not get it back. Errors: `Invalid` when the lab
/// named cannot take orders.
pub(super) async fn choose_lab(tx: &Tx, named: Option<i64>, source: Option<i64>) -> Result<Lab, LabError> {
    let Some(id) = named else {
        let chosen = unnamed(endpoints::all(&**tx).await?, source);
        return Ok(chosen.map_or(Lab::NoneYet, |row| Lab::Chosen(Box::new(row))));
    };
    let row = endpoints::find(&**tx, id).await?.ok_or(LabError::NotFound("LIS endpoint"))?;
    if !endpoints::takes_orders(&row) {
        return Err(LabError::invalid("lis_endpoint_id", "must be an enabled outbound LIS endpoint"));
    }
    Ok(Lab::Chosen(Box::new(row)))
}

/// The default lab, else the only one. Two without a default are a question that nobody here can answer.
fn unnamed(rows: Vec<lis_endpoint::Model>, source: Option<i64>) -> Option<lis_endpoint::Model> {
    let usable = |row: &lis_endpoint::Model| endpoints::takes_orders(row) && source != Some(row.id);
    let mut usable: Vec<_> = rows.into_iter().filter(usable).collect();
    let default = usable.iter().position(|row| row.is_default);
    match (default, usable.len()) {
        (Some(at), _) => Some(usable.swap_remove(at)),
        (None, 1) => usable.pop(),
        (None, _) => None,
    }
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

/// Queues orders that waited for a lab, oldest first, a hundred of each source at most; answers how many. To be called in
/// the transaction that makes or changes an endpoint; the caller wakes `hints.outbox` after its commit.
pub async fn route_waiting_orders(ctx: &Ctx, tx: &Tx) -> Result<usize, LabError> {
    let mut count = 0;
    for source in orders::sources_without_lab(&**tx).await? {
        let Lab::Chosen(endpoint) = choose_lab(tx, None, source).await? else { continue };
        for order in orders::lock_without_lab(&**tx, source, AT_ONCE).await? {
            let order = send_to(ctx, tx, order, &endpoint).await?;
            let message_id = order.hl7_message_id;
            let cause = Cause { actor: "system", kind: "routed", message_id, ..Cause::default() };
            note(ctx, tx, &order, cause, None).await?;
            count += 1;
        }
    }
    Ok(count)
}

/// The same for what is left: the rest of a long backlog, and an order that was placed while the endpoint was made and
/// saw none. Answers how many were routed.
pub async fn route_leftovers(ctx: &Ctx) -> Result<usize, LabError> {
    let sources = orders::sources_without_lab(ctx.db.reader()).await?;
    if sources.is_empty() {
        return Ok(0);
    }
    let rows = endpoints::all(ctx.db.reader()).await?;
    if !sources.into_iter().any(|source| unnamed(rows.clone(), source).is_some()) {
        return Ok(0);
    }
    let tx = db::write(&ctx.db, "route_leftovers").await?;
    let count = route_waiting_orders(ctx, &tx).await?;
    tx.commit().await?;
    ctx.hints.outbox.wake();
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lab(id: i64, change: impl FnOnce(&mut lis_endpoint::Model)) -> lis_endpoint::Model {
        let mut row = lis_endpoint::Model {
            id,
            name: id.to_string(),
            host: Some("lab.example".into()),
            port: Some(2575),
            direction: "both".into(),
            enabled: true,
            paused: false,
            is_default: false,
            tls: false,
            allow_plaintext: false,
            client_cert_fingerprint: None,
            allowed_networks: serde_json::json!([]),
            receiving_application: String::new(),
            receiving_facility: String::new(),
            sending_application: None,
            sending_facility: None,
            order_message: "ORM_O01".into(),
            hl7_version: "2.5.1".into(),
            ack_mode: "auto".into(),
            charset: None,
            time_zone: "UTC".into(),
            profile: serde_json::json!({}),
            code_map: None,
            last_message_at: None,
            connection_state: "idle".into(),
            connection_detail: None,
            lease_owner: None,
            lease_until: None,
            created_at: chrono::DateTime::UNIX_EPOCH,
            updated_at: chrono::DateTime::UNIX_EPOCH,
            deleted_at: None,
        };
        change(&mut row);
        row
    }

    fn chosen(rows: Vec<lis_endpoint::Model>) -> Option<i64> {
        unnamed(rows, None).map(|row| row.id)
    }

    #[test]
    fn the_default_else_the_only_one_else_none() {
        let plain = |id| lab(id, |_| {});
        assert_eq!(chosen(vec![]), None);
        assert_eq!(chosen(vec![plain(1)]), Some(1));
        assert_eq!(chosen(vec![plain(1), plain(2)]), None);
        assert_eq!(chosen(vec![plain(1), lab(2, |row| row.is_default = true), plain(3)]), Some(2));
    }

    #[test]
    fn an_order_never_goes_back_to_where_it_came_from() {
        let plain = |id| lab(id, |_| {});
        let from = |rows, source| unnamed(rows, Some(source)).map(|row| row.id);
        assert_eq!(from(vec![plain(1)], 1), None);
        assert_eq!(from(vec![plain(1), plain(2)], 1), Some(2));
        assert_eq!(from(vec![lab(1, |row| row.is_default = true), plain(2)], 1), Some(2));
        assert_eq!(from(vec![lab(1, |row| row.is_default = true), plain(2), plain(3)], 1), None);
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
            assert_eq!(chosen(vec![other, lab(2, |row| row.paused = true)]), Some(2));
        }
    }
}
