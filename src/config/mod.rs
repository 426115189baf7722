//! Configuration: an embedded default file that is the manual, overridden by a TOML file, overridden by the
//! environment. Every fault is reported at once, so that an operator mends a start in one go; combinations that
//! are legal but risky come back as warnings.

mod layers;
mod networks;
mod tls;

use std::{fmt, net::IpAddr, path::PathBuf, time::Duration};

use ipnet::IpNet;
pub use layers::{Fault, Layers};
pub use networks::outbound_address_allowed;
pub use tls::{TlsConfig, TlsFiles, TlsVersion};

/// Who may call without signing in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthMode {
    /// Bearer tokens on every protected route.
    Required,
    /// Nobody signs in; only on loopback.
    Dev,
}

/// Where the data lives.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// A SQLite file, created when missing.
    Sqlite(PathBuf),
    /// A PostgreSQL connection string, password included.
    Postgres(String),
}

impl fmt::Debug for DatabaseUrl {
    /// The PostgreSQL form carries a password, so only the kind is printed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(_) => f.write_str("postgres"),
        }
    }
}

/// A secret that never prints.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// The settings of one running service; see `default.toml` for what each means.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "each field is explained where its default stands, in default.toml")]
pub struct Config {
    pub database_url: DatabaseUrl,
    pub data_dir: PathBuf,
    pub database_max_connections: u32,
    pub allow_unsafe_durability: bool,
    pub http_host: String,
    pub http_port: u16,
    pub cors_allowed_origins: Vec<String>,
    pub docs: bool,
    pub redact_validation_input: bool,
    pub mllp_host: String,
    pub mllp_port: u16,
    pub tls: TlsConfig,
    pub max_message_size: usize,
    pub frame_timeout: Duration,
    pub idle_timeout: Duration,
    pub mllp_max_connections: usize,
    pub intake_batch_max: usize,
    pub intake_queue: usize,
    pub file_intake_root: Option<PathBuf>,
    pub sending_application: String,
    pub sending_facility: String,
    pub ack_timeout: Duration,
    /// How long a lab's application may take to say what it thinks of a message.
    pub application_ack_timeout: Duration,
    pub retry_backoff: Vec<Duration>,
    pub order_send_wait: Duration,
    pub outbound_allowed_networks: Vec<IpNet>,
    pub lis_endpoints_file: Option<PathBuf>,
    pub alert_escalation: Duration,
    pub order_acknowledge_limits: Vec<(String, Duration)>,
    pub order_result_limits: Vec<(String, Duration)>,
    pub reconciliation_days: u32,
    pub least_silence_minutes: u32,
    pub queue_age_minutes: u32,
    pub paused_queue_age_minutes: u32,
    pub auth: AuthMode,
    pub admin: Option<(String, Secret)>,
    pub jwt_secret_file: Option<PathBuf>,
    pub message_keys_file: Option<PathBuf>,
    pub secrets_dir: PathBuf,
    pub login_rate_limit_per_minute: u32,
    pub audit_retention_days: u32,
    pub log_json: bool,
}

