//! Ordering a study in the words of imaging systems. Promise: the same accession number from the same source is the same
//! order; a patient whose name or birth date is another one gets none.

use chrono::{DateTime, NaiveDate, Utc};

use super::{
    access::{self, Resource},
    error::LabError,
    new_order::text,
    order_progress::Cause,
    outside_order::{self, Outside, turn},
    place_order::wait_for_lab,
    submit_hl7::Submitter,
    views::StudyOrderView,
};
use crate::{
    context::Ctx,
    domain::{
        access::Action,
        event::{Imaging, OrderControl, OrderRequest, Placement, SentNumber},
        ids::{OrderNumber, ProviderName, TestCode, TextError},
        matching::same_name,
        report::Term,
    },
    store::{
        db::{self, Tx},
        entity::{lab_order, lab_order_test, patient},
        orders, patients,
    },
};

/// Longest name of a study, and of a device or place.
const LONGEST_TEXT: usize = 200;

/// A study to be ordered.
#[derive(Clone, Default)]
pub struct NewStudy {
    /// Number under which the pictures are to be filed; without one our own.
    pub accession_number: Option<String>,
    /// For whom.
    pub patient: StudyPatient,
    /// Code of the procedure; without one its name.
    pub code: Option<String>,
    /// What is to be done.
    pub description: String,
    /// Such as `CT`.
    pub modality: Option<String>,
    /// `ROUTINE`, `STAT`, `ASAP`, or `R`, `S`, `A`; routine when it is left out.
    pub priority: Option<String>,
    /// Name of the device on its network.
    pub ae_title: Option<String>,
    /// When it is to be done.
    pub scheduled_at: Option<DateTime<Utc>>,
    /// Who orders.
    pub provider: Option<String>,
}

/// Whose study it is.
#[derive(Clone, Default)]
pub struct StudyPatient {
    /// Medical record number.
    pub mrn: String,
    /// The name, if it is said.
    pub name: Option<StudyName>,
    /// The birth date, if it is said.
    pub birth_date: Option<NaiveDate>,
}

/// A name as it was sent.
#[derive(Clone)]
pub enum StudyName {
    /// Its family part.
    Family(String),
    /// Written in one, the family name somewhere in it.
    Whole(String),
}

impl StudyName {
    fn is_of(&self, patient: &patient::Model) -> bool {
        match self {
            Self::Family(family) => same_name(family, &patient.last_name),
            Self::Whole(whole) => has_words(whole, &patient.last_name),
        }
    }
}

/// Whether neighbouring words of a text are a name, which may have several itself.
fn has_words(text: &str, name: &str) -> bool {
    let blank = |c: char| c.is_whitespace() || matches!(c, ',' | '^' | ';');
    let words: Vec<&str> = text.split(blank).filter(|word| !word.is_empty()).take(20).collect();
    let starts = (0..words.len()).flat_map(|from| (from + 1..=words.len()).map(move |to| (from, to)));
    starts.into_iter().any(|(from, to)| same_name(&words[from..to].concat(), name))
}

/// Places a study and waits a moment for the laboratory. Errors: `Invalid` for a field, `NotFound` for a patient who is not
/// known, `Conflict` when the name or the birth date is another patient's, or the accession number is in use.
pub async fn order_study(
    ctx: &Ctx,
    submitter: &Submitter,
    new: NewStudy,
) -> Result<StudyOrderView, LabError> {
    let caller = &submitter.caller;
    access::permit(ctx, caller, Action::PlaceOrder, "lab_order").await?;
    let request = request(&new)?;
    let source = submitter.source();
    let news = ctx.hints.moves.listen();
    let mut tx = db::write(&ctx.db, "order_study").await?;
    let patient = certain(ctx, &tx, &new.patient).await?;
    let (order, is_new) = match ordered_before(&tx, source, &patient, &request).await? {
        Some(order) => (order, false),
        None => (place(ctx, &mut tx, submitter, &patient, &request).await?, true),
    };
    let action = if is_new { Action::PlaceOrder } else { Action::ReadOrder };
    access::wrote(ctx, &tx, caller, action, Resource::one("lab_order", order.id, &[patient.id])).await?;
    tx.commit().await?;
    ctx.hints.outbox.wake();
    let waits = is_new && order.hl7_message_id.is_some();
    let order = if waits { wait_for_lab(ctx, order, news).await? } else { order };
    let tests = orders::tests_of(ctx.db.reader(), &[order.id]).await?;
    StudyOrderView::new(&order, &tests, &patient).ok_or(LabError::NotFound("Lab order"))
}

