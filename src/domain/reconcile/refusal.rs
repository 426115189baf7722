//! Reports by which a laboratory says that it did not do what was asked.

use crate::domain::{
    report::{Observation, Report},
    result::ResultStatus,
    specimen::Specimen,
    spelling::spelled,
};

spelled! {
    /// What a report refuses.
    pub enum Refusal {
        /// The specimen could not be used; it has to be taken again.
        Specimen = "specimen_rejected",
        /// The test was not done (OBR-25 X).
        NotDone = "not_done",
    }
}

/// Conditions of a specimen (table 0493, code and text) under which nothing can be measured: there is none. The others,
/// haemolysed, clotted, warm, are said of specimens that were measured all the same.
const NONE_THERE: [&str; 2] = ["snr", "not received"];

/// Reads a report. A specimen counts as rejected when the laboratory gives a reason for rejecting it (SPM-21), when it says
/// that it received none (SPM-24), or when nothing of the report could be obtained and the specimen's condition is given as
/// the only ground.
pub fn refusal(report: &Report) -> Option<Refusal> {
    if report.specimens.iter().any(is_rejected) {
        return Some(Refusal::Specimen);
    }
    if !is_not_done(report) {
        return None;
    }
    let has_condition = |specimen: &Specimen| is_said(specimen.condition.as_deref());
    Some(if report.specimens.iter().any(has_condition) { Refusal::Specimen } else { Refusal::NotDone })
}

fn is_rejected(specimen: &Specimen) -> bool {
    let condition = specimen.condition.as_deref().unwrap_or_default().to_lowercase();
    let none_there = condition.split(',').map(str::trim);
    let none_there =
        none_there.into_iter().any(|said| NONE_THERE[0] == said || said.ends_with(NONE_THERE[1]));
    is_said(specimen.reject_reason.as_deref()) || none_there
}

/// OBR-25 X; or no status there, and nothing but results that cannot be obtained.
fn is_not_done(report: &Report) -> bool {
    let status = report.status.as_deref().map(str::trim).unwrap_or_default();
    let nothing = |observation: &Observation| observation.status == ResultStatus::NotObtainable;
    status == "X" || (!report.observations.is_empty() && report.observations.iter().all(nothing))
}

fn is_said(text: Option<&str>) -> bool {
    text.is_some_and(|text| !text.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::specimen::Parentage;

    fn report(status: &str, specimen: Specimen, observations: &[ResultStatus]) -> Report {
        Report {
            placer: None,
            filler: None,
            service: crate::domain::report::Term::default(),
            status: Some(status.to_owned()).filter(|status| !status.is_empty()),
            test_status: None,
            observed_at: None,
            status_changed_at: None,
            provider: None,
            specimen: None,
            specimens: vec![specimen],
            parent: Parentage::default(),
            notes: Vec::new(),
            observations: observations.iter().map(|status| observation(*status)).collect(),
        }
    }

    fn observation(status: ResultStatus) -> Observation {
        Observation {
            key: String::new(),
            code: crate::domain::report::Term::default(),
            sub_id: None,
            value_type: "NM".to_owned(),
            value: None,
            raw_value: None,
            number: None,
            is_coded: false,
            document: None,
            units: None,
            reference_range: None,
            flags: Vec::new(),
            status,
            reported_status: None,
            observed_at: None,
            own_time: None,
            producer: None,
            performing_lab: None,
            particulars: None,
            notes: Vec::new(),
        }
    }

    fn specimen(reject_reason: &str, condition: &str) -> Specimen {
        let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        Specimen { reject_reason: some(reject_reason), condition: some(condition), ..Specimen::default() }
    }

    type Case = (&'static str, &'static str, &'static str, &'static [ResultStatus], Option<Refusal>);

    #[test]
    fn what_a_report_refuses() {
        use ResultStatus::{Final, NotObtainable};
        let table: [Case; 10] = [
            ("F", "", "", &[Final], None),
            ("F", "", "Hemolysed", &[Final], None),
            ("X", "", "", &[], Some(Refusal::NotDone)),
            ("X", "", "", &[NotObtainable], Some(Refusal::NotDone)),
            ("X", "Hemolyzed", "", &[], Some(Refusal::Specimen)),
            ("X", "", "Clotted", &[NotObtainable], Some(Refusal::Specimen)),
            ("", "", "Clotted", &[NotObtainable, NotObtainable], Some(Refusal::Specimen)),
            ("P", "Quantity not sufficient", "", &[], Some(Refusal::Specimen)),
            ("I", "", "Cool, SNR", &[], Some(Refusal::Specimen)),
            ("F", "", "", &[Final, NotObtainable], None),
        ];
        for (status, reason, condition, results, expected) in table {
            let report = report(status, specimen(reason, condition), results);
            assert_eq!(refusal(&report), expected, "{status} {reason} {condition}");
        }
        let report = report("I", specimen(" ", "Sample not received"), &[]);
        assert_eq!(refusal(&report), Some(Refusal::Specimen));
    }
}
