//! What is expected of a minute.

use crate::recent::of;

/// Five minutes of an earlier week.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Seen {
    /// The mean of its minutes.
    pub mean: f64,
    /// The highest of them.
    pub highest: f64,
}

/// What the same time of an earlier week was: five minutes in the middle, and ten before and after them; none where
/// not known.
pub type Week = [Option<Seen>; 5];

/// The last weeks, the last one first.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Weeks(pub [Week; 4]);

/// Weeks of which a baseline is made at least.
const WEEKS_MIN: usize = 2;

/// What is expected of a minute, before it is scaled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Expected {
    /// The median over the weeks of the mean of the middle quarter of an hour.
    pub mean: f64,
    /// The median over the weeks of the highest minute of all five slots. Of two weeks in which a job runs up to four
    /// minutes early or late, one may have it eight minutes from where the other has it: hence five slots and not three.
    pub peak: f64,
}

impl Expected {
    /// Of these weeks; none where too little is known of them.
    pub fn of(weeks: &Weeks) -> Option<Self> {
        let mean_of = |[_, before, middle, after, _]: &Week| {
            let means: Vec<f64> =
                [before, middle, after].into_iter().flatten().map(|seen| seen.mean).collect();
            (!means.is_empty()).then(|| means.iter().sum::<f64>() / of(means.len() as u64))
        };
        let peak_of = |week: &Week| week.iter().flatten().map(|seen| seen.highest).reduce(f64::max);
        let known: Vec<_> =
            weeks.0.iter().filter_map(|week| Some((mean_of(week)?, peak_of(week)?))).collect();
        if known.len() < WEEKS_MIN {
            return None;
        }
        let (means, peaks) = known.into_iter().unzip();
        Some(Self { mean: median(means)?, peak: median(peaks)? })
    }
}

/// The middle of these values; none of none. Of an even number, the mean of the two in the middle.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let (low, high) = (values.get((values.len().max(1) - 1) / 2)?, values.get(values.len() / 2)?);
    Some(f64::midpoint(*low, *high))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::unnecessary_wraps, reason = "as it stands in a week")]
    fn seen(count: f64) -> Option<Seen> {
        Some(Seen { mean: count, highest: 2.0 * count })
    }

    #[test]
    fn a_week_that_was_special_does_not_count() {
        let weeks = Weeks([10.0, 900.0, 11.0, 12.0].map(|count| [seen(count); 5]));
        assert_eq!(Expected::of(&weeks), Some(Expected { mean: 11.5, peak: 23.0 }));
    }

    #[test]
    fn a_job_that_drifts_is_in_the_peak() {
        let job_in = |slot: usize| std::array::from_fn(|at| seen(if at == slot { 100.0 } else { 1.0 }));
        let weeks = Weeks([job_in(0), job_in(4), job_in(2), [None; 5]]);
        assert_eq!(Expected::of(&weeks), Some(Expected { mean: 1.0, peak: 200.0 }));
    }

    #[test]
    fn one_week_is_too_little_and_what_is_not_known_is_left_out() {
        let one = Weeks([[seen(1.0); 5], [None; 5], [None; 5], [None; 5]]);
        assert_eq!(Expected::of(&one), None);
        let part = [None, seen(4.0), None, seen(6.0), seen(99.0)];
        let two = Weeks([[seen(1.0); 5], part, [None; 5], [None; 5]]);
        assert_eq!(Expected::of(&two), Some(Expected { mean: 3.0, peak: 100.0 }));
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0]), Some(3.0));
        assert_eq!(median(vec![9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![9.0, 1.0, 2.0, 4.0]), Some(3.0));
    }
}
