//! The last refusals, each under a name that was told to its client: what was asked, by which rules it was
//! judged, and how it came out. Whoever has a reply or a line of the log in hand can ask why.
//!
//! The name is no number that a stranger could count by: it is made of how many there were and of a key of this
//! process. The owner keeps so many refusals and so many octets; what is older is forgotten, and the line of
//! the log then says all that there is to say.

use crate::event::Asked;
use crate::explain::{self, Explained};
use crate::lookups::decide;
use crate::memory::{Held, Memory};
use crate::world::World;
use crate::{Gateway, answer};
use identity::Secret;
use mail::{Authors, Identity, Ledger, Mailbox, Reply, ReversePath, Text, Timestamp};
use policy::{
    Admission, ConnectionFacts, Decision, MessageFacts, Missing, Question, RecipientFacts, RuleBook, Rules,
    SenderFacts, Trace, Verdict,
};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{mpsc, oneshot};

/// Refusals that are kept.
const KEPT: usize = 4096;
/// Octets that they may take.
const KEPT_OCTETS: u64 = 8 * 1024 * 1024;
/// Settings of which refusals are kept: those of today, and those of the last few reloads.
const LAWS: usize = 4;
/// What may wait for the owner. A refusal beyond that is not kept: others are refused by the thousand then.
const WAITING: usize = 256;

/// The name of a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecisionId(u32);

impl fmt::Display for DecisionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

impl FromStr for DecisionId {
    type Err = ();

    fn from_str(text: &str) -> Result<DecisionId, ()> {
        let digits = text.len() == 8 && text.bytes().all(|octet| octet.is_ascii_hexdigit());
        let number = u32::from_str_radix(text, 16).ok().filter(|_| digits);
        number.map(DecisionId).ok_or(())
    }
}

/// What is known of a decision that somebody asks about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DecisionAnswer {
    /// This.
    Known(Box<DecisionView>),
    /// Nothing: it is older than the last so many refusals, or of an earlier start, or there never was one.
    Forgotten(usize),
}

/// A past refusal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecisionView {
    /// Its name.
    pub id: String,
    /// When it was made.
    pub at: String,
    /// The virtual server.
    pub server: String,
    /// The client.
    pub client: String,
    /// Who the client had proved to be: `account u1`, `peer ex1`; none if nobody.
    pub identity: Option<String>,
    /// What was asked, as it was put.
    pub question: String,
    /// The question's name in the log.
    pub asked: String,
    /// By the rules of then.
    pub then: Explained,
    /// By the rules of now, if that is another answer or another way to it.
    pub now: Option<Explained>,
    /// Whether there is such a virtual server now.
    pub is_there: bool,
}

/// A refusal that was made.
#[derive(Debug)]
pub(crate) struct Past {
    id: DecisionId,
    server: Box<str>,
    law: (Arc<Rules>, Arc<RuleBook>),
    facts: Facts,
    /// What was looked up for it.
    ledger: Ledger,
    trace: Trace,
    reply: Reply,
    /// What it costs to keep it.
    octets: u64,
    _held: Held,
}

/// The facts of a question, for keeps.
#[derive(Clone, Debug)]
enum Facts {
    Connection(ConnectionFacts),
    Sender { by: By, admission: Admission, secured: bool, reverse_path: ReversePath },
    Recipient { by: By, recipient: Mailbox },
    Message { by: By, authors: Authors, hops: u32 },
}

/// Who asked, and when.
#[derive(Clone, Debug)]
struct By {
    client: IpAddr,
    now: Timestamp,
    identity: Identity,
}

impl Facts {
    fn of(question: &Question<'_>) -> Facts {
        let by = By { client: question.client(), now: question.now(), identity: question.identity().clone() };
        match question {
            Question::Connection(facts) => Facts::Connection(*facts),
            Question::Sender(facts) => Facts::Sender {
                by,
                admission: facts.admission,
                secured: facts.secured,
                reverse_path: facts.reverse_path.clone(),
            },
            Question::Recipient(facts) => Facts::Recipient { by, recipient: facts.recipient.clone() },
            Question::Message(facts) => Facts::Message { by, authors: facts.authors.clone(), hops: facts.hops },
        }
    }

