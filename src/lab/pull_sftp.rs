//! Endpoints whose files are fetched from an SFTP server: what their settings lead to on this machine. The connection itself
//! is `jobs`' and `sftp`'s.

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io::{self, ErrorKind, Read},
    net::IpAddr,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
    time::Duration,
};

use chrono::{DateTime, Utc};
use tokio::{task::spawn_blocking, time::timeout};

use super::{LabError, endpoint_doors::SftpDoor, endpoint_profile::Habits};
use crate::{
    config::{Config, Secret, outbound_address_allowed},
    context::Ctx,
    security::random_hex,
    store::endpoints,
};

/// A file with a password or a key is small; anything larger is something else.
const MOST_SECRET: u64 = 64 * 1024;
/// How long the disk may take to show a secret.
const SHOW_WITHIN: Duration = Duration::from_secs(5);

/// An endpoint with a server to fetch from.
#[derive(Clone, Debug)]
pub struct SftpEndpoint {
    /// The endpoint.
    pub id: i64,
    /// As of when.
    pub updated_at: DateTime<Utc>,
    /// The server and how often.
    pub door: SftpDoor,
}

/// What signs in.
#[derive(Clone, Debug)]
pub enum SftpSecret {
    /// A password.
    Password(Secret),
    /// The text of a private key file.
    PrivateKey(Secret),
}

/// Endpoints that messages may come from and whose server is to be looked at.
pub async fn sftp_endpoints(ctx: &Ctx) -> Result<Vec<SftpEndpoint>, LabError> {
    let rows = endpoints::all(ctx.db.reader()).await?.into_iter();
    let pulled = rows.filter(endpoints::sends).filter_map(|row| {
        let door = Habits::read(&row.profile).ok()?.sftp?;
        Some(SftpEndpoint { id: row.id, updated_at: row.updated_at, door })
    });
    Ok(pulled.collect())
}

/// Reads the secret of an endpoint. Errors: why it cannot be used, in words.
pub async fn secret(config: &Config, door: &SftpDoor) -> Result<SftpSecret, &'static str> {
    let directory = config.secrets_dir.clone();
    let (path, is_key) = door.secret_file();
    let path = path.to_owned();
    let text = match timeout(SHOW_WITHIN, spawn_blocking(move || read_secret(&directory, &path))).await {
        Ok(Ok(text)) => text?,
        _ => return Err("SECRETS_DIR does not answer"),
    };
    Ok(if is_key {
        SftpSecret::PrivateKey(Secret::new(text))
    } else {
        // Editors end a file with a line end; no password does.
        SftpSecret::Password(Secret::new(text.trim_end_matches(['\r', '\n'])))
    })
}

/// Whoever sets up an endpoint must not have any file of this machine sent to a server of theirs, the keys of this service
/// least of all.
fn read_secret(directory: &Path, path: &Path) -> Result<String, &'static str> {
    const ABSENT: &str =
        "the password or key file is not there or cannot be read; it must lie below SECRETS_DIR";
    let directory = directory.canonicalize().map_err(|_| ABSENT)?;
    let path = directory.join(path).canonicalize().map_err(|_| ABSENT)?;
    if !path.starts_with(&directory) || !path.is_file() {
        return Err(ABSENT);
    }
    let mut text = String::new();
    let file = File::open(path).map_err(|_| ABSENT)?;
    file.take(MOST_SECRET).read_to_string(&mut text).map_err(|_| ABSENT)?;
    if text.trim().is_empty() { Err("the password or key file is empty") } else { Ok(text) }
}

/// What in the settings cannot be used on this machine.
pub(super) async fn check_sftp(config: &Config, door: &SftpDoor) -> Result<(), &'static str> {
    // A host name is looked up, and its addresses checked, each time we connect.
    let literal = door.host.parse::<IpAddr>().ok();
    if literal.is_some_and(|address| !outbound_address_allowed(address, &config.outbound_allowed_networks)) {
        return Err("sftp.host is out of bounds; OUTBOUND_ALLOWED_NETWORKS can open it");
    }
    secret(config, door).await.map(|_| ())
}

/// A place for one fetched file. It has no name, so that nothing of it is left whatever ends the process.
pub async fn spool(config: &Config) -> io::Result<File> {
    let directory = config.data_dir.join("spool");
    let made = spawn_blocking(move || make_spool(&directory)).await;
    made.map_err(|_| io::Error::other("the work on DATA_DIR ended early"))?
}

fn make_spool(directory: &Path) -> io::Result<File> {
    match DirBuilder::new().mode(0o700).create(directory) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let path = directory.join(random_hex::<16>().map_err(io::Error::other)?);
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
    std::fs::remove_file(path)?;
    Ok(file)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    #[test]
    fn secrets_are_read_below_their_directory_only() {
        let home = tempfile::tempdir().unwrap();
        let secrets = home.path().join("secrets");
        fs::create_dir(&secrets).unwrap();
        fs::write(home.path().join("jwt-secret"), "ours").unwrap();
        fs::write(secrets.join("city"), "let me in\n").unwrap();
        fs::write(secrets.join("empty"), "\n").unwrap();
        symlink(home.path().join("jwt-secret"), secrets.join("out")).unwrap();
        symlink(secrets.join("city"), secrets.join("within")).unwrap();
        let read = |path: &str| read_secret(&secrets, Path::new(path));
        let absolute = secrets.join("city");
        for path in ["city", "within", absolute.to_str().unwrap()] {
            assert_eq!(read(path).unwrap(), "let me in\n", "{path}");
        }
        let outside = home.path().join("jwt-secret");
        for path in ["../jwt-secret", "out", "missing", ".", "", outside.to_str().unwrap()] {
            assert!(read(path).unwrap_err().contains("SECRETS_DIR"), "{path}");
        }
        assert!(read("empty").unwrap_err().contains("empty"));
        assert!(read_secret(&home.path().join("gone"), Path::new("city")).is_err());
    }

    #[test]
    fn a_spool_leaves_nothing() {
        let home = tempfile::tempdir().unwrap();
        let spool = home.path().join("spool");
        let file = make_spool(&spool).unwrap();
        file.set_len(10).unwrap();
        assert_eq!(fs::read_dir(&spool).unwrap().count(), 0);
        assert!(make_spool(&spool).is_ok());
    }
}
