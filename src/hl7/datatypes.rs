//! Composite data types as owned values: CWE, EI, HD, CX, XPN, XCN.
//!
//! `""` inside them reads as absent; only whole fields know the difference (see `adt`).

use super::message::{Component, Field, Repetition};
use std::borrow::Cow;

fn own(text: Option<Cow<'_, str>>) -> Option<String> {
    text.map(Cow::into_owned)
}

/// CE, CWE, CNE: a code in up to two systems.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Coded {
    /// Code in the first system.
    pub code: Option<String>,
    /// Its text.
    pub text: Option<String>,
    /// First system, such as `LN`.
    pub system: Option<String>,
    /// Code in the second system.
    pub alt_code: Option<String>,
    /// Its text.
    pub alt_text: Option<String>,
    /// Second system.
    pub alt_system: Option<String>,
    /// CWE.9: what the user saw.
    pub original_text: Option<String>,
}

impl Coded {
    /// From one repetition.
    pub fn read(value: Repetition<'_>) -> Self {
        if value.raw().is_empty() {
            return Self::default();
        }
        let mut parts = value.components().map(|c| own(c.value()));
        let mut next = || parts.next().flatten();
        let (code, text, system) = (next(), next(), next());
        let (alt_code, alt_text, alt_system) = (next(), next(), next());
        next();
        next();
        Self { code, text, system, alt_code, alt_text, alt_system, original_text: next() }
    }

    /// From a component whose subcomponents are the parts, as in OBR-15.
    pub fn read_nested(value: Component<'_>) -> Self {
        if value.raw().is_empty() {
            return Self::default();
        }
        let [code, text, system] = [1, 2, 3].map(|n| own(value.part(n)));
        Self { code, text, system, ..Self::default() }
    }

    /// Nothing was sent.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// For the eye: a text if there is one, else a code.
    pub fn display(&self) -> Option<&str> {
        let order = [&self.text, &self.original_text, &self.alt_text, &self.code, &self.alt_code];
        order.into_iter().find_map(Option::as_deref)
    }

    /// Some senders leave the first triplet empty and fill the second; moves it forward.
    pub(super) fn promote_alternate(&mut self) -> bool {
        let moved = self.code.is_none() && self.alt_code.is_some();
        if moved {
            self.code = self.alt_code.take();
            self.text = self.alt_text.take().or(self.text.take());
            self.system = self.alt_system.take();
        }
        moved
    }
}

/// EI: a number and who gave it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct EntityId {
    /// The number.
    pub id: Option<String>,
    /// Namespace of the giver.
    pub namespace: Option<String>,
    /// Universal id of the giver.
    pub universal_id: Option<String>,
    /// Type of the universal id.
    pub universal_type: Option<String>,
}

impl EntityId {
    /// From one repetition.
    pub fn read(value: Repetition<'_>) -> Self {
        if value.raw().is_empty() {
            return Self::default();
        }
        let mut parts = value.components().map(|c| own(c.value()));
        let mut next = || parts.next().flatten();
        Self { id: next(), namespace: next(), universal_id: next(), universal_type: next() }
    }

    /// From a component whose subcomponents are the parts, as in OBR-29.
    pub fn read_nested(value: Component<'_>) -> Self {
        Self {
            id: own(value.part(1)),
            namespace: own(value.part(2)),
            universal_id: own(value.part(3)),
            universal_type: own(value.part(4)),
        }
    }

    /// No number was sent.
    pub fn is_empty(&self) -> bool {
        self.id.is_none()
    }

    /// Its components, for writing.
    pub(super) fn parts(&self) -> [&str; 4] {
        let parts = [&self.id, &self.namespace, &self.universal_id, &self.universal_type];
        parts.map(|part| part.as_deref().unwrap_or_default())
    }
}

/// HD: an application, a facility or an assigning authority.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hd {
    /// Local name.
    pub namespace: Option<String>,
    /// Universal id, such as an OID.
    pub universal_id: Option<String>,
    /// Its type, such as `ISO`.
    pub universal_type: Option<String>,
}

impl Hd {
    /// From a field whose components are the parts.
    pub fn read(field: Field<'_>) -> Self {
        let first = field.repetition(1);
        let part = |n| own(first.value(n));
        Self { namespace: part(1), universal_id: part(2), universal_type: part(3) }
    }

    /// From a component whose subcomponents are the parts.
    pub fn read_nested(value: Component<'_>) -> Self {
        let part = |n| own(value.part(n));
        Self { namespace: part(1), universal_id: part(2), universal_type: part(3) }
    }

    /// What to know the sender by: the local name, else the universal id.
    pub fn key(&self) -> Option<&str> {
        self.namespace.as_deref().or(self.universal_id.as_deref())
    }
}

/// CX: one of a patient's identifiers.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Identifier {
    /// The number.
    pub id: Option<String>,
    /// Who gave it.
    pub authority: Hd,
    /// Table 0203: `MR`, `PI`, `VN` …
    pub kind: Option<String>,
}

impl Identifier {
    /// From one repetition.
    pub fn read(value: Repetition<'_>) -> Self {
        if value.raw().is_empty() {
            return Self::default();
        }
        let mut parts = value.components();
        let id = own(parts.next().and_then(|c| c.value()));
        let authority = parts.nth(2).map(Hd::read_nested).unwrap_or_default();
        Self { id, authority, kind: own(parts.next().and_then(|c| c.value())) }
    }

    /// All repetitions that hold a number.
    pub fn read_all(field: Field<'_>) -> Vec<Self> {
        field.repetitions().map(Self::read).filter(|i| i.id.is_some()).collect()
    }
}

