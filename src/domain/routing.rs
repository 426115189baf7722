//! Which laboratory does what is ordered, where nobody says it. Pure.

/// A system that takes orders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Laboratory {
    /// Its endpoint.
    pub id: i64,
    /// Whether what nobody else does goes there.
    pub is_default: bool,
    /// Whether it makes pictures and has places for what only they need.
    pub images: bool,
    /// Whether it is told of news, and so may be no laboratory at all.
    pub is_told_news: bool,
    /// Codes of the tests it does; empty: any.
    pub tests: Vec<String>,
}

impl Laboratory {
    fn names_all(&self, codes: &[&str]) -> bool {
        !self.tests.is_empty() && codes.iter().all(|code| self.names(code))
    }

    fn names(&self, code: &str) -> bool {
        self.tests.iter().any(|test| test == code)
    }
}

/// What is ordered.
#[derive(Clone, Copy, Debug)]
pub struct Ordered<'a> {
    /// The codes of its tests.
    pub codes: &'a [&'a str],
    /// Whether it says what only imaging needs.
    pub is_imaging: bool,
}

/// Where an order goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// To this endpoint.
    To(i64),
    /// Nowhere yet: there is no laboratory, or several that take anything and none of them is the default.
    Undecided,
    /// Nowhere as it is: each laboratory says what it does, and none does all of these.
    Apart,
}

/// A laboratory that names every test of the order, else one that takes anything. Among several that name them the default
/// is preferred, then the oldest: all of them were set up to do it. Among several that take anything only the default will
/// do; one that is told of news does not count beside one that is not.
pub fn route(laboratories: &[&Laboratory], ordered: Ordered<'_>) -> Route {
    let concerned = concerned(laboratories, ordered.is_imaging);
    let naming: Vec<_> = concerned.iter().filter(|lab| lab.names_all(ordered.codes)).collect();
    let preferred = naming.iter().find(|lab| lab.is_default);
    let oldest = naming.iter().min_by_key(|lab| lab.id);
    if let Some(lab) = preferred.or(oldest) {
        return Route::To(lab.id);
    }
    let mut general: Vec<&Laboratory> =
        concerned.iter().copied().filter(|lab| lab.tests.is_empty()).collect();
    let default = general.iter().copied().find(|lab| lab.is_default);
    if general.iter().any(|lab| !lab.is_told_news) {
        general.retain(|lab| !lab.is_told_news);
    }
    match (default, general.as_slice()) {
        (Some(lab), _) | (None, &[lab]) => Route::To(lab.id),
        (None, []) if !concerned.is_empty() => Route::Apart,
        (None, _) => Route::Undecided,
    }
}

/// Pictures are ordered where they are made, if they are made anywhere; and what makes pictures does no other test that it
/// does not name.
fn concerned<'a>(laboratories: &[&'a Laboratory], is_imaging: bool) -> Vec<&'a Laboratory> {
    let imaging: Vec<_> = laboratories.iter().copied().filter(|lab| lab.images).collect();
    if is_imaging && !imaging.is_empty() {
        return imaging;
    }
    let takes_tests = |lab: &&Laboratory| is_imaging || !lab.images || !lab.tests.is_empty();
    laboratories.iter().copied().filter(takes_tests).collect()
}

