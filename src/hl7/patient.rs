//! PID and PV1: whom a message is about, and the stay it belongs to.

use super::datatypes::{Identifier, PersonName, Provider};
use super::datetime::Timestamp;
use super::message::{Repetition, Segment};
use std::borrow::Cow;

/// PID.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Patient {
    /// PID-3, all repetitions.
    pub identifiers: Vec<Identifier>,
    /// PID-2, the external id of older senders.
    pub external_id: Option<Identifier>,
    /// PID-4, the alternate id of older senders.
    pub alternate_id: Option<Identifier>,
    /// PID-18.
    pub account_number: Option<Identifier>,
    /// PID-5, all repetitions.
    pub names: Vec<PersonName>,
    /// PID-7.
    pub birth: Option<Timestamp>,
    /// PID-8 as sent.
    pub sex: Option<String>,
    /// PID-11 on one line: street, other, city, state, postal code, country.
    pub address: Option<String>,
    /// PID-13: the first that is no electronic address.
    pub phone: Option<String>,
    /// PID-13: the first electronic address.
    pub email: Option<String>,
}

super::redact_debug!(Patient, Visit);

impl Patient {
    /// Reads a PID.
    pub fn read(pid: &Segment<'_>) -> Self {
        let first_id = |n| pid.field(n).repetitions().map(Identifier::read).find(|i| i.id.is_some());
        Self {
            identifiers: Identifier::read_all(pid.field(3)),
            external_id: first_id(2),
            alternate_id: first_id(4),
            account_number: first_id(18),
            names: pid.field(5).repetitions().map(PersonName::read).filter(|n| !n.is_empty()).collect(),
            birth: pid.value(7).and_then(|t| Timestamp::parse(&t)),
            sex: pid.value(8).map(Cow::into_owned),
            address: address(pid.field(11).repetition(1)),
            phone: pid.field(13).repetitions().find_map(phone),
            email: pid.field(13).repetitions().find_map(email),
        }
    }

    /// The legal name, else the first that is neither alias nor maiden name, else the first.
    pub fn name(&self) -> Option<&PersonName> {
        let of_kind = |kind: Option<&str>| self.names.iter().find(|n| n.kind.as_deref() == kind);
        of_kind(Some("L")).or_else(|| of_kind(None)).or_else(|| self.names.first())
    }

    /// Family name.
    pub fn family(&self) -> Option<&str> {
        self.name()?.family.as_deref()
    }

    /// Given name.
    pub fn given(&self) -> Option<&str> {
        self.name()?.given.as_deref()
    }

    /// Second and further given names.
    pub fn middle(&self) -> Option<&str> {
        self.name()?.middle.as_deref()
    }

    /// Birth date, when at least a day was sent.
    pub fn birth_date(&self) -> Option<chrono::NaiveDate> {
        self.birth.as_ref()?.date()
    }

    /// The medical record number: the identifier of type MR in the authority asked for, else of
    /// type MR, else PI, else the first without a type or at all. Whether its authority is one of
    /// ours is the caller's question.
    pub fn mrn(&self, authority: Option<&str>) -> Option<&Identifier> {
        let kind = |i: &Identifier, kind: &str| i.kind.as_deref() == Some(kind);
        let ours = |i: &Identifier| authority.is_some() && i.authority.key() == authority;
        let ids = || self.identifiers.iter();
        ids()
            .find(|i| kind(i, "MR") && ours(i))
            .or_else(|| ids().find(|i| kind(i, "MR")))
            .or_else(|| ids().find(|i| kind(i, "PI")))
            .or_else(|| ids().find(|i| i.kind.is_none()))
            .or_else(|| ids().next())
    }
}

/// XAD on one line.
fn address(value: Repetition<'_>) -> Option<String> {
    let parts = (1..=6).filter_map(|n| value.component(n).part(1));
    Some(parts.collect::<Vec<_>>().join(", ")).filter(|text| !text.is_empty())
}

/// XTN.1, else XTN.6 and XTN.7, the area code and the number of newer senders.
fn phone(value: Repetition<'_>) -> Option<String> {
    if email(value).is_some() {
        return None;
    }
    let parts = || [6, 7].into_iter().filter_map(|n| value.value(n)).collect::<Vec<_>>().join(" ");
    value.value(1).map(Cow::into_owned).or_else(|| Some(parts()).filter(|text| !text.is_empty()))
}

/// XTN.4, or XTN.1 that holds one.
fn email(value: Repetition<'_>) -> Option<String> {
    let electronic = |text: &Cow<'_, str>| text.contains('@');
    value.value(4).or_else(|| value.value(1).filter(electronic)).map(Cow::into_owned)
}

/// PV1.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Visit {
    /// PV1-2, table 0004.
    pub class: Option<String>,
    /// PV1-3.1, point of care.
    pub point_of_care: Option<String>,
    /// PV1-3.2.
    pub room: Option<String>,
    /// PV1-3.3.
    pub bed: Option<String>,
    /// PV1-3.4.
    pub facility: Option<String>,
    /// PV1-7.
    pub attending: Option<Provider>,
    /// PV1-19.
    pub visit_number: Option<Identifier>,
    /// PV1-36, table 0112.
    pub discharge_disposition: Option<String>,
    /// PV1-44.
    pub admitted_at: Option<Timestamp>,
    /// PV1-45.
    pub discharged_at: Option<Timestamp>,
}

