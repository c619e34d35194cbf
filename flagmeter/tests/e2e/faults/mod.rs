//! What it survives: processes that are killed or stand still, servers that are gone, and worse.
//!
//! Each scenario runs a cluster of its own under a load whose every count is known, with somebody who reads the
//! charts all the time. In the end every acknowledged count is there once, in all tiers; and meanwhile no answer
//! showed an outage as zero. `FLAGMETER_FAULTS_SEED` repeats a run's choices, `FLAGMETER_FAULTS_ROUNDS` sets how
//! often processes are killed at random (4 when unset).

mod database;
mod disk;
mod kills;
mod load;
mod log;
mod outages;
mod own;
mod partitions;
mod rolling;
mod scenario;
mod stops;
mod twin;
mod watch;
