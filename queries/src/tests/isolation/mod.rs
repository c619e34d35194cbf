//! Whoever has a customer's token sees that customer's data only: shown for every path and parameter of the OpenAPI
//! document, and of the page, as they are at the moment. Nobody has to remember to add a new one here.
//!
//! Each question is asked in two worlds, in one of which there is no other customer. What is answered may hold nothing of
//! the other's, and has to be the same in both: not even that there is another can be learned.

mod document;
mod trace;
mod world;

use std::collections::BTreeSet;

use axum::{
    body::Body,
    http::{Request, request::Builder},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use document::{Operation, Parameter, operations};
use tower::ServiceExt as _;
use trace::Answer;
use world::{CUSTOMER, NAMES, world};

use super::bench::Bench;
use crate::{hex, page};

const ALL_DIMENSIONS: &str = "customer,project,environment,flag,variant,sdk";
/// What a customer may be answered.
const EXPECTED: [u16; 9] = [200, 201, 204, 400, 401, 403, 404, 409, 422];

/// A question.
#[derive(Clone, Default)]
struct Question {
    method: String,
    path: String,
    /// Where the path asks for one.
    id: String,
    query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    body: Option<String>,
}

/// How a token is shown.
#[derive(Clone, Copy)]
enum Door {
    Header,
    Cookie,
    Nothing,
}

impl Question {
    fn of(operation: &Operation, customer: &str, link: &str) -> Self {
        let (method, path) = (operation.method.clone(), operation.path.clone());
        let query = operation.needed(customer, link);
        Self { method, path, query, ..Self::default() }
    }

    /// The same with another value of a parameter.
    fn with(&self, parameter: &Parameter, value: &str) -> Self {
        match parameter.place.as_str() {
            "query" => self.and(&parameter.name, value),
            "path" => Self {
                path: self.path.replace(&format!("{{{}}}", parameter.name), &encoded(value)),
                ..self.clone()
            },
            "header" => {
                let mut question = self.clone();
                question.headers.push((parameter.name.clone(), value.to_owned()));
                question
            }
            place => panic!("a parameter in {place} is not known here"),
        }
    }

    fn and(&self, name: &str, value: &str) -> Self {
        let mut question = self.clone();
        question.query.retain(|(other, _)| other != name);
        question.query.push((name.to_owned(), value.to_owned()));
        question
    }

    /// The other's names that the one who asks has said: they may be told again.
    fn said(&self) -> Vec<&'static str> {
        let headers = self.headers.iter().map(|(_, value)| value.clone()).collect::<Vec<_>>().concat();
        let all = self.address() + &headers + self.body.as_deref().unwrap_or_default();
        NAMES.into_iter().filter(|name| all.contains(name)).collect()
    }

    fn address(&self) -> String {
        let pairs = self.query.iter().map(|(name, value)| format!("{name}={}", encoded(value)));
        format!("{}?{}", self.path.replace("{id}", &self.id), pairs.collect::<Vec<_>>().join("&"))
    }

    async fn ask(&self, bench: &Bench, token: &str, door: Door) -> Answer {
        let request = Request::builder().method(self.method.as_str()).uri(self.address());
        let request =
            request.header("sec-fetch-site", "same-origin").header("content-type", "application/json");
        let request = match door {
            Door::Header => request.header("authorization", format!("Bearer {token}")),
            Door::Cookie => request.header("cookie", format!("flagmeter_session={token}")),
            Door::Nothing => request,
        };
        let add = |request: Builder, (name, value): &(String, String)| request.header(name, value);
        let request = self.headers.iter().fold(request, add);
        let request = request.body(Body::from(self.body.clone().unwrap_or_default())).unwrap();
        Answer::of(bench.router.clone().oneshot(request).await.unwrap()).await
    }
}

fn encoded(value: &str) -> String {
    value.bytes().fold(String::new(), |text, byte| {
        if byte.is_ascii_alphanumeric() {
            text + &char::from(byte).to_string()
        } else {
            text + "%" + &hex::write(&[byte])
        }
    })
}

