//! Every row of every table as text, to tell whether anything changed.

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait, DbBackend, Statement};

use crate::app::{Engine, TestApp};

/// Sorted row texts by table. How often a message came again is left out: that is what may change.
pub(crate) async fn all_rows(app: &TestApp, engine: Engine) -> BTreeMap<String, Vec<String>> {
    let mut tables = BTreeMap::new();
    for table in texts(app, engine, tables_of(engine)).await {
        let query = match engine {
            Engine::Sqlite => {
                let columns = format!("SELECT name FROM pragma_table_info('{table}')");
                let mut columns = texts(app, engine, &columns).await;
                columns.retain(|column| column != "duplicates_seen");
                let quoted: Vec<String> = columns.iter().map(|name| format!("quote(\"{name}\")")).collect();
                format!("SELECT {} FROM \"{table}\"", quoted.join(" || ' ' || "))
            }
            Engine::Postgres => {
                format!("SELECT (to_jsonb(t) - 'duplicates_seen')::text FROM \"{table}\" t")
            }
        };
        let mut rows = texts(app, engine, &query).await;
        rows.sort_unstable();
        tables.insert(table, rows);
    }
    assert!(tables.contains_key("hl7_messages") && tables.len() > 10, "{:?}", tables.keys());
    tables
}

/// Fails with the name of the table where something changed, and never with what is in it.
pub(crate) fn assert_same(before: &BTreeMap<String, Vec<String>>, after: &BTreeMap<String, Vec<String>>) {
    assert!(before.keys().eq(after.keys()));
    for (table, rows) in before {
        let now = &after[table];
        let changed = now.iter().filter(|row| rows.binary_search(row).is_err()).count();
        assert!(
            rows == now,
            "{table}: {} rows before, {} after, {changed} not as before",
            rows.len(),
            now.len()
        );
    }
}

fn tables_of(engine: Engine) -> &'static str {
    match engine {
        Engine::Sqlite => "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'",
        Engine::Postgres => {
            "SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public'"
        }
    }
}

async fn texts(app: &TestApp, engine: Engine, query: &str) -> Vec<String> {
    let backend = match engine {
        Engine::Sqlite => DbBackend::Sqlite,
        Engine::Postgres => DbBackend::Postgres,
    };
    let rows = app.ctx().db.reader().query_all_raw(Statement::from_string(backend, query)).await.unwrap();
    rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
}
