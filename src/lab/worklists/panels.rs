//! Orders of which some results have come, and what of them lacks: whole tests, and members of panels.

use std::collections::HashMap;

use sea_orm::{ConnectionTrait, DbErr};

use super::{Found, MOST_EXAMINED, Missing, Part, Scene, makes_up_for, still_late};
use crate::{
    domain::{
        catalogue,
        order::TestStatus,
        reconcile::{Came, Panel, panel},
        result::ResultStatus,
    },
    lab::views::strings,
    store::{
        entity::{lab_order, lab_order_test, lab_report, lab_result, test_catalog},
        orders, reconcile, reports,
    },
};

/// What is known of the orders that are looked at.
struct Known {
    tests: HashMap<i64, Vec<lab_order_test::Model>>,
    reports: HashMap<i64, Vec<lab_report::Model>>,
    results: HashMap<i64, Vec<lab_result::Model>>,
    catalogue: Vec<test_catalog::Model>,
}

/// Orders with something reported and something lacking, those that still run first.
pub(in crate::lab) async fn partial_panels(
    connection: &impl ConnectionTrait,
    scene: &Scene,
    limit: usize,
) -> Result<Part, DbErr> {
    let orders = reconcile::reported(connection, scene.since, scene.endpoint, MOST_EXAMINED).await?;
    let all = (orders.len() as u64) < MOST_EXAMINED;
    let known = load(connection, &orders).await?;
    let found = orders.into_iter().filter_map(|order| found(order, &known, scene)).collect();
    Ok(Part::of(found, limit, all))
}

async fn load(connection: &impl ConnectionTrait, rows: &[lab_order::Model]) -> Result<Known, DbErr> {
    let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
    let tests = orders::tests_by_order(connection, &ids).await?;
    let sent = reconcile::reports_of(connection, &ids).await?;
    let results = reports::current_results(connection, &sent).await?;
    Ok(Known {
        catalogue: orders::whole_catalogue(connection).await?,
        tests,
        results: by_order(results, |result| result.lab_order_id),
        reports: by_order(sent, |report| report.lab_order_id),
    })
}

fn by_order<T>(rows: Vec<T>, order: impl Fn(&T) -> Option<i64>) -> HashMap<i64, Vec<T>> {
    let mut all: HashMap<i64, Vec<T>> = HashMap::new();
    for row in rows {
        if let Some(id) = order(&row) {
            all.entry(id).or_default().push(row);
        }
    }
    all
}

impl Known {
    fn tests(&self, order: i64) -> &[lab_order_test::Model] {
        self.tests.get(&order).map(Vec::as_slice).unwrap_or_default()
    }

    /// Reports of a test.
    fn reports(&self, test: &lab_order_test::Model) -> Vec<&lab_report::Model> {
        let all = self.reports.get(&test.lab_order_id).map(Vec::as_slice).unwrap_or_default();
        let of_test = |report: &&lab_report::Model| report.lab_order_test_id == Some(test.id);
        all.iter().filter(of_test).filter(|report| !report.is_child).collect()
    }

    /// What has come for an order. A laboratory that says a member cannot be obtained has spoken of it.
    fn came(&self, order: i64) -> Vec<Came<'_>> {
        let all = self.results.get(&order).map(Vec::as_slice).unwrap_or_default();
        let spoken = |result: &&lab_result::Model| {
            let status: ResultStatus = result.result_status.parse().unwrap_or(ResultStatus::Unknown);
            let settled = matches!(status, ResultStatus::NotObtainable | ResultStatus::NotAsked);
            settled || status.carries_value()
        };
        let came = all.iter().filter(spoken);
        came.map(|result| Came { code: &result.test_code, loinc: result.loinc_code.as_deref() }).collect()
    }

    /// The members of a test, by its code or by its LOINC code.
    fn members(&self, test: &lab_order_test::Model) -> Vec<String> {
        let entry = self.catalogue.iter().find(|entry| entry.code == test.test_code).or_else(|| {
            let loinc = test.loinc_code.as_ref().unwrap_or(&test.test_code);
            self.catalogue.iter().find(|entry| entry.loinc_code.as_ref() == Some(loinc))
        });
        entry.map(|entry| strings(&entry.members)).unwrap_or_default()
    }
}

fn found(order: lab_order::Model, known: &Known, scene: &Scene) -> Option<Found> {
    let came = known.came(order.id);
    let missing: Vec<Missing> =
        known.tests(order.id).iter().flat_map(|test| lacks(test, &order, known, &came)).collect();
    if missing.is_empty() {
        return None;
    }
    let late = still_late(&order, scene);
    let reason = match (order.status.as_str(), late) {
        ("partial", Some(_)) => "overdue",
        ("partial", None) => "incomplete",
        _ => "final_without_members",
    };
    Some(Found {
        patient: order.patient_id,
        since: late.map(|(_, due)| due).or(order.resulted_at).unwrap_or(order.updated_at),
        reason: reason.to_owned(),
        order: Some(order),
        report: None,
        said: None,
        missing,
    })
}

/// What of a test lacks.
fn lacks(
    test: &lab_order_test::Model,
    order: &lab_order::Model,
    known: &Known,
    came: &[Came<'_>],
) -> Vec<Missing> {
    let status: TestStatus = test.status.parse().unwrap_or(TestStatus::Ordered);
    let reports = known.reports(test);
    // What the laboratory will not do stands on another list.
    let refuses = |report: &&&lab_report::Model| report.refusal.is_some();
    let stands = |refused: &&lab_report::Model| !reports.iter().any(|other| makes_up_for(other, refused));
    let refused = reports.iter().filter(refuses).any(stands);
    if refused || matches!(status, TestStatus::Cancelled | TestStatus::Rejected) {
        return Vec::new();
    }
    if reports.is_empty() && status != TestStatus::Done {
        return vec![whole(test, "not_reported")];
    }
    let mut missing: Vec<Missing> = match panel(&known.members(test), came) {
        Panel::Lacks(codes) => codes.into_iter().map(|loinc| member(test, loinc)).collect(),
        Panel::Complete | Panel::Unclear => Vec::new(),
    };
    if missing.is_empty() && status != TestStatus::Done && order.status == "partial" {
        missing.push(whole(test, "not_final"));
    }
    missing
}

fn whole(test: &lab_order_test::Model, what: &'static str) -> Missing {
    Missing {
        test_code: test.test_code.clone(),
        test_name: test.test_name.clone(),
        loinc: None,
        name: None,
        what,
    }
}

fn member(test: &lab_order_test::Model, loinc: String) -> Missing {
    let name = catalogue::LOCAL_CODES.iter().find(|local| local.loinc == loinc);
    Missing { name: name.map(|local| local.name.to_owned()), loinc: Some(loinc), ..whole(test, "member") }
}
