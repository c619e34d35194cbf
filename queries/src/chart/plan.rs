//! The parameters of `/v1/chart.svg` that `/v1/usage` has not. Pure.

use utoipa::IntoParams;

use super::{
    scene::Scene,
    style::{COLOURS, Theme},
};
use crate::{
    Config, Error, Result,
    parameters::{Parameters, joined, name},
    usage,
};

/// The parameters of `/v1/chart.svg`.
pub(crate) const KNOWN: &[&str] =
    &joined::<{ usage::parameters::KNOWN.len() + LOOK.len() }>(usage::parameters::KNOWN, LOOK);

/// Those of them that say how it looks.
pub(crate) const LOOK: &[&str] = &[name::STYLE, name::THEME, name::WIDTH, name::HEIGHT, name::TITLE];

/// What the document says of these.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it is read by `Look::read`, by name; here it is described")]
pub(crate) struct Described {
    /// `lines` or `stacked`. Default: stacked where groups are told apart, else a line.
    style: Option<String>,
    /// `light`, `dark`, or `auto` (the default): as the reader's system is set.
    theme: Option<String>,
    /// Of the picture, in pixels. Default 800.
    #[param(minimum = 240, maximum = 2400, example = 800)]
    width: Option<u16>,
    /// Of the picture, in pixels. Default 360.
    #[param(minimum = 160, maximum = 1600, example = 360)]
    height: Option<u16>,
    /// What stands above, at most 200 characters. Default, of a picture: what is asked, in words.
    title: Option<String>,
}

/// What `style` and `theme` may be.
pub(crate) const STYLES: &[&str] = &["lines", "stacked"];
pub(crate) const THEMES: &[&str] = &["auto", "light", "dark"];

/// Groups of one picture at most: more have no colours that can be told apart.
pub(crate) const LIMIT_MAX: usize = COLOURS;
/// Groups where none are asked for.
pub(crate) const LIMIT_DEFAULT: usize = 5;
/// Buckets of one picture at most: each is drawn, and more than there are pixels cannot be seen.
pub(crate) const BUCKETS_MAX: usize = 1_000;
/// Letters of a title at most.
const TITLE_CHARS_MAX: usize = 200;
const WIDTH_DEFAULT: u16 = 800;
const HEIGHT_DEFAULT: u16 = 360;

/// How counts are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Lines,
    Stacked,
}

/// How a picture is to look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Look {
    pub(super) width: u16,
    /// It is higher where there is more to say.
    pub(super) height: u16,
    pub(super) theme: Theme,
    /// As is best for what is drawn, unless it was asked for.
    style: Option<Style>,
    pub(super) title: Option<String>,
}

impl Look {
    /// Reads the parameters, and checks those of usage that are bounded closer here.
    pub(crate) fn read(parameters: &Parameters) -> Result<Self> {
        parameters.number(name::LIMIT, LIMIT_MAX)?;
        let style = |text: &str| match text {
            "lines" => Some(Style::Lines),
            "stacked" => Some(Style::Stacked),
            _ => None,
        };
        let size = |name, bounds, default: u16| {
            let size = parameters.number_of(name, bounds)?;
            Ok::<_, Error>(size.and_then(|size| u16::try_from(size).ok()).unwrap_or(default))
        };
        let title = parameters.one(name::TITLE)?;
        if title.is_some_and(|title| {
            title.chars().count() > TITLE_CHARS_MAX || title.chars().any(char::is_control)
        }) {
            let reason =
                format!("It must be at most {TITLE_CHARS_MAX} characters, without control characters.");
            return Err(Error::parameter(name::TITLE, reason));
        }
        Ok(Self {
            width: size(name::WIDTH, 240..=2_400, WIDTH_DEFAULT)?,
            height: size(name::HEIGHT, 160..=1_600, HEIGHT_DEFAULT)?,
            theme: parameters.choice(name::THEME, Theme::from_name, THEMES)?.unwrap_or(Theme::Auto),
            style: parameters.choice(name::STYLE, style, STYLES)?,
            title: title.map(str::to_owned),
        })
    }

    /// The style of a picture: groups stand on each other, what is not told apart is a line.
    pub(super) fn style_of(&self, scene: &Scene) -> Style {
        self.style.unwrap_or(if scene.is_grouped { Style::Stacked } else { Style::Lines })
    }
}

/// The bounds of what is read for a picture.
pub(super) fn bounds(config: &Config) -> Config {
    Config { buckets_max: config.buckets_max.min(BUCKETS_MAX), ..config.clone() }
}