impl Config {
    /// Reads all layers. Errors: every fault found, none hidden behind another.
    pub fn load(layers: &Layers) -> Result<(Self, Vec<String>), Vec<Fault>> {
        let mut read = layers.reader();
        let data_dir = PathBuf::from(read.text("database.data_dir"));
        let config = Self {
            database_url: read.database_url("database.url", &data_dir),
            database_max_connections: read.number("database.max_connections", 2, 500),
            allow_unsafe_durability: read.boolean("database.allow_unsafe_durability"),
            http_host: read.host("http.listen_host"),
            http_port: read.number("http.listen_port", 0, 65_535),
            cors_allowed_origins: read.list("http.cors_allowed_origins"),
            docs: read.choice("http.docs", &[("on", true), ("off", false)]),
            redact_validation_input: read
                .choice("http.validation_input", &[("echo", false), ("redact", true)]),
            mllp_host: read.host("mllp.listen_host"),
            mllp_port: read.number("mllp.listen_port", 0, 65_535),
            tls: TlsConfig::read(&mut read),
            max_message_size: read.number("mllp.max_message_size", 1024, 1 << 30),
            frame_timeout: read.seconds("mllp.frame_timeout_seconds"),
            idle_timeout: read.seconds("mllp.idle_timeout_seconds"),
            mllp_max_connections: read.number("mllp.max_connections", 1, 100_000),
            intake_batch_max: read.number("intake.batch_max", 1, 1000),
            intake_queue: read.number("intake.queue", 1, 100_000),
            file_intake_root: read.absolute_path("intake.file_root"),
            sending_application: read.hl7_name("identity.sending_application"),
            sending_facility: read.hl7_name("identity.sending_facility"),
            ack_timeout: read.seconds("delivery.ack_timeout_seconds"),
            application_ack_timeout: read.seconds("delivery.application_ack_timeout_seconds"),
            retry_backoff: read.backoff(),
            order_send_wait: Duration::from_millis(read.number("delivery.order_send_wait_ms", 0, 60_000)),
            outbound_allowed_networks: read.networks("delivery.outbound_allowed_networks"),
            lis_endpoints_file: read.path("delivery.lis_endpoints_file"),
            alert_escalation: read.seconds("alerts.escalation_seconds"),
            order_acknowledge_limits: read.by_priority("reconciliation.acknowledge_minutes", 60),
            order_result_limits: read.by_priority("reconciliation.result_hours", 3600),
            reconciliation_days: read.number("reconciliation.days", 1, 366),
            least_silence_minutes: read.number("watch.least_silence_minutes", 1, 525_600),
            queue_age_minutes: read.number("watch.queue_age_minutes", 1, 525_600),
            paused_queue_age_minutes: read.number("watch.paused_queue_age_minutes", 1, 525_600),
            auth: read.choice("security.auth", &[("required", AuthMode::Required), ("dev", AuthMode::Dev)]),
            admin: read.admin(),
            jwt_secret_file: read.path("security.jwt_secret_file"),
            message_keys_file: read.path("security.message_keys_file"),
            secrets_dir: read.path("security.secrets_dir").unwrap_or_else(|| data_dir.join("secrets")),
            login_rate_limit_per_minute: read.number("security.login_rate_limit_per_minute", 1, 100_000),
            audit_retention_days: read.number("audit.retention_days", 1, 36_500),
            log_json: read.choice("log.format", &[("text", false), ("json", true)]),
            data_dir,
        };
        if !read.boolean("audit.log_enabled") {
            read.fault(
                "audit.log_enabled",
                "the access log cannot be switched off; remove the setting or set it to true",
            );
        }
        if config.auth == AuthMode::Dev && !config.all_loopback() {
            read.fault(
                "security.auth",
                "`dev` starts only when http.listen_host and mllp.listen_host are loopback",
            );
        }
        let warnings = config.warnings(layers);
        read.finish(config).map(|config| (config, warnings))
    }

    /// Whether every listener is bound to this machine alone.
    fn all_loopback(&self) -> bool {
        is_loopback(&self.http_host) && is_loopback(&self.mllp_host)
    }

    /// Legal but risky combinations, in words for the operator.
    fn warnings(&self, layers: &Layers) -> Vec<String> {
        let mut warnings = Vec::new();
        let mut warn = |text: &str| warnings.push(text.to_owned());
        if layers.is_set("PMS_BACKEND_URL") {
            warn("PMS_BACKEND_URL is ignored: this service is the backend");
        }
        if self.auth == AuthMode::Dev {
            warn("nobody signs in (PMS_AUTH=dev): use it with made-up data only");
        }
        if !is_loopback(&self.http_host) && self.tls.http.is_none() {
            warn(
                "the API listens beyond this machine without TLS: set HTTP_TLS_CERT, or put a TLS proxy in front of it",
            );
        }
        if self.allow_unsafe_durability {
            warn("ALLOW_UNSAFE_DURABILITY is on: an acknowledged message can be lost in a power cut");
        }
        if self.max_message_size < 4 * 1024 * 1024 {
            warn("MAX_MESSAGE_SIZE is under 4 MiB: PDF reports of labs are often larger");
        }
        if self.cors_allowed_origins.iter().any(|origin| origin == "*") {
            warn("CORS_ALLOWED_ORIGINS has `*`: any web page may call the API with a stolen token");
        }
        warnings
    }
}

