//! The message log: what came and went, and, for those who may see content, what it said.

use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, DbErr, EntityTrait, Iterable, QueryFilter, QueryOrder, QuerySelect, Select, sea_query::Expr,
};
use serde_json::{Value, json};

use super::{
    access::{self, Resource},
    error::LabError,
    page::{self, Page, PageRequest},
    views::{MessageDetail, MessageView, PastReplayView},
};
use crate::{
    context::{Caller, Ctx},
    domain::access::{Action, allowed},
    hl7::{
        batch::{self, Piece},
        charset::{self, Charset},
        frame::Frame,
        message::Message,
        tree::{FieldNode, SegmentNode, tree},
    },
    store::entity::{
        hl7_message::{Column, Entity, Model},
        lab_result, message_replay,
    },
};

/// Longest value shown in a tree. Embedded documents are megabytes; who wants them whole reads the raw message.
const LONGEST_VALUE: usize = 4000;

/// Which messages to list.
#[derive(Clone, Default)]
pub struct MessageFilter {
    /// `inbound` or `outbound`.
    pub direction: Option<String>,
    /// Family (MSH-9.1), alone or with its event, such as `ORU^R01`.
    pub message_type: Option<String>,
    /// What became of it.
    pub status: Option<String>,
    /// MSH-10.
    pub control_id: Option<String>,
    /// Peer.
    pub lis_endpoint_id: Option<i64>,
    /// Chart it was filed to.
    pub patient_id: Option<i64>,
    /// That arrived at or after this instant.
    pub since: Option<DateTime<Utc>>,
    /// That arrived before this instant.
    pub until: Option<DateTime<Utc>>,
}

/// The message log without contents.
pub async fn list_messages(
    ctx: &Ctx,
    caller: &Caller,
    filter: &MessageFilter,
    request: PageRequest,
) -> Result<Page<MessageView>, LabError> {
    access::permit(ctx, caller, Action::ReadMessage, "hl7_message").await?;
    let page = page::fetch(ctx.db.reader(), chosen(filter), Column::Id, request, |row| row.id).await?;
    let patients: Vec<i64> =
        page.items.iter().filter_map(|row| row.patient_id).chain(filter.patient_id).collect();
    access::seen(ctx, caller, Action::ReadMessage, Resource::many("hl7_message", &patients)).await?;
    Ok(page.map(|row| MessageView::from(&row)))
}

fn chosen(filter: &MessageFilter) -> Select<Entity> {
    let equal = [
        (Column::Direction, &filter.direction),
        (Column::Status, &filter.status),
        (Column::MessageControlId, &filter.control_id),
    ];
    let mut query = light();
    for (column, wanted) in equal {
        if let Some(wanted) = wanted {
            query = query.filter(column.eq(wanted));
        }
    }
    if let Some(kind) = &filter.message_type {
        let (family, event) =
            kind.split_once(['^', '_']).map_or((kind.as_str(), None), |(f, e)| (f, Some(e)));
        query = query.filter(Column::MessageType.eq(family));
        query = event.into_iter().fold(query, |query, event| query.filter(Column::TriggerEvent.eq(event)));
    }
    if let Some(endpoint) = filter.lis_endpoint_id {
        query = query.filter(Column::LisEndpointId.eq(endpoint));
    }
    if let Some(patient) = filter.patient_id {
        query = query.filter(Column::PatientId.eq(patient));
    }
    if let Some(since) = filter.since {
        query = query.filter(Column::ReceivedAt.gte(since));
    }
    if let Some(until) = filter.until {
        query = query.filter(Column::ReceivedAt.lt(until));
    }
    query
}

/// Rows without their bytes: a page of the log must not load a page of PDF reports.
pub(super) fn light() -> Select<Entity> {
    let columns = Column::iter().filter(|column| !matches!(column, Column::RawMessage | Column::AckBytes));
    Entity::find()
        .select_only()
        .columns(columns)
        .column_as(Expr::cust("''"), "raw_message")
        .column_as(Expr::cust("NULL"), "ack_bytes")
}

/// One message with its acknowledgment and what it led to. The tree is content: who may read the log but no content
/// gets `null` in its place.
pub async fn read_message(ctx: &Ctx, caller: &Caller, id: i64) -> Result<MessageDetail, LabError> {
    access::permit(ctx, caller, Action::ReadMessage, "hl7_message").await?;
    let row = find(ctx, id).await?;
    let results = results_of(ctx, id).await?;
    let with_content = allowed(caller.role, Action::ReadRawMessage);
    let tree = if with_content { parsed(&open(ctx, &row)?, row.charset.as_deref()) } else { Value::Null };
    let action = if with_content { Action::ReadRawMessage } else { Action::ReadMessage };
    access::seen(ctx, caller, action, Resource::one("hl7_message", id, row.patient_id.as_slice())).await?;
    let replays = replays_of(ctx, id).await?;
    Ok(MessageDetail::new(&row, tree, results, replays))
}

