//! What stands around the values: specimens, parents, who did the test and how.

use crate::{
    domain::specimen::{Parentage, Particulars, Specimen, ValueCode},
    hl7::{
        datatypes::{Coded, Provider},
        datetime::Timestamp,
        observation::Observation,
        oru::ResultGroup,
    },
};

/// The specimens of a report.
pub(super) fn specimens(group: &ResultGroup) -> Vec<Specimen> {
    let words = |code: &Coded| code.display().map(str::to_owned);
    let list = |codes: &[Coded]| {
        let shown: Vec<&str> = codes.iter().filter_map(Coded::display).collect();
        (!shown.is_empty()).then(|| shown.join("; "))
    };
    let time = |time: &Option<Timestamp>| time.as_ref().map(|time| time.text.clone());
    let specimen = |sent: &crate::hl7::specimen::Specimen| Specimen {
        id: sent.filler.id.clone().or_else(|| sent.placer.id.clone()),
        kind: words(&sent.kind),
        kind_code: sent.kind.code.clone(),
        site: words(&sent.site),
        collection_method: words(&sent.collection),
        description: sent.description.clone(),
        collected_at: time(&sent.collected_at),
        received_at: time(&sent.received_at),
        reject_reason: list(&sent.reject_reasons),
        condition: list(&sent.conditions),
    };
    group.examined().iter().map(specimen).collect()
}

/// What a report grew out of.
pub(super) fn parentage(group: &ResultGroup) -> Parentage {
    let (placer, filler) = group.parent();
    let observation = group.request.parent_result.clone().unwrap_or_default();
    let control = group.control.as_ref().and_then(|control| control.control.as_deref());
    Parentage {
        placer: placer.id.clone(),
        filler: filler.id.clone(),
        code: observation.code,
        sub_id: observation.sub_id,
        text: observation.text,
        is_reflex: group.request.specimen_action.as_deref() == Some("G") || control == Some("CH"),
    }
}

/// How a result came about; none when nothing was said.
pub(super) fn particulars(sent: &Observation) -> Option<Particulars> {
    let person = |provider: &Option<Provider>| provider.as_ref().and_then(Provider::display);
    let code = |code: &Coded| ValueCode {
        code: code.code.clone(),
        text: code.text.clone(),
        system: code.system.clone(),
    };
    let particulars = Particulars {
        performing_lab_id: sent.performer.id.clone(),
        performing_lab_address: sent.performer.address.clone(),
        performing_lab_director: person(&sent.performer.director),
        observer: person(&sent.observer),
        method: sent.method.display().map(str::to_owned),
        equipment: sent.equipment.clone(),
        analysed_at: sent.analysed_at.as_ref().map(|time| time.text.clone()),
        codes: sent.value.codes().iter().map(code).collect(),
    };
    (particulars != Particulars::default()).then_some(particulars)
}
