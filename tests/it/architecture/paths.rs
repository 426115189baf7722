//! Finds the paths that a file names, in `use` trees and in the code itself, and makes those into the crate absolute.

use super::tokens::Token;

/// A path and the line it stands on. Paths into this crate begin with `crate`, others with the name of a crate.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mention {
    pub(super) line: usize,
    pub(super) path: Vec<String>,
}

/// The paths named by a file of the given module.
pub(super) fn mentions(module: &[String], tokens: &[Token]) -> Vec<Mention> {
    let module = module.to_vec();
    let mut reader = Reader { tokens, at: 0, module, depth: 0, inline: Vec::new(), found: Vec::new() };
    while reader.at < tokens.len() {
        reader.step();
    }
    reader.found
}

struct Reader<'a> {
    tokens: &'a [Token],
    at: usize,
    /// Where we are, inline modules included.
    module: Vec<String>,
    depth: usize,
    /// For each inline module around us, the depth of its braces.
    inline: Vec<usize>,
    found: Vec<Mention>,
}

impl<'a> Reader<'a> {
    fn step(&mut self) {
        match self.word_at(self.at) {
            Some("mod") if self.is_at(self.at + 2, '{') => self.enter_module(),
            // `use<'a>` lists what a return type captures.
            Some("use") if !self.is_at(self.at + 1, '<') => {
                self.at += 1;
                self.use_tree(&[]);
            }
            Some(_) if !self.follows_a_dot() => self.path_in_code(),
            _ => self.mark(),
        }
    }

    fn word_at(&self, at: usize) -> Option<&'a str> {
        self.tokens.get(at).and_then(Token::word)
    }

    fn is_at(&self, at: usize, mark: char) -> bool {
        self.tokens.get(at).is_some_and(|token| token.is(mark))
    }

    fn separator_at(&self, at: usize) -> bool {
        self.is_at(at, ':') && self.is_at(at + 1, ':')
    }

    /// After a dot stands a field or a method, never the head of a path.
    fn follows_a_dot(&self) -> bool {
        self.at > 0 && self.is_at(self.at - 1, '.')
    }

    fn enter_module(&mut self) {
        self.module.push(self.word_at(self.at + 1).unwrap_or_default().to_owned());
        self.inline.push(self.depth);
        self.depth += 1;
        self.at += 3;
    }

    fn mark(&mut self) {
        if self.is_at(self.at, '{') {
            self.depth += 1;
        } else if self.is_at(self.at, '}') {
            self.depth = self.depth.saturating_sub(1);
            if self.inline.last() == Some(&self.depth) {
                self.inline.pop();
                self.module.pop();
            }
        }
        self.at += 1;
    }

    fn path_in_code(&mut self) {
        let line = self.tokens[self.at].line;
        let mut path = Vec::new();
        while let Some(word) = self.word_at(self.at) {
            path.push(word.to_owned());
            self.at += 1;
            if !self.separator_at(self.at) {
                break;
            }
            self.at += 2;
        }
        // One word alone is a name in scope, and the `use` that brought it there is looked at.
        if path.len() > 1 {
            self.record(line, &path);
        }
    }

    fn use_tree(&mut self, prefix: &[String]) {
        let mut path = prefix.to_vec();
        while let Some(token) = self.tokens.get(self.at) {
            self.at += 1;
            if let Some(word) = token.word() {
                path.push(word.to_owned());
                if !self.separator_at(self.at) {
                    return self.use_leaf(token.line, &path);
                }
                self.at += 2;
            } else if token.is('{') {
                return self.use_branches(&path);
            } else if !token.is(':') {
                // A star; what is before it decides.
                return self.record(token.line, &path);
            }
        }
    }

    fn use_leaf(&mut self, line: usize, path: &[String]) {
        if self.word_at(self.at) == Some("as") {
            self.at += 2;
        }
        self.record(line, path);
    }

    fn use_branches(&mut self, path: &[String]) {
        while self.at < self.tokens.len() && !self.is_at(self.at, '}') {
            self.use_tree(path);
            if self.is_at(self.at, ',') {
                self.at += 1;
            }
        }
        self.at += 1;
    }

    fn record(&mut self, line: usize, path: &[String]) {
        let path = self.absolute(path);
        self.found.push(Mention { line, path });
    }

    fn absolute(&self, path: &[String]) -> Vec<String> {
        let ups = path.iter().take_while(|word| *word == "super").count();
        let (base, rest): (&[String], &[String]) = match path[0].as_str() {
            "crate" | "pms" => (&[], &path[1..]),
            "self" => (&self.module, &path[1..]),
            "super" => (&self.module[..self.module.len().saturating_sub(ups)], &path[ups..]),
            _ => return path.to_vec(),
        };
        let own = base.iter().chain(rest).filter(|word| *word != "self");
        std::iter::once("crate").map(str::to_owned).chain(own.cloned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::architecture::tokens::tokens;

    fn found(module: &str, source: &str) -> Vec<String> {
        let module: Vec<_> = module.split("::").map(str::to_owned).collect();
        let show = |mention: &Mention| format!("{} {}", mention.line, mention.path.join("::"));
        mentions(&module, &tokens(source)).iter().map(show).collect()
    }

    #[test]
    fn every_way_to_name_a_path_is_found() {
        let table: &[(&str, &str, &[&str])] = &[
            ("lab", "use crate::store::db;", &["1 crate::store::db"]),
            (
                "lab",
                "use crate::{\n store::{self, db as d},\n hl7::*,\n};",
                &["2 crate::store", "2 crate::store::db", "3 crate::hl7"],
            ),
            ("lab", "pub(crate) use ::axum::Router;", &["1 axum::Router"]),
            ("lab", "use sea_orm;", &["1 sea_orm"]),
            ("http::routes::orders", "use super::super::problem::Fault;", &["1 crate::http::problem::Fault"]),
            ("http", "use super::store;", &["1 crate::store"]),
            ("http", "use self::routes::all;", &["1 crate::http::routes::all"]),
            ("main", "pms::runtime::run()", &["1 crate::runtime::run"]),
            ("lab", "fn f() { let x = crate::store::db::write(1); }", &["1 crate::store::db::write"]),
            ("lab", "$crate::domain::Unknown { a }", &["1 crate::domain::Unknown"]),
            ("lab", "impl<T> From<sea_orm::DbErr> for X {}", &["1 sea_orm::DbErr"]),
            ("lab", "// crate::a\nlet s = \"crate::b\"; x.crate::c; self.y", &[]),
            ("lab", "fn f() -> impl Iterator + use<'a> { crate::domain::x() }", &["1 crate::domain::x"]),
        ];
        for (module, source, expected) in table {
            assert_eq!(found(module, source), *expected, "{source}");
        }
    }

    #[test]
    fn super_is_counted_from_the_inline_module() {
        let source = "mod tests { use super::x; fn f() { super::super::y::z(); } }\nuse super::x;";
        assert_eq!(
            found("lab::intake", source),
            ["1 crate::lab::intake::x", "1 crate::lab::y::z", "2 crate::lab::x"]
        );
    }
}
