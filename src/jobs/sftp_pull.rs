//! One loop for each server that files are fetched from. The loop takes no input: it looks what is there, takes what rests,
//! and deals with it only after everything in it is committed, so a restart and a second instance take the same path.

use std::{collections::HashMap, time::Duration};

use tokio::time::{sleep, timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::loops::Loops;
use crate::{
    context::Ctx,
    domain::{
        ids::EndpointId,
        watched::{Pattern, Stamp, by_age, claim_name, is_whole},
    },
    lab::{
        LabError, deliver,
        door_state::Telling,
        endpoint_doors::{After, SftpDoor},
        pull_sftp::{SftpEndpoint, SftpSecret, secret, sftp_endpoints, spool},
        reception::{Reception, ReceptionWatch},
        take_file::{Ended, FileTrouble, take_file},
    },
    security::random_hex,
    sftp::{Login, Server, Session, SftpFault},
};

/// How often to look without being woken: another process may have changed an endpoint.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often the lease is renewed while a file is under way.
const RENEW_EVERY: Duration = Duration::from_secs(10);
/// Longest file that is fetched. A server must not be able to fill the disk that the database may lie on.
const MOST: u64 = 1 << 30;
/// State of an endpoint whose server cannot be used.
const UNUSABLE: &str = "sftp_unusable";

/// Runs until told to stop; then waits for what is under way, which ends early.
pub async fn run(
    ctx: Ctx,
    reception: ReceptionWatch,
    owner: String,
    tracker: TaskTracker,
    stop: CancellationToken,
) -> Result<(), LabError> {
    let mut loops = Loops::new(tracker);
    let mut hints = ctx.hints.endpoints.listen();
    while !stop.is_cancelled() {
        hints.mark_unchanged();
        match sftp_endpoints(&ctx).await {
            Ok(endpoints) => {
                let pull =
                    |row, stop| Pull::new(ctx.clone(), owner.clone(), row).run(reception.clone(), stop);
                loops.follow(endpoints, |row| (row.id, row.updated_at), pull).await;
            }
            Err(error) => tracing::warn!(%error, "SFTP servers cannot be looked up"),
        }
        stop.run_until_cancelled(timeout(LOOK_EVERY, hints.changed())).await;
    }
    loops.finish().await;
    Ok(())
}

/// What is remembered of one server from one look to the next.
struct Pull {
    ctx: Ctx,
    owner: String,
    endpoint: i64,
    door: SftpDoor,
    seen: HashMap<String, Stamp>,
    /// Files that were taken and are still there.
    taken: HashMap<String, (Stamp, Ended)>,
    telling: Telling,
}

/// Why a look ended early.
enum Trouble {
    /// The operator has to do something; in words.
    Operator(String),
    /// The database or the intake is away, which is told of elsewhere.
    Intake(LabError),
}

impl From<SftpFault> for Trouble {
    fn from(SftpFault(words): SftpFault) -> Self {
        Self::Operator(words)
    }
}

impl From<&str> for Trouble {
    fn from(words: &str) -> Self {
        Self::Operator(words.to_owned())
    }
}

impl From<LabError> for Trouble {
    fn from(error: LabError) -> Self {
        Self::Intake(error)
    }
}

impl Pull {
    fn new(ctx: Ctx, owner: String, endpoint: SftpEndpoint) -> Self {
        let telling = Telling::new(endpoint.id, UNUSABLE);
        let (seen, taken) = (HashMap::new(), HashMap::new());
        Self { ctx, owner, endpoint: endpoint.id, door: endpoint.door, seen, taken, telling }
    }

    async fn run(mut self, reception: ReceptionWatch, stop: CancellationToken) {
        while !stop.is_cancelled() {
            // Held only for a look: the intake ends when nobody holds it.
            if let Some(reception) = reception.open() {
                self.look(&reception, &stop).await;
            }
            let pause = Duration::from_secs(self.door.poll_seconds);
            stop.run_until_cancelled(self.ctx.clock.sleep(pause)).await;
        }
    }

    /// One look. Where another process looks, there is nothing to tell.
    async fn look(&mut self, reception: &Reception, stop: &CancellationToken) {
        let trouble = match self.pull(reception, stop).await {
            Ok(true) => None,
            Ok(false) => return,
            Err(Trouble::Operator(words)) => Some(words),
            Err(Trouble::Intake(error)) => {
                tracing::warn!(endpoint = self.endpoint, class = error.class(), "files wait for the intake");
                return;
            }
        };
        let ctx = self.ctx.clone();
        self.telling.tell(&ctx, trouble).await;
    }

    /// Whether it was ours to look. Many servers allow one session only, so one process holds the endpoint's lease.
    async fn pull(&mut self, reception: &Reception, stop: &CancellationToken) -> Result<bool, Trouble> {
        if !self.lease().await? {
            return Ok(false);
        }
        let server = self.server().await?;
        let opened = Session::open(&server, &self.ctx.config.outbound_allowed_networks);
        // Nothing was taken yet, so a stop may cut this short.
        let Some(opened) = stop.run_until_cancelled(opened).await else { return Ok(false) };
        let session = opened?;
        let pulled = self.pull_over(&session, reception, stop).await;
        session.close().await;
        pulled.map(|()| true)
    }

    async fn pull_over(
        &mut self,
        session: &Session,
        reception: &Reception,
        stop: &CancellationToken,
    ) -> Result<(), Trouble> {
        let pattern = Pattern::parse(&self.door.pattern)?;
        let mut found = session.list(&self.door.remote_path).await?;
        found.retain(|(name, _)| pattern.matches(name));
        found.sort_by(by_age);
        let before = std::mem::replace(&mut self.seen, found.iter().cloned().collect());
        self.taken.retain(|name, (stamp, _)| self.seen.get(name) == Some(stamp));
        let mut trouble = None;
        for (name, stamp) in found {
            if stop.is_cancelled() {
                break;
            }
            if !is_whole(before.get(&name), &stamp) || self.is_over(&name) {
                continue;
            }
            match self.take(session, reception, stop, &name, stamp).await {
                Ok(true) => {}
                Ok(false) => break,
                // One file that cannot be fetched must not hold up the others.
                Err(Trouble::Operator(words)) => {
                    trouble = Some(words);
                    if session.is_closed() {
                        break;
                    }
                }
                Err(other) => return Err(other),
            }
        }
        trouble.map_or(Ok(()), |words| Err(Trouble::Operator(words)))
    }

    /// Whether there is nothing more to do about a file. What was refused is never deleted: nobody else has it.
    fn is_over(&self, name: &str) -> bool {
        match self.taken.get(name) {
            Some((_, ended)) => match self.door.after {
                After::Leave => true,
                After::Move => false,
                After::Delete => *ended != Ended::Accepted,
            },
            None => false,
        }
    }

    /// Takes one file, and deals with it. False: nothing more can be taken now.
    async fn take(
        &mut self,
        session: &Session,
        reception: &Reception,
        stop: &CancellationToken,
        name: &str,
        stamp: Stamp,
    ) -> Result<bool, Trouble> {
        if !self.taken.contains_key(name) {
            if !self.lease().await? {
                return Ok(false);
            }
            let work = Box::pin(self.hand_in(session, reception, stop, name, stamp));
            let ended = self.holding(work).await?;
            match ended {
                Ended::Accepted | Ended::Refused => {}
                Ended::NotNow => return Ok(false),
                Ended::Changing => return Ok(true),
            }
            self.taken.insert(name.to_owned(), (stamp, ended));
            let outcome = if ended == Ended::Accepted { "done" } else { "error" };
            metrics::counter!("pms_files_total", "outcome" => outcome).increment(1);
            // Without its name, which may be a patient's.
            tracing::info!(
                endpoint = self.endpoint,
                bytes = stamp.size,
                outcome,
                "a file was fetched and taken"
            );
        }
        if !self.is_over(name) {
            self.put_away(session, name, stamp).await?;
        }
        Ok(true)
    }

    /// Fetches a file and hands it in.
    async fn hand_in(
        &self,
        session: &Session,
        reception: &Reception,
        stop: &CancellationToken,
        name: &str,
        stamp: Stamp,
    ) -> Result<Ended, Trouble> {
        if stamp.size > MOST {
            return Err("a file is longer than 1 GiB; it is not fetched".into());
        }
        let path = join(&self.door.remote_path, name);
        let local = spool(&self.ctx.config).await.map_err(|_| "DATA_DIR cannot take a file")?;
        let copy = local.try_clone().map_err(|_| "DATA_DIR cannot take a file")?;
        let mut copy = tokio::fs::File::from_std(copy);
        let fetch = session.fetch(&path, &mut copy, stamp.size);
        let Some(fetched) = stop.run_until_cancelled(fetch).await else { return Ok(Ended::NotNow) };
        if fetched? != stamp.size || session.stamp(&path).await? != Some(stamp) {
            return Ok(Ended::Changing);
        }
        match take_file(reception, EndpointId::new(self.endpoint), local, None, stop).await {
            Ok(ended) => Ok(ended),
            Err(FileTrouble::Io(_)) => Err("DATA_DIR cannot take a file".into()),
            Err(FileTrouble::Lab(error)) => Err(error.into()),
        }
    }

    /// Moves or removes a file that was taken, if it still is that file and the server still ours.
    async fn put_away(&mut self, session: &Session, name: &str, stamp: Stamp) -> Result<(), Trouble> {
        let path = join(&self.door.remote_path, name);
        if !self.lease().await? || session.stamp(&path).await? != Some(stamp) {
            return Ok(());
        }
        match &self.door.move_to {
            Some(directory) => {
                let token = random_hex::<8>().map_err(LabError::from)?;
                let other = claim_name(name.as_bytes(), &token).and_then(|name| String::from_utf8(name).ok());
                let to = join(directory, name);
                if !session.rename(&path, &to).await? {
                    let other = join(directory, &other.ok_or("a file name is too long")?);
                    session.rename(&path, &other).await?;
                }
            }
            None => session.remove(&path).await?,
        }
        self.taken.remove(name);
        Ok(())
    }

    /// Takes or renews the lease.
    async fn lease(&self) -> Result<bool, LabError> {
        deliver::lease(&self.ctx, self.endpoint, &self.owner).await
    }

    /// Keeps the lease while something long goes on. Should it be lost all the same, the other process takes the same file,
    /// and the intake knows its messages.
    async fn holding<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return done,
                () = sleep(RENEW_EVERY) => drop(self.lease().await),
            }
        }
    }

    async fn server(&self) -> Result<Server, &'static str> {
        let door = &self.door;
        let login = match secret(&self.ctx.config, door).await? {
            SftpSecret::Password(password) => Login::Password(password),
            SftpSecret::PrivateKey(key) => Login::PrivateKey(key),
        };
        Ok(Server {
            host: door.host.clone(),
            port: door.port,
            username: door.username.clone(),
            login,
            host_key: door.host_key().ok_or("the pinned host key cannot be read")?,
        })
    }
}

/// A path on the server.
fn join(directory: &str, name: &str) -> String {
    if directory.ends_with('/') { format!("{directory}{name}") } else { format!("{directory}/{name}") }
}
