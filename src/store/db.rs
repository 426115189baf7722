//! The database: two engines behind one type, and the only place a transaction begins.
//!
//! SQLite has one writer connection, whose transactions are IMMEDIATE (a deferred one that turns into a writer fails
//! with error 517 whatever the busy time-out), and readers apart. PostgreSQL has one pool.

use std::{ops::Deref, path::Path, time::Duration};

use migration::{Migrator, MigratorTrait};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, SqliteTransactionMode,
    Statement, TransactionOptions, TransactionTrait,
};
use sqlx::{
    ConnectOptions, Connection, PgConnection, SqliteConnection,
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::{bulk::insert, entity::alert_event};
use crate::{
    config::{Config, DatabaseUrl},
    context::Hints,
};

/// Key of the advisory lock that puts the ids of `alert_events` in commit order.
const EVENT_ORDER_LOCK: i64 = 0x504d_535f_4556; // "PMS_EV"
/// Key of the advisory lock under which one process at a time migrates.
const MIGRATION_LOCK: i64 = 0x504d_535f_4d49; // "PMS_MI"
/// Channel of NOTIFY on which other processes learn of new rows in `alert_events`.
pub const EVENT_CHANNEL: &str = "pms_alert_events";

/// How long a connection to PostgreSQL may have lain idle to be used without asking whether it is still there.
const TRUSTED_FOR: Duration = Duration::from_secs(1);

/// An open database. Cheap to clone.
#[derive(Clone)]
pub struct Db {
    reader: DatabaseConnection,
    writer: DatabaseConnection,
    hints: Hints,
}

/// Why the database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It cannot be reached or refuses us. The engine's own words may hold the password, so they are left out.
    #[error("the database cannot be opened ({0})")]
    Connect(&'static str),
    /// A setting of the server would make an acknowledgement a lie.
    #[error(
        "PostgreSQL runs with {0}: an acknowledged message could be lost in a power cut; set it to `on`, or set ALLOW_UNSAFE_DURABILITY=true"
    )]
    UnsafeDurability(String),
    /// A statement failed.
    #[error("the database schema cannot be brought up to date: {0}")]
    Schema(DbErr),
}

impl Db {
    /// Opens the database, creating a SQLite file that is not there. Does not migrate.
    pub async fn open(config: &Config, hints: Hints) -> Result<Self, OpenError> {
        match &config.database_url {
            DatabaseUrl::Sqlite(path) => Self::open_sqlite(path, hints).await,
            DatabaseUrl::Postgres(url) => Self::open_postgres(url, config, hints).await,
        }
    }

