//! The nodes over HTTP.

use flagmeter_store::conformance::fixture::{self, Seal};
use serde_json::json;

use super::super::bench::{Bench, NOW, after_start, at};

/// Node 1 is heard, node 2 fell silent an hour ago, node 3 stopped in good order.
async fn three_nodes() -> Bench {
    let bench = Bench::new();
    let second = |time| after_start(at(time));
    let from = second("2026-11-20T11:00:00Z");
    let seal = |node, until| Seal::new(node, 7).unwrap().covering(from, second(until)).heard(second(until));
    let seals = [
        seal(1, NOW).region("eu-west").unwrap(),
        seal(2, "2026-11-20T11:30:00Z").region("us-east").unwrap(),
        seal(3, "2026-11-20T12:00:00Z").farewell(),
    ];
    fixture::write(&*bench.store, &seals).await.unwrap();
    bench
}

#[tokio::test]
async fn each_node_is_shown_with_its_region_and_how_far_it_has_got() {
    let bench = three_nodes().await;
    let answer = bench.get("/v1/operator/nodes").await.json();
    assert_eq!(
        answer,
        json!({
            "complete_until": "2026-11-20T12:44:50Z",
            "nodes": [
                {"node": 1, "region": "eu-west", "watermark": NOW, "heard_at": NOW, "state": "live"},
                {
                    "node": 2, "region": "us-east", "watermark": "2026-11-20T11:30:00Z",
                    "heard_at": "2026-11-20T11:30:00Z", "state": "missing",
                },
                {
                    "node": 3, "region": null, "watermark": "2026-11-20T12:00:00Z",
                    "heard_at": "2026-11-20T12:00:00Z", "state": "stopped",
                },
            ],
        })
    );
    let berlin = bench.get("/v1/operator/nodes?tz=Europe/Berlin").await.json();
    assert_eq!(berlin["nodes"][1]["watermark"], "2026-11-20T12:30:00+01:00");
    bench.get("/v1/operator/nodes?from=-1h").await.problem(400);
}

#[tokio::test]
async fn a_missing_node_is_shown_with_its_region_in_every_answer() {
    let bench = three_nodes().await;
    for address in ["/v1/usage?from=-2h", "/v1/flags", "/v1/reconcile"] {
        let answer = bench.get(address).await.json();
        let missing = json!([{"node": 2, "region": "us-east", "since": "2026-11-20T11:30:00Z"}]);
        assert_eq!(answer["missing_nodes"], missing, "{address}");
    }
}

#[tokio::test]
async fn nodes_are_for_operators_only() {
    let bench = three_nodes().await;
    for token in [&bench.acme, &bench.billing] {
        let reply = bench.get_as(token, "/v1/operator/nodes").await;
        reply.problem(403);
        assert!(!reply.body.contains("eu-west"));
    }
    bench.get_as("fm_0123456789ab_guess", "/v1/operator/nodes").await.problem(401);
}

#[tokio::test]
async fn before_the_first_seal_there_are_no_nodes() {
    let answer = Bench::new().get("/v1/operator/nodes").await.json();
    assert_eq!(answer, json!({"complete_until": null, "nodes": []}));
}
