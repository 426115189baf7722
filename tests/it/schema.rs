//! The schema: steps go up and down, entities and tables say the same, the constraints bite.
//!
//! Everything is checked through one connection to an empty database of either engine.

use migration::{Migrator, MigratorTrait};
use pms::store::entity::{
    access_log, alert_event, api_key, appointment, code_map, code_map_change, critical_alert,
    critical_threshold, delivery_attempt, encounter, endpoint_alarm, feed_hour, hl7_message, lab_order,
    lab_order_event, lab_order_test, lab_report, lab_result, lis_endpoint, message_replay, order_concern,
    outbox, patient, patient_identifier, patient_merge, review_item, test_catalog, unmapped_code, user,
};
use sea_orm::prelude::{Date, DateTimeUtc, Json};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ColumnType, ConnectOptions, ConnectionTrait, Database,
    DatabaseConnection, DbBackend, DbErr, EntityTrait, Iterable, SqlErr, Statement,
};

/// Runs every check of this file on an empty database and leaves it migrated.
pub(crate) async fn check(db: &DatabaseConnection) -> Result<(), DbErr> {
    steps_go_up_and_down(db).await?;
    entities_match_tables(db).await?;
    unique_keys_hold_no_null(db).await?;
    rows_come_back_as_written(db).await?;
    constraints_bite(db).await?;
    ids_are_not_reused(db).await
}

#[tokio::test]
async fn holds_on_sqlite() -> Result<(), DbErr> {
    let mut options = ConnectOptions::new("sqlite::memory:");
    // Each connection to `:memory:` is a database of its own.
    options.max_connections(1).sqlx_logging(false);
    check(&Database::connect(options).await?).await
}

/// Each step undone leaves what was there before it, and done again what was there after it.
async fn steps_go_up_and_down(db: &DatabaseConnection) -> Result<(), DbErr> {
    Migrator::install(db).await?;
    let mut states = vec![describe(db).await?];
    for step in Migrator::migrations() {
        Migrator::up(db, Some(1)).await?;
        let state = describe(db).await?;
        assert_ne!(states.last(), Some(&state), "{} does nothing", step.name());
        states.push(state);
    }
    let fresh = states.pop();
    for (step, before) in Migrator::migrations().iter().zip(&states).rev() {
        Migrator::down(db, Some(1)).await?;
        assert_eq!(&describe(db).await?, before, "undoing {}", step.name());
    }
    Migrator::up(db, None).await?;
    assert_eq!(Some(describe(db).await?), fresh);
    Ok(())
}

/// Names, order, types and nullability of columns, both ways round.
pub(crate) async fn entities_match_tables(db: &DatabaseConnection) -> Result<(), DbErr> {
    let engine = db.get_database_backend();
    let mut tables = Vec::new();
    for (table, declared) in declared(engine) {
        assert_eq!(declared, columns(db, table).await?, "columns of {table}");
        tables.push(table.to_owned());
    }
    tables.sort();
    let sql = by_engine(
        engine,
        "SELECT name AS line FROM sqlite_master WHERE type = 'table' \
         AND name NOT LIKE 'sqlite_%' AND name <> 'seaql_migrations' ORDER BY name",
        "SELECT tablename::text AS line FROM pg_tables WHERE schemaname = current_schema() \
         AND tablename <> 'seaql_migrations' ORDER BY tablename",
    );
    assert_eq!(tables, lines(db, sql).await?, "a table without an entity");
    Ok(())
}

/// Both engines hold NULLs apart, so a nullable column would let duplicates in.
async fn unique_keys_hold_no_null(db: &DatabaseConnection) -> Result<(), DbErr> {
    let keys = by_engine(
        db.get_database_backend(),
        "SELECT i.name || '.' || c.name AS line, c.\"notnull\" AS never_null FROM sqlite_master t \
         JOIN pragma_index_list(t.name) i ON i.\"unique\" JOIN pragma_index_info(i.name) k \
         JOIN pragma_table_info(t.name) c ON c.cid = k.cid \
         WHERE t.type = 'table' AND i.origin = 'c'",
        "SELECT i.indexrelid::regclass || '.' || a.attname AS line, a.attnotnull AS never_null \
         FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid \
         JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey) \
         WHERE i.indisunique AND NOT i.indisprimary \
         AND t.relnamespace = current_schema()::regnamespace",
    );
    let rows = db.query_all_raw(statement(db, keys)).await?;
    assert!(rows.len() > 10, "found only {} columns", rows.len());
    for row in rows {
        let column: String = row.try_get("", "line")?;
        assert!(row.try_get::<bool>("", "never_null")?, "{column} is nullable");
    }
    Ok(())
}

