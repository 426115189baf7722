//! Messages of other makers, kept beside the repository and never in it: read where they are, told by their digests.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use pms::security::{hex, sha256};

use crate::naive_hl7::{Named, messages};

/// What is known of the files that are not simply taken: digest, outcome, reason.
const OUTCOMES: &str = include_str!("corpus_outcomes.txt");
/// Folders that hold no messages.
const ASIDE: [&str; 2] = ["LICENSES", "expected-fhir"];

/// A file of messages.
pub(crate) struct CorpusFile {
    /// First folder of its path.
    pub(crate) class: String,
    /// First twelve digits of its SHA-256.
    pub(crate) digest: String,
    /// As it is, and with CR as its only line end.
    pub(crate) variants: [Vec<u8>; 2],
}

/// All of them in a fixed order, or `None` where they are not kept.
pub(crate) fn corpus() -> Option<Vec<CorpusFile>> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus");
    let folder = std::env::var_os("PMS_CORPUS_DIR").map_or(beside, PathBuf::from);
    if !folder.is_dir() {
        eprintln!("no corpus at {}: nothing is sent (PMS_CORPUS_DIR names another place)", folder.display());
        return None;
    }
    let mut files = Vec::new();
    for class in folders(&folder) {
        let mut paths = Vec::new();
        walk(&class, &mut paths);
        paths.sort();
        let name = class.file_name().unwrap().to_str().unwrap();
        files.extend(paths.iter().filter(|_| !ASIDE.contains(&name)).map(|path| file(name, path)));
    }
    Some(files)
}

fn folders(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}

fn walk(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { walk(&path, paths) } else { paths.push(path) }
    }
}

fn file(class: &str, path: &Path) -> CorpusFile {
    let bytes = fs::read(path).unwrap();
    let mut with_cr = Vec::with_capacity(bytes.len());
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'\n' if at > 0 && bytes[at - 1] == b'\r' => {}
            b'\n' => with_cr.push(b'\r'),
            other => with_cr.push(*other),
        }
    }
    let digest = hex(&sha256(&bytes))[..12].to_owned();
    CorpusFile { class: class.to_owned(), digest, variants: [bytes, with_cr] }
}

/// Some of the patients of a class of files, each once.
pub(crate) fn some_patients(files: &[CorpusFile], class: &str, count: usize) -> Vec<Named> {
    let mut found: BTreeMap<String, Named> = BTreeMap::new();
    for file in files.iter().filter(|file| file.class.starts_with(class)) {
        let named = messages(&file.variants[0]).into_iter().filter_map(|message| message.patient);
        let whole = |named: &Named| !named.given.is_empty() && !named.born.is_empty();
        found.extend(named.filter(whole).map(|named| (named.number.clone(), named)));
    }
    let step = (found.len() / count).max(1);
    found.into_values().step_by(step).take(count).collect()
}

/// Outcome and reason by digest.
pub(crate) fn known_outcomes() -> BTreeMap<&'static str, (&'static str, &'static str)> {
    let lines = OUTCOMES.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let mut columns = line.split(" | ");
            let mut column = || columns.next().unwrap_or_default().trim();
            (column(), (column(), column()))
        })
        .collect()
}
