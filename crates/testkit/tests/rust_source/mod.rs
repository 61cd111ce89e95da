//! Reads which paths a Rust source uses, without comments, strings and tests.

use std::collections::BTreeMap;

/// What a module imports, and the paths that it uses.
#[derive(Default)]
pub(crate) struct Source {
    imports: BTreeMap<String, Vec<String>>,
    paths: Vec<Vec<String>>,
    tests: Vec<String>,
}

impl Source {
    pub(crate) fn parse(text: &str) -> Self {
        let (tokens, tests) = without_tests(&tokens(text));
        let mut source = Self { tests, ..Self::default() };
        let mut at = 0;
        while at < tokens.len() {
            let is_start = at == 0 || tokens[at - 1] != "::";
            // `impl Trait + use<'a>` imports nothing.
            if tokens[at] == "use" && tokens.get(at + 1).is_some_and(|next| next != "<") {
                let end = at + tokens[at..].iter().position(|token| token == ";").unwrap();
                let is_shared = at > 0 && ["pub", ")"].contains(&tokens[at - 1].as_str());
                source.add_use(&tokens[at + 1..end], is_shared);
                at = end;
            } else if is_start && is_name(&tokens[at]) && tokens.get(at + 1).is_some_and(|next| next == "::")
            {
                let mut path = vec![tokens[at].clone()];
                while tokens.get(at + 1).is_some_and(|next| next == "::")
                    && tokens.get(at + 2).is_some_and(|name| is_name(name))
                {
                    path.push(tokens[at + 2].clone());
                    at += 2;
                }
                source.paths.push(path);
            }
            at += 1;
        }
        source
    }

    /// Adds what another file of the same module has: a crate may have `lib.rs` and `main.rs`.
    pub(crate) fn extend(&mut self, other: Self) {
        self.imports.extend(other.imports);
        self.paths.extend(other.paths);
        self.tests.extend(other.tests);
    }

    /// Modules that are compiled for tests only, in files of their own.
    pub(crate) fn tests(&self) -> &[String] {
        &self.tests
    }

    /// The path that a name was imported from.
    pub(crate) fn import(&self, name: &str) -> Option<&[String]> {
        self.imports.get(name).map(Vec::as_slice)
    }

    /// The paths that are used, private imports among them. An import that is passed on to others is no use.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &[String]> {
        self.paths.iter().map(Vec::as_slice)
    }

    fn add_use(&mut self, tree: &[String], is_shared: bool) {
        for (name, path) in leaves(&[], tree) {
            if !is_shared {
                self.paths.push(path.clone());
            }
            // `use values;` names what is here.
            if path.len() > 1 || name == "*" {
                self.imports.insert(name, path);
            }
        }
    }
}

/// The names that a tree of imports makes, each with its path.
fn leaves(prefix: &[String], tree: &[String]) -> Vec<(String, Vec<String>)> {
    let mut path = prefix.to_vec();
    let mut at = 0;
    while at < tree.len() {
        match tree[at].as_str() {
            "::" => {}
            "{" => {
                let inner = &tree[at + 1..tree.len() - 1];
                let branches = branches(inner);
                return branches.into_iter().flat_map(|branch| leaves(&path, branch)).collect();
            }
            "as" => return vec![(tree[at + 1].clone(), path)],
            "self" if !path.is_empty() => {}
            "*" => return vec![("*".to_owned(), path)],
            name => path.push(name.to_owned()),
        }
        at += 1;
    }
    path.last().cloned().map(|name| (name, path)).into_iter().collect()
}

