//! Reads files of secrets with `NAME=VALUE` lines, as dotenv tools have them.

use super::asked::is_name;

/// Returns names and values in the order of the file.
///
/// # Errors
/// The number of the first invalid line.
pub(super) fn parse(text: &str) -> Result<Vec<(String, String)>, usize> {
    let mut all = Vec::new();
    for (number, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").map_or(line, str::trim_start);
        let assignment = line.split_once('=').and_then(|(name, value)| {
            let name = name.trim_end();
            Some((name, value_of(value.trim())?)).filter(|(name, _)| is_name(name))
        });
        let (name, value) = assignment.ok_or(number + 1)?;
        all.push((name.to_owned(), value));
    }
    Ok(all)
}

/// Returns a value, which is in quotes or ends at a comment. `None` if a quote has no end, or text follows it.
fn value_of(text: &str) -> Option<String> {
    match text.chars().next() {
        Some('\'') => {
            let (value, rest) = text[1..].split_once('\'')?;
            is_rest(rest).then(|| value.to_owned())
        }
        Some('"') => {
            let mut value = String::new();
            let mut letters = text[1..].chars();
            loop {
                match letters.next()? {
                    '"' => return is_rest(letters.as_str()).then_some(value),
                    '\\' => value.push(match letters.next()? {
                        'n' => '\n',
                        'r' => '\r',
                        't' => '\t',
                        other => other,
                    }),
                    letter => value.push(letter),
                }
            }
        }
        _ => Some(text.split(" #").next().unwrap_or(text).trim_end().to_owned()),
    }
}

/// Whether the text is empty or a comment.
fn is_rest(text: &str) -> bool {
    text.trim().is_empty() || text.trim_start().starts_with('#')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_dotenv_has_them() {
        let text = "\u{feff}# mine\n\nA=plain # why\nexport B = 'single # $X \\n'\nC=\"a \\\"b\\\"\\nc\" # why\nD=x=y#z\nE=\nA=last\n";
        let all = parse(text).unwrap();
        let all: Vec<_> = all.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let expected = [
            ("A", "plain"),
            ("B", "single # $X \\n"),
            ("C", "a \"b\"\nc"),
            ("D", "x=y#z"),
            ("E", ""),
            ("A", "last"),
        ];
        assert_eq!(all, expected);
    }

    #[test]
    fn an_invalid_line_is_reported_by_its_number() {
        for wrong in ["just words", "1A=x", "A='x", "A=\"x", "A='x' y", "=x", "A B=x"] {
            assert_eq!(parse(&format!("GOOD=1\n{wrong}\n")), Err(2), "{wrong}");
        }
    }
}