/// Every type of column survives the way there and back.
async fn rows_come_back_as_written(db: &DatabaseConnection) -> Result<(), DbErr> {
    let Some(loopback) = lis_endpoint::Entity::find_by_id(0).one(db).await? else {
        return Err(DbErr::RecordNotFound("the loopback sender".to_owned()));
    };
    assert_eq!(loopback.name, "(loopback)");
    assert_eq!(loopback.allowed_networks, Json::Array(Vec::new()));
    assert_eq!(loopback.created_at, DateTimeUtc::UNIX_EPOCH);
    assert_eq!((loopback.enabled, loopback.paused), (true, false));

    let patient = a_patient().insert(db).await?;
    assert_eq!(patient.date_of_birth, Date::from_ymd_opt(1970, 4, 1));
    assert_eq!(format!("{patient:?}"), format!("patient::Model({})", patient.id));
    let written = a_result(patient.id, "written").insert(db).await?;
    let read = lab_result::Entity::find_by_id(written.id).one(db).await?;
    assert_eq!(read.as_ref(), Some(&written));
    assert_eq!(written.lis_endpoint_id, 0);
    assert_eq!(written.numeric_value, Some(6.9));
    assert_eq!(written.document.as_deref(), Some(&[0_u8, 255][..]));
    assert_eq!(written.flags, Json::from(vec!["HH"]));
    Ok(())
}

/// Foreign keys and unique keys are enforced, not only declared.
async fn constraints_bite(db: &DatabaseConnection) -> Result<(), DbErr> {
    let orphan = a_result(i64::MAX, "orphan").insert(db).await;
    assert!(is_foreign_key_violation(orphan.err()), "patient unknown");

    let patient = a_patient().insert(db).await?;
    a_result(patient.id, "twice").insert(db).await?;
    let mut next_version = a_result(patient.id, "twice");
    next_version.version = Set(2);
    next_version.insert(db).await?;
    let again = a_result(patient.id, "twice").insert(db).await;
    assert!(is_unique_violation(again.err()), "same result, same version");

    let used = patient::Entity::delete_by_id(patient.id).exec(db).await;
    assert!(is_foreign_key_violation(used.err()), "results point at it");
    Ok(())
}

/// The id of a deleted row never comes back, since clients and logs remember ids.
async fn ids_are_not_reused(db: &DatabaseConnection) -> Result<(), DbErr> {
    let first = a_patient().insert(db).await?;
    patient::Entity::delete_by_id(first.id).exec(db).await?;
    let second = a_patient().insert(db).await?;
    assert!(second.id > first.id);
    Ok(())
}

fn a_patient() -> patient::ActiveModel {
    patient::ActiveModel {
        mrn: Set("12345".to_owned()),
        last_name: Set("Muster".to_owned()),
        first_name: Set("Erika".to_owned()),
        date_of_birth: Set(Date::from_ymd_opt(1970, 4, 1)),
        gender: Set("female".to_owned()),
        created_at: Set(DateTimeUtc::UNIX_EPOCH),
        updated_at: Set(DateTimeUtc::UNIX_EPOCH),
        ..Default::default()
    }
}

fn a_result(patient_id: i64, key: &str) -> lab_result::ActiveModel {
    lab_result::ActiveModel {
        patient_id: Set(patient_id),
        result_key: Set(key.to_owned()),
        version: Set(1),
        is_current: Set(true),
        test_code: Set("2823-3".to_owned()),
        test_name: Set("Kalium".to_owned()),
        value_type: Set("NM".to_owned()),
        numeric_value: Set(Some(6.9)),
        flags: Set(Json::from(vec!["HH"])),
        is_critical: Set(true),
        threshold_status: Set("checked".to_owned()),
        critical_reasons: Set(Json::Array(Vec::new())),
        result_status: Set("F".to_owned()),
        notes: Set(Json::Array(Vec::new())),
        warnings: Set(Json::Array(Vec::new())),
        document: Set(Some(vec![0, 255])),
        received_at: Set(DateTimeUtc::UNIX_EPOCH),
        ..Default::default()
    }
}

fn is_unique_violation(error: Option<DbErr>) -> bool {
    let error = error.and_then(|error| error.sql_err());
    matches!(error, Some(SqlErr::UniqueConstraintViolation(_)))
}

fn is_foreign_key_violation(error: Option<DbErr>) -> bool {
    let error = error.and_then(|error| error.sql_err());
    matches!(error, Some(SqlErr::ForeignKeyConstraintViolation(_)))
}

