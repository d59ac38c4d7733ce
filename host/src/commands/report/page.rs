//! The report of a job: one HTML file without scripts, for light and dark screens and for paper.

use std::{borrow::Cow, fmt::Write as _, time::Duration};

use jiff::Timestamp;

use super::plot;
use crate::{
    config::Shown,
    job::{Left, Report, told_metrics, typed},
    ui::{duration, number},
};

const STYLE: &str = "
:root { color-scheme: light dark; --ink: #1c2430; --faint: #667; --line: #d8dde5; --paper: #fff; --card: #f6f8fa;
  --accent: #2563c9; --good: #1a7f37; --bad: #c62828; --other: #8a6100 }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e8ee; --faint: #9aa4b2; --line: #333b47; --paper: #14181e;
  --card: #1c222b; --accent: #6ea8fe; --good: #57c274; --bad: #ff7b72; --other: #e0b44c } }
* { box-sizing: border-box }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 74rem; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif }
h1 { font-size: 1.5rem; margin: 0; overflow-wrap: anywhere } h2 { font-size: 1.05rem; margin: 2.25rem 0 .75rem }
.state { font-weight: 600 } .completed { color: var(--good) } .failed { color: var(--bad) }
.stopped, .queued, .running, .stopping, .submitting { color: var(--other) }
.sub { color: var(--faint); margin: .25rem 0 0 }
table { border-collapse: collapse; width: 100% } th { text-align: left; font-weight: 500; color: var(--faint);
  white-space: nowrap; vertical-align: top } th, td { padding: .3rem 1rem .3rem 0; border-bottom: 1px solid var(--line) }
td { overflow-wrap: anywhere } td.number, th.number { text-align: right; font-variant-numeric: tabular-nums;
  white-space: nowrap; padding-right: .5rem }
code, pre { font: 13px/1.45 ui-monospace, monospace }
pre { background: var(--card); border: 1px solid var(--line); border-radius: 6px; padding: .75rem 1rem; margin: 0;
  overflow: auto; max-height: 70vh; white-space: pre-wrap; overflow-wrap: anywhere }
.plots { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(min(100%, 24rem), 1fr)) }
figure { margin: 0; background: var(--card); border: 1px solid var(--line); border-radius: 6px; padding: .75rem }
figcaption { font-weight: 600; overflow-wrap: anywhere } svg { width: 100%; height: auto; display: block }
svg text { font: 11px system-ui, sans-serif; fill: var(--faint) } svg .grid { stroke: var(--line) }
svg polyline { fill: none; stroke: var(--accent); stroke-width: 2; stroke-linejoin: round } svg circle { fill: var(--accent) }
.bar { display: block; height: .7rem; min-width: 3px; border-radius: 3px; background: var(--accent) }
td.timeline { width: 55% } .node { color: var(--faint) } .facts td { width: 100% }
@media (max-width: 40rem) { .facts th, .facts td { display: block; padding-right: 0 } svg text { font-size: 15px }
  .facts th { border: 0; padding-bottom: 0; white-space: normal; overflow-wrap: anywhere } .facts td { padding-top: 0 } }
@media print { pre { max-height: none } }
";

pub(super) fn of(report: &Report) -> String {
    let name = escaped(&report.entry.name);
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"generator\" content=\"alekseylearn\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{name}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
    );
    for part in [
        outcome(report),
        timeline(report),
        metrics(report),
        plots(report),
        left(report),
        parameters(report),
        installed(report),
        log(report),
    ] {
        page.push_str(&part);
    }
    page.push_str("</body>\n</html>\n");
    page
}

