//! Files that hold secrets: readable by their owner alone, written whole or not at all.

use std::{
    fs,
    io::{ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use super::SecurityError;

fn fault(path: &Path, what: &str) -> SecurityError {
    SecurityError::KeyFile(format!("{}: {what}", path.display()))
}

/// Reads the file, or makes it with `content` when it is not there. Two processes that start at once agree on one
/// content: the file appears under its name in one step, and the second finds the first's.
pub(crate) fn read_or_create(
    path: &Path,
    content: impl FnOnce() -> Result<String, SecurityError>,
) -> Result<Vec<u8>, SecurityError> {
    match fs::read(path) {
        Ok(bytes) => return Ok(bytes),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(_) => return Err(fault(path, "cannot be read")),
    }
    let unique = super::random_hex::<8>()?;
    let draft = path.with_extension(unique);
    write_private(&draft, &content()?).map_err(|_| fault(path, "cannot be written"))?;
    let linked = fs::hard_link(&draft, path);
    let _ = fs::remove_file(&draft);
    match linked {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(_) => return Err(fault(path, "cannot be written")),
    }
    fs::read(path).map_err(|_| fault(path, "cannot be read"))
}

fn write_private(path: &Path, content: &str) -> std::io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(content.as_bytes())?;
    file.sync_all()
}