    /// The question, asked at `now`, or when it was.
    fn question(&self, at: Option<Timestamp>) -> Question<'_> {
        match self {
            Facts::Connection(facts) => {
                Question::Connection(ConnectionFacts { now: at.unwrap_or(facts.now), ..*facts })
            }
            Facts::Sender { by: By { client, now, identity }, admission, secured, reverse_path } => {
                let (admission, now) = (*admission, at.unwrap_or(*now));
                let (client, secured) = (*client, *secured);
                Question::Sender(SenderFacts { client, now, admission, identity, secured, reverse_path })
            }
            Facts::Recipient { by: By { client, now, identity }, recipient } => {
                let (client, now) = (*client, at.unwrap_or(*now));
                Question::Recipient(RecipientFacts { client, now, identity, recipient })
            }
            Facts::Message { by: By { client, now, identity }, authors, hops } => {
                let (client, now, hops) = (*client, at.unwrap_or(*now), *hops);
                Question::Message(MessageFacts { client, now, identity, authors, hops })
            }
        }
    }

    /// What they take beside their own size: texts, in octets.
    fn octets(&self) -> u64 {
        let authors = |authors: &Authors| authors.from.len() + authors.sender.len() + authors.resent_from.len();
        let many = match self {
            Facts::Message { authors: named, .. } => authors(named) * 128,
            Facts::Connection(_) | Facts::Sender { .. } | Facts::Recipient { .. } => 256,
        };
        many as u64
    }
}

/// The question's name in the log.
pub(crate) fn asked(question: &Question<'_>) -> Asked {
    match question {
        Question::Connection(_) => Asked::Connection,
        Question::Sender(_) => Asked::Sender,
        Question::Recipient(_) => Asked::Recipient,
        Question::Message(_) => Asked::Message,
    }
}

/// What the owner is told or asked.
enum Order {
    Keep(Box<Past>),
    Find(DecisionId, oneshot::Sender<Option<Arc<Past>>>),
}

/// The way to the owner.
pub(crate) struct Decisions {
    to: mpsc::Sender<Order>,
    key: Secret,
    made: AtomicU64,
}

/// What the owner hears.
pub(crate) struct Orders(mpsc::Receiver<Order>);

impl Decisions {
    /// The way, and what its owner is to be made of. `key` is a secret of this process.
    pub(crate) fn new(key: [u8; 32]) -> (Decisions, Orders) {
        let (to, from) = mpsc::channel(WAITING);
        (Decisions { to, key: Secret::from(&key[..]), made: AtomicU64::new(0) }, Orders(from))
    }

    /// A name for one more.
    fn name(&self) -> DecisionId {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let digest = Secret::from(&number.to_be_bytes()[..]).digest(&self.key);
        // Two of the refusals that are kept may have one name, once in a thousand times; the later one is meant then.
        DecisionId(u32::try_from(digest >> 32).unwrap_or_default())
    }

    /// Gives a refusal its name, puts that into its reply, and keeps it.
    pub(crate) fn keep(
        &self,
        memory: &Arc<Memory>,
        law: (&Arc<Rules>, &Arc<RuleBook>),
        question: &Question<'_>,
        ledger: &Ledger,
        refusal: (&Trace, Reply),
    ) -> (DecisionId, Reply) {
        let id = self.name();
        let (trace, reply) = refusal;
        let reply = named(reply, id);
        let facts = Facts::of(question);
        let octets = size_of::<Past>() as u64 + facts.octets() + 256;
        let past = Past {
            id,
            server: law.0.server.clone(),
            law: (law.0.clone(), law.1.clone()),
            ledger: needed(question, law.0, ledger),
            facts,
            trace: trace.clone(),
            reply: reply.clone(),
            octets,
            _held: memory.hold(octets),
        };
        let _ = self.to.try_send(Order::Keep(Box::new(past)));
        (id, reply)
    }

    async fn find(&self, id: DecisionId) -> Option<Option<Arc<Past>>> {
        let (answer, answered) = oneshot::channel();
        self.to.send(Order::Find(id, answer)).await.ok()?;
        answered.await.ok()
    }
}

/// The reply with the name of the decision behind its text.
fn named(reply: Reply, id: DecisionId) -> Reply {
    match reply.text() {
        Text::Line(line) => {
            let text = format!("{line} ({id})");
            reply.with_text(text)
        }
        Text::Lines(_) => reply,
    }
}

/// What of a ledger the question needs.
fn needed(question: &Question<'_>, rules: &Rules, known: &Ledger) -> Ledger {
    let mut ledger = Ledger::new();
    while let Err(Missing(query)) = question.ask(rules, &ledger) {
        let Some(found) = known.find(&query) else { break };
        ledger.enter(query, found.clone());
    }
    ledger
}

