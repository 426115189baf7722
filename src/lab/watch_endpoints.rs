//! The watch over endpoints. Promise: a laboratory that has fallen silent, and a queue that does not move, are told once when
//! it starts and once when it ends, whichever process finds it first, and however often the service starts anew: a unique key
//! lets one alarm of a kind be open for an endpoint.

mod look;

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{ActiveValue::Set, DbErr};

use self::look::{News, Trouble, Watch, look};
use super::{endpoint_feed::count_messages, error::LabError, views::EndpointAlarmView};
use crate::{
    context::Ctx,
    domain::endpoint_alarm::AlarmEnd,
    store::{
        db::{self, Tx},
        endpoint_alarms, endpoints,
        entity::{alert_event, endpoint_alarm, lis_endpoint},
    },
};

/// Opens and closes alarms as endpoints stand now; answers how many. `since`: from when on this process has listened and sent;
/// what was not done before that is nobody's silence.
pub async fn watch_endpoints(ctx: &Ctx, since: DateTime<Utc>) -> Result<usize, LabError> {
    let rows = endpoints::all(ctx.db.reader()).await?;
    let mut told = 0;
    for row in &rows {
        let all_counted = !endpoints::sends(row) || count_messages(ctx, row.id).await?;
        told += settle(ctx, row.id, Watch { since, all_counted }).await?;
    }
    // Of an endpoint that was deleted an alarm may be open still.
    for alarm in endpoint_alarms::all_open(ctx.db.reader()).await? {
        if !rows.iter().any(|row| row.id == alarm.lis_endpoint_id) {
            told += settle(ctx, alarm.lis_endpoint_id, Watch { since, all_counted: true }).await?;
        }
    }
    Ok(told)
}

/// Looks at one endpoint, and once more in the transaction if something follows: another process may have told of it, and a
/// message may have come.
async fn settle(ctx: &Ctx, endpoint: i64, watch: Watch) -> Result<usize, LabError> {
    let Some(row) = endpoints::find_any(ctx.db.reader(), endpoint).await? else { return Ok(0) };
    if look(ctx, ctx.db.reader(), &row, watch).await?.is_empty() {
        return Ok(0);
    }
    let mut tx = db::write(&ctx.db, "watch_endpoints").await?;
    let Some(row) = endpoints::hold_any(&*tx, endpoint).await? else { return Ok(0) };
    let mut told = 0;
    for news in look(ctx, &*tx, &row, watch).await? {
        let done = match news {
            News::Opened(trouble) => open(ctx, &mut tx, &row, &trouble).await?,
            News::Closed(alarm, end) => close(ctx, &mut tx, &row, alarm, end).await?,
        };
        told += usize::from(done);
    }
    tx.commit().await?;
    Ok(told)
}

/// False: it was opened already.
async fn open(ctx: &Ctx, tx: &mut Tx, row: &lis_endpoint::Model, trouble: &Trouble) -> Result<bool, DbErr> {
    let alarm = endpoint_alarm::ActiveModel {
        lis_endpoint_id: Set(row.id),
        kind: Set(trouble.kind.to_string()),
        since: Set(trouble.since),
        usual_gap_seconds: Set(trouble.usual.map(|gap| gap.num_seconds())),
        limit_seconds: Set(trouble.limit.num_seconds()),
        opened_at: Set(ctx.clock.now()),
        ..Default::default()
    };
    let Some(alarm) = endpoint_alarms::open(&**tx, alarm).await? else { return Ok(false) };
    let lasted = in_minutes(ctx.clock.now() - alarm.since);
    tracing::warn!(alarm = alarm.id, endpoint = row.id, kind = alarm.kind, minutes = lasted, "alarm opened");
    tx.emit(event(ctx, row, alarm));
    Ok(true)
}

/// False: it was closed already.
async fn close(
    ctx: &Ctx,
    tx: &mut Tx,
    row: &lis_endpoint::Model,
    mut alarm: endpoint_alarm::Model,
    end: AlarmEnd,
) -> Result<bool, DbErr> {
    let now = ctx.clock.now();
    if !endpoint_alarms::close(&**tx, alarm.id, now, end.as_str()).await? {
        return Ok(false);
    }
    let lasted = in_minutes(now - alarm.since);
    tracing::info!(alarm = alarm.id, endpoint = row.id, kind = alarm.kind, minutes = lasted, "alarm closed");
    alarm.closed_at = Some(now);
    alarm.closed_reason = Some(end.to_string());
    tx.emit(event(ctx, row, alarm));
    Ok(true)
}

fn in_minutes(span: TimeDelta) -> i64 {
    span.num_minutes()
}

fn event(ctx: &Ctx, row: &lis_endpoint::Model, alarm: endpoint_alarm::Model) -> alert_event::ActiveModel {
    alert_event::ActiveModel {
        kind: Set("endpoint_alarm".to_owned()),
        payload: Set(EndpointAlarmView::new(alarm, &row.name).told()),
        created_at: Set(ctx.clock.now()),
        ..Default::default()
    }
}
