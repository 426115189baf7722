//! A result that comes by REST instead of HL7. Promise: it is judged by the same limits as one from a message, and a
//! critical one raises its alert in the transaction that stores it.

use sea_orm::{ActiveModelTrait, ActiveValue::Set, DbErr};
use serde_json::json;

use super::{
    access::{self, Resource},
    error::LabError,
    intake::set_assessment,
    rules,
    views::ResultView,
};
use crate::{
    context::{Caller, Ctx},
    domain::{
        access::Action,
        critical::{Assessment, CodeRef, Facts, Subject, assess},
        ids::EndpointId,
        intake::Rules,
        person::{Sex, age_in_days},
        result::ResultStatus,
        thresholds::{LOINC, PatientClass},
        value::Quantity,
    },
    security::random_hex,
    store::{
        db::{self, Tx},
        entity::{alert_event, critical_alert, encounter, lab_order, lab_result, patient},
        orders, patients,
    },
};

/// Where results come from that no message brought.
const NO_ENDPOINT: EndpointId = EndpointId::LOOPBACK;
/// Coding system of codes that name none (table 0396).
const LOCAL: &str = "L";

/// A result as it is told.
#[derive(Clone)]
pub struct NewResult {
    /// Whose it is.
    pub patient_id: i64,
    /// The order it answers.
    pub lab_order_id: Option<i64>,
    /// Code of the test.
    pub test_code: String,
    /// Name of the test.
    pub test_name: String,
    /// The value, as text.
    pub value: String,
    /// Its units.
    pub units: Option<String>,
    /// Its reference range.
    pub reference_range: Option<String>,
    /// Interpretation, repetitions joined by `~`.
    pub abnormal_flag: Option<String>,
    /// Status of table 0085.
    pub result_status: String,
    /// Who measured it.
    pub sending_facility: Option<String>,
}

/// Stores a result as the first version of its kind.
pub async fn record_result(ctx: &Ctx, caller: &Caller, new: NewResult) -> Result<ResultView, LabError> {
    access::permit(ctx, caller, Action::WriteResult, "lab_result").await?;
    let status = status(&new.result_status)?;
    let mut tx = db::write(&ctx.db, "record_result").await?;
    let patient = patients::find(&*tx, new.patient_id).await?.ok_or(LabError::NotFound("Patient"))?;
    let order = order_of(&tx, &new).await?;
    let visit = visit_of(&tx, order.as_ref()).await?;
    let judged = judge(&rules::load(ctx, &*tx).await?, &new, status, subject(ctx, &patient, visit.as_ref()));
    let row = row(ctx, caller, &new, status, &judged)?;
    let row = lab_result::ActiveModel { encounter_id: Set(visit.map(|visit| visit.id)), ..row }
        .insert(&*tx)
        .await?;
    if judged.assessment.critical {
        raise_alert(ctx, &mut tx, &row).await?;
    }
    access::wrote(ctx, &tx, caller, Action::WriteResult, Resource::one("lab_result", row.id, &[patient.id]))
        .await?;
    tx.commit().await?;
    Ok(row.into())
}

/// There is nothing yet that a first version could take back.
fn status(code: &str) -> Result<ResultStatus, LabError> {
    let status = ResultStatus::from_hl7(code);
    if status == ResultStatus::Unknown || status.is_retraction() {
        return Err(LabError::invalid(
            "result_status",
            "must be a status of HL7 table 0085 other than D and W",
        ));
    }
    Ok(status)
}

async fn order_of(tx: &Tx, new: &NewResult) -> Result<Option<lab_order::Model>, LabError> {
    let Some(id) = new.lab_order_id else { return Ok(None) };
    let order = orders::find(&**tx, id).await?.ok_or(LabError::NotFound("Lab order"))?;
    if order.patient_id != new.patient_id {
        return Err(LabError::invalid("lab_order_id", "this order belongs to another patient"));
    }
    Ok(Some(order))
}