/// XPN: a patient's name.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct PersonName {
    /// Family name, without its subcomponents.
    pub family: Option<String>,
    /// Given name.
    pub given: Option<String>,
    /// Second and further given names.
    pub middle: Option<String>,
    /// `Jr`, `III`.
    pub suffix: Option<String>,
    /// `Dr`, `Prof`.
    pub prefix: Option<String>,
    /// Table 0200: `L` legal, `A` alias, `M` maiden.
    pub kind: Option<String>,
}

impl PersonName {
    /// From one repetition.
    pub fn read(value: Repetition<'_>) -> Self {
        if value.raw().is_empty() {
            return Self::default();
        }
        let mut parts = value.components();
        let family = own(parts.next().and_then(|c| c.part(1)));
        let mut next = || own(parts.next().and_then(|c| c.value()));
        let (given, middle, suffix, prefix) = (next(), next(), next(), next());
        next();
        Self { family, given, middle, suffix, prefix, kind: next() }
    }

    /// Nothing was sent.
    pub fn is_empty(&self) -> bool {
        self.family.is_none() && self.given.is_none()
    }
}

/// XCN: a provider.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Provider {
    /// Identifier.
    pub id: Option<String>,
    /// Family name.
    pub family: Option<String>,
    /// Given name.
    pub given: Option<String>,
    /// Further given names.
    pub middle: Option<String>,
    /// `Dr.`
    pub prefix: Option<String>,
    /// Who gave the identifier.
    pub authority: Hd,
    /// A name that was written where the identifier belongs.
    pub free_text: Option<String>,
}

impl Provider {
    /// From one repetition. `Dr. Smith` alone in the identifier's place is a name.
    pub fn read(value: Repetition<'_>) -> Self {
        if value.raw().is_empty() {
            return Self::default();
        }
        let mut parts = value.components();
        let id = own(parts.next().and_then(|c| c.value()));
        let family = own(parts.next().and_then(|c| c.part(1)));
        let mut next = || own(parts.next().and_then(|c| c.value()));
        let (given, middle, _suffix, prefix) = (next(), next(), next(), next());
        let authority = parts.nth(2).map(Hd::read_nested).unwrap_or_default();
        let is_name = family.is_none() && id.as_deref().is_some_and(|id| !looks_like_id(id));
        let (id, free_text) = if is_name { (None, id) } else { (id, None) };
        Self { id, family, given, middle, prefix, authority, free_text }
    }

    /// The first repetition, if anything was sent.
    pub fn read_first(field: Field<'_>) -> Option<Self> {
        field.repetitions().map(Self::read).find(|p| *p != Self::default())
    }

    /// For the eye: `Dr. Jane Smith`, else the identifier.
    pub fn display(&self) -> Option<String> {
        if let Some(text) = &self.free_text {
            return Some(text.clone());
        }
        let parts = [&self.prefix, &self.given, &self.middle, &self.family];
        let name: Vec<&str> = parts.into_iter().filter_map(Option::as_deref).collect();
        if name.is_empty() { self.id.clone() } else { Some(name.join(" ")) }
    }
}

fn looks_like_id(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '/'))
}

super::redact_debug!(Coded, EntityId, Identifier, PersonName, Provider);

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::hl7::message::Message;

    fn with<T>(value: &str, read: impl Fn(Field<'_>) -> T) -> T {
        let text = format!("MSH|^~\\&|A\rZZZ|{value}");
        let message = Message::parse(&text).unwrap();
        let field = message.segment("ZZZ").unwrap().field(1);
        read(field)
    }

    #[test]
    fn identifiers() {
        let ids = with("1^5^M11^LAB&1.2.3&ISO^MR~2~^^^X", Identifier::read_all);
        assert_eq!(ids.len(), 2);
        assert_eq!(ids[0].id.as_deref(), Some("1"));
        assert_eq!(ids[0].authority.namespace.as_deref(), Some("LAB"));
        assert_eq!(ids[0].authority.universal_id.as_deref(), Some("1.2.3"));
        assert_eq!(ids[0].kind.as_deref(), Some("MR"));
        assert_eq!(ids[1].authority, Hd::default());
    }

    #[test]
    fn codes() {
        let mut code = with("^^^K^Kalium^L", |f| Coded::read(f.repetition(1)));
        assert!(code.promote_alternate());
        assert_eq!((code.code.as_deref(), code.system.as_deref()), (Some("K"), Some("L")));
        let code = with("2823-3^Potassium^LN^K^Kalium^L^^^K+", |f| Coded::read(f.repetition(1)));
        assert_eq!((code.alt_code.as_deref(), code.original_text.as_deref()), (Some("K"), Some("K+")));
        assert_eq!(code.display(), Some("Potassium"));
    }

    #[test]
    fn providers() {
        let table = [
            ("Dr. Smith", None, Some("Dr. Smith")),
            ("1234^Smith^Jane^^^Dr.", Some("1234"), Some("Dr. Jane Smith")),
            ("^Smith&van^Jane", None, Some("Jane Smith")),
            ("SMITHJ", Some("SMITHJ"), Some("SMITHJ")),
            ("^^^", None, None),
        ];
        for (raw, id, shown) in table {
            let provider = with(raw, |f| Provider::read(f.repetition(1)));
            assert_eq!(provider.id.as_deref(), id, "{raw}");
            assert_eq!(provider.display().as_deref(), shown, "{raw}");
        }
    }

    #[test]
    fn the_authority_of_a_provider_is_component_nine() {
        let provider = with("7^S^J^^^^^^NPI&2.16&ISO", |f| Provider::read(f.repetition(1)));
        assert_eq!(provider.authority.key(), Some("NPI"));
    }
}
