//! `flagmeter mute`: somebody plans a launch or a load test, says so beforehand, and nobody is woken by it.
//!
//! It asks a running server. A mute is made with a key, so that a try whose answer was lost may be repeated.

mod told;

use std::{collections::HashSet, time::Duration};

use bytes::Bytes;
use hyper::Method;
use serde_json::{Map, Value};

use self::told::{Mute, Page, table};
use crate::{
    Error, Result,
    asking::{ServerArgs, said},
    http::{Connection, percent_encoded},
    output,
};

const PATH: &str = "/v1/operator/mutes";
/// How often something is tried, where no answer comes.
const TRIES: u32 = 4;
/// After the first try; after each that follows twice as long.
const PAUSE: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// As the server has it.
const KEY_CHARS_MAX: usize = 200;

/// What `flagmeter mute` is asked for.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct MuteArgs {
    #[command(subcommand)]
    command: Option<MuteCommand>,
    #[command(flatten)]
    new: NewMute,
}

/// A mute that is to be made.
#[derive(Debug, clap::Args)]
struct NewMute {
    /// What to mute, with all of its parts; for names with slashes in them take the options instead
    #[arg(value_name = "CUSTOMER[/PROJECT[/ENVIRONMENT]]", required_unless_present = "customer")]
    of: Option<String>,
    /// The same, name by name: the customer
    #[arg(long, value_name = "ID", conflicts_with = "of")]
    customer: Option<String>,
    /// One of its projects
    #[arg(long, value_name = "ID", requires = "customer")]
    project: Option<String>,
    /// One of the project's environments
    #[arg(long, value_name = "ID", requires = "project")]
    environment: Option<String>,
    /// From then on, such as 2026-11-23T18:00:00Z [default: now]
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Until then, such as 2026-11-23T20:00:00+01:00
    #[arg(long, value_name = "TIME", required_unless_present = "lasts", conflicts_with = "lasts")]
    to: Option<String>,
    /// For so long, such as 90m, 2h or 3d
    #[arg(long = "for", value_name = "TIME")]
    lasts: Option<String>,
    /// Why, for whoever sees what is muted: 1 to 200 characters
    #[arg(long, value_name = "WORDS", required = true)]
    reason: Option<String>,
    /// For scripts that may run twice: with the same key there is one mute, so give each day's one of its own, such as
    /// nightly-2026-11-23 [default: each run makes one]
    #[arg(long, value_name = "WORDS", value_parser = key)]
    key: Option<String>,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// What else there is to do with mutes.
#[derive(Debug, clap::Subcommand)]
enum MuteCommand {
    /// List those in force and those to come: what, until when, why, and who made them
    #[command(after_help = "\
Examples:
  flagmeter mute list
  flagmeter mute list --all --customer acme
  flagmeter mute list --json | jq -r '.[].id'")]
    List {
        /// Those that are over as well, the last one first
        #[arg(long)]
        all: bool,
        /// Only this customer's; repeat it for several
        #[arg(long, value_name = "ID")]
        customer: Vec<String>,
        /// Print them as JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// End one before its time, or call it off; what goes on then is told
    #[command(after_help = "\
Examples:
  flagmeter mute end mute_3c3e76676dc2392abcf7b8cdcc76a6e3")]
    End {
        /// Its id, as `list` shows it
        id: String,
        #[command(flatten)]
        server: ServerArgs,
    },
}

/// Does it.
pub(crate) async fn run(args: MuteArgs) -> Result<()> {
    match args.command {
        None => make(args.new).await,
        Some(MuteCommand::List { all, customer, json, server }) => {
            let mut asking = Asking::new(&server)?;
            let found =
                if all { asking.pages(&customer, "").await? } else { asking.not_over(&customer).await? };
            if json {
                output::say(Value::from(found).to_string());
                return Ok(());
            }
            let mutes = found.into_iter().map(serde_json::from_value).collect::<Result<_, _>>();
            output::say(table(mutes.map_err(|error| asking.failed(PATH, error.to_string()))?));
            Ok(())
        }
        Some(MuteCommand::End { id, server }) => {
            let mut asking = Asking::new(&server)?;
            let path = format!("{PATH}/{}", percent_encoded(&id));
            let body = asking.answer(Method::DELETE, &path, &[], Bytes::new(), 200).await?;
            output::say(asking.read::<Mute>(&path, &body)?.ended());
            Ok(())
        }
    }
}

async fn make(new: NewMute) -> Result<()> {
    let body = Value::from(new.body()?).to_string();
    let mut asking = Asking::new(&new.server)?;
    let given = new.key;
    let key = given.clone().unwrap_or_else(|| format!("{:032x}", rand::random::<u128>()));
    let headers = [("idempotency-key", key.as_str()), ("content-type", "application/json")];
    let answer = asking.answer(Method::POST, PATH, &headers, Bytes::from(body), 201).await?;
    let mute: Mute = asking.read(PATH, &answer)?;
    if let Some(spent) = given.and_then(|key| mute.spent(&key)) {
        return Err(Error::Usage(spent));
    }
    if let Some(warning) = mute.warning() {
        output::note(warning);
    }
    output::say(if new.json { String::from_utf8_lossy(&answer).into_owned() } else { mute.made() });
    Ok(())
}

/// A key that can stand in a header, as the server takes it.
fn key(text: &str) -> Result<String, &'static str> {
    let is_good = (1..=KEY_CHARS_MAX).contains(&text.len())
        && text.trim() == text
        && text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
    is_good
        .then(|| text.to_owned())
        .ok_or("give 1 to 200 letters, digits and signs of ASCII, with no space at either end")
}

impl NewMute {
    /// What is sent.
    fn body(&self) -> Result<Map<String, Value>> {
        let [customer, project, environment] = match &self.of {
            Some(of) => {
                let mut parts = of.splitn(3, '/').map(|part| Some(part.to_owned()));
                let place = [(); 3].map(|()| parts.next().flatten());
                if place.iter().flatten().any(|part| part.is_empty() || part.contains('/')) {
                    return Err(Error::Usage(format!(
                        "{of:?} is not CUSTOMER, CUSTOMER/PROJECT or CUSTOMER/PROJECT/ENVIRONMENT: give names with slashes \
                         in them with --customer, --project and --environment"
                    )));
                }
                place
            }
            None => [&self.customer, &self.project, &self.environment].map(Clone::clone),
        };
        let members = [
            ("customer", customer),
            ("project", project),
            ("environment", environment),
            ("from", self.from.clone()),
            ("to", self.to.clone()),
            ("for", self.lasts.clone()),
            ("reason", self.reason.clone()),
        ];
        let given = members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.into())));
        Ok(given.collect())
    }
}

