//! The runner: SageMaker's contract around a script or notebook, in plain Python. It is the first process of each image,
//! and what a service that takes no images is handed instead. With it, the tools that install beside it.

use serde_json::{Map, Value};

/// What installs what a training folder asks for: pinned, so that an unchanged folder gives an unchanged layer.
pub const UV: &str = "uv==0.13.9";
/// Reads what Poetry declares.
pub const POETRY: &str = "poetry==2.2.1";
/// Writes it for others to read.
pub const POETRY_EXPORT: &str = "poetry-plugin-export==1.9.0";

/// A variable and the value by which it makes the script's arguments what the user wrote. Without it they are what
/// SageMaker's toolkit makes of them: `True` of `true`, `100000.0` of `1e5`.
pub const AS_WRITTEN: (&str, &str) = ("ALEKSEYLEARN_ARGUMENTS", "as-written");

/// The option by which each machine runs several processes of the script, and its help. The host tells the runner its
/// value.
pub const PROCESSES: (&str, &str) = (
    "processes_per_node",
    "Processes of the script on each machine, as torchrun starts them: `gpu` for one for each GPU, or how many; one without torchrun's variables if not given",
);

/// Hyperparameters as they are handed over, to arrive as they are. The runner decodes JSON strings, and SageMaker takes no
/// line ends: a text that either would change becomes a JSON string.
pub fn hyperparameters(texts: Vec<(String, String)>) -> Map<String, Value> {
    texts.into_iter().map(|(name, text)| (name, handed_over(text).into())).collect()
}

fn handed_over(text: String) -> String {
    if text.contains(char::is_control) || serde_json::from_str::<String>(&text).is_ok() {
        return Value::from(text).to_string();
    }
    text
}

/// Its files, by their names.
pub const FILES: &[(&str, &str)] = &[
    ("__main__.py", include_str!("../__main__.py")),
    ("arguments.py", include_str!("../arguments.py")),
    ("cluster.py", include_str!("../cluster.py")),
    ("complete.py", include_str!("../complete.py")),
    ("environment.py", include_str!("../environment.py")),
    ("failure.py", include_str!("../failure.py")),
    ("job.py", include_str!("../job.py")),
    ("kernel.py", include_str!("../kernel.py")),
    ("launch.py", include_str!("../launch.py")),
    ("leavings.py", include_str!("../leavings.py")),
    ("links.py", include_str!("../links.py")),
    ("notebook.py", include_str!("../notebook.py")),
    ("relay.py", include_str!("../relay.py")),
    ("results.py", include_str!("../results.py")),
    ("roots.py", include_str!("../roots.py")),
    ("spread.py", include_str!("../spread.py")),
    ("storage.py", include_str!("../storage.py")),
    ("supervise.py", include_str!("../supervise.py")),
    ("written.py", include_str!("../written.py")),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_would_arrive_changed_is_quoted() {
        for text in ["true", "null", "1e5", "[1, 2]", r#"{"a": "b"}"#, "it's \"quoted\"", "\"", ""] {
            assert_eq!(handed_over(text.to_owned()), text);
        }
        assert_eq!(handed_over("\"a\"".to_owned()), r#""\"a\"""#);
        assert_eq!(handed_over("a\nb".to_owned()), r#""a\nb""#);
    }
}
