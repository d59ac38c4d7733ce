//! Parses Python source as far as needed to find its imports, and to recognise Python 2.

/// One import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Import {
    /// How many folders up a relative import starts; 0 for an absolute one.
    pub(super) level: u32,
    /// `a.b` of `import a.b` and of `from a.b import c`; empty for `from . import c`.
    pub(super) module: String,
    /// `c` of `from a.b import c`: a name in the module, or a module below it.
    pub(super) names: Vec<String>,
    /// Whether it runs whenever its module does: it is not in a `try`, a function or a condition.
    pub(super) is_needed: bool,
}

/// What was found in one file or cell.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) imports: Vec<Import>,
    /// The first line that only Python 2 accepts: its number from 1, and its text.
    pub(super) python2: Option<(usize, String)>,
}

impl Source {
    /// Parses a script or module.
    pub(super) fn of_module(text: &str) -> Self {
        let mut source = Self::default();
        // The blocks around a statement: how far they are indented, and whether they always run.
        let mut blocks: Vec<(usize, bool)> = Vec::new();
        for statement in statements(text.trim_start_matches('\u{feff}')) {
            let Statement { indent, line, text: mut rest } = statement;
            while blocks.last().is_some_and(|(outer, _)| indent <= *outer) {
                blocks.pop();
            }
            let mut is_needed = blocks.iter().all(|(_, always)| *always);
            // `if x: import y` is a block of one line.
            while let Some((head, body)) = header(&rest) {
                let always = runs_always(head);
                let body = body.to_owned();
                if source.python2.is_none() && (catches_as_python2(head) || head.contains("<>")) {
                    source.python2 = Some((line, original(text, line)));
                }
                if body.is_empty() {
                    blocks.push((indent, always));
                }
                is_needed &= always;
                rest = body;
            }
            for part in rest.split(';').map(str::trim) {
                source.imports.extend(imports(part, is_needed));
                if source.python2.is_none() && only_python2(part) {
                    source.python2 = Some((line, original(text, line)));
                }
            }
        }
        source
    }

    /// Parses one cell of a notebook.
    pub(super) fn of_cell(text: &str) -> Self {
        // Cell magics that run the rest of the cell as Python.
        const PYTHON: [&str; 5] = ["%%time", "%%timeit", "%%capture", "%%prun", "%%python3"];
        let trimmed = text.trim_start();
        let text = match trimmed.strip_prefix("%%") {
            None => text,
            Some(_) => {
                let (magic, rest) = trimmed.split_once('\n').unwrap_or((trimmed, ""));
                let name = magic.split_whitespace().next().unwrap_or_default();
                if PYTHON.contains(&name) { rest } else { "" }
            }
        };
        // Lines for IPython and for the shell are not Python.
        let is_python = |line: &&str| !line.trim_start().starts_with(['%', '!', '?']);
        let lines: Vec<&str> = text.lines().map(|line| if is_python(&line) { line } else { "" }).collect();
        Self::of_module(&lines.join("\n"))
    }
}

/// A logical line: without comments and the contents of strings; lines in brackets and after `\` are joined.
struct Statement {
    indent: usize,
    /// The line where it begins, from 1.
    line: usize,
    text: String,
}

fn statements(code: &str) -> Vec<Statement> {
    let mut found = Vec::new();
    let mut current = String::new();
    let (mut depth, mut line, mut begin) = (0_usize, 1, 1);
    let mut rest = code;
    let mut end = |current: &mut String, begin: usize| {
        let text = std::mem::take(current);
        let indent =
            text.chars().take_while(|c| *c == ' ' || *c == '\t').map(|c| if c == '\t' { 8 } else { 1 }).sum();
        if !text.trim().is_empty() {
            found.push(Statement { indent, line: begin, text: text.trim().to_owned() });
        }
    };
    while let Some(c) = rest.chars().next() {
        let mut length = c.len_utf8();
        match c {
            '#' => length = rest.find('\n').unwrap_or(rest.len()),
            '"' | '\'' => {
                length = string_length(rest, c);
                // A placeholder, so that what is around the string is not joined.
                current.push('"');
            }
            '\\' if rest[1..].starts_with(['\n', '\r']) => {
                length = rest.find('\n').map_or(rest.len(), |end| end + 1);
                current.push(' ');
            }
            '\n' if depth == 0 || starts_statement(&rest[1..]) => {
                depth = 0;
                end(&mut current, begin);
                begin = line + 1;
            }
            '\n' => current.push(' '),
            '(' | '[' | '{' => {
                depth += 1;
                current.push(c);
            }
            ')' | ']' | '}' => {
                depth = depth.saturating_sub(1);
                current.push(c);
            }
            c => current.push(c),
        }
        line += rest[..length].matches('\n').count();
        rest = &rest[length..];
    }
    end(&mut current, begin);
    found
}

