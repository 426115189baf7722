//! What an incoming version does to the current one.
//!
//! Messages arrive late, twice and out of order. Three rules decide, in this order:
//! 1. *Rank*: what the laboratory stands by is never replaced by what it does not yet stand by, whatever
//!    the clocks say.
//! 2. *Age*: within a rank the newer one is current. OBR-22 decides, then MSH-7; where neither tells, the
//!    order of arrival does.
//! 3. *Retraction*: what was taken back comes back only by something that is provably newer.
//!
//! Every version is kept. The question is only which one a reader sees.

use std::fmt;

use chrono::{DateTime, Utc};

use super::ResultStatus;
use crate::domain::redacted::Redacted;
use crate::domain::spelling::spelled;
use crate::domain::value::same_value;

/// When the laboratory said it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stamp {
    /// OBR-22. Leave it out when it has no time of day: a bare date would count as midnight and make a
    /// correction look older than the result it corrects.
    pub status_changed_at: Option<DateTime<Utc>>,
    /// MSH-7.
    pub sent_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Age {
    Older,
    /// Equal, or the stamps cannot be compared.
    Undecided,
    Newer,
}

impl Stamp {
    /// The later of two, for a current version that has just been confirmed. What the newer one leaves out stays: an
    /// OBR-22 that was forgotten would let an older one pass for newer.
    #[must_use]
    pub fn newest(self, other: Self) -> Self {
        if other.age_against(self) != Age::Newer {
            return self;
        }
        Self {
            status_changed_at: other.status_changed_at.or(self.status_changed_at),
            sent_at: other.sent_at.or(self.sent_at),
        }
    }

    fn age_against(self, current: Self) -> Age {
        let pairs = [(self.status_changed_at, current.status_changed_at), (self.sent_at, current.sent_at)];
        let decided = pairs.into_iter().find_map(|pair| match pair {
            (Some(mine), Some(theirs)) if mine < theirs => Some(Age::Older),
            (Some(mine), Some(theirs)) if mine > theirs => Some(Age::Newer),
            _ => None,
        });
        decided.unwrap_or(Age::Undecided)
    }
}

/// One version as far as the rule looks at it.
#[derive(Clone, PartialEq, Eq)]
pub struct IncomingVersion {
    /// OBX-11.
    pub status: ResultStatus,
    /// OBX-5 as sent; None for no value and for the HL7 null.
    pub value: Option<String>,
    /// Digest of the document that is the value. Two documents may read the same in `value`.
    pub document: Option<String>,
    /// OBX-6.
    pub units: Option<String>,
    /// OBX-8.
    pub flags: Vec<String>,
    /// OBX-7.
    pub reference_range: Option<String>,
    /// When.
    pub stamp: Stamp,
}

/// The version readers see. `status` is the one shown to them, `value` the one shown (a `U` shows the value
/// before it), and `stamp` the newest one by which it was sent or confirmed.
pub type CurrentVersion = IncomingVersion;

impl fmt::Debug for IncomingVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Version")
            .field("status", &self.status)
            .field("value", &Redacted)
            .field("stamp", &self.stamp)
            .finish_non_exhaustive()
    }
}

spelled! {
    /// Whether readers see the incoming version.
    pub enum Place {
        /// It becomes the current version.
        Current = "current",
        /// It is kept beside the current version.
        History = "history",
    }
}

spelled! {
    /// What the incoming version means for those who saw the one before.
    pub enum Effect {
        /// There was none before.
        First = "first",
        /// Says the same as the current one.
        Unchanged = "unchanged",
        /// The expected next step, such as final after preliminary.
        Progress = "progress",
        /// Replaces what the laboratory had said, and somebody may have acted on it.
        Correction = "correction",
        /// Takes back what the laboratory had said.
        Retraction = "retraction",
        /// Came after something it may not replace.
        Late = "late",
    }
}

spelled! {
    /// What a person should know about how the version was placed.
    pub enum SupersedeWarning {
        /// A final value was changed by another final one, not by a correction.
        FinalChangedWithoutCorrection = "f_changed_without_c",
        /// A correction or retraction is older than what is shown, so it is kept but not applied.
        OlderThanCurrent = "correction_older_than_current",
        /// The result was taken back, and this one is not provably newer.
        AfterRetraction = "after_retraction",
        /// "Now final" without a value before it.
        FinalWithoutValue = "final_without_value",
    }
}

/// The decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Supersede {
    /// Whether readers see it.
    pub place: Place,
    /// The status readers see from now on, whichever version is current.
    pub shown: ResultStatus,
    /// What it means for those who saw the one before.
    pub effect: Effect,
    /// The value, unit or flag readers see differs from before. A final that repeats its preliminary changes
    /// nothing and alerts nobody.
    pub value_changed: bool,
    /// The incoming version has no value of its own (`U`); value, units, flags and range of the one before
    /// stay on show and belong into the new version.
    pub keeps_value: bool,
    /// The current version stays and is confirmed by this stamp: store [`Stamp::newest`] with it, or an older
    /// message that arrives later would pass for a newer one.
    pub confirms_current: bool,
    /// Worth a person's look.
    pub warning: Option<SupersedeWarning>,
}

