//! The arrows between modules, and a few rules that no lint knows. A failure names the file, the line and the arrow.

mod paths;
mod printing;
mod tokens;

use std::{collections::BTreeSet, fs, io, path::Path};

use paths::mentions;
use printing::printed_rows;
use tokens::{Token, tokens};

/// Who may import whom: the left may use itself, what stands to the right, and nothing else.
const ARROWS: &[(&str, &[&str])] = &[
    ("main", &["cli", "sim"]),
    ("cli", &["runtime", "sim", "lab", "security::tls"]),
    ("runtime", &["http", "mllp", "jobs", "sim", "store::db", "lab", "security"]),
    ("sim", &["hl7", "mllp::sender"]),
    // Never `store`: a read of a chart that goes round `lab` would go round the access log.
    ("http", &["lab", "domain", "security", "reader"]),
    ("mllp", &["lab", "hl7", "security"]),
    ("sftp", &["domain"]),
    ("jobs", &["lab", "mllp::sender", "sftp", "domain", "security"]),
    ("lab", &["store", "domain", "hl7", "fhir", "security", "reader"]),
    ("store", &["domain"]),
    ("context", &["store::db", "security", "domain"]),
    ("telemetry", &[]),
    ("config", &[]),
    ("clock", &[]),
    ("outbound", &[]),
    ("security", &[]),
    ("reader", &[]),
    ("hl7", &[]),
    ("domain", &[]),
    ("fhir", &[]),
    ("lib", &[]),
];

/// Open to everybody but the pure ones.
const FREE: &[&str] = &["context", "telemetry", "config", "clock", "outbound"];

/// Bytes and values in, values out: no settings, no clock, no database. They do not know each other either.
const PURE: &[&str] = &["hl7", "domain", "fhir", "reader"];

/// Crates that stand in these modules only.
const CRATES: &[(&str, &[&str])] = &[
    // Queries live in `store`. `lab` needs the crate as well, because it owns the transactions and fills the rows
    // (`ActiveModel`) that a use case writes; hiding both behind `store` would double every row type.
    ("sea_orm", &["store", "lab"]),
    ("sqlx", &["store", "lab"]),
    ("axum", &["http", "runtime"]),
    ("russh", &["sftp"]),
    ("russh_sftp", &["sftp"]),
];

const LONGEST_FILE: usize = 500;

struct Source {
    /// Relative to the repository, with `/`.
    path: String,
    lines: usize,
    tokens: Vec<Token>,
}

impl Source {
    fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), lines: text.lines().count(), tokens: tokens(text) }
    }

    /// `src/lab/intake.rs` and `src/lab/intake/mod.rs` are both `lab::intake`.
    fn module(&self) -> Vec<String> {
        let inner = self.path.trim_start_matches("src/").trim_end_matches(".rs");
        inner.trim_end_matches("/mod").split('/').map(str::to_owned).collect()
    }

    fn fault(&self, line: usize, text: &str) -> String {
        format!("{}:{line}: {text}", self.path)
    }
}

/// Imports against the table, and crates outside their modules.
fn forbidden_imports(source: &Source) -> BTreeSet<String> {
    let module = source.module();
    let from = module[0].as_str();
    // The crate's root is no module of its own: `super` in it would lead nowhere, `self` to the root.
    let root: &[String] = if from == "lib" { &[] } else { &module };
    let faults = mentions(root, &source.tokens).into_iter().filter_map(|mention| {
        let (first, rest) = mention.path.split_first()?;
        let fault = if first == "crate" { forbidden_arrow(from, rest) } else { forbidden_crate(from, first) };
        Some(source.fault(mention.line, &fault?))
    });
    faults.collect()
}

fn forbidden_arrow(from: &str, target: &[String]) -> Option<String> {
    let to = target.first()?;
    let free = FREE.contains(&to.as_str()) && !PURE.contains(&from);
    let Some((_, right)) = ARROWS.iter().find(|(left, _)| *left == from) else {
        return Some(format!("the module {from} has no row in the table of arrows"));
    };
    let listed = right.iter().any(|entry| stands_before(entry, target));
    let allowed = to == from || free || listed;
    (!allowed).then(|| format!("the arrow {from} -> {} is not in the table", target.join("::")))
}

/// Whether `entry`, as the table spells it, is the path itself or a module around it.
fn stands_before(entry: &str, target: &[String]) -> bool {
    let entry: Vec<_> = entry.split("::").collect();
    target.len() >= entry.len() && entry.iter().zip(target).all(|(left, right)| left == right)
}

fn forbidden_crate(from: &str, name: &str) -> Option<String> {
    let (_, homes) = CRATES.iter().find(|(listed, _)| *listed == name)?;
    (!homes.contains(&from)).then(|| format!("the arrow {from} -> {name} (a crate) is not in the table"))
}

/// Rules that hold for tests and migrations as well.
fn faults_anywhere(source: &Source) -> BTreeSet<String> {
    let mut faults = BTreeSet::new();
    if source.lines > LONGEST_FILE {
        faults.insert(source.fault(LONGEST_FILE, &format!("{} lines; split it", source.lines)));
    }
    for window in source.tokens.windows(3) {
        if window[0].is('#') && window[1].is('[') && window[2].word() == Some("ignore") {
            faults.insert(source.fault(window[0].line, "an ignored test proves nothing"));
        }
    }
    let printed = printed_rows(&source.tokens).into_iter();
    faults.extend(printed.map(|line| source.fault(line, "prints an `ActiveModel`, and with it a patient")));
    faults
}

