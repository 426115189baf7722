//! What an endpoint looks like now, and what follows from that.

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{ConnectionTrait, DbErr};

use crate::{
    context::Ctx,
    domain::{
        endpoint_alarm::{AlarmEnd, AlarmKind, Listening, Queue, Step, on_queue, on_silence},
        silence::{Patience, is_silent, longest_silence},
    },
    lab::endpoint_feed::{last_heard, patience, usual_gap},
    store::{
        endpoint_alarms, endpoints,
        entity::{endpoint_alarm, lis_endpoint},
        outbox,
    },
};

/// From where it is looked at.
#[derive(Clone, Copy)]
pub(super) struct Watch {
    /// Since when this process has listened and sent.
    pub(super) since: DateTime<Utc>,
    /// Whether it is known when the endpoint was heard last.
    pub(super) all_counted: bool,
}

/// What an alarm is opened for.
pub(super) struct Trouble {
    /// What it is.
    pub(super) kind: AlarmKind,
    /// Since when.
    pub(super) since: DateTime<Utc>,
    /// What would be usual, where that is known.
    pub(super) usual: Option<TimeDelta>,
    /// How long it may last.
    pub(super) limit: TimeDelta,
}

/// What follows.
pub(super) enum News {
    /// An alarm is to be opened.
    Opened(Trouble),
    /// This one is to be closed.
    Closed(endpoint_alarm::Model, AlarmEnd),
}

/// What follows from how an endpoint stands now.
pub(super) async fn look(
    ctx: &Ctx,
    connection: &impl ConnectionTrait,
    row: &lis_endpoint::Model,
    watch: Watch,
) -> Result<Vec<News>, DbErr> {
    let mut open = endpoint_alarms::open_of(connection, row.id).await?;
    let mut of = |kind: AlarmKind| {
        let at = open.iter().position(|alarm| alarm.kind == kind.as_str());
        at.map(|at| open.swap_remove(at))
    };
    let (silent, queue_age) = (of(AlarmKind::Silent), of(AlarmKind::QueueAge));
    // Whoever changed the endpoint knows how it stands: from then on it is waited for anew.
    let scene = Scene { ctx, row, now: ctx.clock.now(), since: watch.since.max(row.updated_at) };
    let mut news = Vec::new();
    if watch.all_counted {
        news.extend(scene.silence(connection, silent).await?);
    }
    news.extend(scene.queue(connection, queue_age).await?);
    Ok(news)
}

/// One endpoint at one moment.
struct Scene<'a> {
    ctx: &'a Ctx,
    row: &'a lis_endpoint::Model,
    now: DateTime<Utc>,
    since: DateTime<Utc>,
}

impl Scene<'_> {
    async fn silence(
        &self,
        connection: &impl ConnectionTrait,
        open: Option<endpoint_alarm::Model>,
    ) -> Result<Option<News>, DbErr> {
        let heard = match self.patience() {
            Patience::Endless => None,
            _ => last_heard(connection, self.row).await?,
        };
        let trouble = match heard.filter(|_| open.is_none()) {
            Some(heard) => self.trouble(connection, heard).await?,
            None => None,
        };
        let listening = heard.map(|heard| Listening { heard, silent: trouble.is_some() });
        let step = on_silence(open.as_ref().map(|alarm| alarm.since), listening);
        Ok(news(step, open, trouble))
    }

    /// For ever, where nobody listens.
    fn patience(&self) -> Patience {
        if self.is_there() && endpoints::sends(self.row) { patience(self.row) } else { Patience::Endless }
    }

    fn is_there(&self) -> bool {
        self.row.deleted_at.is_none() && self.row.enabled
    }

    /// The silence since a message, if it is too long. What is usual is looked up only when it has lasted for a while.
    async fn trouble(
        &self,
        connection: &impl ConnectionTrait,
        heard: DateTime<Utc>,
    ) -> Result<Option<Trouble>, DbErr> {
        let (patience, least) = (self.patience(), minutes(self.ctx.config.least_silence_minutes));
        if patience == Patience::Learned && !is_silent(heard, self.since, least, self.now) {
            return Ok(None);
        }
        let usual = usual_gap(connection, self.row, heard, self.now).await?;
        let limit = longest_silence(patience, usual, least);
        let limit = limit.filter(|limit| is_silent(heard, self.since, *limit, self.now));
        Ok(limit.map(|limit| Trouble { kind: AlarmKind::Silent, since: heard, usual, limit }))
    }

    async fn queue(
        &self,
        connection: &impl ConnectionTrait,
        open: Option<endpoint_alarm::Model>,
    ) -> Result<Option<News>, DbErr> {
        let config = &self.ctx.config;
        let longest =
            if self.row.paused { config.paused_queue_age_minutes } else { config.queue_age_minutes };
        let limit = minutes(longest);
        let oldest = outbox::waiting_since(connection, self.row.id).await?;
        let queue = Queue { oldest, longest: limit, watched_since: self.since };
        let step = on_queue(open.is_some(), self.is_there().then_some(queue), self.now);
        let trouble = oldest.map(|since| Trouble { kind: AlarmKind::QueueAge, since, usual: None, limit });
        Ok(news(step, open, trouble))
    }
}

fn news(step: Step, open: Option<endpoint_alarm::Model>, trouble: Option<Trouble>) -> Option<News> {
    match step {
        Step::Stay => None,
        Step::Open => trouble.map(News::Opened),
        Step::Close(end) => open.map(|alarm| News::Closed(alarm, end)),
    }
}

fn minutes(minutes: u32) -> TimeDelta {
    TimeDelta::minutes(minutes.into())
}