fn branches(inner: &[String]) -> Vec<&[String]> {
    let mut depth = 0;
    let split = inner.split(|token| {
        match token.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ => {}
        }
        depth == 0 && token == ","
    });
    split.filter(|branch| !branch.is_empty()).collect()
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Names, `::` and single other characters.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let is_letter = |c: char| c.is_alphanumeric() || c == '_';
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(length) = text_literal(rest) {
            length
        } else if first == '\'' {
            // A character, or else a lifetime.
            character_literal(rest).unwrap_or(1)
        } else if is_letter(first) {
            let length = rest.find(|c| !is_letter(c)).unwrap_or(rest.len());
            tokens.push(rest[..length].to_owned());
            length
        } else if rest.starts_with("::") {
            tokens.push("::".to_owned());
            2
        } else {
            if !first.is_whitespace() {
                tokens.push(first.to_string());
            }
            first.len_utf8()
        };
        rest = &rest[length..];
    }
    tokens
}

/// The length of a literal such as `"text"`, `b"text"`, `r"text"` or `r#"text"#`.
fn text_literal(text: &str) -> Option<usize> {
    let after = text.trim_start_matches(['b', 'c']);
    let prefix = text.len() - after.len();
    if let Some(raw) = after.strip_prefix('r') {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        let inner = raw[hashes..].strip_prefix('"')?;
        let end = format!("\"{}", "#".repeat(hashes));
        return Some(prefix + 1 + hashes + 1 + inner.find(&end)? + end.len());
    }
    let inner = after.strip_prefix('"').filter(|_| prefix < 2)?;
    let mut is_escaped = false;
    let end = inner.find(|c| {
        let ends = c == '"' && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        ends
    })?;
    Some(prefix + 1 + end + 1)
}

fn character_literal(text: &str) -> Option<usize> {
    let inner = &text[1..];
    let first = inner.chars().next()?;
    if first == '\\' {
        // The second character may be a quotation mark itself.
        return Some(3 + inner[2..].find('\'')? + 1);
    }
    inner[first.len_utf8()..].starts_with('\'').then_some(1 + first.len_utf8() + 1)
}

/// Leaves out the items that are compiled for tests only. Returns the names of modules among them as well.
fn without_tests(tokens: &[String]) -> (Vec<String>, Vec<String>) {
    let (mut kept, mut modules) = (Vec::new(), Vec::new());
    let mut at = 0;
    while at < tokens.len() {
        let attribute = attribute(&tokens[at..]);
        let has = |name: &str| attribute.iter().any(|token| token == name);
        if has("cfg") && has("test") && !has("not") {
            at += attribute.len();
            let item = &tokens[at..at + item(&tokens[at..])];
            if let [.., module, name, end] = item
                && module == "mod"
                && end == ";"
            {
                modules.push(name.clone());
            }
            at += item.len();
        } else {
            kept.push(tokens[at].clone());
            at += 1;
        }
    }
    (kept, modules)
}

/// The tokens of an attribute, if they begin with one.
fn attribute(tokens: &[String]) -> &[String] {
    let starts = tokens.first().is_some_and(|token| token == "#") && tokens.get(1).is_some_and(|t| t == "[");
    if starts { &tokens[..1 + block(&tokens[1..], "[", "]")] } else { &[] }
}

/// The number of tokens of an item: up to a semicolon, or to the end of its block.
fn item(tokens: &[String]) -> usize {
    let mut at = 0;
    while at < tokens.len() {
        match tokens[at].as_str() {
            ";" => return at + 1,
            "[" => at += block(&tokens[at..], "[", "]"),
            "(" => at += block(&tokens[at..], "(", ")"),
            "{" => {
                let end = at + block(&tokens[at..], "{", "}");
                // `use a::{b, c};` goes on after its block.
                return end + usize::from(tokens.get(end).is_some_and(|token| token == ";"));
            }
            _ => at += 1,
        }
    }
    at
}

/// The number of tokens of a block that begins here.
fn block(tokens: &[String], open: &str, close: &str) -> usize {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate() {
        if token == open {
            depth += 1;
        } else if token == close {
            depth -= 1;
            if depth == 0 {
                return at + 1;
            }
        }
    }
    tokens.len()
}
