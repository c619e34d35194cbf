//! Whether a name that was lost is another's now.

use std::time::{Duration, Instant};

/// A name that is lost twice within this time is another's: that one takes it back within seconds. Who was only out of
/// touch with the brokers is told so no sooner than a session lasts, and may be again after the next outage.
const AGAIN: Duration = Duration::from_secs(20);

/// When a reading end was last told that another has its name.
#[derive(Debug, Default)]
pub(super) struct Fenced(Option<Instant>);

impl Fenced {
    /// It is told so `now`; whether another has the name.
    ///
    /// A member that stood still and joins again may still be heard under its old identity, and is told the same as one
    /// whose name another has. So it takes its name back, once: two that have one name are told apart by the one that
    /// loses it again.
    pub(super) fn is_by_another(&mut self, now: Instant) -> bool {
        let before = self.0.replace(now);
        before.is_some_and(|before| now.duration_since(before) < AGAIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said each time, to one that is told it so many seconds after it began.
    fn told(seconds: &[f64]) -> Vec<bool> {
        let (began, mut fenced) = (Instant::now(), Fenced::default());
        seconds.iter().map(|at| fenced.is_by_another(began + Duration::from_secs_f64(*at))).collect()
    }

    #[test]
    fn a_name_that_is_lost_once_is_taken_back() {
        assert_eq!(told(&[0.0]), [false]);
    }

    #[test]
    fn a_name_that_is_lost_again_at_once_belongs_to_another() {
        assert_eq!(told(&[0.0, 0.0]), [false, true]);
        assert_eq!(told(&[0.0, 19.9]), [false, true]);
    }

    #[test]
    fn outages_further_apart_are_outages_however_many_there_are() {
        assert_eq!(told(&[0.0, 20.0]), [false, false]);
        assert_eq!(told(&[0.0, 25.0, 50.0, 75.0]), [false, false, false, false]);
    }

    #[test]
    fn each_loss_is_measured_from_the_one_before_it() {
        assert_eq!(told(&[0.0, 25.0, 30.0]), [false, false, true], "a twin that comes after an outage");
    }
}
