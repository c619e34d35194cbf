//! Windows that must be rolled up again.

use flagmeter_model::{Tier, TimeRange, Timestamp, Window};

/// The windows of one environment that are not what their finer windows add up to: the marked ones, and all
/// above them. (A coarser window is marked only when the finer one is rolled up again; it is wrong before.)
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Dirty([Vec<Timestamp>; Tier::ROLLED.len()]);

impl Dirty {
    /// The dirty windows of a tier that begin in `range`: their starts, in order, each once.
    pub fn starts(&self, tier: Tier, range: TimeRange) -> &[Timestamp] {
        let Some(starts) = place(tier).and_then(|place| self.0.get(place)) else { return &[] };
        let first = starts.partition_point(|&start| start < range.from);
        let last = starts.partition_point(|&start| start < range.to);
        starts.get(first..last).unwrap_or_default()
    }
}

/// From the marks. Marks of raw points do not exist and are left out.
impl FromIterator<Window> for Dirty {
    fn from_iter<I: IntoIterator<Item = Window>>(marks: I) -> Self {
        let mut dirty = Self::default();
        for mark in marks {
            for window in std::iter::successors(Some(mark), |window| window.parent()) {
                if let Some(starts) = place(window.tier()).and_then(|place| dirty.0.get_mut(place)) {
                    starts.push(window.start());
                }
            }
        }
        for starts in &mut dirty.0 {
            starts.sort_unstable();
            starts.dedup();
        }
        dirty
    }
}

const fn place(tier: Tier) -> Option<usize> {
    match tier {
        Tier::Raw => None,
        Tier::Minute => Some(0),
        Tier::Quarter => Some(1),
        Tier::Hour => Some(2),
    }
}
