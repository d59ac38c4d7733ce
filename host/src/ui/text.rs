//! Quantities, tables and what others wrote, as people read them.

use std::{borrow::Cow, iter, time::Duration};

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

/// A text with nothing in it that a terminal would obey instead of showing: control characters, and marks that turn the
/// direction of writing. Drivers, services and files of strangers have their say in what the program prints.
pub fn harmless(text: &str) -> Cow<'_, str> {
    let obeyed = |c: char| c != '\n' && is_obeyed(c);
    if !text.contains(obeyed) {
        return text.into();
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if obeyed(c) { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown.into()
}

/// The lines of a result, without what a terminal obeys. An end of a line within one is somebody else's: what follows it
/// is indented, so that it does not pass for a line of its own.
pub fn lines(lines: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let line = |line: &str| harmless(line.trim_end()).replace('\n', "\n    ");
    lines.into_iter().map(|text| line(text.as_ref())).collect::<Vec<_>>().join("\n")
}

/// How the program's own remarks begin.
const REMARKS: [&str; 3] = ["error:", "hint:", "warning:"];

/// A result. The program itself never begins one of its lines as it begins a remark: such a line is somebody else's, and
/// is indented.
pub fn result(text: &str) -> String {
    let mut shown = String::with_capacity(text.len() + 16);
    for (number, line) in harmless(text).split('\n').enumerate() {
        if number > 0 {
            shown.push('\n');
        }
        let visible = line.trim_start_matches(|c: char| !c.is_ascii_graphic()).as_bytes();
        let begins = |remark: &&str| {
            visible.get(..remark.len()).is_some_and(|start| start.eq_ignore_ascii_case(remark.as_bytes()))
        };
        if !line.starts_with("  ") && REMARKS.iter().any(begins) {
            shown.push_str("    ");
        }
        shown.push_str(line);
    }
    shown
}

/// Its further lines are indented, so that none of them passes for a line of the program's own.
pub fn paragraph(text: &str) -> String {
    block(text, None, 0, 2)
}

/// The same, no wider than the terminal, if there is one; `lead` columns of the first line are taken already.
pub fn block(text: &str, width: Option<u16>, lead: usize, hang: usize) -> String {
    let text = harmless(text.trim_end());
    let mut shown = String::with_capacity(text.len() + 16);
    for (number, line) in text.split('\n').enumerate() {
        if number > 0 {
            shown.push('\n');
            shown.extend(iter::repeat_n(' ', hang));
        }
        shown.push_str(&folded(line, width, if number == 0 { lead } else { hang }, hang));
    }
    shown
}

/// A line of a training's log: its colours (SGR sequences of numbers) stay where they are welcome, up to its end, and
/// whatever else a terminal would obey goes.
pub fn log_line(text: &str, colors: bool) -> Cow<'_, str> {
    if !text.contains(is_obeyed) {
        return text.into();
    }
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    let mut colored = false;
    while let Some(c) = rest.chars().next() {
        let length = sequence(rest).unwrap_or(c.len_utf8());
        let (piece, after) = rest.split_at(length);
        let is_color = is_color(piece);
        if is_color && colors {
            shown.push_str(piece);
            colored = !matches!(piece, "\x1b[m" | "\x1b[0m");
        } else if !is_obeyed(c) {
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

/// Whether a control sequence sets a colour or a style, and nothing else: of those that end in `m`, some set how keys are
/// reported.
fn is_color(sequence: &str) -> bool {
    let parameters = sequence.strip_prefix("\x1b[").and_then(|rest| rest.strip_suffix('m'));
    parameters.is_some_and(|rest| rest.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b';' | b':')))
}

/// Whether a terminal obeys a character instead of showing it. A tab is as good as spaces.
pub(super) fn is_obeyed(c: char) -> bool {
    (c.is_control() && c != '\t') || turns(c)
}

/// Turns the direction of writing, with which a name can be made to read as another, or ends a line.
fn turns(c: char) -> bool {
    matches!(
        c,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
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

/// One line as several that are no longer than `width`, where there is one: cut between words, and indented by `hang` but
/// for the first, of which `lead` columns are taken already. Neither a `command` nor a word is cut: what is longer than
/// the width is left to the terminal, so that it can be copied.
pub fn folded(line: &str, width: Option<u16>, lead: usize, hang: usize) -> String {
    // What others wrote may hold an end of a line.
    let line = &line.replace('\n', &format!("\n{:hang$}", ""));
    let Some(width) = width.map(usize::from) else { return line.to_owned() };
    let mut shown = String::with_capacity(line.len() + 16);
    let mut column = lead;
    for (number, word) in words(line).enumerate() {
        let length = word.chars().count();
        if number > 0 && column + 1 + length > width && hang + length <= width {
            shown.truncate(shown.trim_end().len());
            shown.push('\n');
            shown.extend(iter::repeat_n(' ', hang));
            column = hang;
        } else if number > 0 {
            shown.push(' ');
            column += 1;
        }
        shown.push_str(word);
        column += length;
    }
    shown
}

/// What spaces divide, but not within backquotes.
fn words(line: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    line.split(move |c| {
        quoted ^= c == '`';
        c == ' ' && !quoted
    })
}

/// A narrower terminal has no room for columns.
const NARROW: u16 = 60;
/// What a column of sentences must have, or it stands below its row.
const READABLE: u16 = 36;
/// By how much it is indented there.
const BELOW: usize = 4;

/// Columns as wide as their widest cell, where `width` allows. A cell is one line, and the first one of a row, its name,
/// is never cut. Where too little is left for the last column, it stands below the others; on a narrow terminal, each
/// cell is a line of its own.
pub fn table<const N: usize>(head: [&str; N], rows: &[[String; N]], width: Option<u16>) -> String {
    let all = columns(head, rows, None);
    let widths = all.column_max_content_widths();
    let (Some(width), Some((last, others))) = (width, widths.split_last()) else { return all.trim_fmt() };
    let before: u16 = others.iter().map(|width| width.saturating_add(GAP)).sum();
    if before.saturating_add(*last) <= width {
        return all.trim_fmt();
    }
    if width < NARROW {
        return fields(head, rows, width);
    }
    if before.saturating_add(READABLE) <= width || *last < READABLE || before > width {
        return columns(head, rows, Some(width)).trim_fmt();
    }
    let cells: Vec<_> = rows.iter().map(|row| &row[..N - 1]).collect();
    let upper = columns(&head[..N - 1], &cells, None).trim_fmt();
    let mut lines = upper.lines();
    let mut shown: Vec<String> = lines.next().map(str::to_owned).into_iter().collect();
    for (line, row) in lines.zip(rows) {
        shown.push(line.to_owned());
        let text = one_line(&row[N - 1]);
        if !text.is_empty() {
            shown.push(format!("{:BELOW$}{}", "", folded(&text, Some(width), BELOW, BELOW)));
        }
    }
    shown.join("\n")
}

const GAP: u16 = 2;

/// Each row as a paragraph, with what is in it behind the names of its columns, or below those where they are long.
fn fields<const N: usize>(head: [&str; N], rows: &[[String; N]], width: u16) -> String {
    let label = head.iter().map(|name| name.chars().count()).max().unwrap_or(0) + usize::from(GAP);
    let beside = label <= usize::from(width) / 2;
    let field = |(name, cell): (&&str, &String)| {
        let cell = one_line(cell);
        let hang = if beside { label } else { BELOW };
        match (cell.is_empty(), name.is_empty()) {
            (true, _) => None,
            (_, true) => Some(folded(&cell, Some(width), 0, 0)),
            _ if beside => {
                let gap = label - name.chars().count();
                Some(format!("{name}{:gap$}{}", "", folded(&cell, Some(width), hang, hang)))
            }
            _ => Some(format!("{name}\n{:hang$}{}", "", folded(&cell, Some(width), hang, hang))),
        }
    };
    let paragraphs = rows.iter().map(|row| {
        let fields: Vec<String> = head.iter().zip(row).filter_map(field).collect();
        fields.join("\n")
    });
    paragraphs.collect::<Vec<_>>().join("\n\n")
}

/// What others wrote, as a cell.
fn one_line(cell: &str) -> String {
    harmless(cell).replace(['\n', '\t'], " ")
}

fn columns<'a>(head: impl AsRef<[&'a str]>, rows: &[impl AsRef<[String]>], width: Option<u16>) -> Table {
    let head = head.as_ref();
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(head.to_vec());
    table.add_rows(rows.iter().map(|row| row.as_ref().iter().map(|cell| one_line(cell))));
    if let Some(width) = width {
        table.set_width(width).set_content_arrangement(ContentArrangement::Dynamic);
    }
    for (number, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, if number + 1 < head.len() { GAP } else { 0 }));
        if number == 0 {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    table
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
            ("\x1b[38;5;1mx\x1b[4:3my\x1b[m", "\x1b[38;5;1mx\x1b[4:3my\x1b[m"),
            // xterm: how keys are reported, and what is asked of the terminal.
            ("\x1b[>4;2mx\x1b[?4my\x1b[=1m", "xy"),
            ("\x1b[1 mx\u{9b}31my", "x31my"),
            ("a\u{202e}b\u{200f}c\u{2066}d\u{2028}e", "abcde"),
        ] {
            assert_eq!(log_line(line, true), shown, "{line:?}");
        }
    }

    #[test]
    fn no_line_of_a_result_passes_for_another() {
        assert_eq!(lines(["ok  a\nerror: b", "c\r\nd"]), "ok  a\n    error: b\nc\\r\n    d");
        assert_eq!(
            result("all\nerror: x\n hint: y\n\u{200b}WARNING: z\n  error: t\nerrors: 1"),
            "all\n    error: x\n     hint: y\n    \u{200b}WARNING: z\n  error: t\nerrors: 1"
        );
        assert_eq!(folded("what: a\nerror: b", None, 0, 4), "what: a\n    error: b");
        assert_eq!(folded("what: a\nerror: b", Some(80), 0, 4), "what: a\n    error: b");
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
        let meaning = "some words that go on for longer than there is room for in this line";
        let rows = [["a-long-name".into(), meaning.into()]];
        let shown = table(["NAME", "MEANING"], &rows, Some(62));
        assert_eq!(
            shown,
            "NAME         MEANING\n\
             a-long-name  some words that go on for longer than there is\n             room for in this line"
        );
    }

    #[test]
    fn sentences_stand_below_a_row_that_leaves_them_no_room() {
        let row = |meaning: &str| ["--config.a-much-longer-name".into(), "text".into(), meaning.into()];
        let rows = [row("some words that go on for longer than there is room for here"), row("")];
        let shown = table(["OPTION", "TYPE", "MEANING"], &rows, Some(60));
        let name = "--config.a-much-longer-name  text";
        let words = "    some words that go on for longer than there is room for\n    here";
        assert_eq!(shown, format!("OPTION                       TYPE\n{name}\n{words}\n{name}"));
    }

    #[test]
    fn on_a_narrow_terminal_each_cell_is_a_line() {
        let row = |meaning: &str| ["--config.name".into(), "text".into(), meaning.into()];
        let rows = [row("some words that go on for longer than there is room"), row("")];
        assert_eq!(
            table(["OPTION", "TYPE", "MEANING"], &rows, Some(40)),
            "OPTION   --config.name\nTYPE     text\nMEANING  some words that go on for\n         \
             longer than there is room\n\nOPTION   --config.name\nTYPE     text"
        );
        let rows = [["metrics".into(), "1".into(), "a value".into()]];
        assert_eq!(
            table(["", "first-of-two-jobs", "the-second-one"], &rows, Some(24)),
            "metrics\nfirst-of-two-jobs\n    1\nthe-second-one\n    a value",
            "names that are half as wide have lines of their own"
        );
        let rows = [["a".into(), "b".into()]];
        assert_eq!(table(["X", "Y"], &rows, Some(24)), "X  Y\na  b", "what fits is a table");
    }

    #[test]
    fn a_line_is_cut_between_words_and_not_in_a_command() {
        let line = "give it: `a command of words` or a-very-long-word";
        assert_eq!(folded(line, None, 0, 2), line);
        assert_eq!(
            folded(line, Some(24), 7, 2),
            "give it:\n  `a command of words`\n  or a-very-long-word",
            "seven columns are taken"
        );
        assert_eq!(folded(line, Some(17), 0, 0), "give it: `a command of words`\nor\na-very-long-word");
        assert_eq!(folded("  a  b", Some(80), 0, 0), "  a  b");
        assert_eq!(folded("", Some(80), 0, 0), "");
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
