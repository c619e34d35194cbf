//! The only place that writes to the terminal, but for the screen of `flagmeter top`. A pipe that was closed is no error: there is nobody to tell.

use std::{
    io::{self, IsTerminal as _, Write as _},
    time::{Duration, Instant},
};

/// One line (or several) of what the command was asked for, on stdout.
pub(crate) fn say(text: impl AsRef<str>) {
    let _closed_pipe = writeln!(io::stdout().lock(), "{}", text.as_ref());
}

/// One line about what is going on, on stderr.
pub(crate) fn note(text: impl AsRef<str>) {
    let _closed_pipe = writeln!(io::stderr().lock(), "{}", text.as_ref());
}

/// A number as people read it: `1 234 567` becomes `1,234,567`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A line on stderr that replaces itself; where stderr is no terminal, a plain line now and then.
#[derive(Debug)]
pub(crate) struct LiveLine {
    terminal: bool,
    /// Whether something stands on the line.
    shown: bool,
    shown_at: Instant,
}

impl LiveLine {
    /// Between two lines where stderr is no terminal.
    const PLAIN_EVERY: Duration = Duration::from_secs(5);

    pub(crate) fn new() -> Self {
        Self { terminal: io::stderr().is_terminal(), shown: false, shown_at: Instant::now() }
    }

    pub(crate) fn show(&mut self, line: &str) {
        if self.terminal {
            let _closed_pipe =
                write!(io::stderr().lock(), "\r\x1b[2K{line}").and_then(|()| io::stderr().flush());
        } else if self.shown_at.elapsed() >= Self::PLAIN_EVERY {
            note(line);
        } else {
            return;
        }
        self.shown = true;
        self.shown_at = Instant::now();
    }

    /// Leaves the last line standing.
    pub(crate) fn end(&mut self) {
        if self.terminal && std::mem::take(&mut self.shown) {
            note("");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        let shown: Vec<String> = [0, 999, 1_000, 12_345, 1_234_567].into_iter().map(grouped).collect();
        assert_eq!(shown, ["0", "999", "1,000", "12,345", "1,234,567"]);
    }
}
