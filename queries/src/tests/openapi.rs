//! The document says what is served, and what is served is as the document says.

use axum::{body::Body, http::Request};
use flagmeter_ledger::{Append, Counted, Crossed};
use flagmeter_model::Meter;
use serde_json::{Value, json};

use super::{
    bench::{Bench, NOW, acme, at, flag},
    operator::bursts::began,
};
use crate::{billing, bursts, chart, embed, flags, live, operator, reconcile, session, usage};

/// The parameters without which a path has no answer.
fn needed(path: &str) -> &'static str {
    match path {
        "/v1/billing/hours" => "?from=2026-11-20T00:00:00Z&to=2026-11-20T12:00:00Z",
        "/v1/reconcile/billing" => "?from=2026-11-20T00:00:00Z&to=2026-11-20T12:00:00Z&customer=acme",
        // It may be left out by a customer, and from= and to= given for a period, so it is not needed by the document.
        "/v1/billing/statement" => "?customer=acme&period=2026-10&draft=true",
        "/v1/billing/usage-to-date" => "?customer=globex",
        _ => "",
    }
}

async fn document(bench: &Bench) -> Value {
    bench.get("/openapi.json").await.json()
}

/// Whether a value is as a schema says. Members that the schema does not know are wrong, too.
fn conforms(document: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    if let Some(reference) = schema["$ref"].as_str() {
        return conforms(document, document.pointer(reference.trim_start_matches('#')).unwrap(), value);
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        let fits = choices.iter().any(|choice| conforms(document, choice, value).is_ok());
        return if fits { Ok(()) } else { Err(format!("{value} is none of {choices:?}")) };
    }
    if let Some(choices) = schema["enum"].as_array() {
        return if choices.contains(value) { Ok(()) } else { Err(format!("{value} is none of {choices:?}")) };
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
        kind => kind.as_str().into_iter().collect(),
    };
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    if types.is_empty() && !schema["allOf"].is_array() {
        return Err(format!("there is no schema for {value}"));
    }
    if !types.is_empty() && !types.contains(&kind) {
        return Err(format!("{value} is not {types:?}"));
    }
    match value {
        Value::Array(items) => items.iter().try_for_each(|item| conforms(document, &schema["items"], item)),
        Value::Object(members) => members_conform(document, schema, members),
        _ => Ok(()),
    }
}

fn members_conform(
    document: &Value,
    schema: &Value,
    members: &serde_json::Map<String, Value>,
) -> Result<(), String> {
    let (mut properties, mut required) = (serde_json::Map::new(), Vec::new());
    collect(document, schema, &mut properties, &mut required);
    for name in &required {
        if !members.contains_key(name) {
            return Err(format!("{name} is not there"));
        }
    }
    for (name, value) in members {
        let schema = properties.get(name).or_else(|| schema.get("additionalProperties"));
        let schema = schema.ok_or_else(|| format!("{name} is not in the schema"))?;
        conforms(document, schema, value).map_err(|reason| format!("{name}: {reason}"))?;
    }
    Ok(())
}

/// The members of a schema, with those of the schemas that it is made of.
fn collect(
    document: &Value,
    schema: &Value,
    properties: &mut serde_json::Map<String, Value>,
    required: &mut Vec<String>,
) {
    if let Some(reference) = schema["$ref"].as_str() {
        collect(document, document.pointer(reference.trim_start_matches('#')).unwrap(), properties, required);
    }
    for part in schema["allOf"].as_array().into_iter().flatten() {
        collect(document, part, properties, required);
    }
    properties.extend(schema["properties"].as_object().cloned().unwrap_or_default());
    let names = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    required.extend(names.map(str::to_owned));
}

