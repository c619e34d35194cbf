//! This machine: the data folder, its disk, the registry, the runtime flags.

use std::path::Path;

use flagmeter_rollout::Definition;

use super::finding::{Finding, Report};
use crate::{
    config::Config,
    flags::{self, Judged},
    output::grouped,
    process::folder::{self, registry_file},
    registry,
};

const GIB: u64 = 1 << 30;
/// With less than this a disk is as good as full: logs and the system's own files take it in an hour.
const FREE_MIN: u64 = GIB;

/// The data folder: whether it is there, ours, and has room for what may come to lie in it.
pub(super) fn folder(config: &Config, has_journal: bool, report: &mut Report) {
    let path = &config.data.path;
    let shown = path.display();
    report.tell(match folder::is_in_use(path) {
        Ok(true) => Finding::ok("data folder", format!("{shown}, in use by a flagmeter that runs")),
        Ok(false) => Finding::note("data folder", format!("{shown}: no flagmeter runs on it")),
        Err(error) => Finding::wrong("data folder", error.to_string()),
    });
    if path.is_dir() {
        let journal = has_journal.then_some(config.edge.journal_bytes_max.0);
        report.tell(disk(path, journal));
    }
}

fn disk(path: &Path, journal_max: Option<u64>) -> Finding {
    match rustix::fs::statvfs(path) {
        Ok(found) => {
            let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
            judge_disk(bytes(found.f_bavail), bytes(found.f_blocks), journal_max)
        }
        Err(error) => Finding::skipped("disk", format!("the system does not tell how full it is: {error}")),
    }
}

fn judge_disk(free: u64, size: u64, journal_max: Option<u64>) -> Finding {
    let told = format!("{} GiB free of {}", grouped(free / GIB), grouped(size / GIB));
    if free < FREE_MIN {
        return Finding::wrong(
            "disk",
            format!("{told}: make room, or what arrives is refused with 503 until there is some"),
        );
    }
    match journal_max {
        Some(journal) if free < journal => Finding::note(
            "disk",
            format!(
                "{told}, and the journal may grow to {} GiB while the log is away: enlarge the disk, or lower \
                 edge.journal_bytes_max",
                grouped(journal.div_ceil(GIB))
            ),
        ),
        _ => Finding::ok("disk", told),
    }
}

/// The registry's file, as a stage that starts now would take it.
pub(super) fn registry(config: &Config) -> Finding {
    let path = registry_file(config);
    match registry::summary(&path) {
        Ok(summary) => Finding::ok("registry", format!("{}: {summary}", path.display())),
        Err(error) => Finding::wrong("registry", error.to_string()),
    }
}

/// The definition of the runtime flags, as a stage that starts now would take it.
pub(super) async fn runtime_flags(config: &Config, report: &mut Report) {
    let about = "runtime flags";
    let (shown, looked) = match flags::look_once(config).await {
        Ok(Some(looked)) => looked,
        Ok(None) => {
            let says =
                "no definition is configured (runtime_flags.file, runtime_flags.url): the safe defaults hold";
            return report.tell(Finding::ok(about, says));
        }
        Err(error) => return report.tell(Finding::wrong(about, error.to_string())),
    };
    let definition = looked.and_then(|text| Definition::parse(&text).map_err(|error| error.to_string()));
    let judged = match definition {
        Ok(definition) => Judged::of(&definition),
        Err(why) => {
            let says = format!("{shown}: {why}; what was last good goes on, else the safe defaults: mend it");
            return report.tell(Finding::wrong(about, says));
        }
    };
    for says in &judged.says {
        report.tell(Finding::note(about, says));
    }
    report.tell(match judged.wrong {
        0 => Finding::ok(about, format!("{shown}: {}", judged.summary)),
        wrong => Finding::wrong(
            about,
            format!(
                "{shown}: {wrong} of its flags or variants would be errors, and so the safe defaults: mend it"
            ),
        ),
    });
}

#[cfg(test)]
mod tests {
    use super::{super::finding::State, *};

    #[test]
    fn a_disk_is_full_or_has_no_room_for_a_long_outage_or_is_well() {
        let state = |free, journal| judge_disk(free, 100 * GIB, journal).state;
        assert_eq!(state(GIB - 1, None), State::Wrong);
        assert_eq!(state(GIB, None), State::Ok);
        assert_eq!(state(8 * GIB - 1, Some(8 * GIB)), State::Note);
        assert_eq!(state(8 * GIB, Some(8 * GIB)), State::Ok);
    }
}
