//! A watched directory on disk: what waits in it, and how a file is made ours.
//!
//! `<name>` becomes `.work/<name>~<token>` by a rename, which one process alone can win. It is worked on under a lock that
//! ends with the process, so a claim without one is a dead process's, and whoever locks it next goes on with it.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, DirBuilder, File, Metadata, OpenOptions, TryLockError},
    io::{self, ErrorKind},
    os::unix::{
        ffi::{OsStrExt, OsStringExt},
        fs::{DirBuilderExt, MetadataExt},
    },
    path::{Path, PathBuf},
};

use crate::{
    domain::watched::{ACK_ENDING, Pattern, Stamp, claim_name, claimed_name},
    security::random_hex,
};

const WORK: &str = ".work";

/// Where a file ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Folder {
    /// Everything in it was taken.
    Done,
    /// Something was refused, or it holds no message.
    Error,
}

impl Folder {
    fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Error => "error",
        }
    }
}

/// A file that waits, or a claim that may have been left.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Spot {
    pub(super) claimed: bool,
    pub(super) name: OsString,
}

/// The directory.
#[derive(Clone)]
pub(super) struct Inbox {
    path: PathBuf,
}

/// A file that is ours as long as this value lives.
pub(super) struct Claim {
    pub(super) file: File,
    pub(super) name: OsString,
    path: PathBuf,
}

impl Inbox {
    /// Opens a directory, and makes the ones in it that are missing. What is worked on is nobody else's business.
    pub(super) fn open(path: PathBuf) -> io::Result<Self> {
        for (name, mode) in [(WORK, 0o700), (Folder::Done.name(), 0o777), (Folder::Error.name(), 0o777)] {
            let inner = path.join(name);
            match DirBuilder::new().mode(mode).create(&inner) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
            // A link would lead out of the directory.
            if !fs::symlink_metadata(&inner)?.is_dir() {
                return Err(ErrorKind::NotADirectory.into());
            }
        }
        Ok(Self { path })
    }

    /// The files that are meant, and the claims.
    pub(super) fn list(&self, pattern: &Pattern) -> io::Result<Vec<(Spot, Stamp)>> {
        let mut found = Vec::new();
        files(&self.path, |name| pattern.matches(&name.to_string_lossy()), false, &mut found)?;
        files(&self.path.join(WORK), |name| claimed_name(name.as_bytes()).is_some(), true, &mut found)?;
        Ok(found)
    }

    /// Makes a waiting file ours. None: it is gone, another process was faster.
    pub(super) fn claim(&self, name: &OsStr) -> io::Result<Option<OsString>> {
        let token = random_hex::<8>().map_err(io::Error::other)?;
        let claim = claim_name(name.as_bytes(), &token).ok_or(ErrorKind::InvalidFilename)?;
        let claim = OsString::from_vec(claim);
        match fs::rename(self.path.join(name), self.path.join(WORK).join(&claim)) {
            Ok(()) => Ok(Some(claim)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Locks a claim. None: somebody works on it, or has finished it meanwhile.
    pub(super) fn lock(&self, claim: &OsStr) -> io::Result<Option<Claim>> {
        let path = self.path.join(WORK).join(claim);
        // Anything but a file may block who opens it, or lead elsewhere.
        if !regular(&path)?.is_some_and(|there| there.is_file()) {
            return Ok(None);
        }
        let Some(file) = open(&path)? else { return Ok(None) };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        // The one who held the lock may have moved the file away since we opened it.
        let ours = stamp(&file.metadata()?).inode;
        let still_there = regular(&path)?.is_some_and(|there| there.is_file() && there.ino() == ours);
        Ok(still_there.then(|| Claim { file, name: claim.to_owned(), path }))
    }

    /// Moves a claim where it ends, with its acknowledgments beside it. Nothing that is there is overwritten: where the name
    /// is taken, the file goes by the name of its claim. It may be done again after a crash at any point.
    pub(super) fn settle(&self, claim: &Claim, folder: Folder) -> io::Result<()> {
        let _turn = self.turn()?;
        let folder = self.path.join(folder.name());
        let draft = claim.answer();
        let answered = regular(&draft)?.is_some();
        let first = claimed_name(claim.name.as_bytes()).unwrap_or(claim.name.as_bytes());
        for name in [first, claim.name.as_bytes()] {
            let (file, ack) = (folder.join(OsStr::from_bytes(name)), folder.join(with_ack(name)));
            if is_taken(&file)? || answered && !put_answer(&draft, &ack)? {
                continue;
            }
            if put(&claim.path, &file)? {
                return Ok(());
            }
        }
        Err(ErrorKind::AlreadyExists.into())
    }

    /// One process at a time puts files to their end, so that a name found free stays so.
    fn turn(&self) -> io::Result<File> {
        let options = OpenOptions::new().write(true).create(true).truncate(false).to_owned();
        let lock = options.open(self.path.join(WORK).join("lock"))?;
        lock.lock()?;
        Ok(lock)
    }
}

impl Claim {
    /// Where its acknowledgments are written until it is settled.
    pub(super) fn answer(&self) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(ACK_ENDING);
        name.into()
    }

    /// How the file is now.
    pub(super) fn stamp(&self) -> io::Result<Stamp> {
        Ok(stamp(&self.file.metadata()?))
    }
}

fn with_ack(name: &[u8]) -> OsString {
    OsString::from_vec([name, ACK_ENDING.as_bytes()].concat())
}

fn files(
    directory: &Path,
    meant: impl Fn(&OsStr) -> bool,
    claimed: bool,
    found: &mut Vec<(Spot, Stamp)>,
) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if !meant(&name) {
            continue;
        }
        // Not through a link: whoever may put files here must not choose what we read.
        match regular(&entry.path())? {
            Some(metadata) if metadata.is_file() => found.push((Spot { claimed, name }, stamp(&metadata))),
            _ => {}
        }
    }
    Ok(())
}

