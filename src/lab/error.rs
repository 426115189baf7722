//! The one error of all use cases: free of transport and free of patient data.

use sea_orm::DbErr;

use crate::{security::SecurityError, store::is_unique_violation};

/// Why a use case did not do what it was asked. The HTTP door and the ACK each map it by an exhaustive `match`; the
/// sources of `Database` and `Security` go to the log as a class, never to a client.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// The thing named does not exist, or the caller may not know that it does.
    #[error("{0} not found")]
    NotFound(&'static str),
    /// The state does not allow it; the text says which state.
    #[error("{0}")]
    Conflict(String),
    /// A field's value cannot be used. The message never repeats the value.
    #[error("{field}: {message}")]
    Invalid {
        /// Path of the field in the request body.
        field: &'static str,
        /// What would be right.
        message: String,
    },
    /// Nobody is signed in, or the token is not good; the text is FastAPI's.
    #[error("{0}")]
    Unauthenticated(&'static str),
    /// Signed in, but not allowed.
    #[error("Not enough permissions")]
    Denied,
    /// Too many tries; the number says after how many seconds to come back.
    #[error("Too many requests")]
    TooManyRequests(u64),
    /// The database failed.
    #[error("database")]
    Database(#[from] DbErr),
    /// A key, a ciphertext or the random source failed.
    #[error("security")]
    Security(#[from] SecurityError),
    /// The service is shutting down or overloaded.
    #[error("not available")]
    Unavailable,
}

impl LabError {
    /// A field fault.
    pub fn invalid(field: &'static str, message: impl Into<String>) -> Self {
        Self::Invalid { field, message: message.into() }
    }

    /// Whether the database could not be reached in time; a new try may work.
    pub fn is_outage(&self) -> bool {
        matches!(self, Self::Database(DbErr::ConnectionAcquire(_) | DbErr::Conn(_)))
    }

    /// What failed, for the log. The source's own words are left out: a violated key is quoted in them.
    pub fn class(&self) -> &'static str {
        match self {
            Self::Database(DbErr::ConnectionAcquire(_)) => "no database connection in time",
            Self::Database(DbErr::Conn(_)) => "database connection",
            Self::Database(error) if is_unique_violation(error) => "unique index",
            Self::Database(DbErr::Exec(_)) => "database statement",
            Self::Database(DbErr::Query(_)) => "database query",
            Self::Database(_) => "database row",
            Self::Security(_) => "security",
            _ => "refused",
        }
    }
}
