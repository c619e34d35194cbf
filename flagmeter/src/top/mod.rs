//! `flagmeter top`: live rates in the terminal.
//!
//! Two questions are followed (`follow`), each by `/v1/live` on a connection of its own: two hours by minute, two minutes
//! in slots of 10 s. What comes lands on boards (`board`), from which a table follows (`table`) and from that a screen
//! (`view`): both pure. Where there is no terminal, or one table is asked for, `/v1/usage` answers the same questions once.

mod board;
mod events;
mod follow;
mod keys;
mod table;
mod terminal;
mod text;
mod view;

use std::{
    env,
    ffi::OsStr,
    io::{self, IsTerminal as _},
    time::Duration,
};

use flagmeter_model::{Clock, SystemClock};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

use self::{
    board::{Board, Told},
    follow::{Followed, Question, follow},
    keys::{Next, press},
    table::{Table, table},
    terminal::{Input, Terminal, read, written},
    view::{Around, Screen, Size, View, screen, scroll_max, shown},
};
use crate::{
    Error, Result,
    asking::{ServerArgs, said},
    http::{Connection, percent_encoded},
    output,
    signals::Signals,
};

/// Two hours by minute: one to show, and one to measure bursts and change by. With so many groups that their rows fit
/// what a live stream may have.
const HOURS: &str = "from=-121m&resolution=1m&limit=75";
const SLOTS: &str = "from=-2m&resolution=10s&limit=75";
/// Where stdout is no terminal.
const WIDTH: usize = 120;
const REDRAW_EVERY: Duration = Duration::from_secs(1);

/// What `flagmeter top` is asked for.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct TopArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// What a line is [default: customer for an operator's token, else flag]
    #[arg(long, value_enum)]
    by: Option<By>,
    /// What is counted
    #[arg(long, value_enum, default_value = "evaluations")]
    meter: Meter,
    /// Only this customer; repeat it for several
    #[arg(long, value_name = "ID")]
    customer: Vec<String>,
    /// Only this project; repeat it for several
    #[arg(long, value_name = "ID")]
    project: Vec<String>,
    /// Only this environment; repeat it for several
    #[arg(long, value_name = "ID")]
    environment: Vec<String>,
    /// Print one table and end, as where stdout is no terminal
    #[arg(long)]
    once: bool,
    /// Print it as JSON and end
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum By {
    Customer,
    Project,
    Environment,
    Flag,
}

