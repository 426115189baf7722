use std::{os::unix::fs::PermissionsExt, sync::Arc};

use sea_orm::PaginatorTrait;

use super::*;
use crate::{
    clock::{Clock, FakeClock},
    config::{Config, Layers},
    context::Hints,
    lab::{
        register_patient::{NewPatient, register_patient},
        sign_in::{Origin, sign_in},
    },
    security::{keyring::Keyring, tls::Trust, tokens::TokenKey},
};

async fn context(directory: &Path) -> Ctx {
    let env = [
        ("DATABASE_URL", format!("sqlite://{}", directory.join("pms.db").display())),
        ("DATA_DIR", directory.display().to_string()),
    ];
    let env = env.map(|(name, value)| (name.to_owned(), value));
    let layers = Layers::new(None, env.into_iter()).unwrap();
    let (config, _) = Config::load(&layers).unwrap();
    let hints = Hints::default();
    let db = db::Db::open(&config, hints.clone()).await.unwrap();
    db.migrate().await.unwrap();
    Ctx {
        db,
        clock: Clock::Fake(FakeClock::new(chrono::DateTime::from_timestamp(1_800_000_000, 0).unwrap())),
        keys: Arc::new(Keyring::open(&directory.join("keys")).unwrap()),
        tokens: Arc::new(TokenKey::open(&directory.join("jwt")).unwrap()),
        trust: Arc::new(Trust::open(&config.tls).unwrap()),
        config: Arc::new(config),
        hints,
    }
}

fn at(port: u16) -> SocketAddr {
    ([127, 0, 0, 1], port).into()
}

async fn signs_in(ctx: &Ctx, account: &DemoAccount) -> bool {
    let origin = Origin { request_id: "t".into(), ip: None };
    sign_in(ctx, &origin, &account.username, Secret::new(account.password.clone())).await.is_ok()
}

#[tokio::test]
async fn a_second_start_changes_the_port_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let ctx = context(directory.path()).await;
    let first = load(&ctx, at(7001)).await.unwrap();
    let second = load(&ctx, at(7002)).await.unwrap();
    let told = |accounts: &[DemoAccount]| {
        accounts
            .iter()
            .map(|account| (account.username.clone(), account.password.clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(told(&first), told(&second));
    assert_eq!(
        first.iter().map(|account| account.username.as_str()).collect::<Vec<_>>(),
        ["admin", "clinician", "lab_manager", "interface_engineer", "privacy_officer"]
    );
    for account in &first {
        assert!(signs_in(&ctx, account).await, "{}", account.username);
    }
    let reader = ctx.db.reader();
    assert_eq!(patient::Entity::find().count(reader).await.unwrap(), PEOPLE.len() as u64);
    let endpoints = endpoints::all(reader).await.unwrap();
    let [laboratory] = endpoints.as_slice() else { panic!("one endpoint") };
    assert_eq!((laboratory.port, laboratory.is_default), (Some(7002), true));
    let mode = std::fs::metadata(directory.path().join(ACCOUNTS_FILE)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn the_guides_ids_are_there_and_new_ones_do_not_collide() {
    let directory = tempfile::tempdir().unwrap();
    let ctx = context(directory.path()).await;
    load(&ctx, at(7001)).await.unwrap();
    let reader = ctx.db.reader();
    let jane = patients::find_by_mrn(reader, &ctx.config.sending_facility, "12345").await.unwrap().unwrap();
    assert_eq!(
        (jane.id, jane.last_name.as_str(), jane.date_of_birth),
        (12_345, "Doe", NaiveDate::from_ymd_opt(1990, 3, 15))
    );
    let visit = patients::find_encounter(reader, 1).await.unwrap().unwrap();
    assert_eq!((visit.patient_id, visit.class.as_str(), visit.status.as_str()), (1, "O", "in-progress"));
    let new = NewPatient {
        mrn: "555".into(),
        last_name: "New".into(),
        first_name: "One".into(),
        middle_name: None,
        date_of_birth: None,
        gender: "unknown".into(),
        phone: None,
        email: None,
        address: None,
        restricted: false,
    };
    let added = register_patient(&ctx, &Caller::system("test"), new).await.unwrap();
    assert_eq!(added.id, 12_346);
}

#[tokio::test]
async fn a_lost_file_gives_new_passwords_that_work() {
    let directory = tempfile::tempdir().unwrap();
    let ctx = context(directory.path()).await;
    let old = load(&ctx, at(7001)).await.unwrap();
    std::fs::remove_file(directory.path().join(ACCOUNTS_FILE)).unwrap();
    let new = load(&ctx, at(7001)).await.unwrap();
    assert!(signs_in(&ctx, &new[0]).await && !signs_in(&ctx, &old[0]).await);
    std::fs::write(directory.path().join(ACCOUNTS_FILE), "admin / x\n").unwrap();
    assert!(matches!(load(&ctx, at(7001)).await, Err(LabError::Security(_))));
}

#[tokio::test]
async fn the_laboratory_is_told_of_grown_ups_as_they_are_stored() {
    let directory = tempfile::tempdir().unwrap();
    let ctx = context(directory.path()).await;
    load(&ctx, at(7001)).await.unwrap();
    let told = sim_patients(&ctx);
    assert_eq!(told.len(), PEOPLE.len() - 2);
    for person in told {
        let stored =
            patients::find_by_mrn(ctx.db.reader(), &person.authority, &person.mrn).await.unwrap().unwrap();
        assert_eq!((stored.last_name, stored.date_of_birth), (person.family, person.birth_date));
        assert_eq!(stored.gender[..1].to_uppercase(), person.sex);
    }
}
