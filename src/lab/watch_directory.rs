//! The door for files: a directory of an endpoint is looked at again and again. Promise: a file is taken once it rests, by one
//! process; it ends in `done/` or `error/` with its acknowledgments beside it, after everything in it is committed; it is
//! never lost, whatever ends the process and whenever, and doing it twice changes nothing.
//!
//! The database is no part of what makes a file ours: a rename and a lock are (see [`inbox`]).

mod inbox;

use std::{
    collections::HashMap,
    io::{self, ErrorKind},
    path::PathBuf,
    time::Duration,
};

use chrono::{DateTime, Utc};
use tokio::{task::spawn_blocking, time::timeout};
use tokio_util::sync::CancellationToken;

use super::{
    LabError,
    door_state::Telling,
    endpoint_doors::{DIRECTORY_GONE, DirectoryDoor, resolve},
    endpoint_profile::Habits,
    reception::Reception,
    take_file::{Ended, FileTrouble, take_file},
};
use crate::{
    context::Ctx,
    domain::{
        ids::EndpointId,
        watched::{Pattern, Stamp, by_age, is_whole},
    },
    store::endpoints,
};
use inbox::{Claim, Folder, Inbox, Spot};

/// How long a directory that is to be watched may take to show itself.
const SHOW_WITHIN: Duration = Duration::from_secs(5);
/// State of an endpoint whose directory cannot be used.
const UNUSABLE: &str = "directory_unusable";

/// An endpoint with a directory.
#[derive(Clone, Debug)]
pub struct WatchedEndpoint {
    /// The endpoint.
    pub id: i64,
    /// As of when.
    pub updated_at: DateTime<Utc>,
    /// Where and how often.
    pub door: DirectoryDoor,
}

/// Endpoints that messages may come from and whose directory is to be looked at.
pub async fn watched_endpoints(ctx: &Ctx) -> Result<Vec<WatchedEndpoint>, LabError> {
    let rows = endpoints::all(ctx.db.reader()).await?.into_iter();
    let watched = rows.filter(endpoints::sends).filter_map(|row| {
        let door = Habits::read(&row.profile).ok()?.directory?;
        Some(WatchedEndpoint { id: row.id, updated_at: row.updated_at, door })
    });
    Ok(watched.collect())
}

/// What is remembered from one look to the next.
pub struct Watch {
    endpoint: i64,
    door: DirectoryDoor,
    seen: HashMap<Spot, Stamp>,
    telling: Telling,
}

/// How one file ended, for the one who looks.
enum Next {
    /// On to the next.
    Go,
    /// The intake takes nothing now.
    Wait,
}

impl Watch {
    /// Over the directory of an endpoint.
    pub fn new(endpoint: WatchedEndpoint) -> Self {
        let telling = Telling::new(endpoint.id, UNUSABLE);
        Self { endpoint: endpoint.id, door: endpoint.door, seen: HashMap::new(), telling }
    }

    /// Time between two looks.
    pub fn pause(&self) -> Duration {
        Duration::from_secs(self.door.poll_seconds)
    }

    /// One look: takes what rests since the look before. What stands in the way is shown to the operator.
    pub async fn look(&mut self, reception: &Reception, stop: &CancellationToken) {
        let trouble = match self.take_all(reception, stop).await {
            Ok(trouble) => trouble,
            Err(FileTrouble::Io(error)) => Some(words(&error)),
            Err(FileTrouble::Lab(error)) => {
                tracing::warn!(endpoint = self.endpoint, class = error.class(), "files wait for the intake");
                return;
            }
        };
        self.telling.tell(&reception.ctx, trouble).await;
    }

    /// What stood in the way of single files comes back in words; the others were taken all the same.
    async fn take_all(
        &mut self,
        reception: &Reception,
        stop: &CancellationToken,
    ) -> Result<Option<String>, FileTrouble> {
        let pattern = Pattern::parse(&self.door.pattern).map_err(io::Error::other)?;
        let (path, root) = (self.door.path.clone(), reception.ctx.config.file_intake_root.clone());
        let (inbox, mut found) = blocking(move || {
            let path = resolve(&path, root.as_deref()).map_err(io::Error::other)?;
            let inbox = Inbox::open(path)?;
            let found = inbox.list(&pattern)?;
            Ok((inbox, found))
        })
        .await?;
        found.sort_by(by_age);
        let before = std::mem::replace(&mut self.seen, found.iter().cloned().collect());
        let mut trouble = None;
        for (spot, stamp) in found {
            if !is_whole(before.get(&spot), &stamp) {
                continue;
            }
            if stop.is_cancelled() {
                break;
            }
            match self.take(reception, stop, &inbox, spot, stamp).await {
                Ok(Next::Go) => {}
                Ok(Next::Wait) => break,
                Err(FileTrouble::Io(error)) => trouble = Some(words(&error)),
                Err(error) => return Err(error),
            }
        }
        Ok(trouble)
    }

