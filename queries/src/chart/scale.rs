//! Where counts and instants lie in the picture.

use flagmeter_model::Timestamp;

/// The steps of the axis of counts: round numbers from 0 to a round one that is not below the largest count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Steps {
    pub(super) step: u128,
    pub(super) top: u128,
}

impl Steps {
    /// At most `steps_max` steps up to `most`.
    pub(super) fn up_to(most: u64, steps_max: u64) -> Self {
        let (most, steps_max) = (u128::from(most.max(1)), u128::from(steps_max.max(2)));
        let mut power = 1_u128;
        loop {
            for factor in [1, 2, 5] {
                let step = power * factor;
                if step * steps_max >= most {
                    return Self { step, top: most.div_ceil(step) * step };
                }
            }
            power *= 10;
        }
    }

    /// The counts that have a line.
    pub(super) fn counts(self) -> impl Iterator<Item = u128> {
        (0..=self.top / self.step).map(move |at| at * self.step)
    }
}

/// The part of the picture in which counts are drawn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plot {
    pub(super) left: f64,
    pub(super) right: f64,
    pub(super) top: f64,
    pub(super) bottom: f64,
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
    pub(super) steps: Steps,
}

impl Plot {
    /// Where an instant lies. Time runs evenly: a day of 25 hours is wider than one of 23.
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of thousands of years are exact")]
    pub(super) fn x(&self, at: Timestamp) -> f64 {
        let (part, whole) = (at.millis_since(self.from), self.to.millis_since(self.from).max(1));
        self.left + (self.right - self.left) * (part as f64 / whole as f64)
    }

    /// Where a count lies.
    #[expect(clippy::cast_precision_loss, reason = "a pixel is coarser")]
    pub(super) fn y(&self, count: u64) -> f64 {
        self.bottom - self.height() * (count as f64 / self.steps.top as f64)
    }

    /// The same of a line of the axis.
    #[expect(clippy::cast_precision_loss, reason = "a pixel is coarser")]
    pub(super) fn y_of_step(&self, count: u128) -> f64 {
        self.bottom - self.height() * (count as f64 / self.steps.top as f64)
    }

    pub(super) fn width(&self) -> f64 {
        self.right - self.left
    }

    pub(super) fn height(&self) -> f64 {
        self.bottom - self.top
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn steps_are_round() {
        for (most, step, top) in
            [(0, 1, 1), (3, 1, 3), (7, 2, 8), (8, 2, 8), (184, 50, 200), (1_001, 500, 1_500)]
        {
            assert_eq!(Steps::up_to(most, 4), Steps { step, top }, "{most}");
        }
    }

    proptest! {
        #[test]
        fn every_count_has_its_place(most in 0_u64.., steps_max in 0_u64..12) {
            let steps = Steps::up_to(most, steps_max);
            prop_assert!(steps.top >= u128::from(most) && steps.top < u128::from(most.max(1)) + steps.step);
            prop_assert!(steps.counts().count() <= usize::try_from(steps_max.max(2)).unwrap() + 1);
            prop_assert_eq!(steps.counts().last(), Some(steps.top));
        }
    }
}
