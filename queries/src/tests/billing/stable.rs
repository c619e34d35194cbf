//! Bytes of final ranges that stay without a word of `as_of`: whatever comes to others, and wherever they are asked.

use std::{fs, sync::Arc};

use flagmeter_ledger::{Config as LedgerConfig, Counted, EmbeddedLedger};
use flagmeter_model::{Environment, Meter};
use flagmeter_store::Floors;
use proptest::prelude::*;

use super::{
    super::bench::{Bench, NOW, Reply, acme, at, environment, flag, globex},
    close, counted, evaluations, get_unless, header, hour,
};

/// Final until 10:00, whoever asks for whatever of it.
const FINAL: &str = "/v1/billing/hours?from=2026-11-20T06:00:00Z&to=2026-11-20T10:00:00Z";

/// Questions to final hours of acme alone.
fn questions() -> Vec<String> {
    [
        "",
        "&limit=2",
        "&format=csv",
        "&format=csv&limit=2",
        "&meter=requests",
        "&project=web&environment=staging",
    ]
    .map(|more| format!("{FINAL}&customer=acme{more}"))
    .to_vec()
}

async fn answers(bench: &Bench, questions: &[String]) -> Vec<Reply> {
    let mut answers = Vec::new();
    for question in questions {
        let reply = bench.get(question).await;
        assert_eq!(reply.status, 200, "{question}: {}", reply.body);
        answers.push(reply);
    }
    answers
}

/// They are what they were: bytes, tags, and that nothing need be sent again.
async fn are_as_before(bench: &Bench, questions: &[String], before: &[Reply]) {
    for (question, before) in questions.iter().zip(before) {
        let after = bench.get(question).await;
        assert_eq!((&after.body, &after.headers), (&before.body, &before.headers), "{question}");
        let unless = get_unless(bench, question, header(before, "etag")).await;
        assert_eq!((unless.status.as_u16(), unless.body.as_str()), (304, ""), "{question}");
    }
}

fn owners() -> [Environment; 4] {
    [acme(), environment("acme", "web", "staging"), globex(), environment("acme2", "web", "production")]
}

/// Whose, in which hour, of which meter, how many.
type Drawn = (usize, u32, bool, u64);

fn drawn(hours: std::ops::Range<u32>) -> impl Strategy<Value = Vec<Drawn>> {
    prop::collection::vec((0_usize..4, hours, any::<bool>(), 1_u64..1_000), 0..20)
}

fn of((owner, number, requests, count): Drawn) -> Counted {
    let meter = if requests { Meter::Requests } else { Meter::Evaluations };
    counted(&owners()[owner], meter, hour(number), count)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_comes_to_others_changes_no_byte_of_a_final_range(
        within in drawn(6..10), beyond in drawn(3..12), closings in 11_u32..14
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (bench, questions) = (Bench::new(), questions());
            close(&*bench.ledger, hour(10), &[]).await;
            for drawn in within {
                close(&*bench.ledger, hour(10), &[of(drawn)]).await;
            }
            let before = answers(&bench, &questions).await;
            for drawn in beyond {
                let (owner, number, ..) = drawn;
                if owner >= 2 || !(6..10).contains(&number) {
                    close(&*bench.ledger, hour(12), &[of(drawn)]).await;
                }
            }
            close(&*bench.ledger, hour(closings), &[]).await;
            are_as_before(&bench, &questions, &before).await;
            // What comes to the range itself does.
            close(&*bench.ledger, hour(13), &[evaluations(&acme(), hour(9), 5_000)]).await;
            for (question, before) in questions.iter().zip(&before).take(4) {
                assert_eq!(get_unless(&bench, question, header(before, "etag")).await.status, 200, "{question}");
            }
        });
    }
}

#[tokio::test]
async fn a_final_range_is_the_same_after_a_restart_retention_a_replay_and_from_another_process() {
    let (bench, questions) = (Bench::new(), questions());
    let counts = [
        (&acme(), flag("checkout"), at("2026-11-20T08:05:00Z"), 3),
        (&acme(), flag("checkout"), at("2026-11-20T09:05:00Z"), 30),
    ];
    bench.seal(at("2026-11-20T06:00:00Z"), at(NOW), &counts).await;
    bench.roll_up(at("2026-11-20T06:00:00Z"), at("2026-11-20T10:00:00Z")).await;
    let hours = [evaluations(&acme(), hour(8), 3), evaluations(&acme(), hour(9), 30)];
    close(&*bench.ledger, hour(10), &hours).await;
    close(
        &*bench.ledger,
        hour(11),
        &[evaluations(&acme(), hour(9), 31), evaluations(&globex(), hour(10), 7)],
    )
    .await;
    let before = answers(&bench, &questions).await;
    // The finer tiers are gone.
    let floor = Some(at("2026-11-20T10:00:00Z"));
    let floors = Floors { raw: floor, minute: floor, quarter: floor };
    while bench.store.retain(floors).await.unwrap().more {}
    are_as_before(&bench, &questions, &before).await;
    // Who reads the log again closes the same hours again, and others find more.
    close(&*bench.ledger, hour(10), &hours).await;
    close(&*bench.ledger, hour(12), &[evaluations(&globex(), hour(9), 8), evaluations(&acme(), hour(11), 1)])
        .await;
    are_as_before(&bench, &questions, &before).await;
    // Another process has a copy of the ledger, as it is while this one has it open, and a store without a count.
    let other = Bench::new();
    let path = other.folder.path().join("copied.sqlite");
    for end in ["", "-wal"] {
        let from = bench.folder.path().join(format!("ledger.sqlite{end}"));
        fs::copy(from, other.folder.path().join(format!("copied.sqlite{end}"))).unwrap();
    }
    let other = other.over_ledger(Arc::new(EmbeddedLedger::open(&LedgerConfig { path }).unwrap()));
    are_as_before(&other, &questions, &before).await;
    // And months later.
    other.clock.set(at("2027-02-01T00:00:00Z"));
    are_as_before(&other, &questions, &before).await;
}