/// Starts the owner, which ends when everything stops.
pub(crate) fn start<W: World>(gateway: &Arc<Gateway<W>>, orders: Orders) {
    let Orders(mut from) = orders;
    let stop = gateway.stop.soft.clone();
    gateway.tasks.spawn(async move {
        let mut ring = Ring::default();
        loop {
            tokio::select! {
                biased;
                () = stop.given() => return,
                order = from.recv() => match order {
                    Some(Order::Keep(past)) => ring.keep(Arc::from(past)),
                    // Whoever asked may have gone.
                    Some(Order::Find(id, answer)) => _ = answer.send(ring.find(id)),
                    None => return,
                },
            }
        }
    });
}

/// The refusals that are kept, the oldest first.
#[derive(Default)]
struct Ring {
    kept: VecDeque<Arc<Past>>,
    octets: u64,
    /// The books of the settings they were judged by, the oldest first.
    books: VecDeque<Arc<RuleBook>>,
}

impl Ring {
    fn keep(&mut self, past: Arc<Past>) {
        if past.octets > KEPT_OCTETS / 16 {
            return;
        }
        if !self.books.iter().any(|book| Arc::ptr_eq(book, &past.law.1)) {
            self.books.push_back(past.law.1.clone());
            // Old settings are not kept alive for ever because somebody was refused by them.
            if self.books.len() > LAWS
                && let Some(old) = self.books.pop_front()
            {
                self.kept.retain(|kept| !Arc::ptr_eq(&kept.law.1, &old));
                self.octets = self.kept.iter().map(|kept| kept.octets).sum();
            }
        }
        self.octets += past.octets;
        self.kept.push_back(past);
        while self.kept.len() > KEPT || self.octets > KEPT_OCTETS {
            let Some(oldest) = self.kept.pop_front() else { return };
            self.octets -= oldest.octets;
        }
    }

    fn find(&self, id: DecisionId) -> Option<Arc<Past>> {
        self.kept.iter().rev().find(|past| past.id == id).cloned()
    }
}

/// Explains a past decision, by the rules of then and, where that differs, by those of now.
pub(crate) async fn explain<W: World>(gateway: &Gateway<W>, id: &str) -> Option<DecisionAnswer> {
    let found = match id.parse() {
        Ok(id) => gateway.decisions.find(id).await?,
        Err(()) => None,
    };
    let Some(past) = found else { return Some(DecisionAnswer::Forgotten(KEPT)) };
    let question = past.facts.question(None);
    let (rules, book) = &past.law;
    let then = Explained::new((rules, book), &question, &past.ledger, &past.trace, (past.reply.to_string(), true));
    let (now, is_there) = match again(gateway, &past).await {
        Some(now) => (Some(now).filter(|now| !now.is_same(&then)), true),
        None => (None, false),
    };
    let identity = match question.identity() {
        Identity::Anonymous => None,
        Identity::Account(account) => Some(format!("account {}", account.name)),
        Identity::Peer(name) => Some(format!("peer {name}")),
    };
    Some(DecisionAnswer::Known(Box::new(DecisionView {
        id: past.id.to_string(),
        at: question.now().to_string(),
        server: past.server.to_string(),
        client: mail::canonical(question.client()).to_string(),
        identity,
        question: explain::words(&question),
        asked: asked(&question).name().to_owned(),
        then,
        now,
        is_there,
    })))
}

/// The same question by the law of now; `None` if its virtual server is gone.
async fn again<W: World>(gateway: &Gateway<W>, past: &Past) -> Option<Explained> {
    let law = gateway.law.load_full();
    let server = law.server(&past.server)?;
    let question = past.facts.question(Some(gateway.world.now()));
    let rules = &server.config.rules;
    let mut ledger = past.ledger.clone();
    let decision = decide(&*gateway.world, &law, &mut ledger, |ledger| question.ask(rules, ledger)).await;
    let said = (answered(&decision, &question, &server.config), decision.verdict.is_err());
    Some(Explained::new((rules, &law.config.book), &question, &ledger, &decision.trace, said))
}

/// The reply to a refusal, or words.
fn answered(decision: &Decision<Verdict>, question: &Question<'_>, server: &config::Server) -> String {
    match &decision.verdict {
        Ok(verdict) => explain::granted(verdict, question),
        Err(refusal) => answer::refusal(refusal, &server.session.hostname, server.not_authenticated_code).1.to_string(),
    }
}

#[cfg(test)]
mod tests;