impl Supersede {
    fn current(shown: ResultStatus, effect: Effect, value_changed: bool) -> Self {
        Self {
            place: Place::Current,
            shown,
            effect,
            value_changed,
            keeps_value: false,
            confirms_current: false,
            warning: None,
        }
    }

    fn history(current: &CurrentVersion, effect: Effect) -> Self {
        Self { place: Place::History, ..Self::current(current.status, effect, false) }
    }

    fn warn(self, warning: SupersedeWarning) -> Self {
        Self { warning: Some(warning), ..self }
    }

    fn warn_if(self, found: bool, warning: SupersedeWarning) -> Self {
        if found { self.warn(warning) } else { self }
    }

    /// Whether those who saw the version before have to be told.
    pub const fn concerns_readers(&self) -> bool {
        matches!(self.effect, Effect::Correction | Effect::Retraction)
    }
}

/// Decides what `incoming` does to `current`. Total: any pair has an answer.
pub fn supersede(current: Option<&CurrentVersion>, incoming: &IncomingVersion) -> Supersede {
    decide(current, incoming, Age::Undecided)
}

/// The same for a version that waited for a person while `current` came in: where the stamps do not tell, the order of
/// arrival does, and by that `incoming` is the older one.
pub fn supersede_overtaken(current: Option<&CurrentVersion>, incoming: &IncomingVersion) -> Supersede {
    decide(current, incoming, Age::Older)
}

fn decide(current: Option<&CurrentVersion>, incoming: &IncomingVersion, unstamped: Age) -> Supersede {
    let Some(current) = current else {
        return first(incoming);
    };
    let age = match incoming.stamp.age_against(current.stamp) {
        Age::Undecided => unstamped,
        age => age,
    };
    if current.status.is_retraction() {
        return after_retraction(current, incoming, age);
    }
    if incoming.status.is_retraction() {
        return retraction(current, incoming, age);
    }
    if incoming.is_bare_final() {
        return bare_final(current, incoming, age);
    }
    if current.is_bare_final() && incoming.has_value() {
        return value_after_bare_final(incoming, age);
    }
    match rank(incoming).cmp(&rank(current)) {
        std::cmp::Ordering::Less => Supersede::history(current, Effect::Late),
        std::cmp::Ordering::Greater => step_up(current, incoming),
        std::cmp::Ordering::Equal => same_rank(current, incoming, age),
    }
}

fn first(incoming: &IncomingVersion) -> Supersede {
    Supersede::current(incoming.status_shown(), Effect::First, incoming.has_value())
        .warn_if(incoming.is_bare_final(), SupersedeWarning::FinalWithoutValue)
}

/// How much the laboratory stands behind a version. "Cannot be obtained" is its last word too.
fn rank(version: &IncomingVersion) -> u8 {
    match version.status {
        status if status.is_final() => 2,
        ResultStatus::NotObtainable => 2,
        status if status.carries_value() => 1,
        _ => 0,
    }
}

impl IncomingVersion {
    fn has_value(&self) -> bool {
        self.status.carries_value() && self.value.as_deref().is_some_and(|value| !value.trim().is_empty())
    }

    /// "Now final", nothing else.
    fn is_bare_final(&self) -> bool {
        self.status == ResultStatus::FinalWithoutValue && !self.has_value()
    }

    /// The status this version has when shown: a `U` that brings its value is a final. A bare one keeps its
    /// own status, so that the value it speaks of can still take its place.
    fn status_shown(&self) -> ResultStatus {
        match self.status {
            ResultStatus::FinalWithoutValue if self.has_value() => ResultStatus::Final,
            other => other,
        }
    }

    /// The same value, unit and flags: a reader would decide the same. "N" and no flag count as one here;
    /// only a change matters.
    fn says_the_same(&self, other: &Self) -> bool {
        let flags = |version: &Self| {
            let mut flags: Vec<String> = version
                .flags
                .iter()
                .map(|flag| flag.trim().to_ascii_uppercase())
                .filter(|flag| !flag.is_empty() && flag != "N")
                .collect();
            flags.sort_unstable();
            flags
        };
        self.has_value() == other.has_value()
            && same_value(text_of(self.value.as_ref()), text_of(other.value.as_ref()))
            && self.document == other.document
            && text_of(self.units.as_ref()) == text_of(other.units.as_ref())
            && flags(self) == flags(other)
    }
}

fn text_of(text: Option<&String>) -> &str {
    text.map_or("", |text| text.trim())
}