/// Both worlds, what an operator was told in the one with the other customer, and links.
struct Worlds {
    with: Bench,
    without: Bench,
    cursors: Vec<String>,
    link: String,
    /// A mute of the other's.
    mute: String,
    /// Links to the other's, made by an operator, and parts of them.
    theirs: Vec<String>,
}

impl Worlds {
    async fn new() -> Self {
        let with = world(true, None).await;
        let without = world(false, Some(&with)).await;
        let link = link(&with, &with.acme, "from=-3h&group_by=customer,flag").await;
        let theirs =
            link_parts(&link, &self::link(&with, &with.operator, &format!("customer={CUSTOMER}")).await);
        let mutes = with.get(&format!("/v1/operator/mutes?customer={CUSTOMER}")).await.json();
        let mute = mutes["mutes"][0]["id"].as_str().unwrap().to_owned();
        let mut worlds = Self { with, without, cursors: Vec::new(), link, mute, theirs };
        let mut cursors = BTreeSet::new();
        for operation in operations(&worlds.with).await.iter().filter(|operation| operation.method == "GET") {
            let question = worlds.as_operator(operation);
            for limit in ["", "1"] {
                let question = if limit.is_empty() || !operation.has("limit") {
                    question.clone()
                } else {
                    question.and("limit", limit)
                };
                let answer = question.ask(&worlds.with, &worlds.with.operator, Door::Header).await;
                cursors.extend(cursors_in(&answer.text()));
            }
        }
        assert!(cursors.len() > 5, "{cursors:?}");
        worlds.cursors = cursors.into_iter().collect();
        worlds
    }

    /// An operation as it is asked of this customer, and where it is of one mute, of one of the other's.
    fn question(&self, operation: &Operation, customer: &str) -> Question {
        Question { id: self.mute.clone(), ..Question::of(operation, customer, &self.link) }
    }

    /// What shows an operator all that there is of the other.
    fn as_operator(&self, operation: &Operation) -> Question {
        let question = self.question(operation, CUSTOMER);
        let choices =
            operation.parameters.iter().find(|parameter| parameter.name == "group_by").map(|it| &it.choices);
        match choices {
            Some(choices) if choices.is_empty() => question.and("group_by", ALL_DIMENSIONS),
            Some(choices) => question.and("group_by", choices.last().unwrap()),
            None => question,
        }
    }

    /// What a customer could try as the value of a parameter.
    fn values(&self, parameter: &Parameter) -> Vec<String> {
        let mut values: Vec<String> = NAMES.iter().map(|name| (*name).to_owned()).collect();
        values.extend([
            format!("acme,{CUSTOMER}"),
            format!("acme&customer={CUSTOMER}"),
            String::new(),
            "*".into(),
        ]);
        values.extend(parameter.choices.iter().cloned());
        if parameter.name == "group_by" && parameter.choices.is_empty() {
            values.extend(ALL_DIMENSIONS.split(',').chain([ALL_DIMENSIONS]).map(str::to_owned));
        }
        if parameter.is_cursor {
            values.extend(self.cursors.iter().cloned());
        }
        if parameter.name == "link" {
            values.extend(self.theirs.iter().cloned());
        }
        values
    }

    /// Asks in both worlds and by both doors.
    async fn try_it(&self, question: &Question, is_same: bool) {
        let (said, what) = (
            question.said(),
            format!("{} {} {:?} {:?}", question.method, question.address(), question.query, question.body),
        );
        let answer = question.ask(&self.with, &self.with.acme, Door::Header).await;
        let by_cookie = question.ask(&self.with, &self.with.acme, Door::Cookie).await;
        for answer in [&answer, &by_cookie] {
            assert!(EXPECTED.contains(&answer.status.as_u16()), "{what}: {}", answer.status);
            if let Some(trace) = answer.trace(&said) {
                panic!("{what} tells of the other customer: {trace}\n{}", answer.text());
            }
        }
        assert_eq!(answer.essence(), by_cookie.essence(), "{what}: one door is not like the other");
        if is_same {
            let alone = question.ask(&self.without, &self.with.acme, Door::Header).await;
            assert_eq!(answer.essence(), alone.essence(), "{what} tells that there is another customer");
        }
    }
}