impl By {
    const fn name(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Project => "project",
            Self::Environment => "environment",
            Self::Flag => "flag",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Meter {
    Evaluations,
    Requests,
}

impl TopArgs {
    fn question(&self, range: &str, by: By, token: &str) -> Question {
        let meter = match self.meter {
            Meter::Evaluations => "evaluations",
            Meter::Requests => "requests",
        };
        let filters =
            [("customer", &self.customer), ("project", &self.project), ("environment", &self.environment)];
        let filters = filters.into_iter().flat_map(|(name, values)| {
            values.iter().map(move |value| format!("&{name}={}", percent_encoded(value)))
        });
        Question {
            url: self.server.url.clone(),
            token: token.to_owned(),
            query: format!("{range}&meter={meter}&group_by={}{}", by.name(), filters.collect::<String>()),
            by: by.name().to_owned(),
        }
    }
}

/// Shows live rates until its viewer has seen enough, or prints them once.
pub(crate) async fn run(args: TopArgs) -> Result<()> {
    let token = args.server.token()?;
    let mut connection = Connection::new(args.server.url.clone());
    let by = match args.by {
        Some(by) => by,
        None => by_of(&mut connection, &token).await?,
    };
    let questions = [HOURS, SLOTS].map(|range| args.question(range, by, &token));
    let is_terminal = io::stdout().is_terminal();
    let colours =
        is_terminal && wants_colours(env::var_os("NO_COLOR").as_deref(), env::var_os("TERM").as_deref());
    if args.json || args.once || !is_terminal {
        let [hours, slots] = &questions;
        let hours = ask(&mut connection, hours).await?;
        let slots = ask(&mut connection, slots).await?;
        return print(&table(by.name(), &hours, &slots), &args, colours);
    }
    watch_live(questions, colours).await
}

/// Colours are wanted unless somebody says otherwise (<https://no-color.org>).
fn wants_colours(no_color: Option<&OsStr>, term: Option<&OsStr>) -> bool {
    no_color.is_none_or(OsStr::is_empty) && term.is_none_or(|term| term != "dumb")
}

/// Customers for who may see all of them, as operators may; flags for everyone else.
async fn by_of(connection: &mut Connection, token: &str) -> Result<By> {
    let path = "/v1/operator/nodes";
    let answer = connection.answer(path, Some(token)).await?;
    match answer.status {
        200 => Ok(By::Customer),
        403 => Ok(By::Flag),
        _ => Err(Error::Http { url: format!("the server at {path}"), reason: said(&answer) }),
    }
}

async fn ask(connection: &mut Connection, question: &Question) -> Result<Board> {
    let path = format!("/v1/usage?{}", question.query);
    let failed = |reason: String| Error::Http { url: format!("{}{path}", question.url), reason };
    let answer = connection.answer(&path, Some(&question.token)).await?;
    if answer.status != 200 {
        return Err(failed(said(&answer)));
    }
    let told: Told = serde_json::from_slice(&answer.body).map_err(|error| failed(error.to_string()))?;
    let mut board = Board::default();
    board.replace(told, &question.by).map_err(failed)?;
    Ok(board)
}

fn print(table: &Table, args: &TopArgs, colours: bool) -> Result<()> {
    if args.json {
        let json = serde_json::to_string(table).map_err(|error| Error::System(error.into()))?;
        output::say(json);
        return Ok(());
    }
    let terminal = Terminal::size().filter(|_| io::stdout().is_terminal());
    let width = terminal.map_or(WIDTH, |size| size.width);
    let drawn =
        draw(table, args.server.url.authority.clone(), None, &View::default(), Size { width, height: None });
    output::say(if colours { written(&drawn, true, "\n") } else { view::plain(&drawn) });
    Ok(())
}

fn draw(table: &Table, authority: String, away: Option<String>, view: &View, size: Size) -> Screen {
    screen(table, &Around { authority, now: SystemClock.now(), away }, view, size)
}

/// What is followed, and what its viewer sees of it.
struct Watched {
    by: String,
    authority: String,
    hours: watch::Receiver<Followed>,
    slots: watch::Receiver<Followed>,
    view: View,
    /// What is shown while it is paused.
    held: Option<Table>,
}

impl Watched {
    fn table(&mut self) -> Table {
        if let Some(held) = &self.held {
            return held.clone();
        }
        let table =
            table(&self.by, &self.hours.borrow_and_update().board, &self.slots.borrow_and_update().board);
        self.held = self.view.paused.then(|| table.clone());
        table
    }

    /// Why there is nothing newer.
    fn away(&self) -> Option<String> {
        let (hours, slots) = (self.hours.borrow(), self.slots.borrow());
        let waits = (!hours.is_told || !slots.is_told).then(|| "waiting for the first answer".to_owned());
        hours.away.clone().or_else(|| slots.away.clone()).or(waits)
    }

    /// Why there never will be.
    fn refused(&self) -> Option<String> {
        self.hours.borrow().refused.clone().or_else(|| self.slots.borrow().refused.clone())
    }

    fn show(&mut self, terminal: &Terminal) -> Result<()> {
        let table = self.table();
        terminal.show(&draw(&table, self.authority.clone(), self.away(), &self.view, size()))
    }

    fn press(&mut self, input: &Input) -> Next {
        let Input::Key(key) = input else { return Next::GoOn };
        let lines = shown(&self.table(), &self.view).len();
        let next = press(&mut self.view, *key, scroll_max(lines, size().height));
        if !self.view.paused {
            self.held = None;
        }
        next
    }
}

/// Of the terminal, or one that most have.
fn size() -> Size {
    Terminal::size().unwrap_or(Size { width: WIDTH, height: Some(24) })
}

async fn watch_live([hours, slots]: [Question; 2], colours: bool) -> Result<()> {
    let mut signals = Signals::listen()?;
    let mut tasks = JoinSet::new();
    let (authority, by) = (hours.url.authority.clone(), hours.by.clone());
    let mut followed = |question| {
        let (to, from) = watch::channel(Followed::default());
        tasks.spawn(follow(question, to));
        from
    };
    let (hours, slots) = (followed(hours), followed(slots));
    let mut watched = Watched { by, authority, hours, slots, view: View::default(), held: None };
    let terminal = Terminal::take(colours)?;
    let (to, mut inputs) = mpsc::channel(16);
    tasks.spawn_blocking(move || {
        if let Err(error) = read(&to) {
            tracing::debug!(%error, "no keys can be read");
        }
    });
    let mut redraw = interval(REDRAW_EVERY);
    redraw.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let refused = loop {
        if let Some(reason) = watched.refused() {
            break Some(reason);
        }
        watched.show(&terminal)?;
        tokio::select! {
            () = signals.next() => break None,
            // Its sender is gone where no keys can be read: then only a signal ends it.
            Some(input) = inputs.recv() => if watched.press(&input) == Next::Quit { break None },
            // An end of either is told by `refused`, or is a bug.
            Ok(()) = watched.hours.changed() => {}
            Ok(()) = watched.slots.changed() => {}
            Some(Err(broken)) = tasks.join_next() => break Some(broken.to_string()),
            _ = redraw.tick() => {}
        }
    };
    drop(terminal);
    refused.map_or(Ok(()), |reason| Err(Error::Http { url: format!("http://{}", watched.authority), reason }))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Command {
        #[command(flatten)]
        top: TopArgs,
    }

    fn parse(args: &[&str]) -> TopArgs {
        Command::try_parse_from(["top"].iter().chain(args)).unwrap().top
    }

    #[test]
    fn what_is_asked_goes_into_both_questions() {
        let args =
            parse(&["--meter", "requests", "--customer", "a&b", "--customer", "c", "--environment", "ü"]);
        let question = args.question(HOURS, By::Flag, "fm_a_b");
        let filters = "&meter=requests&group_by=flag&customer=a%26b&customer=c&environment=%C3%BC";
        assert_eq!(question.query, format!("{HOURS}{filters}"));
        assert_eq!(question.by, "flag");
    }

    #[test]
    fn colours_are_left_out_where_somebody_says_so() {
        let wants = |no_color: Option<&str>, term: Option<&str>| {
            wants_colours(no_color.map(OsStr::new), term.map(OsStr::new))
        };
        assert!(wants(None, None) && wants(Some(""), Some("xterm")));
        assert!(!wants(Some("1"), Some("xterm")) && !wants(None, Some("dumb")));
    }
}