/// The study as a request of somebody else's system, or the first field at fault.
fn request(new: &NewStudy) -> Result<OrderRequest, LabError> {
    let description = words("study.description", Some(&new.description))?;
    let code = new.code.as_deref().map(|code| text("study.code", code, TestCode::new)).transpose()?;
    let code = match (code, &description) {
        (Some(code), _) => code,
        (None, Some(name)) => text("study.description", name, TestCode::new)?,
        (None, None) => return Err(LabError::invalid("study.description", "must not be empty")),
    };
    let number = new.accession_number.as_deref();
    let number = number.map(|number| text("accessionNumber", number, OrderNumber::new)).transpose()?;
    let provider = new.provider.as_deref();
    let provider = provider.map(|name| text("orderingProvider", name, ProviderName::new)).transpose()?;
    let imaging = Imaging {
        accession_number: number.clone(),
        procedure_code: code.clone(),
        procedure: description.clone(),
        modality: words("study.modality", new.modality.as_deref())?,
        priority: new.priority.clone(),
        order_status: Some(OrderControl::New.to_string()),
        ae_title: words("scheduling.aeTitle", new.ae_title.as_deref())?,
        scheduled_at: new.scheduled_at,
        ..Imaging::default()
    };
    Ok(OrderRequest {
        control: Some(OrderControl::New),
        placer: number.map(|id| SentNumber { id, ..SentNumber::default() }),
        service: Term { code, text: description, system: Some("L".into()), loinc: None },
        priorities: vec![priority(new.priority.as_deref())?.to_owned()],
        provider,
        imaging: Some(imaging),
        ..OrderRequest::default()
    })
}

fn priority(sent: Option<&str>) -> Result<&'static str, LabError> {
    match sent.map(|sent| sent.trim().to_ascii_uppercase()).as_deref() {
        None | Some("" | "R" | "ROUTINE") => Ok("R"),
        Some("S" | "STAT") => Ok("S"),
        Some("A" | "ASAP") => Ok("A"),
        Some(_) => Err(LabError::invalid("priority", "must be ROUTINE, STAT or ASAP")),
    }
}

fn words(field: &'static str, text: Option<&str>) -> Result<Option<String>, LabError> {
    let Some(text) = text.map(str::trim).filter(|text| !text.is_empty()) else { return Ok(None) };
    if text.chars().any(char::is_control) {
        return Err(LabError::invalid(field, TextError::Invisible.to_string()));
    }
    if text.chars().count() > LONGEST_TEXT {
        return Err(LabError::invalid(field, TextError::TooLong { max: LONGEST_TEXT }.to_string()));
    }
    Ok(Some(text.to_owned()))
}

/// The patient of the number, unless what else is said speaks against it.
async fn certain(ctx: &Ctx, tx: &Tx, sent: &StudyPatient) -> Result<patient::Model, LabError> {
    let found = patients::find_by_mrn(&**tx, &ctx.config.sending_facility, sent.mrn.trim()).await?;
    let patient = found.ok_or(LabError::NotFound("Patient"))?;
    let other_name = sent.name.as_ref().is_some_and(|name| !name.is_of(&patient));
    let other_birth = sent.birth_date.zip(patient.date_of_birth).is_some_and(|(said, known)| said != known);
    if other_name || other_birth {
        let why = "The patient of this number has another name or birth date";
        return Err(LabError::Conflict(why.into()));
    }
    Ok(patient)
}

