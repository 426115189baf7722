//! The three layers of settings and the typed reading of them, collecting faults.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use ipnet::IpNet;

use super::{DatabaseUrl, Secret};

const DEFAULTS: &str = include_str!("default.toml");

/// Environment name of each setting.
const ENVIRONMENT: &[(&str, &str)] = &[
    ("DATABASE_URL", "database.url"),
    ("DATA_DIR", "database.data_dir"),
    ("DATABASE_MAX_CONNECTIONS", "database.max_connections"),
    ("ALLOW_UNSAFE_DURABILITY", "database.allow_unsafe_durability"),
    ("HTTP_LISTEN_HOST", "http.listen_host"),
    ("HTTP_LISTEN_PORT", "http.listen_port"),
    ("HTTP_TLS_CERT", "http.tls_cert"),
    ("HTTP_TLS_KEY", "http.tls_key"),
    ("CORS_ALLOWED_ORIGINS", "http.cors_allowed_origins"),
    ("PMS_DOCS", "http.docs"),
    ("PMS_422_INPUT", "http.validation_input"),
    ("MLLP_LISTEN_HOST", "mllp.listen_host"),
    ("MLLP_LISTEN_PORT", "mllp.listen_port"),
    ("MAX_MESSAGE_SIZE", "mllp.max_message_size"),
    ("MLLP_FRAME_TIMEOUT_SECONDS", "mllp.frame_timeout_seconds"),
    ("MLLP_IDLE_TIMEOUT_SECONDS", "mllp.idle_timeout_seconds"),
    ("MLLP_MAX_CONNECTIONS", "mllp.max_connections"),
    ("MLLP_TLS_CERT", "mllp.tls_cert"),
    ("MLLP_TLS_KEY", "mllp.tls_key"),
    ("MLLP_TLS_CLIENT_CA", "mllp.tls_client_ca"),
    ("MLLP_TLS_MIN_VERSION", "mllp.tls_min_version"),
    ("MLLP_TLS_LISTEN_PORT", "mllp.tls_listen_port"),
    ("INTAKE_BATCH_MAX", "intake.batch_max"),
    ("INTAKE_QUEUE", "intake.queue"),
    ("FILE_INTAKE_ROOT", "intake.file_root"),
    ("SENDING_APPLICATION", "identity.sending_application"),
    ("SENDING_FACILITY", "identity.sending_facility"),
    ("ACK_TIMEOUT_SECONDS", "delivery.ack_timeout_seconds"),
    ("APPLICATION_ACK_TIMEOUT_SECONDS", "delivery.application_ack_timeout_seconds"),
    ("RETRY_MAX_ATTEMPTS", "delivery.retry_max_attempts"),
    ("RETRY_BACKOFF_SECONDS", "delivery.retry_backoff_seconds"),
    ("ORDER_SEND_WAIT_MS", "delivery.order_send_wait_ms"),
    ("OUTBOUND_ALLOWED_NETWORKS", "delivery.outbound_allowed_networks"),
    ("OUTBOUND_TLS_CA", "delivery.tls_ca"),
    ("OUTBOUND_TLS_CERT", "delivery.tls_cert"),
    ("OUTBOUND_TLS_KEY", "delivery.tls_key"),
    ("LIS_ENDPOINTS_FILE", "delivery.lis_endpoints_file"),
    ("ALERT_ESCALATION_SECONDS", "alerts.escalation_seconds"),
    ("ORDER_ACKNOWLEDGE_MINUTES", "reconciliation.acknowledge_minutes"),
    ("ORDER_RESULT_HOURS", "reconciliation.result_hours"),
    ("RECONCILIATION_DAYS", "reconciliation.days"),
    ("LEAST_SILENCE_MINUTES", "watch.least_silence_minutes"),
    ("QUEUE_AGE_MINUTES", "watch.queue_age_minutes"),
    ("PAUSED_QUEUE_AGE_MINUTES", "watch.paused_queue_age_minutes"),
    ("PMS_AUTH", "security.auth"),
    ("ADMIN_USERNAME", "security.admin_username"),
    ("ADMIN_PASSWORD", "security.admin_password"),
    ("JWT_SECRET_FILE", "security.jwt_secret_file"),
    ("MESSAGE_KEYS_FILE", "security.message_keys_file"),
    ("SECRETS_DIR", "security.secrets_dir"),
    ("LOGIN_RATE_LIMIT_PER_MINUTE", "security.login_rate_limit_per_minute"),
    ("AUDIT_LOG_ENABLED", "audit.log_enabled"),
    ("AUDIT_RETENTION_DAYS", "audit.retention_days"),
    ("LOG_FORMAT", "log.format"),
];

/// Settings that promise protection this version does not have. Starting without it would be worse than not
/// starting: the operator believes that tokens are checked by another authority.
const NOT_SUPPORTED: &[&str] = &["JWT_JWKS_URL", "JWT_ISSUER", "JWT_AUDIENCE"];

