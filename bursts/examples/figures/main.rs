//! What the rule would have said of traffic whose truth is known: the figures of docs/bursts.md.
//!
//!     cargo run --release -p flagmeter-bursts --example figures [TENANTS [SEED]]
//!
//! Each tenant is followed for six weeks in steps of ten seconds. The first two are for learning; false alerts are
//! counted in all six, bursts of five times come in the last four.

#![expect(clippy::print_stdout, reason = "it is a report")]

mod report;
mod traffic;

use flagmeter_bursts::{Detector, Event, Grain, History, Kind, Rule, WEEK_SECONDS};
use flagmeter_model::Timestamp;
use rand::{SeedableRng as _, rngs::StdRng};
use report::{Report, Told};
use traffic::{Shape, Tenant};

/// Weeks that each tenant is followed.
pub(crate) const WEEKS: i64 = 6;
/// Monday, 5 January 1970.
const MONDAY: i64 = 4 * 86_400;

/// What the trade-off is shown with: how many standard deviations two minutes must be out.
const PAIR_Z: [f64; 6] = [5.0, 6.0, 7.0, 8.0, 10.0, 12.0];
/// And how uneven the tenants are: the shape of the gamma that the mean of each minute is drawn from, at least.
const UNEVEN: [f64; 4] = [24.0, 12.0, 6.0, 3.0];

fn main() {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<u64>().ok());
    let tenants = arguments.next().flatten().unwrap_or(40);
    let seed = arguments.next().flatten().unwrap_or(1);
    println!("{tenants} tenants of each kind, {WEEKS} weeks of each, seed {seed}\n");
    let mut rules = vec![Rule::default()];
    rules.extend(PAIR_Z.map(|pair_z| Rule { pair_z, ..Rule::default() }));
    let mut curve = vec![Report::default(); PAIR_Z.len()];
    let mut by_unevenness = vec![Report::default(); UNEVEN.len()];
    let mut all = Report::default();
    Report::print_head("traffic");
    for shape in Shape::ALL {
        let mut report = Report::default();
        for number in 0..tenants {
            let mut random = StdRng::seed_from_u64(seed * 1_000_003 + number * 31 + shape as u64);
            let tenant = Tenant::new(shape, &mut random);
            let told =
                follow(&tenant, if tenant.gamma.is_some() { &rules } else { &rules[..1] }, &mut random);
            let [told, variants @ ..] = &told[..] else { continue };
            report.add(told);
            curve.iter_mut().zip(variants).for_each(|(report, told)| report.add(told));
            if let Some(place) =
                tenant.gamma.and_then(|gamma| UNEVEN.iter().position(|least| gamma >= *least))
            {
                by_unevenness[place].add(told);
            }
        }
        report.print(shape.name());
        all.add_all(&report);
    }
    all.print("all");
    println!("\nThe uneven of these, by how uneven they are:\n");
    Report::print_head("shape of the gamma, at least");
    by_unevenness.iter().zip(UNEVEN).for_each(|(report, shape)| report.print(&shape.to_string()));
    println!("\nThe same, by how far out two minutes must be (`pair_z`):\n");
    Report::print_head("`pair_z`");
    curve.iter().zip(PAIR_Z).for_each(|(report, pair_z)| report.print(&pair_z.to_string()));
}

/// Follows a tenant for six weeks, by each of these rules.
fn follow<'a>(tenant: &'a Tenant, rules: &[Rule], random: &mut StdRng) -> Vec<Told<'a>> {
    let mut watched: Vec<_> =
        rules.iter().map(|rule| (Detector::new(rule.clone(), Grain::TenSeconds), Told::of(tenant))).collect();
    let mut history = History::new(Grain::TenSeconds);
    for tick in 0..WEEKS * WEEK_SECONDS / 10 {
        let second = tick * 10;
        let count = tenant.count(second, random);
        let start = Timestamp::from_seconds_clamped(MONDAY + second);
        for (detector, told) in &mut watched {
            if let Some(Event::Begins(alert)) = detector.take(start, count, |slot| history.weeks(slot)) {
                let since = alert.since.as_seconds() - MONDAY;
                told.begins(alert.kind == Kind::Drop, alert.is_learning, since, second + 10);
            }
        }
        history.take(start, count);
    }
    watched.into_iter().map(|(_, told)| told).collect()
}