/// The order that the same source placed under the same accession number. Two such requests at once take turns here.
async fn ordered_before(
    tx: &Tx,
    source: Option<i64>,
    patient: &patient::Model,
    request: &OrderRequest,
) -> Result<Option<lab_order::Model>, LabError> {
    let Some(number) = &request.placer else { return Ok(None) };
    tx.take_turn(turn(source)).await?;
    let mut tests = orders::tests_by_outside_number(&**tx, std::slice::from_ref(&number.id)).await?;
    tests.retain(|(_, of)| *of == source);
    let Some((test, _)) = tests.first() else { return Ok(None) };
    let order = orders::find(&**tx, test.lab_order_id).await?;
    let same = |order: &lab_order::Model| {
        tests.len() == 1 && order.patient_id == patient.id && stands(test, request)
    };
    match order {
        Some(order) if same(&order) => Ok(Some(order)),
        _ => Err(LabError::Conflict("This accession number is in use".into())),
    }
}

fn stands(test: &lab_order_test::Model, request: &OrderRequest) -> bool {
    test.test_code == request.service.code && !matches!(test.status.as_str(), "cancelled" | "rejected")
}

async fn place(
    ctx: &Ctx,
    tx: &mut Tx,
    submitter: &Submitter,
    patient: &patient::Model,
    request: &OrderRequest,
) -> Result<lab_order::Model, LabError> {
    let requests = [request];
    let new = Outside {
        patient: patient.id,
        encounter: None,
        source: submitter.source(),
        by: &submitter.caller.username,
        placement: Placement::of(&requests, &[]),
        requests: &requests,
    };
    let cause = Cause { actor: &submitter.caller.username, kind: "created", ..Cause::default() };
    outside_order::place(ctx, tx, new, cause).await
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn study() -> NewStudy {
        NewStudy {
            accession_number: Some("ACC-7".into()),
            description: " CT Chest ".into(),
            modality: Some("CT".into()),
            priority: Some("stat".into()),
            ..NewStudy::default()
        }
    }

    fn fault(change: impl FnOnce(&mut NewStudy)) -> &'static str {
        let mut study = study();
        change(&mut study);
        match request(&study) {
            Err(LabError::Invalid { field, message }) => {
                assert!(!message.contains("SECRET"), "{message}");
                field
            }
            _ => "none",
        }
    }

    #[test]
    fn a_study_is_a_request_like_any_other() {
        let request = request(&study()).unwrap();
        assert_eq!(request.placer.as_ref().unwrap().id, "ACC-7");
        assert_eq!(
            (request.service.code.as_str(), request.priorities.as_slice()),
            ("CT Chest", &["S".to_owned()][..])
        );
        assert_eq!(request.imaging.unwrap().modality.as_deref(), Some("CT"));
    }

    #[test]
    fn a_name_in_one_is_read_word_by_word() {
        for (text, name) in [
            ("Jane Doe", "Doe"),
            ("DOE^JANE", "Doe"),
            ("Doe, Jane", "DOE"),
            ("Anna van der Berg", "Van der Berg"),
            ("Jose Munoz", "Muñoz"),
        ] {
            assert!(has_words(text, name), "{text}");
        }
        for (text, name) in [("Charlie Brown", "Li"), ("Jane", "Doe"), ("", "Doe"), ("Jane Doe", "")] {
            assert!(!has_words(text, name), "{text}");
        }
    }

    #[test]
    fn each_fault_names_its_field_and_no_value() {
        assert_eq!(fault(|s| s.description.clear()), "study.description");
        assert_eq!(fault(|s| s.description = "SECRET".repeat(10)), "study.description");
        assert_eq!(fault(|s| s.code = Some("SECRET\rOBX".into())), "study.code");
        assert_eq!(fault(|s| s.accession_number = Some("\u{202e}SECRET".into())), "accessionNumber");
        assert_eq!(fault(|s| s.modality = Some("SECRET\u{b}x".into())), "study.modality");
        assert_eq!(fault(|s| s.priority = Some("SECRET".into())), "priority");
        assert_eq!(fault(|s| s.ae_title = Some("x".repeat(201))), "scheduling.aeTitle");
        assert_eq!(fault(|s| s.provider = Some("\nSECRET\u{1}".into())), "orderingProvider");
        assert_eq!(
            fault(|s| (s.code, s.description) = (Some("CTCHEST".into()), "CT Chest ".repeat(9))),
            "none"
        );
    }
}