async fn visit_of(tx: &Tx, order: Option<&lab_order::Model>) -> Result<Option<encounter::Model>, DbErr> {
    match order.and_then(|order| order.encounter_id) {
        Some(id) => patients::find_encounter(&**tx, id).await,
        None => Ok(None),
    }
}

fn subject(ctx: &Ctx, patient: &patient::Model, visit: Option<&encounter::Model>) -> Subject {
    let today = ctx.clock.now().date_naive();
    let class = visit.map(|visit| match visit.class.as_str() {
        "I" | "E" => PatientClass::Inpatient,
        _ => PatientClass::Outpatient,
    });
    Subject {
        age_days: patient.date_of_birth.and_then(|birth| age_in_days(birth, today)),
        sex: patient.gender.parse().unwrap_or(Sex::Unknown),
        class,
    }
}

struct Judged {
    loinc: Option<String>,
    number: Option<Quantity>,
    flags: Vec<String>,
    assessment: Assessment,
}

fn judge(rules: &Rules, new: &NewResult, status: ResultStatus, subject: Subject) -> Judged {
    let loinc = rules.loinc(NO_ENDPOINT, LOCAL, &new.test_code).map(str::to_owned);
    let number = Quantity::parse(&new.value);
    let flags: Vec<String> =
        new.abnormal_flag.iter().flat_map(|flag| flag.split('~')).map(str::to_owned).collect();
    // A caller may know LOINC: the code counts as either, as no system was said.
    let mut codes = vec![
        CodeRef { system: LOCAL, code: &new.test_code },
        CodeRef { system: LOINC, code: &new.test_code },
    ];
    codes.extend(loinc.as_deref().map(|code| CodeRef { system: LOINC, code }));
    let facts = Facts {
        test_name: &new.test_name,
        codes: &codes,
        status,
        number: number.as_ref(),
        text: &new.value,
        is_coded: false,
        units: new.units.as_deref(),
        flags: &flags,
    };
    let assessment = assess(&facts, &subject, &rules.thresholds, &rules.critical_flags);
    Judged { loinc, number, flags, assessment }
}

fn row(
    ctx: &Ctx,
    caller: &Caller,
    new: &NewResult,
    status: ResultStatus,
    judged: &Judged,
) -> Result<lab_result::ActiveModel, LabError> {
    let number = judged.number.as_ref();
    let comparator = number.and_then(|number| number.comparator);
    // NM is a bare number; with a comparator HL7 would send SN.
    let value_type = match (number, comparator) {
        (Some(_), None) => "NM",
        (Some(_), Some(_)) => "SN",
        (None, _) => "ST",
    };
    let mut row = lab_result::ActiveModel {
        patient_id: Set(new.patient_id),
        lab_order_id: Set(new.lab_order_id),
        lis_endpoint_id: Set(NO_ENDPOINT.get()),
        // Nothing in the request says which earlier result this would replace, so it replaces none.
        result_key: Set(random_hex::<32>()?),
        version: Set(1),
        is_current: Set(true),
        test_code: Set(new.test_code.clone()),
        test_name: Set(new.test_name.clone()),
        loinc_code: Set(judged.loinc.clone()),
        value_type: Set(value_type.into()),
        value: Set(Some(new.value.clone())),
        raw_value: Set(Some(new.value.clone())),
        numeric_value: Set(number.map(|number| number.number)),
        comparator: Set(comparator.map(|comparator| comparator.to_string())),
        units: Set(new.units.clone()),
        reference_range: Set(new.reference_range.clone()),
        abnormal_flag: Set(new.abnormal_flag.clone()),
        flags: Set(json!(judged.flags)),
        result_status: Set(status.to_string()),
        is_correction: Set(false),
        retracted: Set(false),
        sending_facility: Set(new.sending_facility.clone()),
        zone_assumed: Set(false),
        notes: Set(json!([])),
        warnings: Set(json!([])),
        received_at: Set(ctx.clock.now()),
        created_by: Set(Some(caller.username.clone())),
        ..Default::default()
    };
    set_assessment(&mut row, &judged.flags, &judged.assessment);
    Ok(row)
}

