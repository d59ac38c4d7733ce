//! Settings of one run for the runner in the image, passed in environment variables.

use serde_json::{Map, Value, json};

use crate::config::Values;

const VARIABLE: &str = "ALEKSEYLEARN_RUN_";
/// Maximum characters in one variable; SageMaker accepts 512.
const MAX_LENGTH: usize = 500;
/// The driver option for the number of processes on one machine.
const PROCESSES: &str = "processes_per_node";

/// Formats a flag for the script: `--name`, or `-n` for one letter.
pub fn flag(name: &str) -> String {
    format!("{}{name}", if name.chars().count() > 1 { "--" } else { "-" })
}

/// What the user sets for one run, besides the options of its driver.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// The script's arguments, after its hyperparameters.
    pub arguments: Vec<String>,
    /// Paths and patterns of the files that become the model.
    pub model: Vec<String>,
}

impl Told {
    /// Returns the variables: one JSON object in ASCII, split into chunks.
    pub(super) fn environment(&self, options: &Values) -> Vec<(String, String)> {
        let mut told = Map::new();
        if !self.arguments.is_empty() {
            told.insert("arguments".into(), json!(self.arguments));
        }
        if !self.model.is_empty() {
            told.insert("model".into(), json!(self.model));
        }
        if let Some((_, value)) = options.given().iter().rfind(|(key, _)| key == PROCESSES) {
            let number = value.parse::<u64>().ok();
            told.insert(PROCESSES.into(), number.map_or_else(|| json!(value), |number| json!(number)));
        }
        if told.is_empty() {
            return Vec::new();
        }
        let text = ascii(&Value::Object(told).to_string());
        let chunks =
            text.as_bytes().chunks(MAX_LENGTH).map(|chunk| String::from_utf8_lossy(chunk).into_owned());
        chunks.enumerate().map(|(number, chunk)| (format!("{VARIABLE}{number}"), chunk)).collect()
    }
}

/// Escapes all characters of a JSON text that are not ASCII.
fn ascii(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_ascii() {
            out.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            out.push_str(&format!("\\u{unit:04x}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_split_into_chunks_that_every_service_accepts() {
        let arguments = vec!["--größe=🚀\u{7f}\n\"".to_owned(), String::new(), "x".repeat(1_200)];
        let told = Told { arguments, model: vec!["models/".into()] };
        let variables = told.environment(&Values::default());
        let names: Vec<&str> = variables.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["ALEKSEYLEARN_RUN_0", "ALEKSEYLEARN_RUN_1", "ALEKSEYLEARN_RUN_2"]);
        assert!(variables.iter().all(|(_, text)| text.is_ascii() && text.len() <= MAX_LENGTH));
        let whole: String = variables.into_iter().map(|(_, text)| text).collect();
        let read: Value = serde_json::from_str(&whole).unwrap();
        assert_eq!(read, json!({ "arguments": told.arguments, "model": told.model }));
    }

    #[test]
    fn no_settings_make_no_variables() {
        assert!(Told::default().environment(&Values::default()).is_empty());
    }
}
