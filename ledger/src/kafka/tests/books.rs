//! What was read of a topic, and which topic it was.

use flagmeter_log::kafka::sequence::Writer;

use super::*;
use crate::{
    EmbeddedLedger, Error, Ledger as _, Position, Scope,
    book::Book,
    conformance::fixture::{all, append, bill, counted, hour},
};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka: ./services run cargo test --features flagmeter/kafka -- --include-ignored"]
async fn a_book_that_is_made_again_is_the_same_row_by_row() {
    let topic = Topic::new().await.unwrap();
    let first = topic.open("first").await.unwrap();
    first.announce(hour(9)).await.unwrap();
    for at in 0..8 {
        let count = u64::try_from(at).unwrap() + 1;
        append(&first, &[counted("acme", at, count), counted("beta", at / 2, 10 * count)], Some(at + 1))
            .await
            .unwrap();
    }
    let again = topic.open("again").await.unwrap();
    assert_eq!(again.standing().await.unwrap(), first.standing().await.unwrap());
    assert_eq!(all(&again).await.unwrap(), all(&first).await.unwrap());
    assert_eq!(all(&again).await.unwrap().len(), 16);
    for position in 0..=16 {
        let position = Position::new(position);
        assert_eq!(again.closing(position).await.unwrap(), first.closing(position).await.unwrap());
        let bills = [
            bill(&again, &Scope::default(), position, 3).await,
            bill(&first, &Scope::default(), position, 100).await,
        ];
        let [one, other] = bills.map(Result::unwrap);
        assert_eq!(one, other);
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka: ./services run cargo test --features flagmeter/kafka -- --include-ignored"]
async fn a_book_of_another_topic_is_refused() {
    let (topic, other) = (Topic::new().await.unwrap(), Topic::new().await.unwrap());
    let rows = async |topic: &Topic, book: &str, rows: i64| {
        let ledger = topic.open(book).await.unwrap();
        ledger.announce(hour(rows)).await.unwrap();
        for at in 0..rows {
            append(&ledger, &[counted("acme", at, 5)], None).await.unwrap();
        }
    };
    rows(&topic, "book", 3).await;
    let refused = |path: PathBuf| async {
        let refused = KafkaLedger::open(other.config(), crate::Config { path }).await.unwrap_err();
        assert!(matches!(refused, Error::Open { .. }), "{refused}");
        refused.to_string()
    };
    let said = refused(topic.path("book")).await;
    assert!(said.contains(&format!("it repeats the topic {}", topic.config().topic())), "{said}");
    // Another topic of the same name, shorter and then longer than what was read of the first.
    for (book, more) in [("short", 1), ("long", 5)] {
        let path = other.path(book);
        copy(&topic.path("book"), &path);
        let renamed = rusqlite::Connection::open(&path).unwrap();
        renamed.execute("UPDATE source SET topic = ?1", [other.config().topic()]).unwrap();
        drop(renamed);
        rows(&other, "of-its-own", more).await;
        let said = refused(path).await;
        assert!(
            said.contains("the topic was deleted and made again") && said.contains("delete the file"),
            "{said}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka: ./services run cargo test --features flagmeter/kafka -- --include-ignored"]
async fn a_record_of_a_newer_program_ends_the_reading_and_says_so() {
    let topic = Topic::new().await.unwrap();
    let ledger = topic.open("book").await.unwrap();
    ledger.announce(hour(1)).await.unwrap();
    let config = topic.config();
    let newer = move || {
        let soon = std::time::Instant::now() + std::time::Duration::from_mins(1);
        let mut newer = Writer::new(config.log.clone(), &config.transactional_id);
        newer.take_over(soon).unwrap();
        newer.append(&[b"{\"v\":9,\"rows\":\"in another way\"}".to_vec()], soon).unwrap();
    };
    tokio::task::spawn_blocking(newer).await.unwrap();
    let refused = append(&ledger, &[counted("acme", 0, 1)], Some(1)).await.unwrap_err();
    assert!(
        matches!(refused, Error::Damaged(_)) && refused.to_string().contains("upgrade this one"),
        "{refused}"
    );
    assert_eq!(all(&ledger).await.unwrap(), [], "what was read is answered");
}

#[test]
fn a_ledger_by_itself_and_a_book_of_a_topic_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let config = |name: &str| crate::Config { path: folder.path().join(name) };
    drop(Book::open_view(&config("view"), "some-ledger").unwrap());
    let refused = EmbeddedLedger::open(&config("view")).unwrap_err().to_string();
    assert!(refused.contains("it repeats the topic some-ledger of Kafka"), "{refused}");
    drop(Book::open_view(&config("view"), "some-ledger").unwrap());
    let refused = Book::open_view(&config("view"), "another-ledger").unwrap_err().to_string();
    assert!(refused.contains("and not another-ledger"), "{refused}");
    let alone = Book::open(&config("alone")).unwrap();
    let announced = crate::Entry { announced: Some(hour(1)), ..crate::Entry::default() };
    alone.write_now(|step| crate::book::apply(step, &announced)).unwrap();
    drop(alone);
    let refused = Book::open_view(&config("alone"), "some-ledger").unwrap_err().to_string();
    assert!(refused.contains("it is a ledger by itself"), "{refused}");
}
