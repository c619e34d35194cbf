//! Traffic whose truth is known.

use rand::{Rng as _, rngs::StdRng};
use rand_distr::{Distribution as _, Gamma, LogNormal, Poisson};

use crate::WEEKS;

const DAY: i64 = 86_400;
const WEEK: i64 = 7 * DAY;

/// What makes a tenant hard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// The same all the time, and random as independent arrivals are.
    Steady,
    /// More uneven than that, minute by minute.
    Uneven,
    /// Days and weeks, ten times as much at noon as at night, and an ever different level.
    Daily,
    /// A job that runs each hour or each day, some minutes earlier or later.
    Jobs,
    /// Traffic that grows to double or three times within an hour or two, and stays.
    Launch,
    /// Nothing, and now and then someone who tries something.
    Quiet,
    /// Times of which nothing is known.
    Outages,
}

impl Shape {
    pub(crate) const ALL: [Self; 7] =
        [Self::Steady, Self::Uneven, Self::Daily, Self::Jobs, Self::Launch, Self::Quiet, Self::Outages];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Steady => "steady",
            Self::Uneven => "uneven",
            Self::Daily => "days and weeks",
            Self::Jobs => "jobs that drift",
            Self::Launch => "launches",
            Self::Quiet => "quiet",
            Self::Outages => "outages",
        }
    }
}

/// From and to, in seconds.
pub(crate) type Span = (i64, i64);

/// A tenant.
pub(crate) struct Tenant {
    shape: Shape,
    /// Counts a minute at an ordinary time.
    mean: f64,
    /// The shape of the gamma that the mean of each minute is drawn from; none for an even one.
    pub(crate) gamma: Option<f64>,
    amplitude: f64,
    phase: f64,
    weekend: f64,
    /// The level of each hour, as a slow walk.
    levels: Vec<f64>,
    jobs: Vec<(Span, f64)>,
    launch: Option<(i64, i64, f64)>,
    unknown: Vec<Span>,
    /// Five times as much.
    pub(crate) bursts: Vec<Span>,
    seed: u64,
}

fn spread(random: &mut StdRng, low: f64, high: f64) -> f64 {
    (random.random_range(low.ln()..high.ln())).exp()
}

impl Tenant {
    pub(crate) fn new(shape: Shape, random: &mut StdRng) -> Self {
        let mean = match shape {
            Shape::Quiet => spread(random, 0.002, 0.2),
            _ => spread(random, 3.0, 5_000.0),
        };
        let is_daily = matches!(shape, Shape::Daily | Shape::Jobs | Shape::Launch | Shape::Outages);
        let gamma = matches!(shape, Shape::Uneven | Shape::Daily).then(|| spread(random, 3.0, 50.0));
        let mut level = 0.0_f64;
        let mut levels = Vec::new();
        for _ in 0..=WEEKS * 7 * 24 {
            if is_daily {
                level = 0.97 * level + random.random_range(-0.06..0.06);
            }
            levels.push(level.exp());
        }
        let mut tenant = Self {
            shape,
            mean,
            gamma,
            amplitude: if is_daily { spread(random, 1.5, 10.0).ln() / 2.0 } else { 0.0 },
            phase: random.random_range(0.0..1.0),
            weekend: if is_daily { random.random_range(0.3..1.0) } else { 1.0 },
            levels,
            jobs: Vec::new(),
            launch: None,
            unknown: Vec::new(),
            bursts: Vec::new(),
            seed: random.random(),
        };
        tenant.add_what_is_special(random);
        tenant
    }