/// Codes that no laboratory does.
pub fn done_by_none<'a>(laboratories: &[&Laboratory], codes: &[&'a str]) -> Vec<&'a str> {
    codes.iter().filter(|code| !laboratories.iter().any(|lab| lab.names(code))).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lab(id: i64, tests: &[&str]) -> Laboratory {
        let tests = tests.iter().map(|&test| test.to_owned()).collect();
        Laboratory { id, is_default: false, images: false, is_told_news: false, tests }
    }

    fn imaging(id: i64, tests: &[&str]) -> Laboratory {
        Laboratory { images: true, ..lab(id, tests) }
    }

    fn route(labs: &[Laboratory], codes: &[&str]) -> Route {
        super::route(&labs.iter().collect::<Vec<_>>(), Ordered { codes, is_imaging: false })
    }

    fn default(id: i64, tests: &[&str]) -> Laboratory {
        Laboratory { is_default: true, ..lab(id, tests) }
    }

    #[test]
    fn the_default_else_the_only_one_else_none() {
        let any = |id| lab(id, &[]);
        assert_eq!(route(&[], &["CBC"]), Route::Undecided);
        assert_eq!(route(&[any(1)], &["CBC"]), Route::To(1));
        assert_eq!(route(&[any(1), any(2)], &["CBC"]), Route::Undecided);
        assert_eq!(route(&[any(1), default(2, &[]), any(3)], &["CBC"]), Route::To(2));
    }

    #[test]
    fn who_names_the_tests_goes_before_who_takes_anything() {
        let labs = [default(1, &[]), lab(2, &["CULT", "GRAM"]), lab(3, &["TSH"])];
        assert_eq!(route(&labs, &["CULT"]), Route::To(2));
        assert_eq!(route(&labs, &["GRAM", "CULT"]), Route::To(2));
        assert_eq!(route(&labs, &["TSH"]), Route::To(3));
        assert_eq!(route(&labs, &["CBC"]), Route::To(1));
        assert_eq!(route(&labs, &["TSH", "CULT"]), Route::To(1));
        assert_eq!(route(&labs, &["cult"]), Route::To(1));
    }

    #[test]
    fn among_those_who_name_them_the_default_then_the_oldest() {
        assert_eq!(route(&[lab(2, &["K"]), lab(1, &["K"])], &["K"]), Route::To(1));
        assert_eq!(route(&[lab(1, &["K"]), default(2, &["K"])], &["K"]), Route::To(2));
        assert_eq!(route(&[lab(1, &["K"]), default(2, &["NA"])], &["K"]), Route::To(1));
    }

    #[test]
    fn tests_that_nobody_does_together_go_nowhere() {
        let labs = [default(1, &["CBC"]), lab(2, &["CULT"])];
        assert_eq!(route(&labs, &["CBC", "CULT"]), Route::Apart);
        assert_eq!(route(&labs, &["TSH"]), Route::Apart);
        let labs: Vec<_> = labs.iter().collect();
        assert_eq!(done_by_none(&labs, &["CBC", "CULT"]), Vec::<&str>::new());
        assert_eq!(done_by_none(&labs, &["CBC", "TSH"]), ["TSH"]);
    }

    #[test]
    fn two_that_take_anything_are_a_question_even_beside_one_that_does_not() {
        let labs = [lab(1, &[]), lab(2, &[]), lab(3, &["CULT"])];
        assert_eq!(route(&labs, &["CBC"]), Route::Undecided);
        assert_eq!(route(&labs, &["CULT"]), Route::To(3));
    }

    #[test]
    fn who_is_told_news_does_not_stand_in_the_way() {
        let told = |id| Laboratory { is_told_news: true, ..lab(id, &[]) };
        assert_eq!(route(&[lab(1, &[]), told(2)], &["CBC"]), Route::To(1));
        assert_eq!(route(&[lab(1, &[]), Laboratory { is_default: true, ..told(2) }], &["CBC"]), Route::To(2));
        assert_eq!(route(&[told(2)], &["CBC"]), Route::To(2));
        assert_eq!(route(&[told(1), told(2)], &["CBC"]), Route::Undecided);
        assert_eq!(route(&[lab(1, &[]), lab(2, &[]), told(3)], &["CBC"]), Route::Undecided);
    }

    #[test]
    fn pictures_go_where_they_are_made_and_nothing_else_does() {
        let pictures = |labs: &[Laboratory]| {
            super::route(&labs.iter().collect::<Vec<_>>(), Ordered { codes: &["CT"], is_imaging: true })
        };
        let labs = [default(1, &[]), imaging(2, &[])];
        assert_eq!((pictures(&labs), route(&labs, &["CBC"])), (Route::To(2), Route::To(1)));
        // A second system does not make the only laboratory a question.
        assert_eq!(route(&[lab(1, &[]), imaging(2, &[])], &["CBC"]), Route::To(1));
        assert_eq!(route(&[imaging(2, &[])], &["CBC"]), Route::Undecided);
        assert_eq!(route(&[lab(1, &[]), imaging(2, &["ECG"])], &["ECG"]), Route::To(2));
        // Where nobody makes them, whoever takes anything may know.
        assert_eq!(pictures(&[lab(1, &[])]), Route::To(1));
        assert_eq!(pictures(&[lab(1, &["CT"]), imaging(2, &["MR"])]), Route::Apart);
    }
}
