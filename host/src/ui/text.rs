//! Quantities, tables and what others wrote, as people read them.

use std::{borrow::Cow, time::Duration};

use comfy_table::{ColumnConstraint, ContentArrangement, Table, presets::NOTHING};

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

/// A line of a training's log: its colours stay where they are welcome, up to its end, and whatever else a terminal would
/// obey goes.
pub fn log_line(text: &str, colors: bool) -> Cow<'_, str> {
    if !text.contains(|c: char| c.is_control() && c != '\t') {
        return text.into();
    }
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    let mut colored = false;
    while let Some(c) = rest.chars().next() {
        let length = sequence(rest).unwrap_or(c.len_utf8());
        let (piece, after) = rest.split_at(length);
        let is_color = piece.len() > 1 && piece.ends_with('m') && piece.starts_with('\x1b');
        if is_color && colors {
            shown.push_str(piece);
            colored = !matches!(piece, "\x1b[m" | "\x1b[0m");
        } else if c == '\t' || !c.is_control() {
            shown.push_str(piece);
        }
        rest = after;
    }
    if colored {
        shown.push_str("\x1b[0m");
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

/// The same text where a terminal shows nothing but ASCII, as far as its signs are the program's own.
pub fn ascii(text: &str, wanted: bool) -> Cow<'_, str> {
    if !wanted || text.is_ascii() {
        return text.into();
    }
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '…' => shown.push_str("..."),
            '—' => shown.push_str("--"),
            '’' => shown.push('\''),
            _ => shown.push(c),
        }
    }
    shown.into()
}

/// Columns as wide as their widest cell, where `width` allows. A cell is one line, and the first one of a row, its name,
/// is never cut.
pub fn table<const N: usize>(head: [&str; N], rows: &[[String; N]], width: Option<u16>) -> String {
    let one_line = |cell: &String| harmless(cell).replace(['\n', '\t'], " ");
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(head);
    table.add_rows(rows.iter().map(|row| row.each_ref().map(one_line)));
    if let Some(width) = width {
        table.set_width(width).set_content_arrangement(ContentArrangement::Dynamic);
    }
    for (number, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, if number + 1 < N { 2 } else { 0 }));
        if number == 0 {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    table.trim_fmt()
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
        assert_eq!(table(["A", "B"], &cells, None), "A          B\na hint: b  \\u{1b}]0;title\\u{7}");
    }

    #[test]
    fn a_log_keeps_its_colours_and_nothing_else() {
        for (line, shown) in [
            ("\x1b[1;31mred\x1b[0m\tx", "\x1b[1;31mred\x1b[0m\tx"),
            ("up\x1b[Aclear\x1b[2J\x1b[?25l", "upclear"),
            ("\x1b]0;title\x07", "]0;title"),
            ("\x1b[31", "[31"),
            ("\x1b[3\x1b[1mé", "[3\x1b[1mé\x1b[0m"),
            ("\x1b", ""),
            ("a\rb", "ab"),
        ] {
            assert_eq!(log_line(line, true), shown, "{line:?}");
        }
    }

    #[test]
    fn a_table_aligns_its_columns() {
        let rows = [["a".into(), "x".into()], ["long".into(), "y".into()]];
        assert_eq!(table(["NAME", "V"], &rows, None), "NAME  V\na     x\nlong  y");
        // By what a terminal shows, which is not the number of characters.
        let rows = [["模型🙂".into(), "x".into()], ["é".into(), "y".into()]];
        assert_eq!(table(["NAME", "V"], &rows, None), "NAME    V\n模型🙂  x\né       y");
    }

    #[test]
    fn a_table_is_no_wider_than_the_terminal() {
        let rows = [["a-long-name".into(), "some words that go on for longer than there is room".into()]];
        let shown = table(["NAME", "MEANING"], &rows, Some(30));
        assert_eq!(
            shown,
            "NAME         MEANING\na-long-name  some words that\n             go on for longer\n             than there is\n             room"
        );
    }

    #[test]
    fn colours_go_where_they_are_not_welcome() {
        assert_eq!(log_line("\x1b[1;31mred\x1b[0m", false), "red");
        assert_eq!(log_line("\x1b[31mred", true), "\x1b[31mred\x1b[0m");
    }

    #[test]
    fn only_the_programs_own_signs_become_ascii() {
        assert_eq!(ascii("a… — é", true), "a... -- é");
        assert_eq!(ascii("a… — é", false), "a… — é");
    }
}
