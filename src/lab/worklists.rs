//! The worklists of orders and results, gathered as they stand at this moment. [`super::reconcile_orders`] shows them,
//! [`super::raise_concerns`] tells of them on the stream: both ask here, and what is late or lacks is decided by
//! `domain::reconcile` alone.

mod ended;
mod late;
mod panels;
mod strays;

use chrono::{DateTime, Utc};
use sea_orm::DbErr;

pub(super) use self::{
    ended::{makes_up_for, not_done, specimen_rejected},
    late::{late, still_late},
    panels::partial_panels,
    strays::unordered,
};
use crate::{
    context::Ctx,
    domain::reconcile::{Limits, says_it_takes},
    store::{
        endpoints,
        entity::{lab_order, lab_report, lis_endpoint},
        reconcile,
    },
};

/// Orders or reports that are looked at for one list at most, where rows cannot be counted without looking at each.
pub(super) const MOST_EXAMINED: u64 = 500;

/// One row of a worklist.
pub(super) struct Found {
    /// The order, when there is one.
    pub(super) order: Option<lab_order::Model>,
    /// The report, when the row is about one.
    pub(super) report: Option<lab_report::Model>,
    /// Whose it is.
    pub(super) patient: i64,
    /// Since when it stands there.
    pub(super) since: DateTime<Utc>,
    /// Why, in a word.
    pub(super) reason: String,
    /// The laboratory's words, where it gave any. Part of the chart.
    pub(super) said: Option<String>,
    /// What lacks.
    pub(super) missing: Vec<Missing>,
}

/// Something that was expected and has not come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Missing {
    /// The test as ordered.
    pub(super) test_code: String,
    /// Its name.
    pub(super) test_name: Option<String>,
    /// The member of the panel (LOINC); none where the test as a whole lacks.
    pub(super) loinc: Option<String>,
    /// Name of the member.
    pub(super) name: Option<String>,
    /// `not_reported`, `not_final` or `member`.
    pub(super) what: &'static str,
}

/// Part of a worklist.
#[derive(Default)]
pub(super) struct Part {
    /// The rows, most urgent or newest first.
    pub(super) rows: Vec<Found>,
    /// How many there are in all; `None` when there are more than were counted.
    pub(super) total: Option<u64>,
}

impl Part {
    /// All that was found, cut to a limit.
    fn of(mut rows: Vec<Found>, limit: usize, all_examined: bool) -> Self {
        let total = all_examined.then_some(rows.len() as u64);
        rows.truncate(limit);
        Self { rows, total }
    }
}

/// What every list needs to know.
pub(super) struct Scene {
    /// Now.
    pub(super) now: DateTime<Utc>,
    /// From when on things that nobody ends stay on a list.
    pub(super) since: DateTime<Utc>,
    /// How long laboratories may take.
    pub(super) limits: Limits,
    /// Endpoints that are there.
    pub(super) endpoints: Vec<lis_endpoint::Model>,
    /// Laboratories that are known not to say that they take orders.
    pub(super) silent: Vec<i64>,
    /// Only this one.
    pub(super) endpoint: Option<i64>,
}

impl Scene {
    /// As it is now.
    pub(super) async fn load(ctx: &Ctx, endpoint: Option<i64>) -> Result<Self, DbErr> {
        let reader = ctx.db.reader();
        let rows = endpoints::all(reader).await?;
        let mut silent = Vec::new();
        for row in rows.iter().filter(|row| endpoints::takes_orders(row)) {
            let (done, said) = reconcile::latest_done(reader, row.id).await?;
            if !says_it_takes(done, said) {
                silent.push(row.id);
            }
        }
        let now = ctx.clock.now();
        Ok(Self {
            now,
            since: now - chrono::Duration::days(i64::from(ctx.config.reconciliation_days)),
            limits: limits(ctx),
            endpoints: rows,
            silent,
            endpoint,
        })
    }
}

/// How long laboratories may take, as configured.
fn limits(ctx: &Ctx) -> Limits {
    Limits::new(&ctx.config.order_acknowledge_limits, &ctx.config.order_result_limits)
}