    async fn open_sqlite(path: &Path, hints: Hints) -> Result<Self, OpenError> {
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)
                .map_err(|_| OpenError::Connect("its directory cannot be made"))?;
        }
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .foreign_keys(true)
            .journal_mode(SqliteJournalMode::Wal)
            // NORMAL may lose the last commits in a power cut, and with them messages that were acknowledged.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(10))
            .disable_statement_logging();
        let connect_fault = |_| OpenError::Connect("SQLite refuses the file");
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .min_connections(1)
            .after_release(|connection, _| Box::pin(is_outside_transactions(connection)));
        let writer = writer.connect_with(options.clone()).await.map_err(connect_fault)?;
        let reader = SqlitePoolOptions::new().max_connections(4);
        let reader = reader.connect_with(options).await.map_err(connect_fault)?;
        Ok(Self { reader: reader.into(), writer: writer.into(), hints })
    }

    async fn open_postgres(url: &str, config: &Config, hints: Hints) -> Result<Self, OpenError> {
        let options = url
            .parse::<PgConnectOptions>()
            .map_err(|_| OpenError::Connect("DATABASE_URL cannot be understood"))?
            .application_name("pms")
            // Every query of ours has its index. Without this a young table's missing statistics make the planner read
            // the whole table, and go on doing so while it grows; compiling such plans would only add to it.
            .options([("enable_seqscan", "off"), ("jit", "off")])
            .disable_statement_logging();
        let pool = PgPoolOptions::new()
            .max_connections(config.database_max_connections)
            .acquire_timeout(Duration::from_secs(10))
            // The driver asks when a connection comes back, and would ask once more before each use.
            .test_before_acquire(false)
            .before_acquire(|connection, about| Box::pin(still_answers(connection, about.idle_for)))
            .connect_with(options)
            .await
            .map_err(|_| OpenError::Connect("PostgreSQL is not there or refuses us"))?;
        let connection = DatabaseConnection::from(pool);
        let db = Self { reader: connection.clone(), writer: connection, hints };
        if !config.allow_unsafe_durability {
            db.refuse_unsafe_durability().await?;
        }
        Ok(db)
    }

    async fn refuse_unsafe_durability(&self) -> Result<(), OpenError> {
        for setting in ["fsync", "synchronous_commit", "full_page_writes"] {
            let sql = format!("SELECT current_setting('{setting}') AS value");
            let row = self.reader.query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await;
            let value =
                row.map_err(OpenError::Schema)?.and_then(|row| row.try_get::<String>("", "value").ok());
            if value.as_deref() == Some("off") {
                return Err(OpenError::UnsafeDurability(format!("{setting}=off")));
            }
        }
        Ok(())
    }

    /// Brings the schema up to date. Processes that start at once on one PostgreSQL take turns.
    pub async fn migrate(&self) -> Result<(), OpenError> {
        let Some(pool) = self.postgres_pool() else {
            return Migrator::up(&self.writer, None).await.map_err(OpenError::Schema);
        };
        let lost = |_| OpenError::Connect("PostgreSQL went away");
        // A connection of its own holds the lock: the steps run on others.
        let mut turn = pool.acquire().await.map_err(lost)?.detach();
        sqlx::raw_sql(sqlx::AssertSqlSafe(format!("SELECT pg_advisory_lock({MIGRATION_LOCK})")))
            .execute(&mut turn)
            .await
            .map_err(lost)?;
        let migrated = Migrator::up(&self.writer, None).await.map_err(OpenError::Schema);
        turn.close().await.map_err(lost)?;
        migrated
    }

    /// Names of the schema steps, and whether each has been taken.
    pub async fn migration_status(&self) -> Result<Vec<(String, bool)>, OpenError> {
        let applied = Migrator::get_applied_migrations(&self.writer).await.map_err(OpenError::Schema)?;
        let is_taken = |name: &str| applied.iter().any(|taken| taken.name() == name);
        let all = Migrator::migrations();
        Ok(all.iter().map(|step| (step.name().to_owned(), is_taken(step.name()))).collect())
    }

    /// For reading. A reader never waits for the writer.
    pub fn reader(&self) -> &DatabaseConnection {
        &self.reader
    }

    /// Which engine this is.
    pub fn is_postgres(&self) -> bool {
        self.writer.get_database_backend() == DbBackend::Postgres
    }

    /// The pool under the connection, for LISTEN. `None` on SQLite.
    pub fn postgres_pool(&self) -> Option<&sqlx::PgPool> {
        self.is_postgres().then(|| self.writer.get_postgres_connection_pool())
    }

    /// Closes all connections, so that SQLite folds its write-ahead log into the file.
    pub async fn close(&self) {
        let _ = self.reader.close_by_ref().await;
        let _ = self.writer.close_by_ref().await;
    }
}

/// Whether a connection may be used again. SQLite ends a transaction by itself when the disk is full or fails; the driver's
/// own ROLLBACK then fails, and it goes on counting a transaction that is none. From there on each BEGIN would be a mere
/// SAVEPOINT, and what is "committed" could be part of a transaction that nobody ever commits: an AA for nothing. Such a
/// connection is closed, and the pool opens another.
async fn is_outside_transactions(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    if connection.is_in_transaction() {
        // The roll-back of a dropped transaction is still on its way; an answer to this comes after it.
        connection.ping().await?;
    }
    Ok(!connection.is_in_transaction())
}

