//! What a key does. Pure.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::view::View;

/// What comes of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    GoOn,
    Quit,
}

/// Longest filter.
const FILTER_CHARS_MAX: usize = 200;
/// Lines of a page.
const PAGE: usize = 10;

/// Does what a key says. `last` is as far as there is something to scroll to.
pub(super) fn press(view: &mut View, key: KeyEvent, last: usize) -> Next {
    // Lines go, and screens grow: what is scrolled from is what is seen.
    view.scroll = view.scroll.min(last);
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return if matches!(key.code, KeyCode::Char('c' | 'd')) { Next::Quit } else { Next::GoOn };
    }
    if view.types {
        type_filter(view, key.code);
        return Next::GoOn;
    }
    match key.code {
        KeyCode::Char('q') => return Next::Quit,
        KeyCode::Char('s') => {
            view.sort = view.sort.next();
            view.scroll = 0;
        }
        KeyCode::Char('/') => view.types = true,
        KeyCode::Char('p' | ' ') => view.paused = !view.paused,
        KeyCode::Esc => view.filter.clear(),
        KeyCode::Up | KeyCode::Char('k') => view.scroll = view.scroll.saturating_sub(1),
        KeyCode::Down | KeyCode::Char('j') => view.scroll = view.scroll.saturating_add(1).min(last),
        KeyCode::PageUp => view.scroll = view.scroll.saturating_sub(PAGE),
        KeyCode::PageDown => view.scroll = view.scroll.saturating_add(PAGE).min(last),
        KeyCode::Home => view.scroll = 0,
        KeyCode::End => view.scroll = last,
        _ => {}
    }
    Next::GoOn
}

fn type_filter(view: &mut View, code: KeyCode) {
    view.scroll = 0;
    match code {
        KeyCode::Enter => view.types = false,
        KeyCode::Esc => {
            view.types = false;
            view.filter.clear();
        }
        KeyCode::Backspace => {
            view.filter.pop();
        }
        KeyCode::Char(character) if view.filter.chars().count() < FILTER_CHARS_MAX => {
            view.filter.push(character);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::{super::view::Sort, *};

    fn pressed(view: &mut View, keys: &[KeyCode]) -> Next {
        let press = |view: &mut View, code| press(view, KeyEvent::new(code, KeyModifiers::NONE), 24);
        keys.iter().map(|code| press(view, *code)).last().unwrap()
    }

    #[test]
    fn keys_sort_pause_scroll_and_quit() {
        let mut view = View::default();
        pressed(&mut view, &[KeyCode::Down, KeyCode::PageDown]);
        assert_eq!(view.scroll, 11);
        for beyond in [KeyCode::Down, KeyCode::PageDown] {
            pressed(&mut view, &[KeyCode::End, beyond]);
            assert_eq!(view.scroll, 24, "never beyond the last line");
        }
        pressed(&mut view, &[KeyCode::PageUp, KeyCode::Up]);
        assert_eq!(view.scroll, 13);
        pressed(&mut view, &[KeyCode::Char('s'), KeyCode::Char('p')]);
        assert_eq!((view.scroll, view.sort, view.paused), (0, Sort::Hour, true));
        pressed(&mut view, &[KeyCode::Up, KeyCode::Home, KeyCode::Char('p')]);
        assert_eq!((view.scroll, view.paused), (0, false));
        assert_eq!(pressed(&mut view, &[KeyCode::Char('x')]), Next::GoOn);
        assert_eq!(pressed(&mut view, &[KeyCode::Char('q')]), Next::Quit);
        let control = |code| KeyEvent::new(KeyCode::Char(code), KeyModifiers::CONTROL);
        assert_eq!(press(&mut view, control('c'), 3), Next::Quit);
        assert_eq!(press(&mut view, control('q'), 3), Next::GoOn);
    }

    #[test]
    fn scrolling_goes_on_from_what_is_seen() {
        let mut view = View { scroll: 90, ..View::default() };
        pressed(&mut view, &[KeyCode::Up]);
        assert_eq!(view.scroll, 23, "no key goes into lines that are not there any more");
    }

    #[test]
    fn while_a_filter_is_typed_letters_are_letters() {
        let mut view = View { scroll: 5, ..View::default() };
        let typed = ['/', 'q', 's', '沉', 'x'].map(KeyCode::Char);
        assert_eq!(pressed(&mut view, &typed), Next::GoOn);
        pressed(&mut view, &[KeyCode::Backspace]);
        assert_eq!((view.filter.as_str(), view.types, view.scroll), ("qs沉", true, 0));
        pressed(&mut view, &[KeyCode::Enter]);
        assert_eq!((view.filter.as_str(), view.types), ("qs沉", false));
        pressed(&mut view, &[KeyCode::Esc]);
        assert_eq!(view.filter, "");
        pressed(&mut view, &[KeyCode::Char('/'), KeyCode::Char('a'), KeyCode::Esc]);
        assert_eq!((view.filter.as_str(), view.types), ("", false));
        pressed(&mut view, &[KeyCode::Char('/')]);
        pressed(&mut view, &[KeyCode::Char('a'); 300]);
        assert_eq!(view.filter.len(), 200);
        assert_eq!(press(&mut view, KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL), 3), Next::Quit);
    }
}