fn sources_under(directory: &str) -> io::Result<Vec<Source>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut sources, mut open) = (Vec::new(), vec![root.join(directory)]);
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                sources.push(Source::new(&relative(&path, root), &fs::read_to_string(&path)?));
            }
        }
    }
    Ok(sources)
}

fn relative(path: &Path, root: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).to_string_lossy().into_owned()
}

fn assert_none(faults: &BTreeSet<String>) {
    let lines: Vec<_> = faults.iter().map(String::as_str).collect();
    assert!(lines.is_empty(), "\n{}\n", lines.join("\n"));
}

#[test]
fn modules_import_only_what_the_table_allows() -> io::Result<()> {
    let sources = sources_under("src")?;
    assert!(sources.len() > 10, "only {} files were found", sources.len());
    assert_none(&sources.iter().flat_map(forbidden_imports).collect());
    Ok(())
}

#[test]
fn files_are_short_and_tests_run_and_rows_stay_unprinted() -> io::Result<()> {
    let mut faults = BTreeSet::new();
    for directory in ["src", "migration", "tests"] {
        faults.extend(sources_under(directory)?.iter().flat_map(faults_anywhere));
    }
    assert_none(&faults);
    Ok(())
}

mod matcher {
    use super::*;

    fn faults(path: &str, text: &str) -> Vec<String> {
        let source = Source::new(path, text);
        forbidden_imports(&source).into_iter().chain(faults_anywhere(&source)).collect()
    }

    #[test]
    fn allowed_arrows_pass() {
        let table = [
            ("src/main.rs", "use pms::{cli, config::Config, sim::lis};"),
            ("src/runtime.rs", "use crate::{http, store::db::Db}; fn f(l: axum::Router) {}"),
            (
                "src/http/routes/orders.rs",
                "use crate::{context::Ctx, lab}; use super::super::problem::Fault;",
            ),
            ("src/http/mod.rs", "use axum::Router; mod tests { use super::*; }"),
            ("src/sim/send.rs", "use crate::mllp::sender::send;"),
            ("src/lab/intake.rs", "use sea_orm::DbErr; use crate::{hl7, store::db, fhir};"),
            ("src/hl7/oru.rs", "use super::message::Message; use crate::hl7::frame;"),
            ("src/domain/order.rs", "// crate::store\nconst S: &str = \"crate::http\";"),
            ("src/lib.rs", "pub mod store; pub mod http;"),
        ];
        for (path, text) in table {
            assert!(faults(path, text).is_empty(), "{path}: {:?}", faults(path, text));
        }
    }

    #[test]
    fn forbidden_arrows_are_named_with_their_line() {
        let table = [
            (
                "src/http/routes/orders.rs",
                "\nuse crate::{\n lab,\n store::db };",
                "4: the arrow http -> store::db",
            ),
            ("src/http/mod.rs", "use super::hl7::frame;", "1: the arrow http -> hl7::frame"),
            ("src/sim/lis.rs", "use crate::mllp::{self, sender};", "1: the arrow sim -> mllp"),
            (
                "src/runtime.rs",
                "fn f() {\n crate::store::orders::find() }",
                "2: the arrow runtime -> store::orders::find",
            ),
            ("src/hl7/ack.rs", "use crate::clock::Clock;", "1: the arrow hl7 -> clock::Clock"),
            ("src/domain/order.rs", "use crate::hl7::orm;", "1: the arrow domain -> hl7::orm"),
            ("src/fhir/patient.rs", "use crate::domain::person;", "1: the arrow fhir -> domain::person"),
            ("src/lab/intake.rs", "mod tests { use super::super::super::http; }", "1: the arrow lab -> http"),
            ("src/store/db.rs", "use crate::lab::*;", "1: the arrow store -> lab"),
            ("src/lib.rs", "pub use store::db::Db; pub use self::http::x;", "1: the arrow lib -> http::x"),
            ("src/jobs/outbox.rs", "use sea_orm::DbErr;", "1: the arrow jobs -> sea_orm (a crate)"),
            ("src/lab/intake.rs", "fn f(r: axum::Router) {}", "1: the arrow lab -> axum (a crate)"),
            ("src/extra.rs", "use crate::lab;", "1: the module extra has no row"),
            ("src/lab/intake.rs", "#[test]\n#[ignore = \"slow\"]", "2: an ignored test"),
            (
                "src/lab/intake.rs",
                "fn f(row: &ActiveModel) {\n dbg!(\"{row:?}\") }",
                "2: prints an `ActiveModel`",
            ),
        ];
        for (path, text, expected) in table {
            let expected = format!("{path}:{expected}");
            let found = faults(path, text);
            assert!(found.len() == 1 && found[0].starts_with(&expected), "{expected}\n{found:?}");
        }
    }

    #[test]
    fn length_has_a_limit() {
        let at_limit = "\n".repeat(LONGEST_FILE);
        assert!(faults("src/lab/intake.rs", &at_limit).is_empty());
        assert_eq!(faults("src/lab/intake.rs", &(at_limit + "\n")).len(), 1);
    }

    #[test]
    fn every_name_in_the_table_has_a_row() {
        let rows: Vec<_> = ARROWS.iter().map(|(left, _)| *left).collect();
        let right = ARROWS.iter().flat_map(|(_, right)| right.iter()).chain(FREE).chain(PURE);
        for name in right.map(|path| path.split("::").next().unwrap_or(path)) {
            assert!(rows.contains(&name), "{name}");
        }
    }
}