#[tokio::test]
async fn every_path_of_the_document_is_served_and_every_api_path_is_in_it() {
    let bench = Bench::new();
    let document = document(&bench).await;
    let paths: Vec<_> = document["paths"].as_object().unwrap().keys().cloned().collect();
    let billing = ["closed-hours", "hours", "statement", "thresholds", "usage-to-date"]
        .map(|path| format!("/v1/billing/{path}"));
    let billing = billing.each_ref().map(String::as_str);
    let others = [
        "/v1/flags",
        "/v1/live",
        "/v1/operator/bursts",
        "/v1/operator/mutes",
        "/v1/operator/mutes/{id}",
        "/v1/operator/nodes",
        "/v1/operator/pipeline",
        "/v1/operator/top",
        "/v1/reconcile",
        "/v1/reconcile/billing",
        "/v1/session",
        "/v1/usage",
    ];
    let embed = ["/embed", "/embed/bursts", "/embed/chart.svg", "/embed/live", "/openapi.json"];
    let before = [&embed, &billing[..], &["/v1/bursts", "/v1/chart.svg", "/v1/embed"]].concat();
    assert_eq!(paths, [&before, &others[..]].concat());
    // What needs a link, what answers no question, and what is not read have tests of their own.
    for path in paths.into_iter().filter(|path| !path.contains("/embed") && !path.contains('{')) {
        let address = format!("{path}{}", needed(&path));
        // A stream has no end.
        let answer = bench.ask(&bench.operator, &address).await;
        assert_eq!(answer.status(), 200, "{address}");
        let content = &document["paths"][&path]["get"]["responses"]["200"]["content"];
        let kind = answer.headers()["content-type"].to_str().unwrap();
        assert!(content[kind].is_object(), "{path}: {kind}: {content}");
    }
}

#[tokio::test]
async fn the_parameters_of_the_document_are_those_that_are_read() {
    let document = document(&Bench::new()).await;
    for (path, known) in [
        ("/v1/usage", usage::plan::KNOWN),
        ("/v1/live", live::KNOWN),
        ("/v1/chart.svg", chart::plan::KNOWN),
        ("/v1/bursts", bursts::KNOWN),
        ("/v1/flags", flags::KNOWN),
        ("/v1/reconcile", reconcile::KNOWN),
        ("/v1/reconcile/billing", reconcile::billed::KNOWN),
        ("/v1/operator/bursts", operator::bursts::KNOWN),
        ("/v1/operator/mutes", operator::mutes::KNOWN),
        ("/v1/operator/nodes", operator::nodes::KNOWN),
        ("/v1/operator/pipeline", operator::pipeline::KNOWN),
        ("/v1/operator/top", operator::top::KNOWN),
        ("/v1/billing/hours", billing::hours::plan::KNOWN),
        ("/v1/billing/closed-hours", billing::feed::KNOWN),
        ("/v1/billing/statement", billing::statement::plan::KNOWN),
        ("/v1/billing/usage-to-date", billing::to_date::KNOWN),
        ("/v1/billing/thresholds", billing::thresholds::KNOWN),
        ("/v1/session", session::KNOWN),
        ("/embed", embed::KNOWN),
        ("/embed/chart.svg", embed::KNOWN),
        ("/embed/live", embed::LIVE_KNOWN),
        ("/embed/bursts", embed::LIVE_KNOWN),
    ] {
        let none = Vec::new();
        let parameters = document["paths"][path]["get"]["parameters"].as_array().unwrap_or(&none);
        let of_query = parameters.iter().filter(|parameter| parameter["in"] == "query");
        let mut documented: Vec<_> = of_query.map(|parameter| parameter["name"].as_str().unwrap()).collect();
        let mut known = known.to_vec();
        documented.sort_unstable();
        known.sort_unstable();
        assert_eq!(documented, known, "{path}");
        for parameter in parameters {
            let name = parameter["name"].as_str().unwrap();
            // Whose bill it is may be left out by a customer.
            let is_needed = ["/v1/billing/hours", "/v1/reconcile/billing"].contains(&path)
                && name != "customer"
                && needed(path).contains(&format!("{name}="))
                || name == "link";
            assert_eq!(parameter["required"], is_needed, "{path}: {parameter}");
        }
    }
}

/// What has choices or bounds that the document tells, and that are tried.
const BOUNDED: [(&str, &str); 22] = [
    ("/v1/usage", "resolution"),
    ("/v1/usage", "meter"),
    ("/v1/usage", "compare"),
    ("/v1/usage", "limit"),
    ("/v1/usage", "format"),
    ("/v1/chart.svg", "resolution"),
    ("/v1/chart.svg", "meter"),
    ("/v1/chart.svg", "compare"),
    ("/v1/chart.svg", "limit"),
    ("/v1/chart.svg", "style"),
    ("/v1/chart.svg", "theme"),
    ("/v1/chart.svg", "width"),
    ("/v1/chart.svg", "height"),
    ("/v1/bursts", "meter"),
    ("/v1/bursts", "limit"),
    ("/v1/flags", "resolution"),
    ("/v1/flags", "limit"),
    ("/v1/operator/top", "by"),
    ("/v1/operator/top", "window"),
    ("/v1/operator/top", "limit"),
    ("/v1/operator/top", "meter"),
    ("/v1/reconcile", "group_by"),
];