async fn raise_alert(ctx: &Ctx, tx: &mut Tx, result: &lab_result::Model) -> Result<(), DbErr> {
    let now = ctx.clock.now();
    let alert = critical_alert::ActiveModel {
        source_ref: Set(format!("result:{}", result.id)),
        lab_result_id: Set(Some(result.id)),
        patient_id: Set(Some(result.patient_id)),
        lab_order_id: Set(result.lab_order_id),
        test_code: Set(result.test_code.clone()),
        test_name: Set(result.test_name.clone()),
        value: Set(result.value.clone()),
        units: Set(result.units.clone()),
        abnormal_flag: Set(result.abnormal_flag.clone()),
        reference_range: Set(result.reference_range.clone()),
        reasons: Set(result.critical_reasons.clone()),
        status: Set("open".into()),
        raised_at: Set(now),
        escalations: Set(json!([])),
        escalate_at: Set(Some(
            now + chrono::Duration::from_std(ctx.config.alert_escalation).unwrap_or_default(),
        )),
        escalation_level: Set(0),
        annotations: Set(json!([])),
        ..Default::default()
    };
    let alert = alert.insert(&**tx).await?;
    tx.emit(alert_event::ActiveModel {
        kind: Set("critical_result".into()),
        alert_id: Set(Some(alert.id)),
        patient_id: Set(alert.patient_id),
        lab_order_id: Set(alert.lab_order_id),
        payload: Set(json!({
            "alert_id": alert.id,
            "patient_id": alert.patient_id,
            "test_name": alert.test_name,
            "value": alert.value,
            "units": alert.units,
            "abnormal_flag": alert.abnormal_flag,
        })),
        created_at: Set(now),
        ..Default::default()
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{critical::CriticalFlags, thresholds};

    fn rules() -> Rules {
        let codes = [((NO_ENDPOINT, String::new(), "K".to_owned()), "2823-3".to_owned())];
        Rules {
            thresholds: thresholds::seed(),
            critical_flags: CriticalFlags::default(),
            codes: codes.into(),
            local_authority: String::new(),
        }
    }

    fn judged(test_code: &str, value: &str, flag: Option<&str>) -> Judged {
        let new = NewResult {
            patient_id: 1,
            lab_order_id: None,
            test_code: test_code.into(),
            test_name: "Potassium".into(),
            value: value.into(),
            units: Some("mmol/L".into()),
            reference_range: None,
            abnormal_flag: flag.map(str::to_owned),
            result_status: "F".into(),
            sending_facility: None,
        };
        let subject = Subject { age_days: Some(15_000), sex: Sex::Female, class: None };
        judge(&rules(), &new, ResultStatus::Final, subject)
    }

    #[test]
    fn the_limits_and_the_flag_are_both_heard() {
        for (code, value, flag, critical) in [
            ("K", "6.8", None, true),
            ("2823-3", "6.8", None, true),
            ("K", "4.1", None, false),
            ("K", "4.1", Some("H"), false),
            ("K", "4.1", Some("H~HH"), true),
            ("XYZ", "6.8", None, false),
        ] {
            assert_eq!(judged(code, value, flag).assessment.critical, critical, "{code} {value} {flag:?}");
        }
        assert_eq!(judged("K", "6.8", None).loinc.as_deref(), Some("2823-3"));
    }

    #[test]
    fn a_first_version_takes_nothing_back() {
        for code in ["F", "P", "C", "f"] {
            assert!(status(code).is_ok(), "{code}");
        }
        for code in ["D", "W", "", "Q", "unknown"] {
            assert!(status(code).is_err(), "{code}");
        }
    }
}
