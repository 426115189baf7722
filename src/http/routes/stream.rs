//! The stream of alerts (Server-Sent Events).
//!
//! The table is the truth: a stream reads it from where its client stopped, and hints only say that it is time to look.
//! A hint that is lost, or given to another process, costs a second.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderName, header};
use axum::response::Sse;
use axum::response::sse::Event;
use futures::{Stream, stream};
use tokio::sync::watch;
use tokio::time::Instant;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};
use validator::Validate;

use crate::context::Caller;
use crate::http::app::App;
use crate::http::auth::{CameFrom, SignedIn};
use crate::http::error::ApiError;
use crate::http::extract::{Headers, Query};
use crate::http::seats::Seat;
use crate::lab::LabError;
use crate::lab::follow_events::{Admission, admit, events_after, latest_event_id};
use crate::lab::stream_tickets::redeem_ticket;
use crate::lab::views::AlertEventView;
use crate::reader::{FromFields, Reader};

const TAG: &str = "Alerts";
/// How often the table is looked at when no hint comes.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often the client hears that the stream lives.
const BEAT_EVERY: Duration = Duration::from_secs(15);
/// How often it is asked whether the user may still follow.
const ASK_EVERY: Duration = Duration::from_secs(30);
/// Events read at once.
const AT_ONCE: u64 = 100;
/// When a client that lost its stream, or got no seat, should come back.
const COME_BACK: Duration = Duration::from_secs(3);

type PassOn = [(HeaderName, &'static str); 2];
/// To whatever stands between: keep nothing, hold nothing back.
const PASS_ON: PassOn =
    [(header::CACHE_CONTROL, "no-store"), (HeaderName::from_static("x-accel-buffering"), "no")];

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(follow_alerts))
}

#[derive(Validate, IntoParams)]
#[into_params(parameter_in = Query)]
struct StreamQuery {
    /// Id of the last event that was seen; the header `Last-Event-ID` goes before it.
    last_event_id: Option<i64>,
    /// A ticket, instead of a bearer token.
    #[param(required = false)]
    #[allow(dead_code, reason = "documented here, read by `Follower` before anything else")]
    ticket: Option<String>,
}

impl FromFields for StreamQuery {
    fn read(fields: &mut Reader<'_>) -> Self {
        Self { last_event_id: fields.opt_int("last_event_id"), ticket: fields.opt_str("ticket") }
    }
}

#[derive(Validate, IntoParams)]
#[into_params(parameter_in = Header)]
struct StreamHeaders {
    /// Id of the last event that was seen.
    #[param(rename = "Last-Event-ID")]
    last_event_id: Option<i64>,
}

impl FromFields for StreamHeaders {
    fn read(fields: &mut Reader<'_>) -> Self {
        Self { last_event_id: fields.opt_int("last-event-id") }
    }
}

/// Whoever holds a ticket, else the signed-in user.
struct Follower(Caller);

impl FromRequestParts<App> for Follower {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let pairs = form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes());
        let ticket = pairs.into_owned().find_map(|(name, value)| (name == "ticket").then_some(value));
        let Some(ticket) = ticket else {
            return SignedIn::from_request_parts(parts, app).await.map(|SignedIn(caller)| Self(caller));
        };
        let CameFrom(origin) = CameFrom::from_request_parts(parts, app).await?;
        Ok(Self(redeem_ticket(&app.ctx, &app.used_tickets, &origin, &ticket).await?))
    }
}

/// Follow the alerts
///
/// Events: `critical_result`, `alert_acknowledged`, `alert_escalated`, `alert_linked`, `result_corrected`, `order_status`,
/// `order_overdue`, `specimen_rejected`, `lab_cancelled`, `appointment`, `endpoint_alarm`, and `heartbeat` every 15 seconds. A stream begins with the present, or after the last event that the client saw.
#[utoipa::path(get, path = "/api/alerts/stream", tag = TAG, params(StreamQuery, StreamHeaders),
    responses((status = 200, description = "Server-Sent Events", content_type = "text/event-stream", body = String)))]