/// One setting that cannot be used. The value never stands in it: it may be a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The name the operator used: the environment's or the file's.
    pub setting: String,
    /// What is wrong and what would be right.
    pub reason: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.setting, self.reason)
    }
}

/// Default file, operator's file and environment, the later over the earlier.
pub struct Layers {
    values: BTreeMap<String, (String, String)>,
    faults: Vec<Fault>,
    environment: BTreeMap<String, String>,
}

impl Layers {
    /// Puts the layers together. Errors: the file is not TOML.
    pub fn new(
        file: Option<&str>,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, Fault> {
        let mut layers =
            Self { values: flatten(DEFAULTS)?, faults: Vec::new(), environment: environment.collect() };
        if let Some(text) = file {
            layers.apply_file(flatten(text)?);
        }
        layers.apply_environment();
        Ok(layers)
    }

    fn apply_file(&mut self, entries: BTreeMap<String, (String, String)>) {
        for (key, value) in entries {
            match self.values.get_mut(&key) {
                Some(default) => *default = value,
                None => self.faults.push(Fault { setting: key, reason: "there is no such setting".into() }),
            }
        }
    }

    fn apply_environment(&mut self) {
        for (name, key) in ENVIRONMENT {
            if let Some(value) = self.environment.get(*name) {
                self.values.insert((*key).to_owned(), (value.clone(), (*name).to_owned()));
            }
        }
        for name in NOT_SUPPORTED {
            if self.is_set(name) {
                let reason = "not available in this version; remove it";
                self.faults.push(Fault { setting: (*name).to_owned(), reason: reason.into() });
            }
        }
    }

    /// Overrides one setting, as a command-line flag does.
    pub fn set(&mut self, key: &str, value: impl Into<String>) {
        self.values.insert(key.to_owned(), (value.into(), key.to_owned()));
    }

    /// Whether the environment has a non-empty value of that name.
    pub fn is_set(&self, name: &str) -> bool {
        self.environment.get(name).is_some_and(|value| !value.is_empty())
    }

    /// A variable that is not a setting of ours, such as `RUST_LOG`.
    pub fn environment(&self, name: &str) -> Option<&str> {
        self.environment.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A reader over the merged values.
    pub(super) fn reader(&self) -> Reader<'_> {
        Reader { layers: self, faults: self.faults.clone() }
    }
}

/// Reads TOML into `section.key` → (text, name for faults).
fn flatten(text: &str) -> Result<BTreeMap<String, (String, String)>, Fault> {
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| Fault {
        setting: "configuration file".into(),
        reason: format!("not TOML: {}", error.message()),
    })?;
    let mut entries = BTreeMap::new();
    for (section, value) in table {
        let Some(section_table) = value.as_table() else {
            entries.insert(section.clone(), (String::new(), section));
            continue;
        };
        for (key, value) in section_table {
            let name = format!("{section}.{key}");
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            entries.insert(name.clone(), (text, name));
        }
    }
    Ok(entries)
}

/// Typed reading that goes on after a fault, with a harmless stand-in for the bad value.
pub(super) struct Reader<'a> {
    layers: &'a Layers,
    faults: Vec<Fault>,
}