/// What stands at a path itself, if anything.
fn regular(path: &Path) -> io::Result<Option<Metadata>> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Network file systems lock only what is open for writing, and a file of somebody else may be open to us for reading only.
fn open(path: &Path) -> io::Result<Option<File>> {
    let opened = match OpenOptions::new().read(true).write(true).open(path) {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => File::open(path),
        opened => opened,
    };
    match opened {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn stamp(metadata: &Metadata) -> Stamp {
    let modified = i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec());
    Stamp { modified, size: metadata.size(), inode: metadata.ino() }
}

/// Whether a name is in use. An empty file is a place that a process held when it died, or nothing worth keeping.
fn is_taken(path: &Path) -> io::Result<bool> {
    Ok(regular(path)?.is_some_and(|there| !there.is_file() || there.len() > 0))
}

/// Moves a file to a free name. False: the name is not free. The place is made first, because a move alone would overwrite
/// what somebody puts there meanwhile.
fn put(from: &Path, to: &Path) -> io::Result<bool> {
    match OpenOptions::new().write(true).create_new(true).open(to) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
        Err(_) if is_taken(to)? => return Ok(false),
        Ok(_) | Err(_) => {}
    }
    fs::rename(from, to).map(|()| true)
}

/// Puts the acknowledgments beside a file. The same ones that are there already are ours, from before a crash.
fn put_answer(draft: &Path, to: &Path) -> io::Result<bool> {
    if put(draft, to)? {
        return Ok(true);
    }
    let same = regular(to)?.is_some_and(|there| there.is_file()) && same_content(draft, to)?;
    if same {
        fs::remove_file(draft)?;
    }
    Ok(same)
}

fn same_content(left: &Path, right: &Path) -> io::Result<bool> {
    let (left, right) = (File::open(left)?, File::open(right)?);
    if left.metadata()?.len() != right.metadata()?.len() {
        return Ok(false);
    }
    let (mut left, mut right) = (io::BufReader::new(left), io::BufReader::new(right));
    loop {
        let (a, b) = (io::BufRead::fill_buf(&mut left)?, io::BufRead::fill_buf(&mut right)?);
        let count = a.len().min(b.len());
        if a[..count] != b[..count] {
            return Ok(false);
        }
        if count == 0 {
            return Ok(a.is_empty() && b.is_empty());
        }
        io::BufRead::consume(&mut left, count);
        io::BufRead::consume(&mut right, count);
    }
}
