//! The runner: runs a script or notebook by SageMaker's contract, in plain Python. It is the first process of each
//! image, and is sent to services that take no images. Also the versions of the tools that install dependencies.

use serde_json::{Map, Value};

/// The tool that installs dependencies, pinned so that an unchanged project gives an unchanged layer.
pub const UV: &str = "uv==0.13.9";
/// The tool that reads Poetry's files.
pub const POETRY: &str = "poetry==2.2.1";
/// The plugin that exports Poetry's lock file.
pub const POETRY_EXPORT: &str = "poetry-plugin-export==1.9.0";

/// The variable and value that keep the script's arguments as the user wrote them. Without it, the runner converts them
/// like SageMaker's toolkit: `true` to `True`, `1e5` to `100000.0`.
pub const AS_WRITTEN: (&str, &str) = ("ALEKSEYLEARN_ARGUMENTS", "as-written");

/// The option for several processes of the script per machine, and its help. The host passes its value to the runner.
pub const PROCESSES: (&str, &str) = (
    "processes_per_node",
    "Processes of the script per machine, as torchrun starts them: a number, or `gpu` for one per GPU (default: one, without torchrun's variables)",
);

/// Hyperparameters encoded so that the script gets them unchanged. The runner decodes JSON strings, and SageMaker
/// accepts no line ends, so a text that either would change becomes a JSON string.
pub fn hyperparameters(texts: Vec<(String, String)>) -> Map<String, Value> {
    texts.into_iter().map(|(name, text)| (name, handed_over(text).into())).collect()
}

fn handed_over(text: String) -> String {
    if text.contains(char::is_control) || serde_json::from_str::<String>(&text).is_ok() {
        return Value::from(text).to_string();
    }
    text
}

/// Forms of dependency files that `install` of [`INSTALL`] can install from.
pub const FORMS: [&str; 5] = ["none", "requirements", "pyproject", "uv-lock", "poetry"];
/// The packages that run a notebook.
pub const NOTEBOOK_REQUIREMENTS: &[&str] = &["papermill", "ipykernel"];

/// A part of Python scripts that install dependencies where no image is built: the function `install`.
pub const INSTALL: &str = include_str!("../install.py");

/// The runner's files: names and contents.
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
    fn only_texts_that_would_change_are_quoted() {
        for text in ["true", "null", "1e5", "[1, 2]", r#"{"a": "b"}"#, "it's \"quoted\"", "\"", ""] {
            assert_eq!(handed_over(text.to_owned()), text);
        }
        assert_eq!(handed_over("\"a\"".to_owned()), r#""\"a\"""#);
        assert_eq!(handed_over("a\nb".to_owned()), r#""a\nb""#);
    }
}
