//! Orders of others in the clinic's words.

use super::{Zone, claim, notes, term};
use crate::{
    domain::{
        event::{Imaging, OrderControl, OrderRequest, Orders, OrdersOf, SentNumber},
        report::Term,
    },
    hl7::{
        datatypes::{EntityId, Provider},
        order::Diagnosis,
        orm::OrmView,
        oru::{PatientResults, ResultGroup},
    },
    lab::endpoint_profile::{OrderLayout, Profile},
};

/// What an order message tells.
pub fn orders(view: &OrmView, profile: &Profile) -> Orders {
    let zone = Zone::of(profile, &view.header);
    Orders { people: view.patients.iter().map(|patient| person(patient, &zone)).collect() }
}

fn person(patient: &PatientResults, zone: &Zone<'_>) -> OrdersOf {
    let mut last = None;
    let requests = patient.groups.iter().map(|group| {
        let control = control(group, last);
        last = control;
        match zone.profile.habits.order_layout {
            OrderLayout::Standard => request(group, control),
            OrderLayout::Medsynapse23 => medsynapse(group, control, zone),
        }
    });
    let requests = requests.collect();
    let visit = patient.visit.as_ref().and_then(|visit| visit.visit_number.as_ref());
    let account = patient.patient.as_ref().and_then(|patient| patient.account_number.as_ref());
    OrdersOf {
        requests,
        visit: visit.or(account).and_then(|number| number.id.clone()),
        notes: notes(&patient.notes),
        claim: patient.patient.as_ref().map(claim),
    }
}

/// ORC-1. An OBR without an ORC of its own is one more test of the order before it, unless it has results already: such
/// ones stand beside a new order for whoever reads it.
fn control(group: &ResultGroup, last: Option<OrderControl>) -> Option<OrderControl> {
    match &group.control {
        Some(orc) => orc.control.as_deref()?.trim().to_ascii_uppercase().parse().ok(),
        None if group.request.status.is_some() && last.is_none_or(OrderControl::is_placers) => {
            Some(OrderControl::Previous)
        }
        None => last,
    }
}

fn request(group: &ResultGroup, control: Option<OrderControl>) -> OrderRequest {
    let (orc, obr) = (group.control.as_ref(), &group.request);
    let own = orc.and_then(|orc| number(&orc.placer));
    let of_obr = number(&obr.placer);
    let names_two = own.as_ref().zip(of_obr.as_ref()).is_some_and(|(own, of_obr)| own.id != of_obr.id);
    let filler = orc.and_then(|orc| number(&orc.filler)).or_else(|| number(&obr.filler));
    let provider = obr.provider.as_ref().or(orc.and_then(|orc| orc.provider.as_ref()));
    OrderRequest {
        control,
        placer: own.or(of_obr),
        filler,
        names_two,
        status: orc.and_then(|orc| orc.status.clone()),
        report_status: obr.status.map(String::from),
        service: term(&obr.service),
        priorities: group.priorities().map(str::to_owned).collect(),
        provider: provider.and_then(Provider::display),
        diagnoses: group.diagnoses.iter().map(diagnosis).collect(),
        notes: said(group),
        has_specimen: !group.examined().is_empty(),
        imaging: None,
    }
}

/// The layout of Medsynapse PACS in HL7 2.3. OBR-2 is the accession number there, which need not be the order's own.
fn medsynapse(group: &ResultGroup, control: Option<OrderControl>, zone: &Zone<'_>) -> OrderRequest {
    let obr = &group.request;
    let [location, ae_title] = obr.filler_fields.clone();
    let mut priorities: Vec<String> = obr.old_priority.iter().cloned().collect();
    priorities.extend(group.priorities().map(str::to_owned));
    let plain = request(group, control);
    let imaging = Imaging {
        accession_number: obr.placer.id.clone(),
        procedure_code: plain.service.code.clone(),
        procedure: plain.service.text.clone(),
        modality: obr.section.clone(),
        priority: obr.old_priority.clone(),
        order_status: group.control.as_ref().and_then(|orc| orc.control.clone()),
        ae_title,
        station: obr.placer_field.clone(),
        location,
        scheduled_at: obr.scheduled_at.as_ref().and_then(|time| zone.instant(time)),
        scheduled_at_text: obr.scheduled_at.as_ref().map(|time| time.text.clone()),
    };
    OrderRequest { names_two: false, priorities, imaging: Some(imaging), ..plain }
}

/// Comments, and what else is said in words that the laboratory is to know.
fn said(group: &ResultGroup) -> Vec<String> {
    let mut said = notes(&group.notes);
    let info = group.request.clinical_info.as_deref();
    said.extend(info.map(|text| format!("Clinical information: {text}")));
    let reasons = [Some(&group.request.reason), group.control.as_ref().map(|orc| &orc.reason)];
    let reasons = reasons.into_iter().flatten().filter_map(|reason| reason.display());
    said.extend(reasons.map(|text| format!("Reason: {text}")));
    said
}

fn diagnosis(sent: &Diagnosis) -> Term {
    let coded = &sent.code;
    Term {
        code: coded.code.clone().unwrap_or_default(),
        text: coded.text.clone().or_else(|| sent.text.clone()),
        system: coded.system.clone(),
        loinc: None,
    }
}

/// A number and who gave it.
pub(super) fn number(sent: &EntityId) -> Option<SentNumber> {
    Some(SentNumber {
        id: sent.id.clone()?.trim().to_owned(),
        namespace: sent.namespace.clone(),
        universal_id: sent.universal_id.clone(),
        universal_type: sent.universal_type.clone(),
    })
}

/// A number on its way back.
pub fn number_out(number: &SentNumber) -> EntityId {
    EntityId {
        id: Some(number.id.clone()),
        namespace: number.namespace.clone(),
        universal_id: number.universal_id.clone(),
        universal_type: number.universal_type.clone(),
    }
}
