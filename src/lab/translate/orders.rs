//! Orders of others in the clinic's words.

use super::claim;
use crate::{
    domain::event::{OrderNumber, OrderRequest, Orders, OrdersOf},
    hl7::{datatypes::EntityId, orm::OrmView, oru::PatientResults, oru::ResultGroup},
};

/// What an order message tells.
pub fn orders(view: &OrmView) -> Orders {
    Orders { people: view.patients.iter().map(person).collect() }
}

fn person(patient: &PatientResults) -> OrdersOf {
    let mut control = None;
    let requests = patient.groups.iter().map(|group| {
        // An OBR without an ORC of its own is one more test of the order before it.
        control = group.control.as_ref().map_or(control, |orc| orc.control.as_deref());
        request(group, control)
    });
    OrdersOf { requests: requests.collect(), claim: patient.patient.as_ref().map(claim) }
}

fn request(group: &ResultGroup, control: Option<&str>) -> OrderRequest {
    let orc = group.control.as_ref();
    let own = orc.and_then(|orc| number(&orc.placer));
    let of_obr = number(&group.request.placer);
    let names_two = own.as_ref().zip(of_obr.as_ref()).is_some_and(|(own, of_obr)| own.id != of_obr.id);
    let filler = orc.and_then(|orc| number(&orc.filler)).or_else(|| number(&group.request.filler));
    OrderRequest {
        control: control.and_then(|control| control.trim().to_ascii_uppercase().parse().ok()),
        placer: own.or(of_obr),
        filler,
        names_two,
        status: orc.and_then(|orc| orc.status.clone()),
        report_status: group.request.status.map(String::from),
    }
}

fn number(sent: &EntityId) -> Option<OrderNumber> {
    Some(OrderNumber {
        id: sent.id.clone()?,
        namespace: sent.namespace.clone(),
        universal_id: sent.universal_id.clone(),
        universal_type: sent.universal_type.clone(),
    })
}

/// A number on its way back.
pub fn number_out(number: &OrderNumber) -> EntityId {
    EntityId {
        id: Some(number.id.clone()),
        namespace: number.namespace.clone(),
        universal_id: number.universal_id.clone(),
        universal_type: number.universal_type.clone(),
    }
}
