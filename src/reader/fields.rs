//! One method per kind of field.
//!
//! Three forms each: `int` must be there, `opt_int` may be absent or null, `int_or` has a default for "absent"
//! (null is then a wrong type, as in pydantic).

use std::borrow::Cow;

use chrono::{DateTime, NaiveDate, Utc};
use serde_json::Value;

use super::problem::{Fault, Loc};
use super::{FromFields, Reader, Source, coerce, moment};

type Coerce<T> = fn(&Value) -> Result<T, Fault>;

impl<'a> Reader<'a> {
    /// A required integer.
    pub fn int(&mut self, name: &'static str) -> i64 {
        self.required(name, coerce::int)
    }

    /// An integer or nothing.
    pub fn opt_int(&mut self, name: &'static str) -> Option<i64> {
        self.optional(name, coerce::int)
    }

    /// An integer with a default.
    pub fn int_or(&mut self, name: &'static str, default: i64) -> i64 {
        self.defaulted(name, default, coerce::int)
    }

    /// An integer between two limits, both included, or nothing.
    pub fn opt_int_within(&mut self, name: &'static str, min: i32, max: i32) -> Option<i64> {
        self.optional(name, |value| {
            let int = coerce::int(value)?;
            super::rules::within(int, min, max).map_or(Ok(int), Err)
        })
    }

    /// A required number.
    pub fn float(&mut self, name: &'static str) -> f64 {
        self.required(name, coerce::float)
    }

    /// A number or nothing.
    pub fn opt_float(&mut self, name: &'static str) -> Option<f64> {
        self.optional(name, coerce::float)
    }

    /// A required flag.
    pub fn bool(&mut self, name: &'static str) -> bool {
        self.required(name, coerce::bool)
    }

    /// A flag or nothing.
    pub fn opt_bool(&mut self, name: &'static str) -> Option<bool> {
        self.optional(name, coerce::bool)
    }

    /// A flag with a default.
    pub fn bool_or(&mut self, name: &'static str, default: bool) -> bool {
        self.defaulted(name, default, coerce::bool)
    }

    /// Required text.
    pub fn str(&mut self, name: &'static str) -> String {
        self.required(name, coerce::text)
    }

    /// Text or nothing.
    pub fn opt_str(&mut self, name: &'static str) -> Option<String> {
        self.optional(name, coerce::text)
    }

    /// Text with a default.
    pub fn str_or(&mut self, name: &'static str, default: &str) -> String {
        self.defaulted(name, default.to_owned(), coerce::text)
    }

