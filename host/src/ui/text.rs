//! Quantities, tables and what others wrote, as people read them.

use std::{borrow::Cow, time::Duration};

/// `4m 05s`; `0.4s` below ten seconds.
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..10 => format!("{:.1}s", time.as_secs_f64()),
        10..60 => format!("{seconds}s"),
        60..3600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h {:02}m", seconds / 3600, seconds % 3600 / 60),
    }
}

/// `12.3 MiB`.
pub fn bytes(count: u64) -> String {
    indicatif::HumanBytes(count).to_string()
}

/// A text with nothing in it that a terminal would obey instead of showing: escape sequences, and marks that turn the
/// direction of writing. Drivers, services and files of strangers have their say in what the program prints.
pub fn harmless(text: &str) -> Cow<'_, str> {
    let obeyed = |c: char| (c.is_control() && c != '\n' && c != '\t') || turns(c);
    if !text.contains(obeyed) {
        return text.into();
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if obeyed(c) { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown.into()
}

/// Its further lines are indented, so that none of them passes for a line of the program's own.
pub fn paragraph(text: &str) -> String {
    harmless(text.trim_end()).replace('\n', "\n  ")
}

/// A line of a training's log: its colours stay, and whatever else a terminal would obey goes.
pub fn log_line(text: &str) -> Cow<'_, str> {
    if !text.contains(|c: char| c.is_control() && c != '\t') {
        return text.into();
    }
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let length = sequence(rest).unwrap_or(c.len_utf8());
        let (piece, after) = rest.split_at(length);
        let is_color = piece.len() > 1 && piece.ends_with('m') && piece.starts_with('\x1b');
        if is_color || c == '\t' || !c.is_control() {
            shown.push_str(piece);
        }
        rest = after;
    }
    shown.into()
}

/// The length of a control sequence, where the text begins with one.
fn sequence(text: &str) -> Option<usize> {
    let parameters = text.strip_prefix("\x1b[")?;
    let end = parameters.find(|c: char| !matches!(c, ' '..='?'))?;
    matches!(parameters.as_bytes()[end], b'@'..=b'~').then_some("\x1b[".len() + end + 1)
}

/// Turns the direction of writing: with these a name can be made to read as another.
fn turns(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Columns padded to their widest cell, the last one left as it is. A cell is one line.
pub fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    let one_line = |cell: &String| harmless(cell).replace(['\n', '\t'], " ");
    let rows: Vec<[String; N]> = rows.iter().map(|row| row.each_ref().map(one_line)).collect();
    let width = |column: usize| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .chain([head[column].chars().count()])
            .max()
            .unwrap_or(0)
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let line = |cells: [&str; N]| {
        let padded: Vec<String> =
            cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        padded.join("  ").trim_end().to_owned()
    };
    let mut lines = vec![line(head)];
    lines.extend(rows.iter().map(|row| line(std::array::from_fn(|column| row[column].as_str()))));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_naturally() {
        let seconds = |seconds| duration(Duration::from_secs(seconds));
        assert_eq!(duration(Duration::from_millis(400)), "0.4s");
        assert_eq!([seconds(59), seconds(245), seconds(7260)], ["59s", "4m 05s", "2h 01m"]);
    }

    #[test]
    fn nothing_that_a_terminal_obeys_is_printed() {
        assert_eq!(harmless("plain\n\ttext é 模型"), "plain\n\ttext é 模型");
        assert_eq!(harmless("a\x1b[2Jb\x07\r\u{9b}c"), "a\\u{1b}[2Jb\\u{7}\\r\\u{9b}c");
        assert_eq!(harmless("x\u{202e}y"), "x\\u{202e}y");
        assert_eq!(paragraph("one\nhint: two\n"), "one\n  hint: two");
        let cells = [["a\nhint: b".to_owned(), "\x1b]0;title\x07".to_owned()]];
        assert_eq!(table(["A", "B"], &cells), "A          B\na hint: b  \\u{1b}]0;title\\u{7}");
    }

    #[test]
    fn a_log_keeps_its_colours_and_nothing_else() {
        for (line, shown) in [
            ("\x1b[1;31mred\x1b[0m\tx", "\x1b[1;31mred\x1b[0m\tx"),
            ("up\x1b[Aclear\x1b[2J\x1b[?25l", "upclear"),
            ("\x1b]0;title\x07", "]0;title"),
            ("\x1b[31", "[31"),
            ("\x1b[3\x1b[1mé", "[3\x1b[1mé"),
            ("\x1b", ""),
            ("a\rb", "ab"),
        ] {
            assert_eq!(log_line(line), shown, "{line:?}");
        }
    }

    #[test]
    fn a_table_aligns_its_columns() {
        let rows = [["a".into(), "x".into()], ["long".into(), "y".into()]];
        assert_eq!(table(["NAME", "V"], &rows), "NAME  V\na     x\nlong  y");
    }
}
