//! Finds metrics in one line of a log. Most numbers in a log are not metrics: options, versions, sizes, times. A
//! number counts if its name is that of a quality measure, such as `val_loss` or `accuracy`; other numbers count if
//! the line names an epoch or a step. `corpus.txt` has lines that frameworks print.

use std::sync::LazyLock;

use regex::Regex;

/// Maximum length of a line in bytes; a longer one is data, or a whole table.
const MAX_LINE_LENGTH: usize = 10_000;
/// Names of quality measures, also as a part of a longer name such as `eval_macro-f1`.
const QUALITIES: &[&str] = &[
    "acc",
    "accuracy",
    "ap",
    "auc",
    "auprc",
    "auroc",
    "bce",
    "bleu",
    "brier",
    "cer",
    "correlation",
    "crossentropy",
    "deviance",
    "dice",
    "elbo",
    "err",
    "error",
    "f1",
    "fbeta",
    "fid",
    "fitness",
    "fmeasure",
    "gini",
    "inertia",
    "iou",
    "jaccard",
    "kappa",
    "kl",
    "kld",
    "l1",
    "l2",
    "likelihood",
    "logloss",
    "loss",
    "losses",
    "mae",
    "map",
    "mape",
    "mcc",
    "miou",
    "mlogloss",
    "mrr",
    "mse",
    "ndcg",
    "nll",
    "objective",
    "pearson",
    "perplexity",
    "ppl",
    "precision",
    "psnr",
    "quantile",
    "r2",
    "recall",
    "return",
    "rew",
    "reward",
    "rmse",
    "rmsle",
    "rouge",
    "rouge1",
    "rouge2",
    "rougel",
    "score",
    "silhouette",
    "spearman",
    "ssim",
    "wer",
];
/// Endings of names that are one word, such as `valloss`.
const ENDINGS: &[&str] = &["loss", "accuracy", "auc", "rmse", "logloss", "error", "score", "reward"];
/// Measures that a number may follow without a sign between them: `train loss 4.1, val loss 4.2`.
const PLAIN: &[&str] = &[
    "acc",
    "accuracy",
    "auc",
    "bleu",
    "f1",
    "iou",
    "loss",
    "mae",
    "mse",
    "perplexity",
    "ppl",
    "reward",
    "rmse",
    "wer",
];
/// Words that mark an option, a size, a counter or a time, whatever else the name contains.
const NO_QUALITY: &[&str] = &[
    "alpha",
    "batch",
    "beta",
    "bytes",
    "coef",
    "coefficient",
    "coeff",
    "count",
    "cpu",
    "cuda",
    "data",
    "date",
    "delta",
    "device",
    "dim",
    "duration",
    "elapsed",
    "epoch",
    "epochs",
    "eta",
    "examples",
    "factor",
    "features",
    "fn",
    "fps",
    "gb",
    "gpu",
    "hidden",
    "id",
    "index",
    "iter",
    "iteration",
    "iterations",
    "iters",
    "layers",
    "limit",
    "line",
    "max",
    "mb",
    "mem",
    "memory",
    "min",
    "n",
    "num",
    "number",
    "patience",
    "pid",
    "port",
    "rank",
    "rate",
    "remaining",
    "runtime",
    "samples",
    "scale",
    "sec",
    "second",
    "seconds",
    "seed",
    "size",
    "smoothing",
    "speed",
    "step",
    "steps",
    "target",
    "temperature",
    "threshold",
    "time",
    "timestamp",
    "tokens",
    "tol",
    "tolerance",
    "took",
    "total",
    "ts",
    "type",
    "util",
    "version",
    "warmup",
    "weight",
    "weights",
    "workers",
    "world",
];
/// Names that count in a line about a step, although they contain a word of the list above.
const OF_A_STEP: &[&str] = &["learning_rate", "learning rate", "total_loss", "total loss", "error_rate"];
/// Words of prose before a number.
const PROSE: &[&str] = &[
    "a", "about", "after", "and", "are", "as", "at", "be", "by", "for", "from", "in", "is", "of", "on", "or",
    "than", "the", "to", "was", "were", "with",
];
/// Words before a measure that belong to its name: `Test accuracy`, `Mean squared error`.
const QUALIFIERS: &[&str] = &[
    "absolute",
    "auc",
    "f1",
    "r2",
    "r²",
    "average",
    "avg",
    "avg.",
    "balanced",
    "best",
    "cross",
    "dev",
    "entropy",
    "eval",
    "evaluation",
    "final",
    "log",
    "macro",
    "mean",
    "median",
    "micro",
    "percentage",
    "root",
    "roc",
    "squared",
    "test",
    "testing",
    "top-1",
    "top-5",
    "total",
    "train",
    "training",
    "val",
    "val.",
    "valid",
    "validation",
    "weighted",
];

