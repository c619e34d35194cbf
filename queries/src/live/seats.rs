//! Who watches what: one query for each distinct question, and bounds for each owner of streams and for all.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use flagmeter_model::Name;
use tokio::sync::{Notify, watch};

use super::track::Track;
use crate::{Error, LiveConfig, Result, access::Principal, usage::plan::Asked};

/// A question that is watched, or was a moment ago.
pub(super) struct Query {
    pub(super) number: u64,
    pub(super) asked: Asked,
    pub(super) track: watch::Sender<Track>,
    /// Told when someone comes, and when it is to go.
    pub(super) called: Notify,
    /// Changed under the lock of the seats alone.
    viewers: AtomicUsize,
}

impl Query {
    pub(super) fn is_watched(&self) -> bool {
        self.viewers.load(Ordering::Acquire) > 0
    }
}

/// Whose streams count together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Owner {
    /// All tokens of a customer.
    Customer(Name),
    /// A token that is bound to none.
    Token(String),
}

impl Owner {
    pub(super) fn of(principal: &Principal) -> Self {
        match principal.customer() {
            Some(customer) => Self::Customer(customer.clone()),
            None => Self::Token(principal.token_id.clone()),
        }
    }

    const fn whose(&self) -> &'static str {
        match self {
            Self::Customer(_) => "this customer",
            Self::Token(_) => "this token",
        }
    }
}

/// A token with streams.
struct Holder {
    viewers: usize,
    /// Whether it is still good.
    is_good: watch::Sender<bool>,
}

/// All who watch.
#[derive(Default)]
pub(super) struct Seats {
    queries: HashMap<Asked, Arc<Query>>,
    queries_made: u64,
    viewers: usize,
    /// For each owner, by the numbers of queries, how many watch.
    owners: HashMap<Owner, HashMap<u64, usize>>,
    holders: HashMap<String, Holder>,
}

/// What a viewer gets.
pub(super) struct Taken {
    pub(super) query: Arc<Query>,
    /// Whether nobody computes it yet.
    pub(super) is_new: bool,
    pub(super) is_good: watch::Receiver<bool>,
}

impl Seats {
    /// A seat before the answers to a question, within the bounds; [`Self::leave`] gives it back.
    pub(super) fn take(
        &mut self,
        asked: Asked,
        principal: &Principal,
        config: &LiveConfig,
        epoch: impl FnOnce() -> Result<String>,
    ) -> Result<Taken> {
        let owner = Owner::of(principal);
        self.check(&asked, &owner, config)?;
        let (query, is_new) = match self.queries.get(&asked) {
            Some(query) => (Arc::clone(query), false),
            None => (self.add(asked, config, epoch()?)?, true),
        };
        self.viewers += 1;
        query.viewers.fetch_add(1, Ordering::AcqRel);
        *self.owners.entry(owner).or_default().entry(query.number).or_default() += 1;
        let holder = self.holders.entry(principal.token_id.clone());
        let holder = holder.or_insert_with(|| Holder { viewers: 0, is_good: watch::channel(true).0 });
        holder.viewers += 1;
        let is_good = holder.is_good.subscribe();
        query.called.notify_one();
        Ok(Taken { query, is_new, is_good })
    }

    fn check(&self, asked: &Asked, owner: &Owner, config: &LiveConfig) -> Result<()> {
        if self.viewers >= config.viewers_max {
            return Err(Error::Streams { at_once: config.viewers_max, what: "live streams are open" });
        }
        let Some(own) = self.owners.get(owner) else { return Ok(()) };
        let refused = |at_once, what| Err(Error::OwnStreams { at_once, what, whose: owner.whose() });
        if own.values().sum::<usize>() >= config.own_viewers_max {
            return refused(config.own_viewers_max, STREAMS);
        }
        let is_own = self.queries.get(asked).is_some_and(|query| own.contains_key(&query.number));
        if !is_own && own.len() >= config.own_queries_max {
            return refused(config.own_queries_max, QUESTIONS);
        }
        Ok(())
    }

    fn add(&mut self, asked: Asked, config: &LiveConfig, epoch: String) -> Result<Arc<Query>> {
        if self.queries.len() >= config.queries_max {
            // The place of one that was left.
            let left = self.queries.values().filter(|query| !query.is_watched());
            let left = left.min_by_key(|query| query.number).cloned();
            let left = left.ok_or(Error::Streams {
                at_once: config.queries_max,
                what: "different questions are watched",
            })?;
            self.queries.remove(&left.asked);
            left.called.notify_one();
        }
        self.queries_made += 1;
        let query = Arc::new(Query {
            number: self.queries_made,
            asked: asked.clone(),
            track: watch::Sender::new(Track::new(epoch)),
            called: Notify::new(),
            viewers: AtomicUsize::new(0),
        });
        self.queries.insert(asked, Arc::clone(&query));
        Ok(query)
    }

    /// Gives a seat back.
    pub(super) fn leave(&mut self, query: &Query, owner: &Owner, token_id: &str) {
        self.viewers -= 1;
        query.viewers.fetch_sub(1, Ordering::AcqRel);
        if let Some(own) = self.owners.get_mut(owner) {
            if let Some(viewers) = own.get_mut(&query.number) {
                *viewers -= 1;
                if *viewers == 0 {
                    own.remove(&query.number);
                }
            }
            if own.is_empty() {
                self.owners.remove(owner);
            }
        }
        if let Some(holder) = self.holders.get_mut(token_id) {
            holder.viewers -= 1;
            if holder.viewers == 0 {
                self.holders.remove(token_id);
            }
        }
    }

    /// Whether a query is to go on: it is known here, and somebody watches it.
    pub(super) fn wants(&self, query: &Query) -> bool {
        query.is_watched() && self.knows(query)
    }

    /// Whether it has not lost its place.
    pub(super) fn knows(&self, query: &Query) -> bool {
        self.queries.get(&query.asked).is_some_and(|known| known.number == query.number)
    }

    /// Forgets a query, whoever watches it: who comes next has a new one.
    pub(super) fn forget(&mut self, query: &Query) {
        if self.knows(query) {
            self.queries.remove(&query.asked);
        }
    }

    /// The queries that there are.
    pub(super) fn queries(&self) -> usize {
        self.queries.len()
    }

    /// The viewers that there are.
    pub(super) const fn viewers(&self) -> usize {
        self.viewers
    }

    /// Tells the streams of tokens that are good no longer.
    pub(super) fn check_tokens(&self, is_good: impl Fn(&str) -> bool) {
        for (token_id, holder) in &self.holders {
            if !is_good(token_id) {
                holder.is_good.send_replace(false);
            }
        }
    }
}

const STREAMS: &str = "live streams";
const QUESTIONS: &str = "different questions as live streams";