/// What the entities say: table, and a line per column.
fn declared(engine: DbBackend) -> Vec<(&'static str, Vec<String>)> {
    vec![
        entity::<access_log::Entity>(engine),
        entity::<api_key::Entity>(engine),
        entity::<alert_event::Entity>(engine),
        entity::<appointment::Entity>(engine),
        entity::<code_map::Entity>(engine),
        entity::<code_map_change::Entity>(engine),
        entity::<unmapped_code::Entity>(engine),
        entity::<critical_alert::Entity>(engine),
        entity::<critical_threshold::Entity>(engine),
        entity::<delivery_attempt::Entity>(engine),
        entity::<encounter::Entity>(engine),
        entity::<endpoint_alarm::Entity>(engine),
        entity::<feed_hour::Entity>(engine),
        entity::<message_replay::Entity>(engine),
        entity::<patient_merge::Entity>(engine),
        entity::<hl7_message::Entity>(engine),
        entity::<lab_order::Entity>(engine),
        entity::<lab_order_event::Entity>(engine),
        entity::<lab_order_test::Entity>(engine),
        entity::<lab_report::Entity>(engine),
        entity::<lab_result::Entity>(engine),
        entity::<lis_endpoint::Entity>(engine),
        entity::<order_concern::Entity>(engine),
        entity::<outbox::Entity>(engine),
        entity::<patient::Entity>(engine),
        entity::<patient_identifier::Entity>(engine),
        entity::<review_item::Entity>(engine),
        entity::<test_catalog::Entity>(engine),
        entity::<user::Entity>(engine),
    ]
}

fn entity<E: EntityTrait>(engine: DbBackend) -> (&'static str, Vec<String>) {
    let line = |column: E::Column| {
        let def = column.def();
        let kind = kind_of(engine, def.get_column_type());
        column_line(sea_orm::IdenStatic::as_str(&column), kind, def.is_null())
    };
    (E::default().table_name(), E::Column::iter().map(line).collect())
}

fn kind_of(engine: DbBackend, column_type: &ColumnType) -> &'static str {
    match column_type {
        ColumnType::String(_) | ColumnType::Text => "text",
        ColumnType::BigInteger => by_engine(engine, "integer", "bigint"),
        ColumnType::Integer => "integer",
        ColumnType::Double => by_engine(engine, "double", "double precision"),
        ColumnType::Boolean => "boolean",
        ColumnType::JsonBinary => by_engine(engine, "jsonb_text", "jsonb"),
        ColumnType::Date => by_engine(engine, "date_text", "date"),
        ColumnType::VarBinary(_) | ColumnType::Blob => by_engine(engine, "blob", "bytea"),
        ColumnType::TimestampWithTimeZone => {
            by_engine(engine, "timestamp_with_timezone_text", "timestamp with time zone")
        }
        other => panic!("no table has a column of type {other:?}"),
    }
}

/// What the database says, in the same words.
async fn columns(db: &DatabaseConnection, table: &str) -> Result<Vec<String>, DbErr> {
    let engine = db.get_database_backend();
    let sql = by_engine(
        engine,
        "SELECT name, lower(type) AS kind, \"notnull\" = 0 AS nullable FROM pragma_table_info(?) \
         ORDER BY cid",
        "SELECT column_name::text AS name, data_type::text AS kind, \
         is_nullable = 'YES' AS nullable FROM information_schema.columns \
         WHERE table_schema = current_schema() AND table_name = $1 ORDER BY ordinal_position",
    );
    let query = Statement::from_sql_and_values(engine, sql, [table.into()]);
    let mut columns = Vec::new();
    for row in db.query_all_raw(query).await? {
        let (name, kind): (String, String) = (row.try_get("", "name")?, row.try_get("", "kind")?);
        // The cap of a text is the database's business alone.
        let kind = if kind.starts_with("varchar(") || kind == "character varying" { "text" } else { &kind };
        columns.push(column_line(&name, kind, row.try_get("", "nullable")?));
    }
    Ok(columns)
}

fn column_line(name: &str, kind: &str, nullable: bool) -> String {
    let null = if nullable { "null" } else { "not null" };
    format!("{name} {kind} {null}")
}

/// Everything the database knows of its schema, one line per thing.
async fn describe(db: &DatabaseConnection) -> Result<Vec<String>, DbErr> {
    let sql = by_engine(
        db.get_database_backend(),
        "SELECT sql AS line FROM sqlite_master WHERE sql IS NOT NULL \
         AND name NOT LIKE 'sqlite_%' ORDER BY line",
        "SELECT concat_ws(' ', table_name, column_name, data_type, character_maximum_length, \
         is_nullable, is_identity, column_default) AS line FROM information_schema.columns \
         WHERE table_schema = current_schema() \
         UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = current_schema() \
         UNION ALL SELECT concat_ws(' ', conrelid::regclass, conname, pg_get_constraintdef(oid)) \
         FROM pg_constraint WHERE connamespace = current_schema()::regnamespace ORDER BY line",
    );
    lines(db, sql).await
}

async fn lines(db: &DatabaseConnection, sql: &str) -> Result<Vec<String>, DbErr> {
    let rows = db.query_all_raw(statement(db, sql)).await?;
    rows.iter().map(|row| row.try_get("", "line")).collect()
}

fn statement(db: &DatabaseConnection, sql: &str) -> Statement {
    Statement::from_string(db.get_database_backend(), sql)
}

fn by_engine<'a>(engine: DbBackend, sqlite: &'a str, postgres: &'a str) -> &'a str {
    match engine {
        DbBackend::Sqlite => sqlite,
        DbBackend::Postgres => postgres,
        other => panic!("pms does not run on {other:?}"),
    }
}
