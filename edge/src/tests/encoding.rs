//! How records are encoded: by customer, as it is decided at each seal.

use std::{collections::BTreeMap, sync::Arc};

use axum::{body::Body, http::Request};
use flagmeter_model::{ContentEncoding, Registry, decode};
use parking_lot::Mutex;

use super::harness::Rig;
use crate::EncodingOf;

/// Three customers with a key each, called like them.
fn registry() -> Arc<Registry> {
    let customer = |id: &str| {
        format!(
            "[[customer]]\nid = \"{id}\"\n[[customer.project]]\nid = \"p\"\n[[customer.project.environment]]\nid = \"e\"\n\
             keys = [\"{id}\"]\n"
        )
    };
    Arc::new(Registry::parse(&["acme", "globex", "initech"].map(customer).concat()).unwrap())
}

#[derive(Debug, Default)]
struct Decisions(Mutex<BTreeMap<String, ContentEncoding>>);

impl Decisions {
    fn decide(&self, decided: &[(&str, ContentEncoding)]) {
        let decided = decided.iter().map(|&(customer, encoding)| (customer.to_owned(), encoding));
        *self.0.lock() = decided.collect();
    }
}

fn rig(decisions: &Arc<Decisions>) -> Rig {
    let decided = Arc::clone(decisions);
    let of =
        move |customer: &str| decided.0.lock().get(customer).copied().unwrap_or(ContentEncoding::Identity);
    let rig = Rig::with(|config| config.encoding_of = EncodingOf::new(of));
    rig.registry.send_replace(registry());
    rig
}

/// One count of each customer and a seal; how each customer's records of it are encoded.
async fn sealed(rig: &Rig) -> BTreeMap<String, Vec<ContentEncoding>> {
    for customer in ["acme", "globex", "initech"] {
        let request = Request::post("/v1/counts").header("authorization", format!("Bearer {customer}"));
        let body = Body::from(r#"{"counts":[{"flag":"checkout","count":5}]}"#);
        assert_eq!(rig.send(request.body(body).unwrap()).await.status, 202);
    }
    let before = rig.log.records.lock().len();
    rig.clock.advance(1);
    rig.seal().await;
    rig.hand_on().await;
    let mut encodings = BTreeMap::<String, Vec<ContentEncoding>>::new();
    for record in &rig.log.records.lock()[before..] {
        let encoding = ContentEncoding::sniff(&record.payload);
        let batch = decode(&record.payload).unwrap();
        assert!(!batch.environments.is_empty() || encoding == ContentEncoding::Identity);
        for counts in &batch.environments {
            encodings.entry(counts.environment.customer.to_string()).or_default().push(encoding);
        }
    }
    encodings
}

#[tokio::test]
async fn each_customer_is_encoded_as_decided_and_a_change_holds_from_the_next_seal_on() {
    use ContentEncoding::{Gzip, Identity, Zstd};
    let decisions = Arc::new(Decisions::default());
    let rig = rig(&decisions);
    let all = |encoding| {
        ["acme", "globex", "initech"]
            .map(|customer| (customer.to_owned(), vec![encoding]))
            .into_iter()
            .collect()
    };
    assert_eq!(sealed(&rig).await, all(Identity));
    decisions.decide(&[("acme", Gzip), ("globex", Zstd)]);
    let mixed = [("acme", Gzip), ("globex", Zstd), ("initech", Identity)];
    let mixed: BTreeMap<_, _> =
        mixed.into_iter().map(|(customer, encoding)| (customer.to_owned(), vec![encoding])).collect();
    assert_eq!(sealed(&rig).await, mixed);
    decisions.decide(&[]);
    assert_eq!(sealed(&rig).await, all(Identity), "the kill switch");
    // Whatever was decided, everything is counted once.
    let batches = rig.log.batches();
    let total: u64 = batches
        .iter()
        .flat_map(|batch| &batch.environments)
        .flat_map(|env| &env.slots)
        .flat_map(|slot| &slot.counts)
        .sum();
    assert_eq!(total, 3 * 3 * (5 + 5), "evaluations and what was received");
}

#[tokio::test]
async fn what_is_written_is_measured_in_both_forms() {
    let decisions = Arc::new(Decisions::default());
    let rig = rig(&decisions);
    let sum = |name: &str, label: (&str, &str)| rig.metric(name, &[label]);
    sealed(&rig).await;
    let (plain, estimated) =
        (sum("record_bytes", ("form", "plain")), sum("record_other_bytes", ("form", "plain")));
    assert!(estimated > 0 && estimated < plain, "one of its records is measured: {estimated} of {plain}");
    assert_eq!(sum("record_bytes", ("form", "compressed")), 0);
    decisions.decide(&[("acme", ContentEncoding::Gzip)]);
    sealed(&rig).await;
    let compressed = sum("record_bytes", ("form", "compressed"));
    let records = rig.log.records.lock();
    let written =
        records.iter().find(|record| ContentEncoding::sniff(&record.payload) == ContentEncoding::Gzip);
    assert_eq!(compressed, written.unwrap().payload.len() as u64);
    assert!(sum("record_other_bytes", ("form", "compressed")) > compressed, "its plain size is known");
}