/// Whatever in an answer leads on from it.
fn cursors_in(text: &str) -> impl Iterator<Item = String> {
    let members = ["\"next\":\"", "\"as_of\":\"", "\nid: "];
    let found = members.iter().flat_map(|member| text.split(member).skip(1));
    let found = found.map(|rest| rest.chars().take_while(|char| !"\"\n".contains(*char)).collect::<String>());
    found.filter(|cursor| cursor.len() > 8).collect::<Vec<_>>().into_iter()
}

async fn link(bench: &Bench, token: &str, query: &str) -> String {
    let body = Some(serde_json::json!({"query": query}).to_string());
    let question = Question { method: "POST".into(), path: "/v1/embed".into(), body, ..Question::default() };
    link_in(&question.ask(bench, token, Door::Header).await.text())
}

fn link_in(answer: &str) -> String {
    answer.split_once("link=").unwrap().1.split(['&', '"']).next().unwrap().to_owned()
}

/// What can be made of one's own link and of the query, the token and the signature of somebody else's.
fn link_parts(own: &str, theirs: &str) -> Vec<String> {
    let (own, theirs): (Vec<_>, Vec<_>) = (own.split('.').collect(), theirs.split('.').collect());
    let written = URL_SAFE_NO_PAD.encode(format!("customer={CUSTOMER}"));
    let mut made = Vec::new();
    for [id, until, query, signature] in [
        [own[0], own[1], theirs[2], own[3]],
        [own[0], own[1], theirs[2], theirs[3]],
        [own[0], own[1], &written, own[3]],
        [theirs[0], own[1], own[2], own[3]],
        [theirs[0], theirs[1], own[2], theirs[3]],
    ] {
        made.push([id, until, query, signature].join("."));
    }
    made
}

#[tokio::test]
async fn a_customer_sees_nothing_of_another_by_any_path_or_parameter_of_the_document() {
    let worlds = Worlds::new().await;
    let mut asked = 0;
    for operation in operations(&worlds.with).await {
        let question = worlds.question(&operation, "acme");
        let question = Question { body: operation.body(&worlds.with.acme, ""), ..question };
        worlds.try_it(&question, true).await;
        let answer = question.ask(&worlds.with, &worlds.with.acme, Door::Header).await;
        let is_answered = [200, 201, 204, 403].contains(&answer.status.as_u16());
        assert!(is_answered, "{}: say in document.rs how to ask it: {}", operation.name(), answer.text());
        for parameter in &operation.parameters {
            for value in worlds.values(parameter) {
                let is_same = !worlds.cursors.contains(&value);
                let question = question.with(parameter, &value);
                worlds.try_it(&question, is_same).await;
                asked += 1;
                if operation.has("group_by")
                    && parameter.name != "group_by"
                    && !parameter.is_cursor
                    && value == CUSTOMER
                {
                    worlds.try_it(&question.and("group_by", ALL_DIMENSIONS), is_same).await;
                }
            }
        }
        for kind in &operation.kinds {
            let mut question = question.clone();
            question.headers.push(("accept".into(), kind.clone()));
            worlds.try_it(&question, true).await;
        }
    }
    assert!(asked > 1_000, "only {asked} questions were asked");
}

#[tokio::test]
async fn a_customer_makes_no_link_to_anything_of_another() {
    let worlds = Worlds::new().await;
    let operations = operations(&worlds.with).await;
    let find = |path: &str| operations.iter().find(|operation| operation.path == path).unwrap();
    let (live, embed) = (find("/v1/live"), find("/v1/embed"));
    for parameter in live.parameters.iter().filter(|parameter| parameter.place == "query") {
        for value in worlds.values(parameter) {
            let query = format!("from=-3h&{}={}", parameter.name, encoded(&value));
            let body = embed.body("", &query);
            let question =
                Question { method: "POST".into(), path: "/v1/embed".into(), body, ..Question::default() };
            worlds.try_it(&question, true).await;
            let answer = question.ask(&worlds.with, &worlds.with.acme, Door::Header).await;
            for path in ["/embed", "/embed/bursts", "/embed/chart.svg", "/embed/live"]
                .iter()
                .filter(|_| answer.status == 201)
            {
                let link = vec![("link".to_owned(), link_in(&answer.text()))];
                let shown = Question {
                    method: "GET".into(),
                    path: (*path).into(),
                    query: link,
                    ..Question::default()
                };
                let shown = shown.ask(&worlds.with, "", Door::Nothing).await;
                assert_eq!(shown.trace(&question.said()), None, "{path} of {query}: {}", shown.text());
            }
        }
    }
}