#[tokio::test]
async fn values_of_parameters_are_taken_as_far_as_the_document_says() {
    let bench = Bench::new();
    let document = document(&bench).await;
    let mut told = Vec::new();
    for path in ["/v1/usage", "/v1/chart.svg", "/v1/bursts", "/v1/flags", "/v1/operator/top", "/v1/reconcile"]
    {
        for parameter in document["paths"][path]["get"]["parameters"].as_array().unwrap() {
            let (name, schema) = (parameter["name"].as_str().unwrap(), &parameter["schema"]);
            let with = |value: &str| {
                format!(
                    "{path}?{name}={value}&{}",
                    match path {
                        "/v1/usage" | "/v1/chart.svg" if name == "limit" => "group_by=flag",
                        "/v1/operator/top" => "tz=UTC",
                        _ => "from=-1h",
                    }
                )
            };
            let choices: Vec<_> = schema["enum"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|value| value.as_str().unwrap())
                .collect();
            let bounds = [&schema["minimum"], &schema["maximum"]]
                .map(|bound| bound.as_f64().map(|bound| bound.to_string()));
            let good =
                choices.iter().map(|choice| (*choice).to_owned()).chain(bounds.iter().flatten().cloned());
            for value in good.collect::<Vec<_>>() {
                assert_eq!(bench.get(&with(&value)).await.status, 200, "{path} {name}={value}");
            }
            let beyond =
                [("0", bounds[0].is_some()), ("2401", bounds[1].is_some()), ("x", !choices.is_empty())];
            for (value, _) in beyond.iter().filter(|(_, is_told)| *is_told) {
                assert_eq!(
                    bench.get(&with(value)).await.problem(400)["parameter"],
                    name,
                    "{path} {name}={value}"
                );
                told.push((path, name));
            }
        }
    }
    told.dedup();
    assert_eq!(told, BOUNDED);
}

#[tokio::test]
async fn answers_are_as_the_document_says() {
    let bench = Bench::new();
    let counts = ["2026-10-20T12:00:00Z", "2026-11-20T11:05:00Z"];
    let counts = counts.map(|counted| (acme(), flag("checkout"), at(counted), 3));
    let counts = counts.each_ref().map(|(whose, key, at, count)| (whose, key.clone(), *at, *count));
    bench.seal(at("2026-10-01T00:00:00Z"), at(NOW), &counts).await;
    bench.ledger.announce(at("2026-11-20T11:00:00Z")).await.unwrap();
    let hour = Counted {
        environment: acme(),
        meter: Meter::Evaluations,
        hour: at("2026-11-20T10:00:00Z"),
        count: 3,
        complete: true,
        missing: Vec::new(),
    };
    let append = Append { counted: vec![hour], closed: Some(at("2026-11-20T11:00:00Z")), at: at(NOW) };
    bench.ledger.append(append).await.unwrap();
    let crossed = Crossed {
        customer: acme().customer,
        meter: Meter::Evaluations,
        period: at("2026-11-01T00:00:00Z"),
        percent: 50,
        hard: false,
        included: 6,
        used: 3,
    };
    bench.ledger.cross(vec![crossed], at(NOW)).await.unwrap();
    bench.ledger.alert(vec![began("acme")], at(NOW)).await.unwrap();
    bench.mute("acme", "launch").await;
    let document = document(&bench).await;
    for address in [
        "/v1/usage",
        "/v1/usage?group_by=flag,variant,sdk,customer,project,environment&limit=1&compare=previous",
        "/v1/bursts",
        "/v1/flags",
        "/v1/reconcile",
        "/v1/reconcile?from=-2h&group_by=environment",
        "/v1/operator/bursts",
        "/v1/operator/mutes",
        "/v1/operator/nodes",
        "/v1/operator/pipeline",
        "/v1/operator/top",
        "/v1/operator/top?limit=1",
        "/v1/billing/hours?from=2026-11-20T00:00:00Z&to=2026-11-20T12:00:00Z",
        "/v1/billing/closed-hours",
        "/v1/billing/statement?customer=acme&period=2026-11&draft=true",
        // One with a projection, one with thresholds.
        "/v1/billing/usage-to-date?customer=acme",
        "/v1/billing/usage-to-date?customer=globex",
        "/v1/billing/thresholds",
        "/v1/session",
    ] {
        let answer = bench.get(address).await.json();
        let path = address.split('?').next().unwrap();
        let content = &document["paths"][path]["get"]["responses"]["200"]["content"];
        let schema = &content["application/json"]["schema"];
        assert!(schema.is_object(), "{path}: {content}");
        if let Err(reason) = conforms(&document, schema, &answer) {
            panic!("{address}: {reason}");
        }
    }
}