    /// Takes one file.
    async fn take(
        &mut self,
        reception: &Reception,
        stop: &CancellationToken,
        inbox: &Inbox,
        spot: Spot,
        stamp: Stamp,
    ) -> Result<Next, FileTrouble> {
        let Some(claim) = self.own(inbox, spot, stamp).await? else { return Ok(Next::Go) };
        let (file, answer) = (claim.file.try_clone()?, claim.answer());
        let ended = take_file(reception, EndpointId::new(self.endpoint), file, Some(answer), stop).await?;
        let folder = match ended {
            Ended::Accepted => Folder::Done,
            Ended::Refused => Folder::Error,
            Ended::NotNow => return Ok(Next::Wait),
            Ended::Changing => return Ok(Next::Go),
        };
        if claim.stamp()? != stamp {
            tracing::warn!(
                endpoint = self.endpoint,
                "a file was written to while it was taken; it is taken again"
            );
            return Ok(Next::Go);
        }
        let inbox = inbox.clone();
        blocking(move || inbox.settle(&claim, folder)).await?;
        let outcome = if ended == Ended::Accepted { "done" } else { "error" };
        metrics::counter!("pms_files_total", "outcome" => outcome).increment(1);
        // Without its name, which may be a patient's.
        tracing::info!(endpoint = self.endpoint, bytes = stamp.size, outcome, "a file was taken");
        Ok(Next::Go)
    }

    /// Makes a file ours. None: it is another's, or it changed at the last moment and has to rest again.
    async fn own(&mut self, inbox: &Inbox, spot: Spot, stamp: Stamp) -> Result<Option<Claim>, FileTrouble> {
        let disk = inbox.clone();
        let claim = blocking(move || {
            let name = if spot.claimed { Some(spot.name) } else { disk.claim(&spot.name)? };
            let claim = name.map(|name| disk.lock(&name)).transpose()?.flatten();
            claim.map(|claim| Ok((claim.stamp()?, claim))).transpose()
        })
        .await?;
        let Some((now, claim)) = claim else { return Ok(None) };
        self.seen.insert(Spot { claimed: true, name: claim.name.clone() }, now);
        Ok((now == stamp).then_some(claim))
    }
}

/// In words for the operator, without any name.
fn words(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::PermissionDenied => "not allowed to read, write or rename in the directory".to_owned(),
        ErrorKind::NotADirectory => "done, error or .work in it is not a directory".to_owned(),
        ErrorKind::InvalidFilename => "a file name is too long".to_owned(),
        // A file that is gone is somebody else's; what else is missing went with the directory, between two steps of a look.
        ErrorKind::NotFound => DIRECTORY_GONE.to_owned(),
        ErrorKind::Unsupported => "the file system has no locks".to_owned(),
        ErrorKind::CrossesDevices => {
            "done, error and .work must be on the file system of the directory".to_owned()
        }
        ErrorKind::Other => error.to_string(),
        kind => format!("files cannot be taken: {kind}"),
    }
}

/// Disks can be slow, and network file systems hang: neither may hold up what else this process does.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    spawn_blocking(work).await.map_err(|_| io::Error::other("the work on the directory ended early"))?
}

/// The directory that an endpoint's settings name, checked against the disk and against those of others, because a file
/// belongs to one laboratory. Errors: why it cannot be used, in words.
pub(super) async fn check_directory(
    ctx: &Ctx,
    path: PathBuf,
    others: Vec<PathBuf>,
) -> Result<(), &'static str> {
    let root = ctx.config.file_intake_root.clone();
    let check = move || {
        let ours = resolve(&path, root.as_deref())?;
        let theirs = others.iter().filter_map(|other| resolve(other, root.as_deref()).ok());
        for their in theirs {
            if ours.starts_with(&their) || their.starts_with(&ours) {
                return Err("the directory is another endpoint's, or one lies in the other");
            }
        }
        Ok(())
    };
    match timeout(SHOW_WITHIN, spawn_blocking(check)).await {
        Ok(Ok(checked)) => checked,
        _ => Err("the directory does not answer"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_goes_away_in_a_look_is_told_of_as_one_that_was_gone_before() {
        assert_eq!(words(&ErrorKind::NotFound.into()), DIRECTORY_GONE);
        assert_eq!(words(&ErrorKind::TimedOut.into()), "files cannot be taken: timed out");
    }
}
