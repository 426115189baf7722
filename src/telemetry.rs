//! Logs and metrics, and the type that keeps patient data out of both.

use std::{fmt, sync::OnceLock};

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::{EnvFilter, fmt::format::FmtSpan};

/// Protected health information: readable on purpose through [`Phi::expose`], never by printing.
#[derive(Clone, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
pub struct Phi<T>(T);

impl<T> Phi<T> {
    /// Marks a value as protected.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The value, for storage, for the wire, or for the eyes of somebody who may see it.
    pub fn expose(&self) -> &T {
        &self.0
    }

    /// Takes the value out.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> fmt::Debug for Phi<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[phi]")
    }
}

impl<T> fmt::Display for Phi<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[phi]")
    }
}

/// Starts logging to standard error. The database layers are silenced whatever `filter` says: they log statements
/// with their values.
pub fn start_logs(filter: Option<&str>, json: bool) {
    let mut filter = EnvFilter::try_new(filter.unwrap_or("info")).unwrap_or_else(|_| EnvFilter::new("info"));
    for silenced in ["sqlx=off", "sea_orm=off", "sea_orm_migration=warn", "sea_schema=off"] {
        if let Ok(directive) = silenced.parse() {
            filter = filter.add_directive(directive);
        }
    }
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_span_events(FmtSpan::NONE)
        .with_target(false)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .with_writer(std::io::stderr);
    // A second start in one process (tests) keeps the first subscriber.
    let _ = if json { builder.json().try_init() } else { builder.try_init() };
}

/// Starts the metrics recorder. It belongs to the process: a second service in it (tests) shares the first one's.
pub fn start_metrics() -> PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    let start = || {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        let _ = metrics::set_global_recorder(recorder);
        handle
    };
    HANDLE.get_or_init(start).clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protected_values_do_not_print() {
        let name = Phi::new("Doe");
        assert_eq!(format!("{name} {name:?}"), "[phi] [phi]");
        assert_eq!(*name.expose(), "Doe");
    }
}