    /// One of a closed set of words.
    pub fn choice(&mut self, name: &'static str, options: &[&'static str]) -> &'static str {
        self.required(name, |value| coerce::choice(value, options))
    }

    /// One of a closed set of words, or nothing.
    pub fn opt_choice(&mut self, name: &'static str, options: &[&'static str]) -> Option<&'static str> {
        self.optional(name, |value| coerce::choice(value, options))
    }

    /// One of a closed set of words, with a default.
    pub fn choice_or(
        &mut self,
        name: &'static str,
        options: &[&'static str],
        default: &'static str,
    ) -> &'static str {
        self.defaulted(name, default, |value| coerce::choice(value, options))
    }

    /// A required point in time.
    pub fn datetime(&mut self, name: &'static str) -> DateTime<Utc> {
        let read = self.moment_reader();
        self.required(name, read)
    }

    /// A point in time or nothing.
    pub fn opt_datetime(&mut self, name: &'static str) -> Option<DateTime<Utc>> {
        let read = self.moment_reader();
        self.optional(name, read)
    }

    /// A required calendar day.
    pub fn date(&mut self, name: &'static str) -> NaiveDate {
        self.required(name, moment::date)
    }

    /// A calendar day or nothing.
    pub fn opt_date(&mut self, name: &'static str) -> Option<NaiveDate> {
        self.optional(name, moment::date)
    }

    /// Any JSON, taken as it is.
    pub fn json(&mut self, name: &'static str) -> Value {
        self.required(name, |value| Ok(value.clone()))
    }

    /// Any JSON or nothing.
    pub fn opt_json(&mut self, name: &'static str) -> Option<Value> {
        self.optional(name, |value| Ok(value.clone()))
    }

    /// A required list of texts; in a query string, all values of the name.
    pub fn str_list(&mut self, name: &'static str) -> Vec<String> {
        let list = self.raw_list(name);
        self.present(name, list.as_ref()).map(|value| self.texts(name, value)).unwrap_or_default()
    }

    /// A list of texts or nothing.
    pub fn opt_str_list(&mut self, name: &'static str) -> Option<Vec<String>> {
        let list = self.raw_list(name).filter(|value| !value.is_null());
        list.map(|value| self.texts(name, &value))
    }

    /// A required list of integers.
    pub fn int_list(&mut self, name: &'static str) -> Vec<i64> {
        let list = self.raw_list(name);
        let Some(value) = self.present(name, list.as_ref()) else { return Vec::new() };
        self.elements(name, value, |reader, loc, item| {
            reader.coerced(loc, item, coerce::int).unwrap_or_default()
        })
    }

    /// A required object of its own type.
    pub fn object<T: FromFields>(&mut self, name: &'static str) -> T {
        let raw = self.raw(name);
        match self.present(name, raw.as_ref()) {
            Some(value) => self.nested(value, &[name.into()]),
            None => super::placeholder(self.reading),
        }
    }

    /// An object of its own type, or nothing.
    pub fn opt_object<T: FromFields>(&mut self, name: &'static str) -> Option<T> {
        let raw = self.raw(name).filter(|value| !value.is_null())?;
        Some(self.nested(&raw, &[name.into()]))
    }

    /// A required list of objects.
    pub fn objects<T: FromFields>(&mut self, name: &'static str) -> Vec<T> {
        let raw = self.raw(name);
        let Some(value) = self.present(name, raw.as_ref()) else { return Vec::new() };
        self.elements(name, value, |reader, loc, item| reader.nested(item, loc))
    }

    /// A list of objects, or nothing.
    pub fn opt_objects<T: FromFields>(&mut self, name: &'static str) -> Option<Vec<T>> {
        let raw = self.raw(name).filter(|value| !value.is_null())?;
        Some(self.elements(name, &raw, |reader, loc, item| reader.nested(item, loc)))
    }

    /// A field of a PATCH: absent keeps (`None`), null clears (`Some(None)`). `read` is one of the `opt_` methods.
    #[allow(clippy::option_option, reason = "absent and null are two things here")]
    pub fn patch<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Self, &'static str) -> Option<T>,
    ) -> Option<Option<T>> {
        let given = self.source.get(name).is_some();
        let value = read(self, name);
        given.then_some(value)
    }

    /// Times in a query string may have lost the `+` of their offset.
    fn moment_reader(&self) -> impl Fn(&Value) -> Result<DateTime<Utc>, Fault> + use<> {
        let zone = self.reading.zone;
        let in_query = matches!(self.source, Source::Query(_));
        move |value| {
            moment::datetime(value, zone).or_else(|fault| {
                let mended = value.as_str().filter(|_| in_query).and_then(moment::mend_plus);
                mended.and_then(|text| moment::datetime(&text.into(), zone).ok()).ok_or(fault)
            })
        }
    }

    fn required<T: Default>(&mut self, name: &'static str, coerce: impl Fn(&Value) -> Result<T, Fault>) -> T {
        let raw = self.raw(name);
        let value = self.present(name, raw.as_ref());
        value.and_then(|value| self.coerced(&[name.into()], value, coerce)).unwrap_or_default()
    }

    fn optional<T>(&mut self, name: &'static str, coerce: impl Fn(&Value) -> Result<T, Fault>) -> Option<T> {
        let raw = self.raw(name).filter(|value| !value.is_null())?;
        self.coerced(&[name.into()], &raw, coerce)
    }

    fn defaulted<T>(
        &mut self,
        name: &'static str,
        default: T,
        coerce: impl Fn(&Value) -> Result<T, Fault>,
    ) -> T {
        match self.raw(name) {
            Some(raw) => self.coerced(&[name.into()], &raw, coerce).unwrap_or(default),
            None => default,
        }
    }

    fn coerced<T>(
        &mut self,
        tail: &[Loc],
        value: &Value,
        coerce: impl Fn(&Value) -> Result<T, Fault>,
    ) -> Option<T> {
        coerce(value).map_err(|fault| self.note(fault, tail, value)).ok()
    }

    fn present<'v>(&mut self, name: &'static str, raw: Option<&'v Cow<'_, Value>>) -> Option<&'v Value> {
        if raw.is_none() {
            self.note(Fault::MISSING, &[name.into()], self.parent());
        }
        raw.map(Cow::as_ref)
    }

    fn raw_list(&mut self, name: &'static str) -> Option<Cow<'a, Value>> {
        // Asked once more for the side effect only: the name takes its place in the order.
        let _ = self.raw(name);
        self.source.get_list(name)
    }

    fn texts(&mut self, name: &'static str, value: &Value) -> Vec<String> {
        let text: Coerce<String> = coerce::text;
        self.elements(name, value, |reader, loc, item| reader.coerced(loc, item, text).unwrap_or_default())
    }

    fn elements<T>(
        &mut self,
        name: &'static str,
        value: &Value,
        mut read: impl FnMut(&mut Self, &[Loc], &Value) -> T,
    ) -> Vec<T> {
        let Value::Array(items) = value else {
            self.note(Fault::plain("list_type", "Input should be a valid list"), &[name.into()], value);
            return Vec::new();
        };
        items.iter().enumerate().map(|(index, item)| read(self, &[name.into(), index.into()], item)).collect()
    }
}