async fn follow_alerts(
    Follower(caller): Follower,
    State(app): State<App>,
    Headers(headers): Headers<StreamHeaders>,
    Query(query): Query<StreamQuery>,
) -> Result<(PassOn, Sse<impl Stream<Item = Result<Event, Infallible>>>), ApiError> {
    let admission = admit(&app.ctx, &caller).await?;
    let retry_after = COME_BACK.as_secs() as u32;
    let seat = app.seats.take(&caller.username).ok_or(ApiError::TooManyRequests { retry_after })?;
    // Before the newest id is read, so that what is committed in between wakes us.
    let hint = app.ctx.hints.events.listen();
    let newest = latest_event_id(&app.ctx, &caller).await?;
    let asked = headers.last_event_id.or(query.last_event_id);
    let now = Instant::now();
    let feed = Feed {
        // An id from the future is one of another database; waiting for it would be waiting for ever.
        last_id: asked.map_or(newest, |asked| asked.clamp(0, newest)),
        waiting: VecDeque::new(),
        more: true,
        hint,
        next_beat: now,
        next_question: now + ASK_EVERY,
        admission,
        caller,
        app,
        _seat: seat,
    };
    let events = stream::unfold(feed, |feed| async {
        let (event, feed) = feed.next().await?;
        Some((Ok(event), feed))
    });
    Ok((PASS_ON, Sse::new(events)))
}

/// One client's stream.
struct Feed {
    app: App,
    caller: Caller,
    admission: Admission,
    /// Highest id read from the table.
    last_id: i64,
    /// Read and not sent yet.
    waiting: VecDeque<AlertEventView>,
    /// The last look filled its part, so there may be more.
    more: bool,
    hint: watch::Receiver<u64>,
    next_beat: Instant,
    next_question: Instant,
    _seat: Seat,
}

impl Feed {
    /// The next event; `None` ends the stream, and the client comes back with the last id it saw.
    async fn next(mut self) -> Option<(Event, Self)> {
        loop {
            if self.app.stop.is_cancelled() || !self.may_go_on().await {
                return None;
            }
            if let Some(event) = self.waiting.pop_front() {
                return Some((told(&event), self));
            }
            if self.next_beat <= Instant::now() {
                self.next_beat = Instant::now() + BEAT_EVERY;
                return Some((heartbeat(&self.app), self));
            }
            if !self.more {
                self.wait().await;
            }
            if let Err(error) = self.look().await {
                tracing::warn!(class = error.class(), "a stream of alerts ends");
                return None;
            }
        }
    }

    async fn may_go_on(&mut self) -> bool {
        if Instant::now() < self.next_question {
            return true;
        }
        self.next_question = Instant::now() + ASK_EVERY;
        self.admission.holds(&self.app.ctx).await.unwrap_or(false)
    }

    async fn look(&mut self) -> Result<(), LabError> {
        self.hint.mark_unchanged();
        let events = events_after(&self.app.ctx, &self.caller, self.last_id, AT_ONCE).await?;
        self.more = events.len() as u64 == AT_ONCE;
        self.last_id = events.last().map_or(self.last_id, |event| event.id);
        self.waiting.extend(events);
        Ok(())
    }

    async fn wait(&mut self) {
        tokio::select! {
            () = self.app.stop.cancelled() => {}
            _ = self.hint.changed() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

fn told(event: &AlertEventView) -> Event {
    Event::default().id(event.id.to_string()).event(&event.kind).data(event.data.to_string())
}

/// Without an id: it is no event of the table, and a client must not resume after it.
fn heartbeat(app: &App) -> Event {
    let at = app.ctx.clock.now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    Event::default().event("heartbeat").retry(COME_BACK).data(serde_json::json!({ "at": at }).to_string())
}
