//! The numbers of the rule.

/// When traffic is a burst, and when it is not any more. The defaults are those whose figures are in docs/bursts.md.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Two minutes that are together so many standard deviations above what is expected,
    pub pair_z: f64,
    /// and more than so many times of it,
    pub pair_ratio: f64,
    /// and by more than so many counts a minute,
    pub pair_excess: f64,
    /// and of which more than this share of what a minute must have in the mean lies beside the highest sixty seconds:
    /// one minute alone is no burst.
    pub pair_share: f64,
    /// Or five minutes that are so many standard deviations above, for three minutes,
    pub five_z: f64,
    /// and more than so many times of it,
    pub five_ratio: f64,
    /// and by more than so many counts a minute.
    pub five_excess: f64,
    /// Either way, more than so many times the highest minute around that time in other weeks.
    pub peak_ratio: f64,
    /// Below so many counts a minute expectations say little: what comes must then be `pair_ratio` times the
    /// highest five minutes of the last week as well, and more by `pair_excess` also in five minutes.
    pub sparse_below: f64,
    /// While learning: more than so many times the highest five minutes of the last week,
    pub learning_ratio: f64,
    /// and by more than so many counts a minute, for three minutes.
    pub learning_excess: f64,
    /// Traffic that stops: five minutes with less than this share of what is expected, for three minutes,
    pub drop_ratio: f64,
    /// of at least so many a minute,
    pub drop_expected: f64,
    /// and so many standard deviations below.
    pub drop_z: f64,
    /// It is over when traffic was below so many times what is expected (for drops: above half of it)
    pub calm_ratio: f64,
    /// for so many minutes.
    pub calm_minutes: usize,
    /// After the end of one no other begins for so many minutes.
    pub cool_down_minutes: i64,
    /// When nothing was known for so many minutes, it is over for want of knowledge.
    pub unknown_minutes: i64,
}

impl Default for Rule {
    fn default() -> Self {
        Self {
            pair_z: 7.5,
            pair_ratio: 3.0,
            pair_excess: 20.0,
            pair_share: 0.6,
            five_z: 6.0,
            five_ratio: 2.0,
            five_excess: 10.0,
            peak_ratio: 1.5,
            sparse_below: 10.0,
            learning_ratio: 5.0,
            learning_excess: 100.0,
            drop_ratio: 0.1,
            drop_expected: 20.0,
            drop_z: 4.0,
            calm_ratio: 1.5,
            calm_minutes: 5,
            cool_down_minutes: 15,
            unknown_minutes: 30,
        }
    }
}
