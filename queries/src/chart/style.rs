//! The colours, and why a browser may take them: each style is allowed by its hash alone.

use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest as _, Sha256};

/// Light or dark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Theme {
    /// As the reader's system is set.
    Auto,
    Light,
    Dark,
}

impl Theme {
    /// Its name in the API.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    /// The theme of this name.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        [Self::Auto, Self::Light, Self::Dark].into_iter().find(|theme| theme.name() == name)
    }
}

/// Groups that have a colour of their own, at most.
pub(super) const COLOURS: usize = 8;

/// The colours of one setting. Text has a contrast of at least 4.5 to the paper, lines and bars of at least 3.
struct Palette {
    paper: &'static str,
    ink: &'static str,
    quiet: &'static str,
    grid: &'static str,
    base: &'static str,
    hatch: &'static str,
    rest: &'static str,
    burst: &'static str,
    groups: [&'static str; COLOURS],
}

const LIGHT: Palette = Palette {
    paper: "#ffffff",
    ink: "#1d2330",
    quiet: "#5b6475",
    grid: "#e8eaef",
    base: "#8d95a5",
    hatch: "#8d95a5",
    rest: "#858c9a",
    burst: "#c92a2a",
    groups: ["#3b5bdb", "#0b8373", "#bf6900", "#b8327a", "#5f7d0e", "#7048c6", "#0e7fae", "#a8412f"],
};

const DARK: Palette = Palette {
    paper: "#191d26",
    ink: "#e8eaf0",
    quiet: "#9aa3b5",
    grid: "#2a303d",
    base: "#6b7488",
    hatch: "#6b7488",
    rest: "#8b93a3",
    burst: "#ff8787",
    groups: ["#7c96ff", "#38c7b2", "#f2ae3d", "#ea7bb0", "#b3d155", "#b79bff", "#5cc0ee", "#f08a76"],
};

/// What does not depend on light and dark. No variables: not all that shows SVG knows them.
const SHAPES: &str = ".fm text{font-family:system-ui,-apple-system,Segoe UI,Roboto,Helvetica Neue,Arial,sans-serif;font-size:11px;font-variant-numeric:tabular-nums}\
.fm .fm-h{font-size:15px;font-weight:600}\
.fm .fm-n{font-size:13px}\
.fm .fm-l{font-size:12px}\
.fm .fm-w{font-size:11px;stroke-width:4px;stroke-linejoin:round;paint-order:stroke}\
.fm .fm-d{font-weight:600}\
.fm .fm-bar,.fm .fm-area{stroke-width:0}\
.fm .fm-line{fill-opacity:0;stroke-width:1.75;stroke-linejoin:round;stroke-linecap:round}\
.fm .fm-open{stroke-dasharray:3 3}\
.fm .fm-area{fill-opacity:.12}\
.fm .fm-filling{fill-opacity:.3;stroke-width:1;stroke-dasharray:3 2}\
.fm .fm-before{fill-opacity:0;stroke-width:1.25;stroke-opacity:.55}\
.fm .fm-hover{fill:none;stroke:none;pointer-events:all}\
.fm .fm-until{stroke-dasharray:1 3}\
.fm .fm-band{fill-opacity:.13}\
";

/// The content of the picture's `style`.
pub(super) fn sheet(theme: Theme) -> String {
    let mut sheet = SHAPES.to_owned();
    match theme {
        Theme::Light => sheet.push_str(&rules("light", &LIGHT)),
        Theme::Dark => sheet.push_str(&rules("dark", &DARK)),
        Theme::Auto => {
            sheet.push_str(&rules("auto", &LIGHT));
            sheet.push_str("@media (prefers-color-scheme:dark){");
            sheet.push_str(&rules("auto", &DARK));
            sheet.push('}');
        }
    }
    sheet
}

/// Each rule names its theme: several pictures in one page share their styles.
fn rules(theme: &str, palette: &Palette) -> String {
    let Palette { paper, ink, quiet, grid, base, hatch, rest, burst, groups } = palette;
    let root = format!(".fm-{theme}");
    let mut rules = format!(
        "{root} .fm-paper{{fill:{paper}}}\
         {root} text{{fill:{quiet}}}\
         {root} .fm-h,{root} .fm-n,{root} .fm-l{{fill:{ink}}}\
         {root} .fm-q{{fill:{quiet}}}\
         {root} .fm-w{{fill:{ink};stroke:{paper}}}\
         {root} .fm-grid{{stroke:{grid}}}\
         {root} .fm-base,{root} .fm-until{{stroke:{base}}}\
         {root} .fm-hatch{{stroke:{hatch}}}\
         {root} .fm-tint{{fill:{hatch};fill-opacity:.22}}\
         {root} .fm-burst{{fill:{burst}}}\
         {root} .fm-stripe{{stroke:{paper}}}\
         {root} .fm-sum{{stroke:{ink}}}"
    );
    // Writing to a string does not fail.
    for (at, colour) in groups.iter().chain([rest]).enumerate() {
        let _ = write!(rules, "{root} .fm-{at}{{fill:{colour};stroke:{colour}}}");
    }
    let _ = write!(rules, "{root} .fm-hollow{{fill:{paper}}}");
    rules
}

/// What a browser that opens the picture by itself may do: take its styles, and nothing else.
pub(super) fn content_security_policy(theme: Theme) -> String {
    let hash = STANDARD.encode(Sha256::digest(sheet(theme)));
    format!("default-src 'none'; style-src 'sha256-{hash}'; frame-ancestors 'none'")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The contrast of two colours, as WCAG 2 has it.
    fn contrast(one: &str, other: &str) -> f64 {
        let channel = |colour: &str, at: usize| {
            let value = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap()) / 255.0;
            if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        let luminance = |colour: &str| {
            0.2126 * channel(colour, 1) + 0.7152 * channel(colour, 3) + 0.0722 * channel(colour, 5) + 0.05
        };
        let (one, other) = (luminance(one), luminance(other));
        one.max(other) / one.min(other)
    }

    #[test]
    fn text_and_lines_stand_out_from_the_paper() {
        for palette in [LIGHT, DARK] {
            for text in [palette.ink, palette.quiet] {
                assert!(contrast(text, palette.paper) >= 4.5, "{text}");
            }
            for line in
                palette.groups.into_iter().chain([palette.rest, palette.base, palette.hatch, palette.burst])
            {
                assert!(contrast(line, palette.paper) >= 3.0, "{line} {}", contrast(line, palette.paper));
            }
        }
    }

    #[test]
    fn a_theme_has_its_own_colours_and_the_automatic_one_both() {
        assert!(sheet(Theme::Auto).contains("prefers-color-scheme:dark"));
        assert!(sheet(Theme::Light).contains(LIGHT.paper) && !sheet(Theme::Light).contains(DARK.ink));
        assert!(sheet(Theme::Dark).contains(DARK.paper) && !sheet(Theme::Dark).contains("@media"));
        assert_ne!(content_security_policy(Theme::Light), content_security_policy(Theme::Dark));
    }
}