/// Whether a host text names this machine only.
pub fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn load(env: &[(&str, &str)]) -> Result<(Config, Vec<String>), Vec<Fault>> {
        let env = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        Config::load(&Layers::new(None, env).unwrap())
    }

    #[test]
    fn the_defaults_are_the_guides() {
        let (config, warnings) = load(&[]).unwrap();
        assert_eq!(config.mllp_port, 2575);
        assert_eq!(config.http_port, 8000);
        assert_eq!(config.retry_backoff, [5, 15, 45].map(Duration::from_secs));
        assert_eq!(config.audit_retention_days, 2555);
        assert_eq!(config.order_result_limits[4], ("R".to_owned(), Duration::from_hours(24)));
        assert!(warnings.is_empty(), "{warnings:?}");
    }

    #[test]
    fn every_fault_is_reported_at_once() {
        let faults = load(&[
            ("MLLP_LISTEN_PORT", "seventy"),
            ("MAX_MESSAGE_SIZE", "3"),
            ("DATABASE_URL", "mysql://x"),
            ("AUDIT_LOG_ENABLED", "false"),
            ("MLLP_TLS_CERT", "server.pem"),
            ("ADMIN_USERNAME", "root"),
            ("ORDER_RESULT_HOURS", "S=1,X=2"),
        ])
        .unwrap_err();
        let names: Vec<&str> = faults.iter().map(|fault| fault.setting.as_str()).collect();
        for name in [
            "MLLP_LISTEN_PORT",
            "MAX_MESSAGE_SIZE",
            "DATABASE_URL",
            "AUDIT_LOG_ENABLED",
            "MLLP_TLS_CERT",
            "ADMIN_PASSWORD",
            "ORDER_RESULT_HOURS",
        ] {
            assert!(names.contains(&name), "{name} missing in {names:?}");
        }
    }

    #[test]
    fn tls_is_set_as_a_whole_or_not_at_all() {
        let files = [("MLLP_TLS_CERT", "a.pem"), ("MLLP_TLS_KEY", "a.key")];
        let (config, _) = load(&files).unwrap();
        assert_eq!((config.tls.mllp_least, config.tls.mllp_port), (TlsVersion::Tls12, None));
        assert!(config.tls.mllp.is_some() && config.tls.outbound == config.tls.mllp);
        for (name, value) in [
            ("MLLP_TLS_KEY", "a.key"),
            ("HTTP_TLS_CERT", "a.pem"),
            ("OUTBOUND_TLS_CERT", "a.pem"),
            ("MLLP_TLS_CLIENT_CA", "ca.pem"),
            ("MLLP_TLS_LISTEN_PORT", "2576"),
            ("MLLP_TLS_MIN_VERSION", "1.1"),
        ] {
            let faults = load(&[(name, value)]).unwrap_err();
            assert_eq!(faults.iter().map(|fault| fault.setting.as_str()).collect::<Vec<_>>(), [name]);
        }
    }

    #[test]
    fn a_fault_never_shows_the_value() {
        let faults = load(&[("DATABASE_URL", "mysql://root:hunter2@db/x")]).unwrap_err();
        assert!(!format!("{faults:?}").contains("hunter2"));
    }

    #[test]
    fn the_asyncpg_driver_name_is_dropped() {
        let (config, _) = load(&[("DATABASE_URL", "postgresql+asyncpg://u:p@h/d")]).unwrap();
        assert_eq!(config.database_url, DatabaseUrl::Postgres("postgresql://u:p@h/d".into()));
        assert_eq!(format!("{:?}", config.database_url), "postgres");
    }

    #[test]
    fn dev_auth_needs_loopback_everywhere() {
        assert!(load(&[("PMS_AUTH", "dev")]).is_err(), "the MLLP default is 0.0.0.0");
        let (config, warnings) = load(&[("PMS_AUTH", "dev"), ("MLLP_LISTEN_HOST", "127.0.0.1")]).unwrap();
        assert_eq!(config.auth, AuthMode::Dev);
        assert_eq!(warnings.len(), 1);
    }

    #[test]
    fn retries_follow_the_number_asked_for() {
        let (config, _) = load(&[("RETRY_MAX_ATTEMPTS", "5")]).unwrap();
        assert_eq!(config.retry_backoff, [5, 15, 45, 45, 45].map(Duration::from_secs));
    }

    #[test]
    fn an_unknown_key_in_the_file_is_a_fault() {
        let layers = Layers::new(Some("[mllp]\nlisten_prot = 1\n"), std::iter::empty()).unwrap();
        let faults = Config::load(&layers).unwrap_err();
        assert_eq!(faults[0].setting, "mllp.listen_prot");
    }
}