/// Asks one server with one token.
struct Asking {
    url: String,
    token: String,
    connection: Connection,
    /// Before the second try.
    pause: Duration,
}

impl Asking {
    fn new(server: &ServerArgs) -> Result<Self> {
        let (url, token) = (server.url.to_string(), server.token()?);
        Ok(Self { url, token, connection: Connection::new(server.url.clone()), pause: PAUSE })
    }

    fn failed(&self, path: &str, reason: String) -> Error {
        Error::Http { url: format!("{}{path}", self.url), reason }
    }

    fn read<T: serde::de::DeserializeOwned>(&self, path: &str, body: &[u8]) -> Result<T> {
        serde_json::from_slice(body).map_err(|error| self.failed(path, error.to_string()))
    }

    /// The answer of this status. What got none is tried again: everything here may be said twice.
    async fn answer(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
        status: u16,
    ) -> Result<Bytes> {
        let mut pause = self.pause;
        for tries in 1.. {
            let asked = self.connection.send(method.clone(), path, Some(&self.token), headers, body.clone());
            let (refused, wait) = match asked.await {
                Ok(answer) if answer.status == status => return Ok(answer.body),
                // The latter two are of a proxy before it, which knows no more than that no answer came.
                Ok(answer) if matches!(answer.status, 502..=504) => {
                    (self.failed(path, said(&answer)), answer.retry_after)
                }
                Ok(answer) => return Err(self.failed(path, said(&answer))),
                Err(error) => (error, None),
            };
            if tries >= TRIES {
                return Err(refused);
            }
            let wait = wait.unwrap_or(pause).min(PAUSE_MAX);
            output::note(format!("{refused}; trying again in {:.1} s", wait.as_secs_f64()));
            tokio::time::sleep(wait).await;
            pause = pause.saturating_mul(2);
        }
        Err(self.failed(path, "no answer".into()))
    }