/// Whether a statement certainly begins here, even if a bracket was left open: no line within brackets begins like
/// this.
fn starts_statement(rest: &str) -> bool {
    ["import ", "from "].iter().any(|word| rest.starts_with(word))
}

/// Returns the length of a string with its quotes; without a closing quote, the length of the rest.
fn string_length(text: &str, quote: char) -> usize {
    let triple: String = [quote; 3].iter().collect();
    let (end, is_long) =
        if text.starts_with(&triple) { (triple.as_str(), true) } else { (&triple[..1], false) };
    let mut at = end.len();
    while at < text.len() {
        let rest = &text[at..];
        if rest.starts_with(end) {
            return at + end.len();
        }
        if rest.starts_with('\n') && !is_long {
            return at;
        }
        let step = if rest.starts_with('\\') { 2 } else { 1 };
        at += rest.chars().take(step).map(char::len_utf8).sum::<usize>();
    }
    text.len()
}

/// Splits a statement into the head of a block and what follows its colon.
fn header(statement: &str) -> Option<(&str, &str)> {
    const WORDS: [&str; 15] = [
        "if", "elif", "else", "try", "except", "finally", "for", "while", "with", "def", "class", "async",
        "match", "case", "except*",
    ];
    let word =
        statement.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '*')).next().unwrap_or_default();
    if !WORDS.contains(&word) {
        return None;
    }
    let mut depth = 0_usize;
    for (at, c) in statement.char_indices() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            ':' if depth == 0 => return Some((statement[..at].trim(), statement[at + 1..].trim())),
            _ => {}
        }
    }
    None
}

/// Whether the body runs whenever the statement does. A `try` may be for an optional import.
fn runs_always(head: &str) -> bool {
    let condition = head.strip_prefix("if ").map(str::trim);
    match condition {
        Some(condition) => condition == "True" || condition.starts_with("__name__"),
        None => ["with ", "class ", "finally"].iter().any(|word| head.starts_with(word)),
    }
}

/// Returns what a simple statement imports.
fn imports(statement: &str, is_needed: bool) -> Vec<Import> {
    let name = |text: &str| -> Option<String> {
        let name = text.split_whitespace().next()?.trim_matches(['(', ')']);
        let plain = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || c == '_');
        name.split('.').all(plain).then(|| name.to_owned())
    };
    if let Some(list) = statement.strip_prefix("import ") {
        let absolute = |module| Import { level: 0, module, names: Vec::new(), is_needed };
        return list.split(',').filter_map(name).map(absolute).collect();
    }
    let Some((from, list)) = statement.strip_prefix("from ").and_then(|rest| {
        let (from, list) = rest.trim().split_once(" import").or_else(|| rest.trim().split_once("import"))?;
        list.starts_with([' ', '(', '*']).then_some((from.trim(), list.trim()))
    }) else {
        return Vec::new();
    };
    let module = from.trim_start_matches('.');
    if !module.is_empty() && name(module).is_none_or(|name| name != module) {
        return Vec::new();
    }
    let level = u32::try_from(from.len() - module.len()).unwrap_or(u32::MAX);
    let names = list.trim_matches(['(', ')']).split(',').filter_map(name).collect();
    vec![Import { level, module: module.to_owned(), names, is_needed }]
}

