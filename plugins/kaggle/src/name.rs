//! The kernel's title, and the slug that Kaggle makes of it.

use alekseylearn_sdk::Values;

const SHORTEST: usize = 5;
/// Beyond this the service fails without a word.
const LONGEST: usize = 50;

/// The title that the user gave, or one of our own: no kernel of the user's is made a version of ours.
pub(crate) fn title(options: &Values, tag: &str) -> String {
    options.text("title").unwrap_or_else(|| own_title(tag))
}

fn own_title(tag: &str) -> String {
    const MARK: &str = " alekseylearn";
    let tag = slug(tag).replace('-', " ");
    let room = tag.chars().take(LONGEST - MARK.len()).collect::<String>();
    format!("{}{MARK}", room.trim()).trim().to_owned()
}

/// As Kaggle and its client make it.
pub(crate) fn slug(title: &str) -> String {
    let letters: Vec<char> = title.chars().collect();
    let mut slug = String::new();
    for (index, letter) in letters.iter().enumerate() {
        let digit = |at: Option<usize>| at.and_then(|at| letters.get(at)).is_some_and(char::is_ascii_digit);
        match letter {
            letter if letter.is_ascii_alphanumeric() => slug.push(letter.to_ascii_lowercase()),
            ',' if digit(index.checked_sub(1)) && digit(Some(index + 1)) => {}
            _ if !slug.is_empty() && !slug.ends_with('-') => slug.push('-'),
            _ => {}
        }
    }
    slug.trim_end_matches('-').to_owned()
}

/// What is wrong with a title, and what to do.
pub(crate) fn problem(title: &str) -> Option<(String, String)> {
    let fix = || "give another with --config.title, of 5 to 50 plain letters, digits and spaces".to_owned();
    let length = title.chars().count();
    let slug = slug(title);
    if length > LONGEST {
        Some((
            format!("the title `{title}` has {length} characters, and Kaggle takes at most {LONGEST}"),
            fix(),
        ))
    } else if !title.is_ascii() {
        Some((
            format!(
                "the title `{title}` has letters of which nobody but Kaggle knows what address they make"
            ),
            fix(),
        ))
    } else if length < SHORTEST || slug.len() < SHORTEST {
        Some((
            format!(
                "the title `{title}` makes the address `{slug}`, and Kaggle wants at least {SHORTEST} characters"
            ),
            fix(),
        ))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As python-slugify has them, which Kaggle's client uses.
    #[test]
    fn slugs_are_the_clients() {
        for (title, expected) in [
            ("models train alekseylearn", "models-train-alekseylearn"),
            ("Models/Train_2!", "models-train-2"),
            ("  --It's 1,000 & more--", "it-s-1000-more"),
            ("a,b 1, 2", "a-b-1-2"),
            ("!!!", ""),
        ] {
            assert_eq!(slug(title), expected);
        }
    }

    #[test]
    fn titles_of_our_own_always_do() {
        for tag in ["models/train", "a", &"long/".repeat(30), "x_y/z.w", "ä"] {
            let title = own_title(tag);
            assert_eq!(problem(&title), None, "{title}");
        }
        assert_eq!(own_title("models/train"), "models train alekseylearn");
    }

    #[test]
    fn others_may_not() {
        for (title, says) in [
            ("abc", "at least 5"),
            ("a - - - b", "makes the address `a-b`"),
            (&"x".repeat(51), "has 51 characters"),
            ("Übung eins", "nobody but Kaggle"),
        ] {
            assert!(problem(title).unwrap().0.contains(says), "{title}");
        }
    }
}
