//! Formats quantities, tables and untrusted text.

use std::{borrow::Cow, iter, time::Duration};

use comfy_table::{ColumnConstraint, ContentArrangement, Table, presets::NOTHING};

/// Formats a duration, such as `4m 05s`; below ten seconds as `0.4s`.
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..10 => format!("{:.1}s", time.as_secs_f64()),
        10..60 => format!("{seconds}s"),
        60..3600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h {:02}m", seconds / 3600, seconds % 3600 / 60),
    }
}

/// Formats a size, such as `12.3 MiB`.
pub fn bytes(count: u64) -> String {
    indicatif::HumanBytes(count).to_string()
}

/// Escapes characters that a terminal would obey instead of showing: control characters, and marks that change the text
/// direction. Output may contain text of drivers, services and untrusted files.
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

/// Joins the lines of a result, with control characters escaped. A line end within a line comes from untrusted text: what
/// follows it is indented, so that it does not look like a line of the program.
pub fn lines(lines: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let line = |line: &str| harmless(line.trim_end()).replace('\n', "\n    ");
    lines.into_iter().map(|text| line(text.as_ref())).collect::<Vec<_>>().join("\n")
}

/// The labels of the program's own messages.
const REMARKS: [&str; 3] = ["error:", "hint:", "warning:"];

/// Formats a result. No line of a result starts with a label of a message, so such a line comes from untrusted text and is
/// indented.
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

/// Indents all lines but the first, so that none of them looks like a line of the program.
pub fn paragraph(text: &str) -> String {
    block(text, None, 0, 2)
}

/// The same, wrapped at `width` if it is given; `lead` columns of the first line are already used.
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

/// Formats a line of a training's log. Keeps colours (SGR sequences of numbers) if `colors`, resets them at the end, and
/// removes everything else that a terminal would obey.
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

/// The length of the control sequence at the start of the text, if there is one.
fn sequence(text: &str) -> Option<usize> {
    let parameters = text.strip_prefix("\x1b[")?;
    let end = parameters.find(|c: char| !matches!(c, ' '..='?'))?;
    matches!(parameters.as_bytes()[end], b'@'..=b'~').then_some("\x1b[".len() + end + 1)
}

/// Whether a control sequence sets only a colour or a style. Some that end in `m` set how keys are reported.
fn is_color(sequence: &str) -> bool {
    let parameters = sequence.strip_prefix("\x1b[").and_then(|rest| rest.strip_suffix('m'));
    parameters.is_some_and(|rest| rest.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b';' | b':')))
}

/// Whether a terminal obeys a character instead of showing it. A tab is harmless.
pub(super) fn is_obeyed(c: char) -> bool {
    (c.is_control() && c != '\t') || turns(c)
}

/// Whether a character changes the text direction, which can make a name read as another, or ends a line.
fn turns(c: char) -> bool {
    matches!(
        c,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
}

/// Replaces the program's own non-ASCII punctuation, if `wanted`: for a terminal that shows only ASCII.
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

/// Wraps one line between words at `width`, if it is given. Lines after the first are indented by `hang`; `lead` columns of
/// the first are already used. A word or a `command` in backquotes is never cut, so that it can be copied.
pub fn folded(line: &str, width: Option<u16>, lead: usize, hang: usize) -> String {
    // Untrusted text may contain a line end.
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

/// Splits at spaces, but not within backquotes.
fn words(line: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    line.split(move |c| {
        quoted ^= c == '`';
        c == ' ' && !quoted
    })
}

/// On a narrower terminal, each cell is a line.
const NARROW: u16 = 60;
/// The minimum width of a column of sentences. If less is left, it is printed below its row.
const READABLE: u16 = 36;
/// The indentation of such a column.
const BELOW: usize = 4;

/// Formats a table. Columns are as wide as their widest cell, if `width` allows. A cell is one line, and the first cell of
/// a row, its name, is never cut. If too little is left for the last column, it is printed below the others. On a narrow
/// terminal, each cell is a line.
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

/// Formats each row as a paragraph: each cell after the name of its column, or below it if the names are long.
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

/// Untrusted text as a cell of one line.
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
    fn control_characters_are_escaped() {
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
    fn no_line_of_a_result_looks_like_a_message() {
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
    fn sentences_go_below_a_row_that_leaves_them_no_space() {
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
    fn colours_are_removed_if_they_are_not_wanted() {
        assert_eq!(log_line("\x1b[1;31mred\x1b[0m", false), "red");
        assert_eq!(log_line("\x1b[31mred", true), "\x1b[31mred\x1b[0m");
    }

    #[test]
    fn only_the_programs_own_signs_become_ascii() {
        assert_eq!(ascii("a… — é", true), "a... -- é");
        assert_eq!(ascii("a… — é", false), "a… — é");
    }
}
