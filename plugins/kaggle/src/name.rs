//! The kernel's title, and the slug that Kaggle derives from it.

use alekseylearn_sdk::Values;

const SHORTEST: usize = 5;
/// The service fails without a message if a title is longer.
const MAX_LENGTH: usize = 50;

/// The user's title, or a default that does not collide with the user's own kernels.
pub(crate) fn title(options: &Values, tag: &str) -> String {
    options.text("title").unwrap_or_else(|| own_title(tag))
}

fn own_title(tag: &str) -> String {
    const MARK: &str = " alekseylearn";
    let tag = slug(tag).replace('-', " ");
    let room = tag.chars().take(MAX_LENGTH - MARK.len()).collect::<String>();
    format!("{}{MARK}", room.trim()).trim().to_owned()
}

/// The slug of a title, as Kaggle and its client compute it.
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

/// What is wrong with a title, and the fix; `None` if it is valid.
pub(crate) fn problem(title: &str) -> Option<(String, String)> {
    let fix = || "set --config.title to 5 to 50 ASCII letters, digits and spaces".to_owned();
    let length = title.chars().count();
    let slug = slug(title);
    if length > MAX_LENGTH {
        Some((
            format!("the title `{title}` has {length} characters, but Kaggle allows at most {MAX_LENGTH}"),
            fix(),
        ))
    } else if !title.is_ascii() {
        Some((
            format!("the title `{title}` has characters that Kaggle converts unpredictably in the address"),
            fix(),
        ))
    } else if length < SHORTEST || slug.len() < SHORTEST {
        Some((
            format!(
                "the title `{title}` gives the address `{slug}`, but Kaggle requires at least {SHORTEST} characters"
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

    /// Expected values come from python-slugify, which Kaggle's client uses.
    #[test]
    fn slugs_are_those_of_kaggles_client() {
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
    fn default_titles_are_always_valid() {
        for tag in ["models/train", "a", &"long/".repeat(30), "x_y/z.w", "ä"] {
            let title = own_title(tag);
            assert_eq!(problem(&title), None, "{title}");
        }
        assert_eq!(own_title("models/train"), "models train alekseylearn");
    }

    #[test]
    fn invalid_titles_are_reported() {
        for (title, says) in [
            ("abc", "at least 5"),
            ("a - - - b", "gives the address `a-b`"),
            (&"x".repeat(51), "has 51 characters"),
            ("Übung eins", "converts unpredictably"),
        ] {
            assert!(problem(title).unwrap().0.contains(says), "{title}");
        }
    }
}