#[tokio::test]
async fn answers_to_what_is_made_and_by_a_link_are_as_the_document_says() {
    let bench = Bench::new();
    bench.ledger.alert(vec![began("acme")], at(NOW)).await.unwrap();
    let document = document(&bench).await;
    let send = async |method: &str, path: &str, body: &Value| {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {}", bench.operator))
            .header("content-type", "application/json");
        let reply = bench.send(request.body(Body::from(body.to_string())).unwrap()).await;
        let answer: Value = serde_json::from_str(&reply.body).unwrap();
        (reply.status.as_u16(), answer)
    };
    let check = |method: &str, path: &str, (status, answer): &(u16, Value), expected: u16| {
        assert_eq!(*status, expected, "{method} {path}: {answer}");
        let content = &document["paths"][path][method]["responses"][expected.to_string()]["content"];
        let schema = &content["application/json"]["schema"];
        assert!(schema.is_object(), "{method} {path}: {content}");
        conforms(&document, schema, answer).unwrap();
    };
    let mutes = "/v1/operator/mutes";
    let made = send("POST", mutes, &json!({"customer": "acme", "for": "2h", "reason": "launch"})).await;
    check("post", mutes, &made, 201);
    let one = format!("{mutes}/{}", made.1["id"].as_str().unwrap());
    check("delete", "/v1/operator/mutes/{id}", &send("DELETE", &one, &json!({})).await, 200);
    let link = send("POST", "/v1/embed", &json!({"query": "from=-1h"})).await;
    check("post", "/v1/embed", &link, 201);
    let told =
        send("GET", &link.1["url"].as_str().unwrap().replace("/embed?", "/embed/bursts?"), &json!({})).await;
    assert_eq!(told.1["bursts"].as_array().unwrap().len(), 1);
    check("get", "/embed/bursts", &told, 200);
}

#[tokio::test]
async fn problems_and_examples_are_as_the_document_says() {
    let bench = Bench::new();
    let document = document(&bench).await;
    let schema = &document["components"]["schemas"]["Problem"];
    for (address, status) in [("/v1/usage?x=1", 400), ("/v1/usage?tz=x", 400), ("/nothing", 404)] {
        conforms(&document, schema, &bench.get(address).await.problem(status)).unwrap();
    }
    for path in document["paths"].as_object().unwrap().keys().filter(|path| path.starts_with("/v1/")) {
        for status in ["400", "401", "403", "422", "503"] {
            let operations = document["paths"][path].as_object().unwrap();
            let method =
                ["get", "post", "delete"].into_iter().find(|it| operations.contains_key(*it)).unwrap();
            let refusal = &document["paths"][path][method]["responses"][status]["content"];
            let schema = &refusal["application/problem+json"]["schema"];
            assert_eq!(schema["$ref"], "#/components/schemas/Problem", "{path}: {status}");
        }
    }
    for path in ["/v1/usage", "/v1/operator/pipeline", "/v1/operator/top"] {
        let content = &document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"];
        assert!(content["example"].is_object(), "{path}");
        conforms(&document, &content["schema"], &content["example"]).unwrap();
    }
}

#[tokio::test]
async fn the_document_says_which_paths_need_a_token() {
    let document = document(&Bench::new()).await;
    assert_eq!(document["components"]["securitySchemes"]["token"]["scheme"], "bearer");
    assert_eq!(document["components"]["securitySchemes"]["session"]["name"], "flagmeter_session");
    let mut open = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            match operation["security"].as_array() {
                Some(ways) => assert_eq!(*ways, [json!({"token": []}), json!({"session": []})], "{path}"),
                None => open.push((method.as_str(), path.as_str())),
            }
        }
    }
    let links = ["/embed", "/embed/bursts", "/embed/chart.svg", "/embed/live"].map(|path| ("get", path));
    assert_eq!(open[..4], links);
    assert_eq!(open[4..], [("get", "/openapi.json"), ("delete", "/v1/session"), ("post", "/v1/session")]);
}
