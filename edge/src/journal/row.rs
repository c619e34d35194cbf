//! A group's counts as one row: `[version 1]`, then per environment its three names and its series, then per
//! series its points. Texts stand where they are used, so that a row needs nothing but itself.

use std::sync::Arc;

use flagmeter_model::{Environment, Meter, Name, Slot};

use crate::{
    Error, Result,
    committer::{LiveSeries, Point, SeriesRef},
    varint::{self, Reader},
};

const VERSION: u8 = 1;
const HAS_VARIANT: u8 = 1;
const HAS_SDK: u8 = 2;

/// Writes points, which come in the order of [`crate::committer::Tally::by_number`].
pub(crate) fn write(points: &[Point], live: &LiveSeries) -> Vec<u8> {
    let mut row = Vec::with_capacity(64 + points.len() * 32);
    row.push(VERSION);
    let same_environment =
        |a: &Point, b: &Point| live.series(a.series).environment == live.series(b.series).environment;
    for points in points.chunk_by(same_environment) {
        let environment = live.environment_of(live.series(points[0].series).environment);
        varint::put_text(&mut row, &environment.customer);
        varint::put_text(&mut row, &environment.project);
        varint::put_text(&mut row, &environment.environment);
        let of_series = || points.chunk_by(|a, b| a.series == b.series);
        varint::put(&mut row, of_series().count() as u64);
        for points in of_series() {
            write_series(&mut row, &live.series(points[0].series), points);
        }
    }
    row
}

fn write_series(row: &mut Vec<u8>, series: &SeriesRef<'_>, points: &[Point]) {
    row.push(series.meter.number());
    row.push(
        if series.variant.is_some() { HAS_VARIANT } else { 0 }
            | if series.sdk.is_some() { HAS_SDK } else { 0 },
    );
    varint::put_text(row, series.name);
    series.variant.iter().chain(&series.sdk).for_each(|text| varint::put_text(row, text));
    varint::put(row, points.len() as u64);
    for point in points {
        varint::put(row, u64::from(point.slot.number()));
        varint::put(row, point.count);
    }
}

/// Reads a row back; the numbers of series are those of `live`, which learns what it does not know.
pub(crate) fn read(row: &[u8], live: &mut LiveSeries, mut each: impl FnMut(Point)) -> Result<()> {
    let mut reader = Reader::new(row);
    let read = (|| {
        if reader.byte()? != VERSION {
            return None;
        }
        while !reader.is_empty() {
            read_environment(&mut reader, live, &mut each)?;
        }
        Some(())
    })();
    read.ok_or_else(|| Error::Damaged("a row of counts does not read back".into()))
}

fn read_environment(
    reader: &mut Reader<'_>,
    live: &mut LiveSeries,
    each: &mut impl FnMut(Point),
) -> Option<()> {
    let mut name = || Name::new(reader.text()?).ok();
    let environment = Arc::new(Environment { customer: name()?, project: name()?, environment: name()? });
    let environment = live.environment(&environment);
    for _ in 0..reader.number()? {
        let meter = Meter::from_number(reader.byte()?)?;
        let has = reader.byte()?;
        let name = reader.text()?;
        let variant = if has & HAS_VARIANT == 0 { None } else { Some(reader.text()?) };
        let sdk = if has & HAS_SDK == 0 { None } else { Some(reader.text()?) };
        for text in [Some(name), variant, sdk].into_iter().flatten() {
            Name::check(text).ok()?;
        }
        let series = live.intern(&SeriesRef { environment, meter, name, variant, sdk });
        for _ in 0..reader.number()? {
            let slot = Slot::from_number(reader.small()?).ok()?;
            each(Point { series, slot, count: reader.number()? });
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::committer::Tally;

    type Given = (u8, u8, String, Option<String>, Option<String>, u32, u64);

    fn given() -> impl Strategy<Value = Vec<Given>> {
        let text = "[a-zü]{1,6}";
        let of = proptest::option::of;
        proptest::collection::vec(
            (0_u8..3, 0_u8..5, text, of(text), of(text), 0_u32..100, 1_u64..1_000_000_000),
            0..40,
        )
    }

    fn environment(number: u8) -> Arc<Environment> {
        let name = |text: &str| Name::new(text).unwrap();
        Arc::new(Environment {
            customer: name("c"),
            project: name("p"),
            environment: name(&format!("e{number}")),
        })
    }

    fn told(points: &[Point], live: &LiveSeries) -> BTreeMap<String, u64> {
        let mut sums = BTreeMap::new();
        for point in points {
            let series = live.series(point.series);
            let environment = live.environment_of(series.environment);
            let key = format!(
                "{environment} {:?} {:?} {:?} {:?} {:?}",
                series.meter, series.name, series.variant, series.sdk, point.slot
            );
            assert!(sums.insert(key, point.count).is_none(), "each point once");
        }
        sums
    }

    proptest! {
        #[test]
        fn a_row_reads_back_as_it_was_added_up(given in given()) {
            let mut live = LiveSeries::new(1_000);
            let mut tally = Tally::default();
            for (env, meter, name, variant, sdk, slot, count) in &given {
                let environment = live.environment(&environment(*env));
                let meter = Meter::from_number(*meter).unwrap();
                let (variant, sdk) = (variant.as_deref(), sdk.as_deref());
                let series = live.intern(&SeriesRef { environment, meter, name, variant, sdk });
                tally.add(Point { series, slot: Slot::from_number(*slot).unwrap(), count: *count });
            }
            let row = write(&tally.by_number(&live), &live);
            let mut other = LiveSeries::new(1_000);
            let mut points = Vec::new();
            read(&row, &mut other, |point| points.push(point)).unwrap();
            prop_assert_eq!(told(&points, &other), told(&tally.by_number(&live), &live));
        }

        #[test]
        fn no_bytes_make_it_panic(mut row in proptest::collection::vec(any::<u8>(), 0..60)) {
            row.insert(0, VERSION);
            let _ = read(&row, &mut LiveSeries::new(10), |_| {});
        }
    }
}
