//! What the simulated laboratory measures, and values a person could have.
//!
//! This material contains content from LOINC (<http://loinc.org>), copyright Regenstrief Institute, Inc. and
//! the LOINC Committee, available at no cost under the license at <http://loinc.org/license>.

mod analytes;

pub(super) use analytes::{PANELS, Panel};

use self::analytes::{Analyte, Kind};
use super::dice::Dice;
use crate::hl7::{datatypes::Coded, oru_build::ObservationOut};

/// The panel of an order code, in any case.
pub(super) fn find(code: &str) -> Option<&'static Panel> {
    PANELS.iter().find(|panel| panel.code.eq_ignore_ascii_case(code.trim()))
}

fn coded(first: [&str; 3], second: [&str; 3]) -> Coded {
    let own = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let ([code, text, system], [alt_code, alt_text, alt_system]) = (first.map(own), second.map(own));
    Coded { code, text, system, alt_code, alt_text, alt_system, original_text: None }
}

impl Panel {
    /// OBR-4.
    pub(super) fn service(&self) -> Coded {
        coded([self.code, self.name, "L"], [self.loinc, self.name, "LN"])
    }

    /// Local codes of what can be found at a dangerous level.
    pub(super) fn dangers(&self) -> impl Iterator<Item = &'static str> {
        let dangerous = |analyte: &&Analyte| matches!(analyte.kind, Kind::Number { critical: Some(_), .. });
        self.analytes.iter().filter(dangerous).map(|analyte| analyte.local)
    }

    /// One value each, the one of `danger` at a dangerous level. Their status is the caller's.
    pub(super) fn measure(&self, dice: &mut Dice, danger: Option<&str>) -> Vec<ObservationOut> {
        let one = |analyte: &Analyte| analyte.measure(dice, danger == Some(analyte.local), self.local_only);
        self.analytes.iter().map(one).collect()
    }
}

/// What is reported for a code that is not in the catalogue.
pub(super) fn unknown(service: &Coded) -> Vec<ObservationOut> {
    let code = service.code.as_deref().unwrap_or("OTHER");
    let text = service.text.as_deref().unwrap_or(code);
    let value = "Within expected limits".to_owned();
    vec![ObservationOut {
        kind: "ST".into(),
        code: coded([code, text, "L"], [""; 3]),
        value,
        ..Default::default()
    }]
}

impl Analyte {
    fn measure(&self, dice: &mut Dice, danger: bool, local_only: bool) -> ObservationOut {
        let local = [self.local, self.name, "L"];
        let code =
            if local_only { coded(local, [""; 3]) } else { coded([self.loinc, self.name, "LN"], local) };
        let observation = ObservationOut { code, units: self.units.into(), ..Default::default() };
        match self.kind {
            Kind::Number { low, high, usual, critical, decimals } => {
                let critical = critical.filter(|_| danger);
                let value = critical.unwrap_or_else(|| dice.between(usual.0, usual.1));
                // The flag judges the value that is sent, not the one before rounding.
                let text = format!("{value:.decimals$}");
                let flag = flag(text.parse().unwrap_or(value), low, high, critical.is_some());
                let note = critical.map(|_| "Critical value, repeated and verified.".to_owned());
                let (kind, range) = ("NM".to_owned(), range(low, high, decimals));
                ObservationOut { kind, value: text, range, flags: vec![flag.into()], note, ..observation }
            }
            Kind::Finding { expected, other } => {
                let found = if dice.percent(12) { other } else { expected };
                let flag = if found == expected { "N" } else { "A" };
                let (kind, range) = ("ST".to_owned(), expected.to_owned());
                ObservationOut { kind, value: found.into(), range, flags: vec![flag.into()], ..observation }
            }
        }
    }
}

fn flag(value: f64, low: Option<f64>, high: Option<f64>, critical: bool) -> &'static str {
    let below = low.is_some_and(|low| value < low);
    let above = high.is_some_and(|high| value > high);
    match (below, above, critical) {
        (true, _, true) => "LL",
        (true, _, false) => "L",
        (_, true, true) => "HH",
        (_, true, false) => "H",
        _ => "N",
    }
}

fn range(low: Option<f64>, high: Option<f64>, decimals: usize) -> String {
    match (low, high) {
        (Some(low), Some(high)) => format!("{low:.decimals$}-{high:.decimals$}"),
        (Some(low), None) => format!(">{low:.decimals$}"),
        (None, Some(high)) => format!("<{high:.decimals$}"),
        (None, None) => String::new(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn usual_values_are_never_critical_and_dangers_always_are() {
        for panel in PANELS {
            let mut dice = Dice::new(3);
            for _ in 0..200 {
                for found in panel.measure(&mut dice, None) {
                    assert!(!found.flags.iter().any(|flag| flag == "HH" || flag == "LL"), "{}", panel.code);
                    assert!(!found.value.is_empty() && !found.value.starts_with('-'), "{}", panel.code);
                }
            }
            for danger in panel.dangers() {
                let found = panel.measure(&mut dice, Some(danger));
                let urgent = found.iter().filter(|found| matches!(found.flags[0].as_str(), "HH" | "LL"));
                assert_eq!(urgent.count(), 1, "{danger}");
            }
        }
    }

    #[test]
    fn every_code_of_the_catalogue_has_a_panel() {
        for code in ["CBC", "BMP", "CMP", "UA", "TSH", "HBA1C", "LIPID", "pt_inr"] {
            assert!(!find(code).unwrap().analytes.is_empty(), "{code}");
        }
        assert!(find("XYZ").is_none());
        assert_eq!(unknown(&coded(["XYZ", "", ""], [""; 3]))[0].code.text.as_deref(), Some("XYZ"));
    }

    #[test]
    fn flags_and_ranges() {
        let table = [
            (3.4, Some(3.5), Some(5.1), false, "L", "3.5-5.1"),
            (5.2, Some(3.5), Some(5.1), false, "H", "3.5-5.1"),
            (6.8, Some(3.5), Some(5.1), true, "HH", "3.5-5.1"),
            (1.0, Some(3.5), None, true, "LL", ">3.5"),
            (9.0, None, Some(9.0), false, "N", "<9.0"),
        ];
        for (value, low, high, critical, expected, text) in table {
            assert_eq!((flag(value, low, high, critical), range(low, high, 1).as_str()), (expected, text));
        }
    }
}
