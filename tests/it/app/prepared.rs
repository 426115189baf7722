//! What every test begins with: the schema, what a new installation has, and an account for each role. It is made once for
//! each kind of database and copied, because to make it takes longer than most tests.

use std::{fs, path::Path};

use pms::{clock::FakeClock, config::Secret, domain::access::Role, lab::seed::add_user};
use tokio::sync::OnceCell;

use super::{base_settings, context, start_of_time};

/// Roles that have an account, named like the role.
const ROLES: [Role; 5] =
    [Role::Clinician, Role::LabManager, Role::InterfaceEngineer, Role::PrivacyOfficer, Role::Admin];

/// Makes it in the empty database at this URL.
pub(crate) async fn prepare(url: String) {
    let directory = tempfile::tempdir().unwrap();
    let ctx = context(base_settings(&url, directory.path()), FakeClock::new(start_of_time())).await;
    for role in ROLES {
        add_user(&ctx, role.as_str(), Secret::new("a long enough password"), role).await.unwrap();
    }
    ctx.db.close().await;
}

/// Puts a SQLite file with it into a directory, and answers its URL.
pub(super) async fn copy_into(directory: &Path) -> String {
    static PREPARED: OnceCell<Vec<u8>> = OnceCell::const_new();
    let make = async || {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("pms.db");
        prepare(format!("sqlite://{}", file.display())).await;
        fs::read(file).unwrap()
    };
    let file = directory.join("pms.db");
    fs::write(&file, PREPARED.get_or_init(make).await).unwrap();
    format!("sqlite://{}", file.display())
}
