//! Where an endpoint's files come from, besides the doors that are open to all.

mod sftp;

use std::path::{Component, Path, PathBuf};

use serde::Deserialize;

pub use sftp::{After, SftpDoor};

use crate::domain::watched::Pattern;

/// What is said of a directory that went away, whenever that is noticed.
pub(super) const DIRECTORY_GONE: &str = "the directory is not there or cannot be read";

/// Longest pause between two looks, in seconds: a day.
const LONGEST_POLL: u64 = 86_400;

/// The `directory` of a profile.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DirectoryDoor {
    /// Where files appear: absolute, below FILE_INTAKE_ROOT.
    pub path: PathBuf,
    /// Which files are meant.
    #[serde(default = "any_hl7")]
    pub pattern: String,
    /// Seconds between two looks.
    #[serde(default = "ten_seconds")]
    pub poll_seconds: u64,
}

fn any_hl7() -> String {
    "*.hl7".to_owned()
}

fn ten_seconds() -> u64 {
    10
}

impl DirectoryDoor {
    /// What in it cannot be used, as far as the text shows.
    pub fn check(&self) -> Result<(), &'static str> {
        let whole = |part: Component<'_>| matches!(part, Component::RootDir | Component::Normal(_));
        if !self.path.is_absolute() || !self.path.components().all(whole) {
            return Err("directory.path must be absolute and without `..`");
        }
        Pattern::parse(&self.pattern)?;
        if !(1..=LONGEST_POLL).contains(&self.poll_seconds) {
            return Err("directory.poll_seconds must be between 1 and 86400");
        }
        Ok(())
    }
}

/// Where a watched directory really is: symbolic links are followed first, so that none leads out of `root`. What lies
/// outside is not looked at, and the answer is the same whether it is there or not. Errors: why it must not or cannot be
/// used, in words for the operator.
pub fn resolve(path: &Path, root: Option<&Path>) -> Result<PathBuf, &'static str> {
    const OUTSIDE: &str = "the directory must lie below FILE_INTAKE_ROOT";
    let Some(root) = root else {
        return Err("directories are watched below FILE_INTAKE_ROOT only, and it is not set");
    };
    let real_root = root.canonicalize().map_err(|_| "FILE_INTAKE_ROOT is not there or cannot be read")?;
    if !path.starts_with(root) && !path.starts_with(&real_root) {
        return Err(OUTSIDE);
    }
    let real = path.canonicalize().map_err(|_| DIRECTORY_GONE)?;
    if !real.starts_with(&real_root) || real == real_root {
        return Err(OUTSIDE);
    }
    if real.is_dir() { Ok(real) } else { Err("the path is not a directory") }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    fn door(path: &str) -> DirectoryDoor {
        DirectoryDoor { path: path.into(), pattern: any_hl7(), poll_seconds: 10 }
    }

    #[test]
    fn the_text_is_checked() {
        assert_eq!(door("/in/city").check(), Ok(()));
        for path in ["in/city", "", "/in/../etc", "./in"] {
            assert!(door(path).check().is_err(), "{path}");
        }
        for poll_seconds in [0, 86_401] {
            assert!(DirectoryDoor { poll_seconds, ..door("/in") }.check().is_err());
        }
        assert!(DirectoryDoor { pattern: "a/*".into(), ..door("/in") }.check().is_err());
    }

    #[test]
    fn nothing_leads_out_of_the_root() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path();
        for name in ["root/city", "root-of-others", "elsewhere"] {
            fs::create_dir_all(home.join(name)).unwrap();
        }
        fs::write(home.join("root/file"), "").unwrap();
        symlink(home.join("elsewhere"), home.join("root/out")).unwrap();
        symlink(home.join("root/city"), home.join("root/within")).unwrap();
        symlink(home.join("root"), home.join("alias")).unwrap();
        let root = home.join("root");
        let city = root.join("city").canonicalize().unwrap();
        let find = |path: &str| resolve(&home.join(path), Some(&root));
        assert_eq!(find("root/city"), Ok(city.clone()));
        assert_eq!(find("root/within"), Ok(city.clone()));
        assert_eq!(resolve(&home.join("alias/city"), Some(&home.join("alias"))), Ok(city.clone()));
        for path in ["root", "elsewhere", "root-of-others", "root/out", "nowhere", "alias/city"] {
            assert_eq!(find(path), Err("the directory must lie below FILE_INTAKE_ROOT"), "{path}");
        }
        assert!(find("root/missing").unwrap_err().contains("not there"));
        assert!(find("root/file").unwrap_err().contains("not a directory"));
        assert!(resolve(&city, None).unwrap_err().contains("not set"));
        assert!(resolve(&city, Some(&home.join("gone"))).unwrap_err().contains("FILE_INTAKE_ROOT"));
    }
}