/// Whether a connection that lay idle still leads to a server. One that came back a moment ago was asked then; the question
/// costs as much as a small query, and an order would pay for it eight times.
async fn still_answers(connection: &mut PgConnection, idle_for: Duration) -> Result<bool, sqlx::Error> {
    if idle_for > TRUSTED_FOR {
        connection.ping().await?;
    }
    Ok(true)
}

/// A transaction. Dropped without [`Tx::commit`] it leaves no trace.
pub struct Tx {
    transaction: DatabaseTransaction,
    events: Vec<alert_event::ActiveModel>,
    moved: Vec<i64>,
    hints: Hints,
    name: &'static str,
}

/// Proof that a transaction was committed. Only [`Tx::commit`] makes one, and an accepting reply cannot be made
/// without it: an AA before the commit does not compile.
#[derive(Debug)]
pub struct Receipt(());

/// Begins the transaction of a use case; `name` is the use case's, for the log.
#[allow(clippy::disallowed_methods, reason = "the one place a transaction begins")]
pub async fn write(db: &Db, name: &'static str) -> Result<Tx, DbErr> {
    let options = TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    };
    let transaction = db.writer.begin_with_options(options).await?;
    Ok(Tx { transaction, events: Vec::new(), moved: Vec::new(), hints: db.hints.clone(), name })
}

impl Deref for Tx {
    type Target = DatabaseTransaction;

    fn deref(&self) -> &DatabaseTransaction {
        &self.transaction
    }
}

impl Tx {
    /// Adds a row to `alert_events`. It is written as the last statement before the commit.
    pub fn emit(&mut self, event: alert_event::ActiveModel) {
        self.events.push(event);
    }

    /// Says that the status of an order moves with this transaction: who waits for it is woken after the commit.
    pub fn moves(&mut self, order: i64) {
        self.moved.push(order);
    }

    /// How many rows will be added to `alert_events`.
    pub fn events_to_come(&self) -> usize {
        self.events.len()
    }

    /// Whether this transaction runs on PostgreSQL.
    pub fn is_postgres(&self) -> bool {
        self.transaction.get_database_backend() == DbBackend::Postgres
    }

    /// Waits until no other transaction has the turn of this number, and keeps it until the end of this one. SQLite has one
    /// writer anyway.
    pub async fn take_turn(&self, number: i64) -> Result<(), DbErr> {
        if self.is_postgres() {
            let lock = format!("SELECT pg_advisory_xact_lock({number})");
            self.transaction.execute_unprepared(&lock).await?;
        }
        Ok(())
    }

    /// Makes the changes durable, then wakes the readers of the events and who waits for an order.
    pub async fn commit(mut self) -> Result<Receipt, DbErr> {
        let wakes = !self.events.is_empty();
        if wakes {
            self.write_events().await?;
        }
        self.transaction.commit().await?;
        tracing::trace!(transaction = self.name, "committed");
        if wakes {
            self.hints.events.wake();
        }
        self.moved.into_iter().for_each(|order| self.hints.moves.wake(order));
        Ok(Receipt(()))
    }

    /// A sequence hands out 10 and 11 to two writers and the one with 11 may commit first: a stream that has sent 11
    /// would never look for 10. Writers of events therefore take turns from here to their commit. SQLite has one
    /// writer anyway.
    async fn write_events(&mut self) -> Result<(), DbErr> {
        let events = std::mem::take(&mut self.events);
        if self.is_postgres() {
            let lock =
                format!("SELECT pg_advisory_xact_lock({EVENT_ORDER_LOCK}), pg_notify('{EVENT_CHANNEL}', '')");
            self.transaction.execute_unprepared(&lock).await?;
        }
        insert::<alert_event::Entity>(self, events).await
    }
}
