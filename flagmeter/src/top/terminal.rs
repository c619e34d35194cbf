//! The terminal while a screen is on it, and as it was before afterwards, whatever happens.

use std::{
    io::{self, Write as _},
    panic,
    sync::Arc,
    time::Duration,
};

use crossterm::{
    cursor::{Hide, Show},
    event::{self, Event, KeyEvent, KeyEventKind},
    execute,
    terminal::{
        DisableLineWrap, EnableLineWrap, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode,
        enable_raw_mode, size,
    },
};
use tokio::sync::mpsc;

use super::view::{Screen, Size, Style};
use crate::{Error, Result};

/// How long a key is waited for before it is looked whether anybody still wants one.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// What the viewer did.
#[derive(Debug)]
pub(super) enum Input {
    Key(KeyEvent),
    /// The terminal has another size now.
    Resized,
}

/// The screen, until it is dropped.
pub(super) struct Terminal {
    colours: bool,
}

impl Terminal {
    /// Takes the terminal. It is given back when this is dropped, and before the message of a panic.
    pub(super) fn take(colours: bool) -> Result<Self> {
        let before: Arc<dyn Fn(&panic::PanicHookInfo<'_>) + Send + Sync> = Arc::from(panic::take_hook());
        panic::set_hook(Box::new(move |info| {
            give_back();
            before(info);
        }));
        enable_raw_mode().map_err(Error::System)?;
        let taken = Self { colours };
        execute!(io::stdout(), EnterAlternateScreen, Hide, DisableLineWrap).map_err(Error::System)?;
        Ok(taken)
    }

    /// How large it is.
    pub(super) fn size() -> Option<Size> {
        let (width, height) = size().ok()?;
        Some(Size { width: width.into(), height: Some(height.into()) })
    }

    /// Shows a screen in one write, so that nothing flickers.
    pub(super) fn show(&self, screen: &Screen) -> Result<()> {
        let mut text = String::from("\x1b[H");
        text.push_str(&written(screen, self.colours, "\x1b[K\r\n"));
        // What stood below it goes.
        text.push_str("\x1b[K\x1b[J");
        let mut stdout = io::stdout().lock();
        stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(Error::System)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        give_back();
    }
}

fn give_back() {
    let _it_is_gone = execute!(io::stdout(), EnableLineWrap, Show, LeaveAlternateScreen);
    let _it_is_gone = disable_raw_mode();
}

/// A screen as text, with colours where they are wanted.
pub(super) fn written(screen: &Screen, colours: bool, between: &str) -> String {
    let lines = screen.iter().map(|line| {
        let pieces = line.iter().map(|piece| match (colours, code(piece.style)) {
            (true, Some(code)) => format!("\x1b[{code}m{}\x1b[0m", piece.text),
            _ => piece.text.clone(),
        });
        pieces.collect::<String>()
    });
    lines.collect::<Vec<_>>().join(between)
}

const fn code(style: Style) -> Option<&'static str> {
    match style {
        Style::Plain => None,
        Style::Strong => Some("1"),
        Style::Faint => Some("2"),
        Style::Warning => Some("33"),
    }
}

/// Reads keys, one after the other, until nobody wants them any more.
pub(super) fn read(to: &mpsc::Sender<Input>) -> io::Result<()> {
    while !to.is_closed() {
        if !event::poll(LOOK_EVERY)? {
            continue;
        }
        let input = match event::read()? {
            Event::Key(key) if key.kind != KeyEventKind::Release => Input::Key(key),
            Event::Resize(..) => Input::Resized,
            _ => continue,
        };
        if to.blocking_send(input).is_err() {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{super::view::Piece, *};

    #[test]
    fn colours_are_written_only_where_they_are_wanted() {
        let piece = |text: &str, style| Piece { text: text.into(), style };
        let screen =
            vec![vec![piece("a", Style::Plain), piece("b", Style::Warning)], vec![piece("c", Style::Strong)]];
        assert_eq!(written(&screen, false, "|"), "ab|c");
        assert_eq!(written(&screen, true, "|"), "a\x1b[33mb\x1b[0m|\x1b[1mc\x1b[0m");
    }
}
