//! What was told of and is over: the laboratory took the order, the result came, the specimen was taken again.

use std::collections::HashMap;

use sea_orm::DbErr;

use super::Scene;
use crate::{
    context::Ctx,
    domain::reconcile::Concern,
    lab::{
        error::LabError,
        worklists::{makes_up_for, still_late},
    },
    store::{
        db,
        entity::{lab_order, lab_order_test, lab_report, order_concern},
        orders, reconcile, reports,
    },
};

/// Concerns looked at in one go.
const AT_ONCE: u64 = 500;

/// Marks what is over.
pub(super) async fn resolve_what_is_over(ctx: &Ctx, scene: &Scene) -> Result<(), LabError> {
    let mut after = 0;
    loop {
        let open = reconcile::open_concerns(ctx.db.reader(), after, AT_ONCE).await?;
        let Some(last) = open.last() else { return Ok(()) };
        after = last.id;
        let facts = Facts::load(ctx, &open).await?;
        let over: Vec<i64> =
            open.iter().filter(|concern| facts.is_over(concern, scene)).map(|concern| concern.id).collect();
        if !over.is_empty() {
            let tx = db::write(&ctx.db, "resolve_concerns").await?;
            reconcile::resolve(&*tx, over, scene.now).await?;
            tx.commit().await?;
        }
        if (open.len() as u64) < AT_ONCE {
            return Ok(());
        }
    }
}

/// What the concerns are about, as it stands now.
struct Facts {
    orders: HashMap<i64, lab_order::Model>,
    tests: HashMap<i64, lab_order_test::Model>,
    reports: HashMap<i64, lab_report::Model>,
    later: Vec<lab_report::Model>,
}

impl Facts {
    async fn load(ctx: &Ctx, open: &[order_concern::Model]) -> Result<Self, DbErr> {
        let reader = ctx.db.reader();
        let ids: Vec<i64> = open.iter().filter_map(|concern| concern.lab_order_id).collect();
        let of = |kinds: &[Concern]| {
            let wanted =
                |concern: &&order_concern::Model| kinds.iter().any(|kind| kind.as_str() == concern.kind);
            let mut found = open.iter().filter(wanted).peekable();
            let any = found.peek().is_some();
            (any, found.map(|concern| concern.subject_id).collect::<Vec<_>>())
        };
        let (refusals, reports) = of(&[Concern::SpecimenRejected, Concern::NotDone]);
        let (ended, _) = of(&[Concern::Ended]);
        let tests = if ended { orders::tests_of(reader, &ids).await? } else { Vec::new() };
        let later = if refusals { reconcile::reports_of(reader, &ids).await? } else { Vec::new() };
        let reports = reports::by_id(reader, &reports).await?;
        let orders = reconcile::orders_by_id(reader, ids).await?;
        Ok(Self {
            orders: orders.into_iter().map(|row| (row.id, row)).collect(),
            tests: tests.into_iter().map(|row| (row.id, row)).collect(),
            reports: reports.into_iter().map(|row| (row.id, row)).collect(),
            later,
        })
    }

    fn is_over(&self, concern: &order_concern::Model, scene: &Scene) -> bool {
        match concern.kind.parse() {
            Ok(kind @ (Concern::NotAcknowledged | Concern::NoResult | Concern::Partial)) => {
                let order = concern.lab_order_id.and_then(|id| self.orders.get(&id));
                let late = order.and_then(|order| still_late(order, scene));
                late.is_none_or(|(duty, _)| Concern::from(duty) != kind)
            }
            Ok(Concern::SpecimenRejected | Concern::NotDone) => {
                self.reports.get(&concern.subject_id).is_none_or(|report| {
                    report.withdrawn_at.is_some()
                        || report.created_at < scene.since
                        || self.later.iter().any(|later| makes_up_for(later, report))
                })
            }
            Ok(Concern::Ended) => self.tests.get(&concern.subject_id).is_none_or(|test| {
                !matches!(test.status.as_str(), "cancelled" | "rejected") || test.updated_at < scene.since
            }),
            Err(_) => true,
        }
    }
}
