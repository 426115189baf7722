use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::store::entity::endpoint_alarm;

/// Something that is, or was, wrong with an endpoint.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = EndpointAlarm)]
pub struct EndpointAlarmView {
    /// Id.
    pub id: i64,
    /// The endpoint.
    pub lis_endpoint_id: i64,
    /// Its name.
    pub name: String,
    /// `silent` (nothing has come from it for longer than is usual) or `queue_age` (what is to be sent waits for too long).
    pub kind: String,
    /// `opened` or `closed`.
    pub state: String,
    /// When the trouble began: the last message of a silent sender, or since when the oldest message waits.
    pub since: DateTime<Utc>,
    /// How long the sender is usually silent at most at such an hour; null where that is not known or does not matter.
    pub usual_gap_seconds: Option<i64>,
    /// How long it may last before it is an alarm.
    pub limit_seconds: i64,
    /// When it was found.
    pub opened_at: DateTime<Utc>,
    /// When it was over; null while it lasts.
    pub closed_at: Option<DateTime<Utc>>,
    /// `over`, or `not_watched`: the endpoint was switched off or deleted.
    pub closed_reason: Option<String>,
}

impl EndpointAlarmView {
    /// An alarm about an endpoint of this name.
    pub fn new(row: endpoint_alarm::Model, name: &str) -> Self {
        let state = if row.closed_at.is_some() { "closed" } else { "opened" };
        Self {
            id: row.id,
            lis_endpoint_id: row.lis_endpoint_id,
            name: name.to_owned(),
            kind: row.kind,
            state: state.to_owned(),
            since: row.since,
            usual_gap_seconds: row.usual_gap_seconds,
            limit_seconds: row.limit_seconds,
            opened_at: row.opened_at,
            closed_at: row.closed_at,
            closed_reason: row.closed_reason,
        }
    }

    /// As the stream tells it.
    pub fn told(&self) -> Value {
        let time = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::AutoSi, true);
        json!({
            "alarm_id": self.id,
            "lis_endpoint_id": self.lis_endpoint_id,
            "name": self.name,
            "kind": self.kind,
            "state": self.state,
            "since": time(self.since),
            "usual_gap_seconds": self.usual_gap_seconds,
            "limit_seconds": self.limit_seconds,
            "opened_at": time(self.opened_at),
            "closed_at": self.closed_at.map(time),
            "closed_reason": self.closed_reason,
        })
    }
}

/// How an endpoint does.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = EndpointHealth)]
pub struct EndpointHealthView {
    /// Id.
    pub id: i64,
    /// Name.
    pub name: String,
    /// `inbound` (sends to us), `outbound` (we send to it) or `both`.
    pub direction: String,
    /// Whether it takes part at all.
    pub enabled: bool,
    /// Whether sending is paused.
    pub paused: bool,
    /// State of the sending side in a word.
    pub connection_state: String,
    /// Why, when not connected.
    pub connection_detail: Option<String>,
    /// When its last message came.
    pub last_message_at: Option<DateTime<Utc>>,
    /// How long it is usually silent at most at this hour of the week; null when that is not known.
    pub usual_gap_seconds: Option<i64>,
    /// How long it may be silent before that is an alarm; null when it never is.
    pub silence_limit_seconds: Option<i64>,
    /// Messages that wait to be sent to it.
    pub queued: u64,
    /// Since when the message waits that has waited longest.
    pub oldest_queued_at: Option<DateTime<Utc>>,
    /// Messages that were given up and wait for somebody to decide.
    pub dead_letters: u64,
    /// What is wrong now.
    pub alarms: Vec<EndpointAlarmView>,
}