static NAMED: LazyLock<Regex> = LazyLock::new(|| {
    let number = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|[-+]?(?:nan|inf(?:inity)?)";
    regex(&format!(
        r#"(?ix) (?P<open>['"]?) (?P<name>[a-z_][\w/.@-]*(?:'s\ [\w@-]+)?) (?P<close>['"]?)
           (?P<sign> \s*=\s* | \s*:\s* | \s+ )
           (?P<quote>['"]?) (?: (?:np\.float\d*|tensor|array|float) \(\s* )?
           (?P<number>{number})"#
    ))
});

/// A measure and a number without a sign between them.
static PLAINLY: LazyLock<Regex> =
    LazyLock::new(|| regex(&format!(r"(?i)\b(?:{})\s+[-+]?[.\d]", PLAIN.join("|"))));

/// A line of a rich or plain table: `│ test_acc │ 0.98 │`.
static ROW: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"^\s*[|│┃]\s*(?P<name>[A-Za-z_][\w/.@ -]*?)\s*[|│┃]\s*(?P<number>[-+]?\d*\.?\d+(?:[eE][-+]?\d+)?)\s*[|│┃]\s*$",
    )
});

/// The line is about an epoch, a step or a trial.
static OF_STEP: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r#"(?ix) \b (?: epoch | step | global_step | iter | iteration | it | batch | round | episode | trial | fold )
           ['"]? \s* [:=\#]? \s* ['"]? \[? \d
           | \[\s*\d+/\d+ | \d+%\| | \bit/s\b | \bs/it\b | ^\W*\d+/\d+\b | ^\[\d+ | ^\d+:\s"#,
    )
});

/// Options in braces or brackets, such as those of a trial of Optuna. They are removed from a line.
static OTHER_MATTERS: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)\b(?:parameters|params|hyperparameters|config|args|options)\b['\x22]?\s*[:=]\s*[{(\[].*?[})\]]",
    )
});

fn regex(text: &str) -> Regex {
    Regex::new(text).expect("it is well formed")
}

/// Returns the metrics in a line: names and values.
pub(super) fn metrics(line: &str) -> Vec<(String, f64)> {
    // A cheap test first: most lines of a verbose training have no metrics.
    let may_be_one = line.contains(['=', ':', '|', '│', '┃']) || PLAINLY.is_match(line);
    if !may_be_one || line.len() > MAX_LINE_LENGTH || is_remark(line) {
        return Vec::new();
    }
    if let Some(row) = ROW.captures(line) {
        return judged(row["name"].trim(), &row["number"], false).into_iter().collect();
    }
    let line = OTHER_MATTERS.replace_all(line, " ");
    let is_of_step = OF_STEP.is_match(&line);
    NAMED.captures_iter(&line).filter_map(|found| named(&line, &found, is_of_step)).collect()
}

/// Whether the line is a warning or another message of a library.
fn is_remark(line: &str) -> bool {
    ["Warning:", "[LightGBM] [", "[WARNING]", "usage:"].iter().any(|mark| line.contains(mark))
}

fn named(line: &str, found: &regex::Captures<'_>, is_of_step: bool) -> Option<(String, f64)> {
    let (name, number) = (found.name("name")?, found.name("number")?);
    let (open, close, sign) = (&found["open"], &found["close"], &found["sign"]);
    let before = line[..found.get(0)?.start()].chars().next_back();
    let after = &line[number.end()..];
    // Not the port of a host, nor the minutes of a time, nor a version.
    let joined = |c: char| c.is_alphanumeric() || "/=._-@".contains(c);
    let stands_alone = !before.is_some_and(|c| joined(c) || (c == ':' && !is_quality(name.as_str())))
        && !after.starts_with(|c: char| c.is_alphanumeric() || ":_/".contains(c))
        && !after.strip_prefix(['.', '-']).is_some_and(|rest| rest.starts_with(char::is_alphanumeric));
    if !stands_alone || (open != close && !name.as_str().contains('\'')) || is_in_call(&line[..name.start()])
    {
        return None;
    }
    let number = number.as_str();
    match sign.trim() {
        // `localhost:80`
        ":" if sign == ":" && !number.contains('.') && !is_quality(name.as_str()) => return None,
        "" if !PLAIN.contains(&name.as_str().to_lowercase().as_str()) || !number.contains('.') => {
            return None;
        }
        _ => {}
    }
    let full = match open {
        "" => with_qualifiers(&line[..name.start()], name.as_str()),
        _ => name.as_str().to_owned(),
    };
    judged(&full.replace("'s ", " "), number, is_of_step)
}

