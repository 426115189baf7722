//! Orders, their tests and their history.

use std::collections::HashMap;

use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select,
};

use super::{
    bulk::is_one_of,
    entity::{lab_order, lab_order_event, lab_order_test, lab_result, test_catalog},
};

/// Orders, as a list asks for them.
pub fn search(patient_id: Option<i64>, status: Option<&str>) -> Select<lab_order::Entity> {
    let mut wanted = Condition::all();
    if let Some(patient_id) = patient_id {
        wanted = wanted.add(lab_order::Column::PatientId.eq(patient_id));
    }
    if let Some(status) = status {
        wanted = wanted.add(lab_order::Column::Status.eq(status));
    }
    lab_order::Entity::find().filter(wanted)
}

/// The order that a user placed under an idempotency key.
pub async fn find_by_key(
    connection: &impl ConnectionTrait,
    username: &str,
    key: &str,
) -> Result<Option<lab_order::Model>, DbErr> {
    lab_order::Entity::find()
        .filter(lab_order::Column::IdempotencyKey.eq(key))
        .filter(lab_order::Column::CreatedBy.eq(username))
        .order_by_asc(lab_order::Column::Id)
        .one(connection)
        .await
}

/// Orders that wait because there was no lab to send them to.
fn without_lab() -> Select<lab_order::Entity> {
    search(None, Some("pending")).filter(lab_order::Column::Hl7MessageId.is_null())
}

/// Orders that wait for a lab, oldest first, from behind an order on.
pub async fn waiting_for_lab(
    connection: &impl ConnectionTrait,
    behind: i64,
    limit: u64,
) -> Result<Vec<lab_order::Model>, DbErr> {
    let query = without_lab().filter(lab_order::Column::Id.gt(behind));
    query.order_by_asc(lab_order::Column::Id).limit(limit).all(connection).await
}

/// Those of some orders that wait for a lab still, oldest first, held until the end of the transaction: two processes that
/// route at once must not both send one.
pub async fn lock_waiting_for_lab(
    connection: &impl ConnectionTrait,
    ids: Vec<i64>,
) -> Result<Vec<lab_order::Model>, DbErr> {
    let query = without_lab().filter(lab_order::Column::Id.is_in(ids));
    query.order_by_asc(lab_order::Column::Id).lock_exclusive().all(connection).await
}

/// Entries of the catalogue by code.
pub async fn catalogue(
    connection: &impl ConnectionTrait,
    codes: Vec<String>,
) -> Result<Vec<test_catalog::Model>, DbErr> {
    test_catalog::Entity::find().filter(test_catalog::Column::Code.is_in(codes)).all(connection).await
}

/// All entries of the catalogue: what a clinic can order, a few hundred at most.
pub async fn whole_catalogue(connection: &impl ConnectionTrait) -> Result<Vec<test_catalog::Model>, DbErr> {
    test_catalog::Entity::find().order_by_asc(test_catalog::Column::Id).all(connection).await
}

/// Current version of each result of an order.
pub async fn current_results(
    connection: &impl ConnectionTrait,
    order: i64,
) -> Result<Vec<lab_result::Model>, DbErr> {
    lab_result::without_documents()
        .filter(lab_result::Column::LabOrderId.eq(order))
        .filter(lab_result::Column::IsCurrent.eq(true))
        .order_by_asc(lab_result::Column::Id)
        .all(connection)
        .await
}

/// One order.
pub async fn find(connection: &impl ConnectionTrait, id: i64) -> Result<Option<lab_order::Model>, DbErr> {
    lab_order::Entity::find_by_id(id).one(connection).await
}

/// Orders by id, held until the end of the transaction, so that what is decided on their status still holds when
/// it is written. Always in the order of their ids: two writers cannot wait for each other.
pub async fn lock(connection: &impl ConnectionTrait, ids: &[i64]) -> Result<Vec<lab_order::Model>, DbErr> {
    let query = lab_order::Entity::find().filter(lab_order::Column::Id.is_in(ids.iter().copied()));
    query.order_by_asc(lab_order::Column::Id).lock_exclusive().all(connection).await
}

