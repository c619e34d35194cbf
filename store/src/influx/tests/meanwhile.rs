//! What happens between two steps of one call: a real server cannot be made to do it then.

use std::{fmt::Write as _, sync::Arc};

use flagmeter_model::{ManualClock, Tier};

use super::stub::{END, Reply, Request, Stub};
use crate::{
    Floors, Rolling, Store, Write,
    conformance::fixture::{HOUR, MINUTE, Seal, at, environment, flag, range, window, write_of},
    influx::{Config, InfluxStore, schema::nanoseconds},
};

fn seal() -> Arc<Write> {
    let (one, a) = (environment("one").unwrap(), flag("a").unwrap());
    let seal = Seal::new(1, 7).unwrap().covering(0, 60);
    write_of(&[seal.count(&one, &a, 0, 5).count(&one, &a, 10, 6).count(&one, &a, 2 * HOUR, 7)]).unwrap()
}

fn whole(rows: &str) -> Reply {
    Reply::Status(200, "", format!("{rows}\n{END}"))
}

#[tokio::test]
async fn counts_that_a_floor_passes_while_they_are_written_are_told_without_a_count() {
    let mut asked = 0;
    let stub = Stub::new(move |request| {
        asked += i32::from(request.question()?.contains("AS \"register\""));
        let floor = nanoseconds(at(HOUR));
        let floor = format!("name,tags,time,register,name\nregister,,{floor},1,raw_floor\n");
        (asked > 1 && request.question()?.contains("AS \"register\"")).then(|| whole(&floor))
    });
    let written = stub.open().await.unwrap().write(seal()).await.unwrap();
    assert_eq!((written.points, written.past_retention), (3, 0));
    assert_eq!(written.dead_letters["past_retention"], 1);
    let letters =
        stub.written("flagmeter_meta").into_iter().filter(|body| body.body.starts_with("dead_letter,"));
    let letters: Vec<_> = letters.map(|request| request.body).collect();
    assert_eq!(letters.len(), 1);
    assert!(
        letters[0].contains("detail_uncounted=\"the raw floor moved on while it was written"),
        "{letters:?}"
    );
    let payload = letters[0].split_once("payload_0=\"").unwrap().1.split('"').next().unwrap();
    let payload = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, payload).unwrap();
    let batch = flagmeter_model::decode(&payload).unwrap();
    let counts: Vec<u64> = batch.environments[0].points().map(|point| point.2).collect();
    assert_eq!(counts, [5, 6], "what lies before the floor");
}

/// What was young when it was begun may have been missed by who keeps what is old.
#[tokio::test]
async fn a_write_that_took_half_an_hour_is_repeated() {
    let clock = ManualClock::at(at(0));
    let (slow, mut is_slow) = (clock.clone(), true);
    let stub = Stub::new(move |request| {
        if request.body.starts_with("count,") && std::mem::take(&mut is_slow) {
            slow.advance(HOUR / 2 + 1);
        }
        None
    });
    let store = InfluxStore::open(stub.config(), Arc::new(clock)).await.unwrap();
    let error = store.write(seal()).await.unwrap_err();
    assert!(error.is_retryable() && error.to_string().contains("half an hour"), "{error}");
    store.write(seal()).await.unwrap();
}

#[tokio::test]
async fn a_mark_that_is_set_while_a_sweeper_says_where_it_looks_is_not_swept() {
    let mut looks = 0;
    let stub = Stub::new(move |request| {
        let is_look = request.question()?.contains("LIMIT 1");
        looks += i32::from(is_look);
        let open = format!("name,tags,time,mark\nmark,,{},1\n", nanoseconds(at(-3 * HOUR)));
        (is_look && looks == 2).then(|| whole(&open))
    });
    let store = stub.open().await.unwrap();
    let told = |name: &str| {
        let line = format!("register,name={name} ");
        stub.written("flagmeter_meta").iter().any(|request| request.body.contains(&line))
    };
    store.retain(Floors::default()).await.unwrap();
    assert!(told("marks_sweeping") && !told("marks_swept"));
    store.retain(Floors::default()).await.unwrap();
    assert!(told("marks_swept"), "none is open any more");
}

/// Points of one minute in which one counts 1 in each step of 200 ms, as a server answers a question for a part of it.
fn points(request: &Request) -> Option<Reply> {
    let question = request.question()?;
    let is_series = question.contains("\"flagmeter_raw\".\"autogen\".\"count\"");
    if !is_series && !question.contains("\"flagmeter_raw\".\"autogen\".\"total\"") {
        return None;
    }
    let end = |after: &str| question.split(after).nth(1)?.split([' ', ';']).next()?.parse::<i64>().ok();
    let (from, to) = (end("time >= ")?, end("time < ")?);
    let mut rows = "name,tags,time,count,customer,project,environment,meter".to_owned();
    rows.push_str(if is_series { ",name,variant,sdk\n" } else { "\n" });
    let times = (0..300).map(|step| nanoseconds(at(0).plus_millis(step * 200)));
    let mut found = 0;
    for time in times.filter(|time| (from..to).contains(time)) {
        let series = if is_series { ",a,," } else { "" };
        writeln!(rows, "count,,{time},1,acme,web,one,evaluations{series}").unwrap();
        found += 1;
    }
    (found > 0).then(|| whole(&rows))
}

#[tokio::test]
async fn one_minute_of_one_environment_that_is_too_long_for_an_answer_is_rolled_up_in_pieces() {
    let stub = Stub::new(points);
    let config = Config { answer_bytes_max: 3_000, ..stub.config() };
    let store = InfluxStore::open(config, Arc::new(ManualClock::at(at(0)))).await.unwrap();
    let one = environment("one").unwrap();
    let rolled = store.roll(&Rolling::Range(Tier::Minute, range(-10 * MINUTE, 10 * MINUTE))).await.unwrap();
    assert_eq!((rolled.windows, rolled.points), (1, 1));
    let named = [window(Tier::Minute, 0, &one), window(Tier::Minute, MINUTE, &one)];
    let rolled = store.roll(&Rolling::Windows(named.to_vec())).await.unwrap();
    assert_eq!((rolled.windows, rolled.points), (1, 1));
    let lines: Vec<String> = stub.written("flagmeter_1m").into_iter().map(|request| request.body).collect();
    for measurement in ["count", "total", "count_again", "total_again"] {
        let line = lines.iter().find(|line| line.starts_with(&format!("{measurement},"))).unwrap();
        assert!(line.contains(" count=300i "), "{line}");
    }
    let scan = crate::Scan { environment: one, tier: Tier::Raw, range: range(0, MINUTE) };
    assert_eq!(store.scan(&scan).await.unwrap()[0].totals[0], 300);
}