/// Whether Python 2 accepts the statement, and Python 3 does not.
fn only_python2(statement: &str) -> bool {
    const OPERATORS: [&str; 8] = ["in", "is", "if", "and", "or", "not", "else", "for"];
    let follows = |word: &str| {
        let Some(rest) = statement.strip_prefix(word) else { return false };
        let next = rest.trim_start();
        let first = next.split(|c: char| !(c.is_alphanumeric() || c == '_')).next().unwrap_or_default();
        next.starts_with('"')
            || rest.starts_with([' ', '\t'])
                && (next.starts_with(|c: char| c.is_alphanumeric() || c == '_')
                    && !OPERATORS.contains(&first)
                    || next.starts_with(">>"))
    };
    let comma = || {
        let mut depth = 0_usize;
        statement.chars().any(|c| {
            match c {
                '(' | '[' | '{' => depth += 1,
                ')' | ']' | '}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            c == ',' && depth == 0
        })
    };
    follows("print")
        || follows("exec")
        || statement.contains("<>")
        || statement.starts_with("raise ") && comma()
}

/// Whether the head is like `except Error, e:`.
fn catches_as_python2(head: &str) -> bool {
    const NAMES: [&str; 9] = ["e", "ex", "err", "exc", "error", "exception", "msg", "why", "reason"];
    head.strip_prefix("except ").and_then(|rest| rest.rsplit_once(',')).is_some_and(|(kinds, name)| {
        kinds.matches('(').count() == kinds.matches(')').count() && NAMES.contains(&name.trim())
    })
}

fn original(text: &str, line: usize) -> String {
    text.lines().nth(line - 1).unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(source: &Source) -> Vec<String> {
        let full = |import: &Import| format!("{}{}", ".".repeat(import.level as usize), import.module);
        source.imports.iter().filter(|import| import.is_needed).map(full).collect()
    }

    #[test]
    fn imports_are_found_and_nothing_else() {
        let code = r#"
"""Not this:
import nothing
"""
import os, numpy as np; import pandas.core
from sklearn.linear_model import (  # from here
    Ridge,
    Lasso,
)
from . import sibling
from .sibling import x
if True: import yaml
text = 'import this' + "from that import it"
text = """from there import more""" \
    + "x"
import \
    scipy
with open("x") as file:
    import PIL.Image
if __name__ == "__main__":
    import requests
"#;
        let found = names(&Source::of_module(code));
        let expected = [
            "os",
            "numpy",
            "pandas.core",
            "sklearn.linear_model",
            ".",
            ".sibling",
            "yaml",
            "scipy",
            "PIL.Image",
            "requests",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn optional_imports_are_not_needed() {
        let code = "\
try:
    import ujson as json
except ImportError:
    import json
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    import pandas
def plot():
    import matplotlib
if os.environ.get('WANDB'):
    import wandb
else:
    import mlflow
";
        assert_eq!(names(&Source::of_module(code)), ["typing"]);
    }

    #[test]
    fn cells_have_magics() {
        let found = |cell: &str| names(&Source::of_cell(cell));
        assert_eq!(
            found("%pip install foo (bar\nimport cv2\n!echo it's\nimport PIL.Image"),
            ["cv2", "PIL.Image"]
        );
        assert_eq!(found("%%time\nimport numpy"), ["numpy"]);
        assert_eq!(found("%%bash\nimport x"), [""; 0]);
        assert_eq!(found("numbers = !echo 1\n?print\nimport scipy"), ["scipy"]);
    }

    #[test]
    fn broken_code_is_parsed_to_its_end() {
        for code in
            ["\"", "'''", "(", "\\", "import", "from", "from x", "import é, 模", "#", "'\\", "\\\r\nimport a"]
        {
            Source::of_module(code);
            Source::of_cell(code);
        }
    }

    #[test]
    fn python_2_is_recognised() {
        for (code, line) in [
            ("import os\nprint 'loss', 3\n", Some(2)),
            ("print x\n", Some(1)),
            ("for i in x: print i\n", Some(1)),
            ("try:\n    f()\nexcept ValueError, e:\n    pass\n", Some(3)),
            ("try:\n    f()\nexcept (ValueError, KeyError), e:\n    pass\n", Some(3)),
            ("raise ValueError, 'no'\n", Some(1)),
            ("exec 'x = 1'\n", Some(1)),
            ("if a <> b:\n    pass\n", Some(1)),
            ("print('fine')\nprint = 3\nprint (x)\n", None),
            ("text = '''\nprint x\nexcept A, e:\n'''\n", None),
            ("try:\n    f()\nexcept (A, B) as e:\n    pass\n", None),
            ("def f(:\n", None),
        ] {
            let found = Source::of_module(code).python2.map(|(number, _)| number);
            assert_eq!(found, line, "{code}");
        }
    }
}