/// A wrong patient's value must not come back because two messages changed places on the way.
fn after_retraction(current: &CurrentVersion, incoming: &IncomingVersion, age: Age) -> Supersede {
    if incoming.status.is_retraction() {
        let repeated = Supersede::history(current, Effect::Unchanged);
        return Supersede { confirms_current: age == Age::Newer, ..repeated };
    }
    if age == Age::Newer && !incoming.is_bare_final() {
        return Supersede::current(incoming.status_shown(), Effect::Correction, incoming.has_value());
    }
    let late = Supersede::history(current, Effect::Late);
    late.warn_if(age != Age::Older, SupersedeWarning::AfterRetraction)
}

fn retraction(current: &CurrentVersion, incoming: &IncomingVersion, age: Age) -> Supersede {
    if age == Age::Older {
        return Supersede::history(current, Effect::Late).warn(SupersedeWarning::OlderThanCurrent);
    }
    Supersede::current(incoming.status, Effect::Retraction, current.has_value())
}

/// `U` makes final what was sent before it, not what came after.
fn bare_final(current: &CurrentVersion, incoming: &IncomingVersion, age: Age) -> Supersede {
    if rank(current) == 2 {
        let repeated = Supersede::history(current, Effect::Unchanged);
        return Supersede { confirms_current: age == Age::Newer, ..repeated };
    }
    if !current.has_value() {
        return Supersede::current(incoming.status, Effect::Progress, false)
            .warn(SupersedeWarning::FinalWithoutValue);
    }
    if age == Age::Older {
        return Supersede::history(current, Effect::Late);
    }
    Supersede { keeps_value: true, ..Supersede::current(ResultStatus::Final, Effect::Progress, false) }
}

/// The value a `U` spoke of arrives after it: it is final, unless it is a later statement with a status of
/// its own.
fn value_after_bare_final(incoming: &IncomingVersion, age: Age) -> Supersede {
    let covered = age != Age::Newer && !incoming.status.is_final();
    let shown = if covered { ResultStatus::Final } else { incoming.status_shown() };
    Supersede::current(shown, Effect::Progress, true)
}

/// From pending to preliminary to final. A correction that arrives before its final is shown as what it is.
fn step_up(current: &CurrentVersion, incoming: &IncomingVersion) -> Supersede {
    let changed = !incoming.says_the_same(current);
    let effect = match incoming.status {
        ResultStatus::Corrected if current.has_value() => Effect::Correction,
        ResultStatus::NotObtainable if current.has_value() => Effect::Retraction,
        _ => Effect::Progress,
    };
    Supersede::current(incoming.status_shown(), effect, changed)
}

fn same_rank(current: &CurrentVersion, incoming: &IncomingVersion, age: Age) -> Supersede {
    if age == Age::Older {
        let speaks_of_change = matches!(
            incoming.status,
            ResultStatus::Corrected | ResultStatus::Amended | ResultStatus::NotObtainable
        );
        let differs = !incoming.says_the_same(current);
        return Supersede::history(current, Effect::Late)
            .warn_if(speaks_of_change && differs, SupersedeWarning::OlderThanCurrent);
    }
    if repeats(current, incoming) {
        return Supersede {
            confirms_current: age == Age::Newer,
            ..Supersede::history(current, Effect::Unchanged)
        };
    }
    if rank(current) < 2 {
        return Supersede::current(
            incoming.status_shown(),
            Effect::Progress,
            !incoming.says_the_same(current),
        );
    }
    final_over_final(current, incoming, age)
}

/// Nothing new for a reader: same content, and a status that adds nothing to the one shown.
fn repeats(current: &CurrentVersion, incoming: &IncomingVersion) -> bool {
    let adds_nothing = incoming.status_shown() == current.status_shown()
        || (current.status.is_final()
            && matches!(incoming.status_shown(), ResultStatus::Final | ResultStatus::Verified));
    adds_nothing
        && incoming.says_the_same(current)
        && text_of(incoming.reference_range.as_ref()) == text_of(current.reference_range.as_ref())
}

fn final_over_final(current: &CurrentVersion, incoming: &IncomingVersion, age: Age) -> Supersede {
    use ResultStatus::{Appended, Corrected, NotObtainable};
    let changed = !incoming.says_the_same(current);
    let status = incoming.status_shown();
    match (current.status, status) {
        (NotObtainable, _) => Supersede::current(status, Effect::Progress, changed),
        (_, NotObtainable) => Supersede::current(status, Effect::Retraction, changed),
        (_, Corrected) => Supersede::current(Corrected, Effect::Correction, changed),
        (_, ResultStatus::Amended | Appended) => {
            let effect = if changed { Effect::Correction } else { Effect::Progress };
            Supersede::current(status, effect, changed)
        }
        // The original final, overtaken on the way by its own correction.
        (Corrected | ResultStatus::Amended | Appended, _) if changed && age != Age::Newer => {
            Supersede::history(current, Effect::Late).warn(SupersedeWarning::FinalChangedWithoutCorrection)
        }
        (_, _) if changed => Supersede::current(Corrected, Effect::Correction, true)
            .warn(SupersedeWarning::FinalChangedWithoutCorrection),
        // Only the reference range differs. A result once corrected stays marked.
        (shown, _) => Supersede::current(shown, Effect::Progress, false),
    }
}
