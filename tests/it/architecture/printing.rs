//! Rows to be written print all their fields when formatted with `{:?}`: a name, a birth date, a result. `Model`s are
//! written to say less, but the ORM derives `Debug` for `ActiveModel`s, so nothing may print one.
//!
//! This is a heuristic over one file: a variable or field counts as a row when its type or its value says so there.

use super::tokens::Token;

/// The lines that print such a row, or derive `Debug` for something that holds one.
pub(super) fn printed_rows(tokens: &[Token]) -> Vec<usize> {
    let rows = names_of_rows(tokens);
    let by_macro = (0..tokens.len()).filter(|at| macro_prints(tokens, *at, &rows));
    let by_derive = (0..tokens.len()).filter(|at| derive_prints(tokens, *at));
    by_macro.chain(by_derive).map(|at| tokens[at].line).collect()
}

/// Names declared as `name: …ActiveModel` or `let name = …ActiveModel` or `let name = ….into_active_model()`.
fn names_of_rows(tokens: &[Token]) -> Vec<&str> {
    let declares = |at: usize| {
        let separator = tokens.get(at + 1)?;
        let typed = separator.is(':') && !tokens.get(at + 2)?.is(':') && !(at > 0 && tokens[at - 1].is(':'));
        let ends: &[char] = if typed { &[',', ';', '=', ')', '{'] } else { &[';', '{'] };
        let is_row = (typed || separator.is('='))
            && tokens[at + 2..]
                .iter()
                .take_while(|token| !ends.iter().any(|end| token.is(*end)))
                .any(|token| matches!(token.word(), Some("ActiveModel" | "into_active_model")));
        is_row.then(|| tokens[at].word())?
    };
    (0..tokens.len()).filter_map(declares).collect()
}

/// The tokens from an opening bracket to its closing one.
fn group(tokens: &[Token], open: usize) -> &[Token] {
    let mut depth = 0;
    let end = tokens[open..].iter().position(|token| {
        depth += i32::from(token.is('(') || token.is('{') || token.is('['));
        depth -= i32::from(token.is(')') || token.is('}') || token.is(']'));
        depth == 0
    });
    &tokens[open..end.map_or(tokens.len(), |end| open + end)]
}

fn macro_prints(tokens: &[Token], at: usize, rows: &[&str]) -> bool {
    let is_call = tokens[at].word().is_some()
        && matches!(&tokens[at + 1..], [bang, open, ..] if bang.is('!') && open.is('('));
    if !is_call {
        return false;
    }
    let inside = group(tokens, at + 2);
    let named = inside.iter().filter_map(Token::text).flat_map(debug_placeholders);
    let (by_position, by_name): (Vec<_>, Vec<_>) =
        named.partition(|name| name.parse::<u8>().is_ok() || name.is_empty());
    let field_of_row = |at: usize| inside.get(at + 1).is_some_and(|next| next.is('.'));
    let is_row = |at: usize| {
        let word = inside.get(at).and_then(Token::word);
        word.is_some_and(|word| word == "ActiveModel" || rows.contains(&word)) && !field_of_row(at)
    };
    let as_trace_field = |at: usize| inside[at].is('?') && is_row(at + 1);
    by_name.iter().any(|name| rows.contains(name))
        || (!by_position.is_empty() && (0..inside.len()).any(is_row))
        || (1..inside.len()).any(|at| as_trace_field(at) && !inside[at - 1].is(')'))
}

/// The names before `:?` in a format string; empty for `{:?}`.
fn debug_placeholders(text: &str) -> impl Iterator<Item = &str> {
    let placeholders = text.split('{').skip(1).filter_map(|rest| rest.split_once('}'));
    placeholders.filter_map(|(inside, _)| inside.strip_suffix('?')?.split_once(':')).map(|(name, _)| name)
}

fn derive_prints(tokens: &[Token], at: usize) -> bool {
    let is_derive =
        tokens[at].word() == Some("derive") && tokens.get(at + 1).is_some_and(|next| next.is('('));
    if !is_derive || !group(tokens, at + 1).iter().any(|token| token.word() == Some("Debug")) {
        return false;
    }
    let item = tokens[at..].iter().position(|token| matches!(token.word(), Some("struct" | "enum")));
    let body = item.and_then(|item| {
        let open =
            tokens[at + item..].iter().position(|token| token.is('{') || token.is('(') || token.is(';'))?;
        Some(group(tokens, at + item + open))
    });
    body.is_some_and(|body| body.iter().any(|token| token.word() == Some("ActiveModel")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::architecture::tokens::tokens;

    #[test]
    fn rows_that_are_printed_are_found() {
        let table: &[(&str, &[usize])] = &[
            ("fn f(row: &patient::ActiveModel) {\n panic!(\"{row:?}\") }", &[2]),
            ("let row = patient::ActiveModel { a: 1 };\nformat!(\"{:#?}\", row);", &[2]),
            ("let mut row = model.into_active_model();\ntracing::debug!(?row, \"x\");", &[2]),
            ("let row: ActiveModel = x;\nassert!(ok, \"{0:?}\", &row);", &[2]),
            ("let row: ActiveModel = x;\ninfo!(change = ?row);", &[2]),
            ("#[derive(Clone, Debug)]\npub struct Change { row: patient::ActiveModel }", &[1]),
            ("#[derive(Debug)]\nstruct Change(ActiveModel);", &[1]),
            ("fn f(row: &patient::ActiveModel) { format!(\"{:?} {row_id:?}\", row.id) }", &[]),
            ("fn f(row: &patient::Model) { format!(\"{row:?}\") }", &[]),
            ("fn f(row: patient::ActiveModel) { row.insert(db)?; info!(\"{}\", f(x)?) }", &[]),
            ("#[derive(Debug)] struct Id(i64); struct Change { row: ActiveModel }", &[]),
            ("#[derive(Clone)] struct Change { row: ActiveModel }", &[]),
        ];
        for (source, expected) in table {
            assert_eq!(printed_rows(&tokens(source)), *expected, "{source}");
        }
    }
}