#[tokio::test]
async fn a_customer_sees_nothing_of_another_on_any_page() {
    let worlds = Worlds::new().await;
    let operations = operations(&worlds.with).await;
    let mut names = BTreeSet::new();
    let parameters = operations.iter().filter(|it| it.method == "GET").flat_map(|it| &it.parameters);
    let parameters =
        parameters.filter(|parameter| parameter.place == "query" && names.insert(parameter.name.clone()));
    let parameters: Vec<_> = parameters.collect();
    for view in page::VIEWS {
        for (customer, project, flag) in [("acme", "web", "checkout"), (NAMES[0], NAMES[1], NAMES[3])] {
            let path =
                view.replace("{customer}", customer).replace("{project}", project).replace("{flag}", flag);
            let question = Question { method: "GET".into(), path, ..Question::default() }.and("plain", "1");
            let sees = async |question: &Question| {
                let answer = question.ask(&worlds.with, &worlds.with.acme, Door::Cookie).await;
                let trace = answer.trace(&question.said());
                assert_eq!(trace, None, "{}: {}", question.address(), answer.text());
            };
            sees(&question).await;
            for parameter in &parameters {
                for value in
                    [CUSTOMER, NAMES[3]].into_iter().chain(parameter.choices.iter().map(String::as_str))
                {
                    sees(&question.with(parameter, value)).await;
                }
            }
        }
    }
}

#[tokio::test]
async fn without_a_token_nothing_is_answered_but_what_is_public() {
    let worlds = Worlds::new().await;
    let mut public = Vec::new();
    for operation in operations(&worlds.with).await {
        let question = worlds.question(&operation, "acme");
        let question = Question { body: operation.body("", ""), ..question };
        if operation.is_public {
            public.push(operation.name());
            continue;
        }
        let answer = question.ask(&worlds.with, "", Door::Nothing).await;
        assert_eq!(answer.status, 401, "{}: {}", operation.name(), answer.text());
        for door in [Door::Header, Door::Cookie] {
            let answer = question.ask(&worlds.with, "fm_0123456789ab_guess", door).await;
            assert_eq!(answer.status, 401, "{}: {}", operation.name(), answer.text());
        }
    }
    let embed = ["GET /embed", "GET /embed/bursts", "GET /embed/chart.svg", "GET /embed/live"];
    let open = ["GET /openapi.json", "DELETE /v1/session", "POST /v1/session"];
    assert_eq!(public, [&embed[..], &open[..]].concat(), "what needs no token is written down here");
}

/// The tests above would find what they look for.
#[tokio::test]
async fn what_is_looked_for_is_there_for_an_operator() {
    let worlds = Worlds::new().await;
    for operation in operations(&worlds.with).await.iter().filter(|it| it.method == "GET" && !it.is_public) {
        let question = worlds.as_operator(operation);
        let answer = question.ask(&worlds.with, &worlds.with.operator, Door::Header).await;
        assert_eq!(answer.status, 200, "{}: {}", operation.name(), answer.text());
        // These tell of nodes and of all customers together.
        let is_of_none = ["/v1/operator/nodes", "/v1/operator/pipeline"].contains(&operation.path.as_str());
        let said = if operation.has("customer") { &[CUSTOMER][..] } else { &[] };
        assert_eq!(answer.trace(said).is_none(), is_of_none, "{}: {}", operation.name(), answer.text());
    }
}