impl Reader<'_> {
    pub(super) fn fault(&mut self, key: &str, reason: impl Into<String>) {
        let setting = self.layers.values.get(key).map_or(key, |(_, name)| name).to_owned();
        self.faults.push(Fault { setting, reason: reason.into() });
    }

    pub(super) fn finish<T>(self, value: T) -> Result<T, Vec<Fault>> {
        if self.faults.is_empty() { Ok(value) } else { Err(self.faults) }
    }

    pub(super) fn text(&mut self, key: &str) -> String {
        self.layers.values.get(key).map(|(text, _)| text.trim().to_owned()).unwrap_or_default()
    }

    pub(super) fn number<T: FromStr + TryFrom<u64> + Default>(&mut self, key: &str, min: u64, max: u64) -> T {
        let parsed = self.text(key).parse::<u64>().ok().filter(|n| (min..=max).contains(n));
        parsed.and_then(|n| T::try_from(n).ok()).unwrap_or_else(|| {
            self.fault(key, format!("a whole number from {min} to {max} is needed"));
            T::default()
        })
    }

    pub(super) fn seconds(&mut self, key: &str) -> Duration {
        Duration::from_secs(self.number(key, 1, 31_536_000))
    }

    pub(super) fn boolean(&mut self, key: &str) -> bool {
        self.choice(
            key,
            &[
                ("true", true),
                ("1", true),
                ("yes", true),
                ("on", true),
                ("false", false),
                ("0", false),
                ("no", false),
                ("off", false),
            ],
        )
    }

    pub(super) fn choice<T: Copy>(&mut self, key: &str, choices: &[(&str, T)]) -> T {
        let text = self.text(key).to_lowercase();
        if let Some((_, value)) = choices.iter().find(|(name, _)| *name == text) {
            return *value;
        }
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        self.fault(key, format!("one of {} is needed", names.join(", ")));
        choices[0].1
    }

    pub(super) fn list(&mut self, key: &str) -> Vec<String> {
        let text = self.text(key);
        text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
    }

    pub(super) fn host(&mut self, key: &str) -> String {
        let text = self.text(key);
        if text.is_empty() || text.chars().any(char::is_whitespace) {
            self.fault(key, "a host name or address is needed");
        }
        text
    }

    /// A name that goes into MSH-3 to MSH-6: delimiters would change the message's shape.
    pub(super) fn hl7_name(&mut self, key: &str) -> String {
        let text = self.text(key);
        if text.is_empty() || text.len() > 180 || text.contains(['|', '^', '~', '\\', '&', '\r', '\n']) {
            self.fault(key, "1 to 180 characters without | ^ ~ \\ & are needed");
        }
        text
    }

    pub(super) fn path(&mut self, key: &str) -> Option<PathBuf> {
        Some(self.text(key)).filter(|text| !text.is_empty()).map(PathBuf::from)
    }

    pub(super) fn absolute_path(&mut self, key: &str) -> Option<PathBuf> {
        let path = self.path(key)?;
        if !path.is_absolute() {
            self.fault(key, "an absolute path is needed");
        }
        Some(path)
    }

    pub(super) fn networks(&mut self, key: &str) -> Vec<IpNet> {
        let items = self.list(key);
        let networks: Vec<IpNet> = items.iter().filter_map(|item| item.parse().ok()).collect();
        if networks.len() != items.len() {
            self.fault(key, "CIDR blocks separated by commas are needed, such as 10.0.0.0/8");
        }
        networks
    }

    /// A span for each priority of an order, such as `S=15,R=240`, in units of so many seconds.
    pub(super) fn by_priority(&mut self, key: &str, unit: u64) -> Vec<(String, Duration)> {
        let items = self.list(key);
        let read = |item: &String| {
            let (priority, number) = item.split_once('=')?;
            let known = matches!(priority.trim(), "S" | "A" | "P" | "T" | "R");
            let number: u64 = number.trim().parse().ok().filter(|number| (1..=1_000_000).contains(number))?;
            known.then(|| (priority.trim().to_owned(), Duration::from_secs(number * unit)))
        };
        let spans: Vec<_> = items.iter().filter_map(read).collect();
        if spans.is_empty() || spans.len() != items.len() {
            self.fault(key, "whole numbers by priority (S, A, P, T, R) are needed, such as S=15,R=240");
        }
        spans
    }

    /// The pauses before each retry: the list, cut or its last pause repeated to the number of retries.
    pub(super) fn backoff(&mut self) -> Vec<Duration> {
        let key = "delivery.retry_backoff_seconds";
        let retries: usize = self.number("delivery.retry_max_attempts", 0, 100);
        let items = self.list(key);
        let pauses: Vec<u64> = items.iter().filter_map(|item| item.parse().ok()).collect();
        let Some(&last) = pauses.last().filter(|_| pauses.len() == items.len()) else {
            self.fault(key, "seconds separated by commas are needed, such as 5,15,45");
            return Vec::new();
        };
        let pauses = pauses.into_iter().chain(std::iter::repeat(last));
        pauses.take(retries).map(Duration::from_secs).collect()
    }

    pub(super) fn admin(&mut self) -> Option<(String, Secret)> {
        let username = self.text("security.admin_username");
        let password = self.text("security.admin_password");
        match (username.is_empty(), password.is_empty()) {
            (true, true) => None,
            (false, false) => Some((username, Secret::new(password))),
            (false, true) => {
                self.missing("ADMIN_PASSWORD", "needed with ADMIN_USERNAME");
                None
            }
            (true, false) => {
                self.missing("ADMIN_USERNAME", "needed with ADMIN_PASSWORD");
                None
            }
        }
    }

    fn missing(&mut self, name: &str, reason: &str) {
        self.faults.push(Fault { setting: name.to_owned(), reason: reason.to_owned() });
    }

    pub(super) fn database_url(&mut self, key: &str, data_dir: &Path) -> DatabaseUrl {
        let text = self.text(key);
        if text.is_empty() {
            return DatabaseUrl::Sqlite(data_dir.join("pms.db"));
        }
        if let Some(path) = text.strip_prefix("sqlite://").or_else(|| text.strip_prefix("sqlite:")) {
            let path = path.split('?').next().unwrap_or_default();
            return DatabaseUrl::Sqlite(PathBuf::from(path));
        }
        let url = text.replacen("postgresql+asyncpg://", "postgresql://", 1);
        if !(url.starts_with("postgres://") || url.starts_with("postgresql://")) {
            self.fault(key, "sqlite:///absolute/file or postgres://user:password@host/name is needed");
        }
        DatabaseUrl::Postgres(url)
    }
}