fn outcome(report: &Report) -> String {
    let entry = &report.entry;
    let state = entry.state.name();
    let mut facts = vec![
        ("artifact", format!("<code>{}</code>", escaped(&entry.artifact))),
        ("arguments", format!("<code>{}</code>", escaped(&typed(&entry.details.arguments)))),
        ("train driver", format!("{}{}", escaped(&entry.driver), nodes(report))),
        ("submitted", moment(entry.created)),
    ];
    facts.retain(|(name, _)| *name != "arguments" || !entry.details.arguments.is_empty());
    facts.extend(entry.finished.map(|finished| ("finished", moment(finished))));
    facts.push(("duration", duration(Duration::from_secs(entry.seconds()))));
    let outcome = &report.outcome;
    let billed = outcome.billable_seconds.map(|seconds| duration(Duration::from_secs(seconds)));
    facts.extend(billed.map(|billed| ("billed", billed)));
    facts.extend(outcome.cost_usd.map(|cost| ("cost", format!("{cost:.2} USD"))));
    facts.extend(outcome.exit_code.map(|code| ("exit code", code.to_string())));
    let image = entry.image.as_ref().map(|image| ("image", format!("<code>{}</code>", escaped(image))));
    facts.extend(image);
    let details = &entry.details;
    let driver = details.driver_digest.as_ref();
    facts.extend(driver.map(|digest| ("driver digest", format!("<code>{}</code>", escaped(digest)))));
    facts.extend(details.reproduces.as_ref().map(|job| ("reproduces", escaped(job).into_owned())));
    let mut part =
        format!("<h1>{}</h1>\n<p class=\"sub\">{}</p>\n", escaped(&entry.name), escaped(&entry.tag));
    let _ = writeln!(part, "<h2>Outcome: <span class=\"state {state}\">{state}</span></h2>");
    if let Some(reason) = &entry.reason {
        let _ = writeln!(part, "<pre>{}</pre><br>", escaped(reason));
    }
    part + &table(facts.into_iter().map(|(name, value)| (Cow::from(name), value)))
}