    /// Those in force, and then those to come. One that begins in between is in both answers, and told once: as it was last.
    async fn not_over(&mut self, customers: &[String]) -> Result<Vec<Value>> {
        let planned = self.pages(customers, "&state=planned").await?;
        let mut found = self.pages(customers, "&state=active").await?;
        let id = |mute: &Value| mute.get("id").cloned();
        let active: HashSet<_> = found.iter().filter_map(id).collect();
        found.extend(planned.into_iter().filter(|mute| id(mute).is_none_or(|id| !active.contains(&id))));
        Ok(found)
    }

    /// All of them, page by page.
    async fn pages(&mut self, customers: &[String], state: &str) -> Result<Vec<Value>> {
        let customers = customers.iter().map(|id| format!("&customer={}", percent_encoded(id)));
        let asked = format!("{PATH}?limit=1000{state}{}", customers.collect::<String>());
        let (mut mutes, mut path) = (Vec::new(), asked.clone());
        loop {
            let body = self.answer(Method::GET, &path, &[], Bytes::new(), 200).await?;
            let Page { mutes: more, next } = self.read(&path, &body)?;
            mutes.extend(more);
            let Some(next) = next else { return Ok(mutes) };
            path = format!("{asked}&after={}", percent_encoded(&next));
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use serde_json::json;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Command {
        #[command(flatten)]
        mute: MuteArgs,
    }

    fn parse(args: &[&str]) -> Result<MuteArgs, clap::Error> {
        Ok(Command::try_parse_from(["mute"].iter().chain(args))?.mute)
    }

    fn body(args: &[&str]) -> Result<Value> {
        parse(&[args, &["--for", "2h", "--reason", "launch"]].concat()).unwrap().new.body().map(Value::from)
    }

    #[test]
    fn what_is_muted_is_a_path_or_names() {
        let told = |more: Value| {
            let mut told = json!({"for": "2h", "reason": "launch"});
            told.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            told
        };
        assert_eq!(body(&["acme"]).unwrap(), told(json!({"customer": "acme"})));
        assert_eq!(body(&["acme/web"]).unwrap(), told(json!({"customer": "acme", "project": "web"})));
        let all = told(json!({"customer": "acme", "project": "web", "environment": "a b"}));
        assert_eq!(body(&["acme/web/a b"]).unwrap(), all);
        let slashes = ["--customer", "a/b", "--project", "c/d", "--environment", "e/f"];
        let told = told(json!({"customer": "a/b", "project": "c/d", "environment": "e/f"}));
        assert_eq!(body(&slashes).unwrap(), told);
        for wrong in ["", "/", "acme/", "acme//live", "acme/web/live/eu"] {
            let refused = body(&[wrong]).unwrap_err().to_string();
            assert!(refused.contains("--customer, --project and --environment"), "{wrong}: {refused}");
        }
    }

    /// One hangs up, one is busy, a proxy finds none, one takes it; a proxy hears nothing, and one refuses.
    #[tokio::test]
    async fn what_got_no_answer_is_said_again_in_the_same_words() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let serve = async move {
            let mut asked = Vec::new();
            for answer in [
                "",
                "HTTP/1.1 503 Busy\r\nretry-after: 0\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
                "HTTP/1.1 502 Bad Gateway\r\nretry-after: 0\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
                "HTTP/1.1 201 Made\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}",
                "HTTP/1.1 504 Gateway Timeout\r\nretry-after: 0\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
                "HTTP/1.1 422 No\r\ncontent-length: 18\r\nconnection: close\r\n\r\n{\"detail\":\"never\"}",
            ] {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = Vec::new();
                while !request.ends_with(b"{\"for\":\"2h\"}") {
                    assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0, "all of it comes");
                }
                asked.push(String::from_utf8(request).unwrap());
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
            asked
        };
        let ask = async move {
            let connection = Connection::new(url.parse().unwrap());
            let pause = Duration::from_millis(1);
            let mut asking = Asking { url, token: "fm_a_b".into(), connection, pause };
            let mut answers = Vec::new();
            for _ in 0..2 {
                let (headers, body) = ([("idempotency-key", "17")], Bytes::from("{\"for\":\"2h\"}"));
                answers.push(asking.answer(Method::POST, PATH, &headers, body, 201).await);
            }
            answers
        };
        let mut serving = tokio::task::JoinSet::new();
        serving.spawn(serve);
        let answers = ask.await;
        assert_eq!(answers[0].as_deref().unwrap(), b"{}");
        let refused = answers[1].as_ref().unwrap_err().to_string();
        assert!(refused.ends_with(": never"), "what is refused is not said again: {refused}");
        let asked = serving.join_next().await.unwrap().unwrap();
        assert!(
            asked[0].contains("idempotency-key: 17\r\n") && asked[0].contains("authorization: Bearer fm_a_b")
        );
        assert!(asked.iter().all(|again| *again == asked[0]), "{asked:?}");
    }

    /// It begins after those to come were told.
    #[tokio::test]
    async fn a_mute_that_begins_while_they_are_asked_for_is_listed_once_as_in_force() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let serve = async move {
            let mut asked = Vec::new();
            for mutes in [
                json!([{"id": "mute_1", "state": "planned"}, {"id": "mute_2", "state": "planned"}]),
                json!([{"id": "mute_3", "state": "active"}, {"id": "mute_1", "state": "active"}]),
            ] {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0, "all of it comes");
                }
                let first = String::from_utf8(request).unwrap().lines().next().unwrap().to_owned();
                asked.push(first);
                let body = json!({"mutes": mutes, "next": null}).to_string();
                let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: ";
                let answer = format!("{head}{}\r\n\r\n{body}", body.len());
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
            asked
        };
        let ask = async move {
            let connection = Connection::new(url.parse().unwrap());
            let mut asking = Asking { url, token: "fm_a_b".into(), connection, pause: PAUSE };
            asking.not_over(&["acme".into()]).await.unwrap()
        };
        let (asked, found) = tokio::join!(serve, ask);
        let told: Vec<_> = found.iter().map(|mute| (mute["id"].as_str(), mute["state"].as_str())).collect();
        let [one, two, three] = ["mute_1", "mute_2", "mute_3"].map(Some);
        assert_eq!(told, [(three, Some("active")), (one, Some("active")), (two, Some("planned"))]);
        assert!(asked[0].contains("state=planned") && asked[1].contains("state=active&customer=acme"));
    }

    #[test]
    fn a_key_can_stand_in_a_header() {
        let with = |key: &str| parse(&["acme", "--for", "2h", "--reason", "launch", "--key", key]);
        for good in ["n", "nightly 2026-11-23", &"k".repeat(200)] {
            assert_eq!(with(good).unwrap().new.key.as_deref(), Some(good));
        }
        for wrong in ["", " nightly", "n\u{e4}chtlich", "a\nb", &"k".repeat(201)] {
            let refused = with(wrong).unwrap_err().to_string();
            assert!(refused.contains("--key") && refused.contains("of ASCII"), "{wrong:?}: {refused}");
        }
    }

    #[test]
    fn a_mute_has_an_end_and_a_reason_and_is_of_somebody() {
        let good =
            ["acme", "--to", "2026-11-23T18:00:00Z", "--from", "2026-11-23T17:00:00Z", "--reason", "launch"];
        let told = parse(&good).unwrap().new.body().unwrap();
        assert_eq!((told["from"].as_str(), told.get("for")), (Some("2026-11-23T17:00:00Z"), None));
        for wrong in [
            &["acme"][..],
            &["acme", "--for", "2h"],
            &["acme", "--reason", "launch"],
            &["--for", "2h", "--reason", "launch"],
            &["acme", "--for", "2h", "--to", "2026-11-23T18:00:00Z", "--reason", "launch"],
            &["acme", "--customer", "acme", "--for", "2h", "--reason", "launch"],
            &["--customer", "acme", "--environment", "live", "--for", "2h", "--reason", "launch"],
            &["end"],
            &["acme", "--for", "2h", "--reason", "launch", "--token", "fm_a_b"],
        ] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
        assert!(matches!(
            parse(&["list", "--all"]).unwrap().command,
            Some(MuteCommand::List { all: true, .. })
        ));
        assert!(matches!(parse(&["end", "mute_00"]).unwrap().command, Some(MuteCommand::End { .. })));
    }
}
