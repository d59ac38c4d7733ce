//! Detects arguments of the script that lack the `--` before them.

use std::{collections::BTreeSet, ffi::OsString};

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::Arguments;
use crate::{error::Error, job};

/// The commands that take a script's arguments.
const COMMANDS: [&str; 2] = ["fit", "check"];

/// The error for a command line that is valid once its unknown arguments come after `--`; `None` if it is not.
pub fn misplaced(arguments: &[OsString], error: &clap::Error) -> Option<Error> {
    let words: Vec<String> =
        arguments.iter().map(|word| word.to_str().map(str::to_owned)).collect::<Option<_>>()?;
    if words.iter().any(|word| word == "--") {
        return None;
    }
    let command = words.iter().skip(1).find(|word| COMMANDS.contains(&word.as_str()))?.clone();
    let first = culprit(error)?;
    let mut of_script = BTreeSet::new();
    let mut culprit_now = first.clone();
    loop {
        let added = take(&words, &culprit_now, &mut of_script);
        let own: Vec<OsString> = kept(&words, &of_script, false).map(OsString::from).collect();
        match Arguments::read(own) {
            Ok(_) => break,
            Err(error) => culprit_now = culprit(&error).filter(|_| added)?,
        }
    }
    let own: Vec<String> = kept(&words, &of_script, false).skip(1).cloned().collect();
    let typed: Vec<String> = kept(&words, &of_script, true).cloned().collect();
    let corrected = ["alekseylearn", &job::typed(&own), "--", &job::typed(&typed)].join(" ");
    let message =
        format!("unexpected argument `{first}` for `{command}`: arguments of the script go after `--`");
    Some(Error::invalid(message).hint(format!("`{corrected}`")))
}

/// The word that clap rejects.
fn culprit(error: &clap::Error) -> Option<String> {
    let text = |kind: ContextKind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        _ => None,
    };
    match error.kind() {
        ErrorKind::UnknownArgument => text(ContextKind::InvalidArg),
        // Many scripts have their own option `--config` or `-c`.
        ErrorKind::ValueValidation if text(ContextKind::InvalidArg)?.starts_with("--config") => {
            text(ContextKind::InvalidValue)
        }
        _ => None,
    }
}

/// Assigns a word to the script, together with the option before it or the values after it. False if it was already
/// assigned.
fn take(words: &[String], culprit: &str, of_script: &mut BTreeSet<usize>) -> bool {
    let with_value = format!("{culprit}=");
    let is_it = |word: &String| word == culprit || word.starts_with(&with_value);
    let Some(at) = (1..words.len()).find(|at| !of_script.contains(at) && is_it(&words[*at])) else {
        return false;
    };
    let is_value = |word: &String| {
        let after = word.strip_prefix('-').and_then(|rest| rest.chars().next());
        after.is_none_or(|c| c.is_ascii_digit() || c == '.')
    };
    if is_value(&words[at]) && ["-c", "--config"].contains(&words[at - 1].as_str()) {
        of_script.insert(at - 1);
    }
    of_script.insert(at);
    of_script.extend((at + 1..words.len()).take_while(|next| is_value(&words[*next])));
    true
}

/// The words of the script, or all others.
fn kept<'a>(
    words: &'a [String],
    of_script: &BTreeSet<usize>,
    script: bool,
) -> impl Iterator<Item = &'a String> {
    words.iter().enumerate().filter(move |(at, _)| of_script.contains(at) == script).map(|(_, word)| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn advice(line: &str) -> Option<String> {
        let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        let error = Arguments::read(words.clone()).unwrap_err();
        misplaced(&words, &error).map(|error| error.hint_text().unwrap().to_owned())
    }

    #[test]
    fn the_hint_is_a_valid_command() {
        for (line, corrected) in [
            ("fit train.py --epochs 1", "fit train.py -- --epochs 1"),
            ("fit train.py --epochs=1 --fetch out", "fit train.py --fetch out -- --epochs=1"),
            ("fit train.py data.csv 5 -x", "fit train.py -- data.csv 5 -x"),
            ("fit train.py --lr -0.5 --json --no-accel", "fit train.py --json -- --lr -0.5 --no-accel"),
            ("fit train.py --config conf.yaml", "fit train.py -- --config conf.yaml"),
            ("check src/train.py model=big", "check src/train.py -- model=big"),
            ("fit train.py a\"b", "fit train.py -- 'a\"b'"),
        ] {
            let told = advice(&format!("alekseylearn {line}")).unwrap_or_else(|| panic!("{line}"));
            assert_eq!(told.trim_matches('`'), ["alekseylearn", corrected].join(" "));
            let words = told.trim_matches('`').split(' ').map(|word| word.trim_matches('\''));
            Arguments::read(words.map(OsString::from).collect()).unwrap();
        }
    }

    #[test]
    fn other_mistakes_are_left_to_clap() {
        for line in
            ["fit --epochs 1", "fit train.py -- --epochs --", "jobs --epochs 1", "fit train.py --color blue"]
        {
            let words: Vec<OsString> =
                ["alekseylearn"].into_iter().chain(line.split(' ')).map(OsString::from).collect();
            if let Err(error) = Arguments::read(words.clone()) {
                assert!(misplaced(&words, &error).is_none(), "{line}");
            }
        }
    }
}