impl Visit {
    /// Reads a PV1.
    pub fn read(pv1: &Segment<'_>) -> Self {
        let place = pv1.field(3).repetition(1);
        let part = |n| place.component(n).part(1).map(Cow::into_owned);
        let time = |n| pv1.value(n).and_then(|t| Timestamp::parse(&t));
        Self {
            class: pv1.value(2).map(Cow::into_owned),
            point_of_care: part(1),
            room: part(2),
            bed: part(3),
            facility: part(4),
            attending: Provider::read_first(pv1.field(7)),
            visit_number: Some(Identifier::read(pv1.field(19).repetition(1))).filter(|v| v.id.is_some()),
            discharge_disposition: pv1.value(36).map(Cow::into_owned),
            admitted_at: time(44),
            discharged_at: time(45),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::hl7::message::Message;

    fn segment<T>(line: &str, read: impl Fn(&Segment<'_>) -> T) -> T {
        let text = format!("MSH|^~\\&|A\r{line}");
        let message = Message::parse(&text).unwrap();
        let segment = message.segments().nth(1).unwrap();
        read(&segment)
    }

    #[test]
    fn pid_positions() {
        let pid = segment(
            "PID|1|E1|5^^^X^PI~12345^^^HOSP&1.2&ISO^MR|ALT|Doe^Jane^Q^^^^L~Roe^J^^^^^M||19900315|F||||||||||ACC9",
            Patient::read,
        );
        assert_eq!(pid.identifiers.len(), 2);
        assert_eq!(pid.mrn(Some("HOSP")).unwrap().id.as_deref(), Some("12345"));
        assert_eq!((pid.family(), pid.given(), pid.middle()), (Some("Doe"), Some("Jane"), Some("Q")));
        assert_eq!(pid.birth_date().unwrap().to_string(), "1990-03-15");
        assert_eq!(pid.sex.as_deref(), Some("F"));
        let id = |i: &Option<Identifier>| i.as_ref().and_then(|i| i.id.clone());
        assert_eq!(id(&pid.external_id).as_deref(), Some("E1"));
        assert_eq!(id(&pid.alternate_id).as_deref(), Some("ALT"));
        assert_eq!(id(&pid.account_number).as_deref(), Some("ACC9"));
    }

    #[test]
    fn ways_to_reach_a_patient() {
        let pid = segment(
            "PID|1||7||Doe||||||1 Main St&Main^^Town^ST^12345^USA||(555)1234~^NET^Internet^j@x.org~^PRN^PH^^1^555^9876",
            Patient::read,
        );
        assert_eq!(pid.address.as_deref(), Some("1 Main St, Town, ST, 12345, USA"));
        assert_eq!((pid.phone.as_deref(), pid.email.as_deref()), (Some("(555)1234"), Some("j@x.org")));
        let newer = segment("PID|1||7||Doe||||||||^PRN^PH^^1^555^9876", Patient::read);
        assert_eq!(newer.phone.as_deref(), Some("555 9876"));
    }

    #[test]
    fn the_mrn_is_chosen_by_type_before_place() {
        let mrn = |ids: &str, authority| {
            segment(&format!("PID|||{ids}"), |s| Patient::read(s).mrn(authority).and_then(|i| i.id.clone()))
        };
        assert_eq!(mrn("1^^^A^MR~2^^^B^MR", Some("B")).as_deref(), Some("2"));
        assert_eq!(mrn("1^^^A^MR~2^^^B^MR", Some("C")).as_deref(), Some("1"));
        assert_eq!(mrn("1^^^A^SS~2^^^A^PI", None).as_deref(), Some("2"));
        assert_eq!(mrn("1^^^A^SS~2", None).as_deref(), Some("2"));
        assert_eq!(mrn("", None), None);
    }

    #[test]
    fn pv1_positions() {
        let fields: Vec<String> = (1..=45)
            .map(|n| match n {
                2 => "I".into(),
                3 => "W1^12^B^HOSP&x".into(),
                7 => "9^Smith^Jo".into(),
                19 => "V77^^^^VN".into(),
                44 => "202403150800".into(),
                45 => "20240320".into(),
                _ => String::new(),
            })
            .collect();
        let visit = segment(&format!("PV1|{}", fields.join("|")), Visit::read);
        assert_eq!(visit.class.as_deref(), Some("I"));
        assert_eq!((visit.point_of_care.as_deref(), visit.facility.as_deref()), (Some("W1"), Some("HOSP")));
        assert_eq!(visit.visit_number.unwrap().id.as_deref(), Some("V77"));
        assert_eq!(visit.attending.unwrap().display().as_deref(), Some("Jo Smith"));
        assert!(visit.admitted_at.is_some() && visit.discharged_at.is_some());
    }
}