/// The bytes of a message as they crossed the wire.
pub async fn read_raw_message(ctx: &Ctx, caller: &Caller, id: i64) -> Result<Vec<u8>, LabError> {
    access::permit(ctx, caller, Action::ReadRawMessage, "hl7_message").await?;
    let row = find(ctx, id).await?;
    let bytes = open(ctx, &row)?;
    let resource = Resource::one("hl7_message", id, row.patient_id.as_slice());
    access::seen(ctx, caller, Action::ReadRawMessage, resource).await?;
    Ok(bytes)
}

async fn find(ctx: &Ctx, id: i64) -> Result<Model, LabError> {
    Entity::find_by_id(id).one(ctx.db.reader()).await?.ok_or(LabError::NotFound("Message"))
}

/// The bytes of a message, as they crossed the wire.
pub(super) fn open(ctx: &Ctx, row: &Model) -> Result<Vec<u8>, LabError> {
    Ok(ctx.keys.open_envelope(&row.message_uid, &row.direction, &row.raw_message)?)
}

async fn results_of(ctx: &Ctx, message: i64) -> Result<Vec<i64>, DbErr> {
    lab_result::Entity::find()
        .select_only()
        .column(lab_result::Column::Id)
        .filter(lab_result::Column::Hl7MessageId.eq(message))
        .order_by_asc(lab_result::Column::Id)
        .into_tuple()
        .all(ctx.db.reader())
        .await
}

async fn replays_of(ctx: &Ctx, message: i64) -> Result<Vec<PastReplayView>, DbErr> {
    let rows = message_replay::Entity::find()
        .filter(message_replay::Column::Hl7MessageId.eq(message))
        .order_by_asc(message_replay::Column::Id)
        .all(ctx.db.reader())
        .await?;
    Ok(rows.into_iter().map(PastReplayView::from).collect())
}

/// The messages in a file, each as a tree; `null` for what cannot be read as a message. Charts are not touched.
pub fn trees(bytes: &[u8]) -> Vec<Value> {
    let messages = batch::pieces(bytes).into_iter().filter_map(|piece| match piece {
        Piece::Message(Frame::Message(message)) => Some(parsed(&message, Some(Charset::LATIN_1.name()))),
        _ => None,
    });
    messages.collect()
}

/// Segments and fields with their names; `null` for bytes that cannot be read as a message, which is why they were
/// refused.
pub(super) fn parsed(bytes: &[u8], charset: Option<&str>) -> Value {
    let fallback = charset.and_then(Charset::parse);
    let Ok(decoded) = charset::decode_as(bytes, fallback, true) else { return Value::Null };
    let Ok(message) = Message::parse(&decoded.text) else { return Value::Null };
    Value::Array(tree(&message).iter().map(segment).collect())
}

fn segment(node: &SegmentNode) -> Value {
    json!({
        "name": node.name,
        "location": node.location.to_string(),
        "fields": node.fields.iter().map(|field| self::field(&node.name, field)).collect::<Vec<_>>(),
    })
}

fn field(segment: &str, node: &FieldNode) -> Value {
    let leaf = |text: &String| shortened(text);
    let component = |parts: &Vec<String>| parts.iter().map(leaf).collect::<Vec<_>>();
    let repetition = |components: &Vec<Vec<String>>| components.iter().map(component).collect::<Vec<_>>();
    json!({
        "path": format!("{segment}-{}", node.position),
        "position": node.position,
        "name": node.name,
        "raw": shortened(&node.raw),
        "repetitions": node.repetitions.iter().map(repetition).collect::<Vec<_>>(),
    })
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(LONGEST_VALUE) {
        Some((end, _)) => format!("{}… ({} bytes)", &text[..end], text.len()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_names_its_fields_and_cuts_long_values() {
        let long = "é".repeat(LONGEST_VALUE + 1);
        let tree = parsed(format!("MSH|^~\\&|LAB\rOBX|1|ED|x||{long}").as_bytes(), None);
        assert_eq!(tree[0]["name"], "MSH");
        let fields = &tree[1]["fields"];
        assert_eq!((&fields[1]["path"], &fields[1]["name"]), (&json!("OBX-2"), &json!("Value Type")));
        let value = fields[3]["repetitions"][0][0][0].as_str().unwrap_or_default();
        assert!(value.ends_with("… (8002 bytes)") && value.chars().count() < LONGEST_VALUE + 20);
    }

    #[test]
    fn bytes_that_are_no_message_have_no_tree() {
        assert_eq!(parsed(b"hello", None), Value::Null);
        assert_eq!(parsed(b"MSH|^~\\&|\xff\xff", Some("UNICODE UTF-8")), Value::Null);
    }
}
