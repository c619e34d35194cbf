//! What is told to the outside, and how far each of it was taken.

/// What is delivered, each in its own order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Notice {
    /// Crossings of thresholds of plans.
    Crossing,
    /// Alerts.
    Alert,
}

impl Notice {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Crossing, Self::Alert];

    /// Its name, in metrics and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Crossing => "crossing",
            Self::Alert => "alert",
        }
    }
}