/// Formats an RFC 3339 time as `2026-01-31 12:00:00 UTC`.
fn moment(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

fn nodes(report: &Report) -> String {
    match report.outcome.nodes {
        0 | 1 => String::new(),
        count => format!(" on {count} nodes"),
    }
}

/// The phases that the service reports, each as a bar at its time.
fn timeline(report: &Report) -> String {
    let phases = &report.outcome.phases;
    let Some(begin) = phases.iter().map(|phase| phase.start).min() else { return String::new() };
    let now = u64::try_from(Timestamp::now().as_millisecond()).unwrap_or(0);
    let end_of = |end: Option<u64>| end.unwrap_or(now);
    let end = phases.iter().map(|phase| end_of(phase.end)).max().unwrap_or(begin);
    let whole = end.saturating_sub(begin).max(1) as f64;
    let mut part = "<h2>Timeline</h2>\n<table>\n".to_owned();
    for phase in phases {
        let time = end_of(phase.end).saturating_sub(phase.start);
        let (left, width) = (phase.start.saturating_sub(begin) as f64 / whole, time as f64 / whole);
        let _ = writeln!(
            part,
            "<tr><th>{}</th><td class=\"number\">{}</td><td class=\"timeline\"><span class=\"bar\" \
             style=\"margin-left:{:.2}%;width:{:.2}%\"></span></td></tr>",
            escaped(&phase.name),
            duration(Duration::from_millis(time)),
            left * 100.0,
            width * 100.0,
        );
    }
    part + "</table>\n"
}

fn metrics(report: &Report) -> String {
    let metrics = told_metrics(&report.metrics);
    if metrics.is_empty() {
        return String::new();
    }
    let mut part = "<h2>Metrics</h2>\n<table class=\"metrics\">\n<tr><th></th><th class=\"number\">last</th>\
                    <th class=\"number\">best</th><th class=\"number\">min</th><th class=\"number\">max</th>\
                    <th class=\"number\">values</th></tr>\n"
        .to_owned();
    for metric in &metrics {
        let best = metric.best.map(|best| number(Some(best))).unwrap_or_default();
        let cells = [
            number(metric.last),
            best,
            number(Some(metric.min)),
            number(Some(metric.max)),
            metric.count.to_string(),
        ];
        let cells = cells.map(|cell| format!("<td class=\"number\">{cell}</td>")).concat();
        let _ = writeln!(part, "<tr><th>{}</th>{cells}</tr>", escaped(metric.name));
    }
    part + "</table>\n"
}

fn plots(report: &Report) -> String {
    let drawn = report.metrics.iter().filter(|(_, series)| series.points.len() > 1);
    let figures: Vec<String> = drawn
        .map(|(name, series)| {
            format!(
                "<figure><figcaption>{}</figcaption>{}</figure>\n",
                escaped(name),
                plot::of(&series.points)
            )
        })
        .collect();
    if figures.is_empty() {
        String::new()
    } else {
        format!("<h2>Plots</h2>\n<div class=\"plots\">\n{}</div>\n", figures.concat())
    }
}

/// The results that the job left, if known.
fn left(report: &Report) -> String {
    let lines = report.entry.details.left.as_ref().map(Left::lines).unwrap_or_default();
    if lines.is_empty() {
        return String::new();
    }
    format!("<h2>Results</h2>\n<pre>{}</pre>\n", escaped(&lines.join("\n")))
}

fn parameters(report: &Report) -> String {
    let entry = &report.entry;
    let options = Shown(&entry.options).iter().chain(Shown(&entry.details.build_options).iter());
    let mut rows: Vec<_> =
        options.map(|(key, value)| (escaped(key), format!("<code>{}</code>", escaped(value)))).collect();
    let secrets = entry.details.secrets.iter();
    rows.extend(secrets.map(|name| (escaped(name), "secret, not recorded".to_owned())));
    if rows.is_empty() { String::new() } else { format!("<h2>Options</h2>\n{}", table(rows)) }
}

/// The packages installed in the image.
fn installed(report: &Report) -> String {
    let Some(installed) = report.entry.details.installed.as_ref().filter(|lines| !lines.is_empty()) else {
        return String::new();
    };
    format!("<h2>Installed</h2>\n<pre>{}</pre>\n", escaped(&installed.join("\n")))
}

fn log(report: &Report) -> String {
    let mut part = "<h2>Log</h2>\n".to_owned();
    if report.left_out > 0 {
        let _ = writeln!(part, "<p class=\"sub\">{} earlier lines are left out</p>", report.left_out);
    }
    if report.log.is_empty() {
        return part + "<p class=\"sub\">The log is empty.</p>\n";
    }
    let many = report.outcome.nodes > 1;
    part.push_str("<pre>");
    for (_, node, text) in &report.log {
        if many {
            let _ = write!(part, "<span class=\"node\">{}</span> ", escaped(node));
        }
        let _ = writeln!(part, "{}", escaped(&plain(text)));
    }
    part + "</pre>\n"
}

fn table<'a>(rows: impl IntoIterator<Item = (Cow<'a, str>, String)>) -> String {
    let rows = rows.into_iter().map(|(name, value)| format!("<tr><th>{name}</th><td>{value}</td></tr>\n"));
    format!("<table class=\"facts\">\n{}</table>\n", rows.collect::<String>())
}

/// Escapes text for HTML: the output of a training must never become markup.
fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(['&', '<', '>', '"', '\'']) {
        return text.into();
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => shown.push_str("&amp;"),
            '<' => shown.push_str("&lt;"),
            '>' => shown.push_str("&gt;"),
            '"' => shown.push_str("&quot;"),
            '\'' => shown.push_str("&#39;"),
            c => shown.push(c),
        }
    }
    shown.into()
}

/// Removes colours and other terminal sequences.
fn plain(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text.trim_end_matches('\r').chars();
    while let Some(c) = rest.next() {
        if c == '\x1b' {
            if rest.as_str().starts_with('[') {
                rest.by_ref().skip(1).find(|c| ('@'..='~').contains(c));
            }
        } else if c == '\t' || !c.is_control() {
            shown.push(c);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_output_of_a_training_is_escaped() {
        assert_eq!(escaped("<script>alert('x' & \"y\")</script>").matches(['<', '>', '\'', '"']).count(), 0);
        assert_eq!(plain("\x1b[31mred\x1b[0m\x07 50%\r"), "red 50%");
        assert_eq!(plain("a\x1b"), "a");
    }
}