/// Tests of several orders, in the order they were asked for.
pub async fn tests_of(
    connection: &impl ConnectionTrait,
    orders: &[i64],
) -> Result<Vec<lab_order_test::Model>, DbErr> {
    lab_order_test::Entity::find()
        .filter(lab_order_test::Column::LabOrderId.is_in(orders.iter().copied()))
        .order_by_asc(lab_order_test::Column::LabOrderId)
        .order_by_asc(lab_order_test::Column::Position)
        .all(connection)
        .await
}

/// The same, for each order its own.
pub async fn tests_by_order(
    connection: &impl ConnectionTrait,
    orders: &[i64],
) -> Result<HashMap<i64, Vec<lab_order_test::Model>>, DbErr> {
    let mut by_order: HashMap<i64, Vec<_>> = HashMap::new();
    for test in tests_of(connection, orders).await? {
        by_order.entry(test.lab_order_id).or_default().push(test);
    }
    Ok(by_order)
}

/// Tests by their placer order numbers.
pub async fn tests_by_placer(
    connection: &impl ConnectionTrait,
    placers: &[String],
) -> Result<Vec<lab_order_test::Model>, DbErr> {
    lab_order_test::Entity::find()
        .filter(is_one_of(
            connection.get_database_backend(),
            lab_order_test::Column::PlacerOrderNumber,
            placers,
        ))
        .all(connection)
        .await
}

/// Tests by the numbers that others ordered them under, each with the source of its order, in a fixed order: two sources
/// may use the same number.
pub async fn tests_by_outside_number(
    connection: &impl ConnectionTrait,
    numbers: &[String],
) -> Result<Vec<(lab_order_test::Model, Option<i64>)>, DbErr> {
    let column = lab_order_test::Column::OutsidePlacerNumber;
    let named = is_one_of(connection.get_database_backend(), column, numbers);
    let tests = lab_order_test::Entity::find()
        .filter(column.is_not_null())
        .filter(named)
        .order_by_asc(lab_order_test::Column::Id)
        .all(connection)
        .await?;
    if tests.is_empty() {
        return Ok(Vec::new());
    }
    let ids = tests.iter().map(|test| test.lab_order_id);
    let orders = lab_order::Entity::find().filter(lab_order::Column::Id.is_in(ids)).all(connection).await?;
    let sources: HashMap<i64, Option<i64>> =
        orders.into_iter().map(|order| (order.id, order.source_endpoint_id)).collect();
    let source = |test: &lab_order_test::Model| sources.get(&test.lab_order_id).copied().flatten();
    Ok(tests.into_iter().map(|test| (source(&test), test)).map(|(source, test)| (test, source)).collect())
}

/// Tests by the laboratory's numbers, in a fixed order: the same number may stand at several.
pub async fn tests_by_filler(
    connection: &impl ConnectionTrait,
    fillers: &[String],
) -> Result<Vec<lab_order_test::Model>, DbErr> {
    let column = lab_order_test::Column::FillerOrderNumber;
    let named = is_one_of(connection.get_database_backend(), column, fillers);
    lab_order_test::Entity::find()
        .filter(named)
        .order_by_asc(lab_order_test::Column::Id)
        .all(connection)
        .await
}

/// History of an order, oldest first.
pub async fn timeline(
    connection: &impl ConnectionTrait,
    order: i64,
) -> Result<Vec<lab_order_event::Model>, DbErr> {
    lab_order_event::Entity::find()
        .filter(lab_order_event::Column::LabOrderId.eq(order))
        .order_by_asc(lab_order_event::Column::Id)
        .all(connection)
        .await
}

/// Whether something of a kind has happened to an order.
pub async fn has_event(connection: &impl ConnectionTrait, order: i64, kind: &str) -> Result<bool, DbErr> {
    let query = lab_order_event::Entity::find()
        .filter(lab_order_event::Column::LabOrderId.eq(order))
        .filter(lab_order_event::Column::Kind.eq(kind));
    Ok(query.limit(1).one(connection).await?.is_some())
}
