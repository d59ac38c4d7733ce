//! A program on a terminal, and the screen that a user would see.

use std::{
    io::{Read, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use vt100::Parser;

use crate::workspace;

/// The number of lines that are kept above the screen.
const SCROLLBACK: usize = 10_000;

/// A terminal that runs one program.
pub struct Terminal {
    child: Child,
    typed: ChildStdin,
    shown: ChildStdout,
    parser: Parser,
    raw: Vec<u8>,
    /// How many bytes of `raw` the screen shows.
    seen: usize,
}

impl Terminal {
    pub(crate) const ROWS: u16 = 40;

    /// Runs a command with `terminal.py`, whose docstring describes the protocol.
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

    /// Types a text.
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

    /// Waits until the screen contains the text, and returns its content.
    #[track_caller]
    pub fn wait_for(&mut self, text: &str) -> String {
        self.wait_until(|screen| screen.contains(text))
    }

    /// Waits until the screen meets a condition, and returns its content. Checks every state of the screen, even if it
    /// was replaced before the test could read it.
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

    /// The current content of the screen.
    pub fn screen(&self) -> String {
        self.parser.screen().contents()
    }

    /// The column and row of the cursor, and whether it is visible.
    pub fn cursor(&self) -> (u16, u16, bool) {
        let (row, column) = self.parser.screen().cursor_position();
        (column, row, !self.parser.screen().hide_cursor())
    }

    /// All that the program wrote, escape sequences included.
    pub fn raw(&self) -> String {
        String::from_utf8_lossy(&self.raw).into_owned()
    }

    /// Waits for the program's end, and returns its exit code.
    pub fn end(&mut self) -> Option<i32> {
        while self.read() {}
        self.child.wait().expect("it can be waited for").code()
    }

    /// Shows the output up to the next byte that moves the cursor; false at the end.
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
        // After a failed test, the program still runs. It ends with its terminal.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