/// Returns the name and the number if they are a metric.
fn judged(name: &str, number: &str, is_of_step: bool) -> Option<(String, f64)> {
    let value: f64 = number.parse().ok()?;
    let is_fraction = number.contains(['.', 'e', 'E']) && value.is_finite();
    let counts = if is_quality(name) {
        // An error code, as in `error: 404`, is not a metric.

        is_fraction || !matches!(words(name).last().map(String::as_str), Some("error" | "err" | "return"))
    } else {
        is_of_step && is_fraction && may_be_one(name)
    };
    counts.then(|| (name.to_owned(), value))
}

/// Whether the name is that of a quality measure.
fn is_quality(name: &str) -> bool {
    let words = words(name);
    let is = |word: &String| {
        QUALITIES.contains(&word.as_str()) || ENDINGS.iter().any(|ending| word.ends_with(ending))
    };
    words.iter().any(is)
        && (is_of_a_step(name) || !words.iter().any(|word| NO_QUALITY.contains(&word.as_str())))
}

/// Whether the name could be that of a metric.
fn may_be_one(name: &str) -> bool {
    let words = words(name);
    let is_no_quality = |word: &String| NO_QUALITY.contains(&word.as_str()) || PROSE.contains(&word.as_str());
    is_of_a_step(name) || !words.iter().any(is_no_quality)
}

fn is_of_a_step(name: &str) -> bool {
    let name = name.to_lowercase();
    OF_A_STEP.iter().any(|ending| name.ends_with(ending))
}

/// Splits a name into words in lower case: `valAcc`, `val_acc` and `val/acc` have the same.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_lower = false;
    for c in name.chars() {
        if !c.is_alphanumeric() || (c.is_uppercase() && was_lower) {
            words.push(String::new());
        }
        if c.is_alphanumeric() {
            words.last_mut().expect("there is one").extend(c.to_lowercase());
        }
        was_lower = c.is_lowercase() || c.is_ascii_digit();
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Adds the words before a name that belong to it.
fn with_qualifiers(before: &str, name: &str) -> String {
    if !is_quality(name) || !before.ends_with(' ') {
        return name.to_owned();
    }
    let mut start = before.len();
    for word in before.split(' ').rev().skip(1) {
        if !QUALIFIERS.contains(&word.to_lowercase().as_str()) {
            break;
        }
        start -= word.len() + 1;
    }
    format!("{}{name}", &before[start..])
}

/// Whether an argument of a call follows, as in `Namespace(lr=0.1`, and not in `Epoch 3 (loss=0.1`.
fn is_in_call(before: &str) -> bool {
    let mut depth = 0;
    for (at, c) in before.char_indices().rev() {
        match c {
            ')' => depth += 1,
            '(' if depth == 0 => return before[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'),
            '(' => depth -= 1,
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines as frameworks print them, each with its metrics.
    const CORPUS: &str = include_str!("corpus.txt");

    #[test]
    fn what_frameworks_print_is_found_and_nothing_else() {
        let mut failures = Vec::new();
        let mut cases = 0;
        let mut lines = CORPUS.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        while let (Some(line), Some(expected)) = (lines.next(), lines.next()) {
            let line = line.strip_prefix("> ").expect("a line of a log").replace("\\t", "\t");
            let expected = expected.strip_prefix("=").expect("its metrics").trim();
            let found: Vec<String> =
                metrics(&line).iter().map(|(name, value)| format!("{name} = {value}")).collect();
            if found.join("; ") != expected {
                failures.push(format!("{line}\n  expected {expected}\n  found    {}", found.join("; ")));
            }
            cases += 1;
        }
        assert!(failures.is_empty(), "{}", failures.join("\n"));
        assert!(cases > 100, "{cases}");
    }
}