    fn add_what_is_special(&mut self, random: &mut StdRng) {
        let end = WEEKS * WEEK;
        match self.shape {
            Shape::Jobs => {
                let every = [3_600, 6 * 3_600, DAY][random.random_range(0..3)];
                let (lasts, factor) = (random.random_range(2..8) * 60, spread(random, 3.0, 20.0));
                for at in (0..end).step_by(usize::try_from(every).unwrap_or(1)) {
                    let from = at + 600 + random.random_range(-240..=240);
                    self.jobs.push(((from, from + lasts), factor));
                }
            }
            Shape::Launch => {
                let from = random.random_range(2 * WEEK..5 * WEEK);
                let ramp = random.random_range(3_600..7_200);
                self.launch = Some((from, from + ramp, random.random_range(1.5..3.0)));
            }
            Shape::Quiet => {
                for _ in 0..WEEKS * 4 {
                    let from = random.random_range(0..end);
                    let lasts = random.random_range(60..1_800);
                    self.jobs.push(((from, from + lasts), random.random_range(1.0..12.0) / self.mean));
                }
            }
            Shape::Outages => {
                for _ in 0..WEEKS * 3 {
                    let from = random.random_range(0..end) / 60 * 60;
                    self.unknown.push((from, from + random.random_range(1..90) * 60));
                }
            }
            Shape::Steady | Shape::Uneven | Shape::Daily => {}
        }
        if self.shape != Shape::Quiet {
            for week in 2..WEEKS {
                let from = week * WEEK + random.random_range(3_600..WEEK - 2 * 3_600);
                let span = (from, from + random.random_range(5..45) * 60);
                let is_unknown = |unknown: &Span| unknown.0 < span.1 && span.0 < unknown.1 + 600;
                let is_launch =
                    self.launch.is_some_and(|(from, to, _)| from - 7_200 < span.1 && span.0 < to + 7_200);
                if !self.unknown.iter().any(is_unknown) && !is_launch {
                    self.bursts.push(span);
                }
            }
        }
    }

    /// What is to be expected in a minute at that time, without bursts.
    pub(crate) fn ordinary(&self, second: i64) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "some weeks")]
        let of_day = (second % DAY) as f64 / DAY as f64;
        let wave = (self.amplitude * (std::f64::consts::TAU * (of_day + self.phase)).sin()).exp();
        let weekend = if second % WEEK >= 5 * DAY { self.weekend } else { 1.0 };
        let hour = usize::try_from(second / 3_600).unwrap_or(0);
        let level = self.levels.get(hour).copied().unwrap_or(1.0);
        let job: f64 =
            self.jobs.iter().filter(|((from, to), _)| (*from..*to).contains(&second)).map(|it| it.1).sum();
        #[expect(clippy::cast_precision_loss, reason = "some hours")]
        let launch = self.launch.map_or(1.0, |(from, to, factor)| {
            let part = ((second - from) as f64 / (to - from) as f64).clamp(0.0, 1.0);
            1.0 + part * (factor - 1.0)
        });
        self.mean * wave * weekend * level * launch * (1.0 + job)
    }

    /// Whether it is a burst then.
    fn is_burst(&self, second: i64) -> bool {
        self.bursts.iter().any(|(from, to)| (*from..*to).contains(&second))
    }

    /// Whether it grows for good then, or has a moment ago.
    pub(crate) fn is_launch(&self, second: i64) -> bool {
        self.launch.is_some_and(|(from, to, _)| (from..to + 3_600).contains(&second))
    }

    /// What is counted in ten seconds; none where that is not known.
    pub(crate) fn count(&self, second: i64, random: &mut StdRng) -> Option<u64> {
        let mut mean = self.ordinary(second) / 6.0;
        if self.is_burst(second) {
            mean *= 5.0;
        }
        if let Some(shape) = self.gamma {
            mean *= self.unevenness(second / 60, shape);
        }
        let count =
            if mean > 0.0 { Poisson::new(mean).map_or(0.0, |poisson| poisson.sample(random)) } else { 0.0 };
        let is_unknown = self.unknown.iter().any(|(from, to)| (*from..*to).contains(&second));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
        let count = count as u64;
        (!is_unknown).then_some(count)
    }

    /// The same for all of a minute.
    fn unevenness(&self, minute: i64, shape: f64) -> f64 {
        use rand::SeedableRng as _;
        let mut random =
            StdRng::seed_from_u64(self.seed ^ minute.unsigned_abs().wrapping_mul(0x9e37_79b9_7f4a_7c15));
        // Now and then a minute is far more uneven than the rest: tails are heavier than those of a gamma.
        if random.random_ratio(1, 500) {
            return LogNormal::new(0.0, 0.7).map_or(1.0, |tail| tail.sample(&mut random));
        }
        Gamma::new(shape, 1.0 / shape).map_or(1.0, |gamma| gamma.sample(&mut random))
    }
}
