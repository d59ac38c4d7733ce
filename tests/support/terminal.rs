//! A program on a terminal, and what a person would see there.

use std::{
    io::{Read, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use vt100::Parser;

use crate::workspace;

/// How many lines above the screen are kept.
const SCROLLBACK: usize = 10_000;

/// A terminal of so many columns, on which one program runs.
pub struct Terminal {
    child: Child,
    typed: ChildStdin,
    shown: ChildStdout,
    parser: Parser,
    raw: Vec<u8>,
    /// As much of it as has come to the screen.
    seen: usize,
}

impl Terminal {
    pub(crate) const ROWS: u16 = 40;

    /// `command` is run by `terminal.py`, whose description tells the rest.
    pub(crate) fn start(command: &Command, columns: u16) -> Self {
        let mut relay = Command::new("python3");
        relay.arg(workspace().join("tests/support/terminal.py"));
        relay.args([columns.to_string(), Self::ROWS.to_string()]);
        relay.arg(command.get_program()).args(command.get_args()).env_clear();
        relay.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        if let Some(folder) = command.get_current_dir() {
            relay.current_dir(folder);
        }
        let mut child = relay.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("python3 starts");
        let typed = child.stdin.take().expect("its input is piped");
        let shown = child.stdout.take().expect("its output is piped");
        let parser = Parser::new(
            Self::ROWS.try_into().expect("there are rows"),
            columns.try_into().expect("there are columns"),
            SCROLLBACK,
        );
        Self { child, typed, shown, parser, raw: Vec::new(), seen: 0 }
    }

    /// Types.
    pub fn type_in(&mut self, text: &str) {
        self.typed
            .write_all(text.as_bytes())
            .and_then(|()| self.typed.flush())
            .expect("it reads what is typed");
    }

    /// Changes the number of columns.
    pub fn resize(&mut self, columns: u16) {
        let rows = Self::ROWS;
        self.type_in(&format!("\0{columns} {rows}\n"));
        self.parser.screen_mut().set_size(
            rows.try_into().expect("there are rows"),
            columns.try_into().expect("there are columns"),
        );
    }

    /// Waits until the screen holds the text, and gives what it holds then.
    #[track_caller]
    pub fn wait_for(&mut self, text: &str) -> String {
        self.wait_until(|screen| screen.contains(text))
    }

    /// Waits until the screen is as it is wanted, and gives what it holds then. Each of its states is looked at, also
    /// those that were over before this test came to read.
    #[track_caller]
    pub fn wait_until(&mut self, wanted: impl Fn(&str) -> bool) -> String {
        loop {
            let screen = self.screen();
            if wanted(&screen) {
                return screen;
            }
            assert!(self.read(), "it ended without what was waited for:\n{screen}");
        }
    }

    /// What is seen now.
    pub fn screen(&self) -> String {
        self.parser.screen().contents()
    }

    /// Column and row of the cursor, and whether it is seen.
    pub fn cursor(&self) -> (u16, u16, bool) {
        let (row, column) = self.parser.screen().cursor_position();
        (column, row, !self.parser.screen().hide_cursor())
    }

    /// All that the program wrote, escape sequences included.
    pub fn raw(&self) -> String {
        String::from_utf8_lossy(&self.raw).into_owned()
    }

    /// Waits for the program's end, and gives its exit code.
    pub fn end(&mut self) -> Option<i32> {
        while self.read() {}
        self.child.wait().expect("it can be waited for").code()
    }

    /// Shows what was written up to the next thing that moves the cursor; false at the end.
    fn read(&mut self) -> bool {
        if self.seen == self.raw.len() {
            let mut buffer = [0; 1 << 16];
            let length = self.shown.read(&mut buffer).expect("what is shown can be read");
            self.raw.extend_from_slice(&buffer[..length]);
        }
        let Some((_, rest)) = self.raw[self.seen..].split_first() else { return false };
        let moves = |byte: &u8| matches!(byte, b'\r' | b'\n' | b'\x1b');
        let length = 1 + rest.iter().position(moves).unwrap_or(rest.len());
        self.parser.process(&self.raw[self.seen..self.seen + length]);
        self.seen += length;
        true
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // A test that failed leaves its program: it ends with its terminal.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
