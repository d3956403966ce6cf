//! What one session is told under given settings, from the first question to the last: for whoever has to show that
//! two settings differ, and by what.

use crate::clients::{Names, arrival, granted};
use crate::proving::can_be;
use crate::table::Link;
use crate::verdict::Verdict;
use crate::witness::Witness;
use config::{Config, Server};
use mail::{Author, Authors, Found, Ledger, Mailbox, Query, Timestamp};
use policy::{
    AddressPlace, Admission, Decision, Grant, MessageFacts, Missing, RecipientFacts, Refusal, Rules, SenderFacts,
};
use std::cell::Cell;

/// Answers to the questions of a session, in their order. The first refusal ends it, as it ends what
/// `bridgehead explain` says; what lies behind it is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    /// Whether it is let in, and there is such a link.
    pub admitted: bool,
    /// Whether the mechanism that it asks for is offered.
    pub offered: Option<bool>,
    /// Whether its mail is marked for its reverse-path, or the refusal. Whoever cannot prove to be what it says is never
    /// asked.
    pub sender: Option<Result<bool, Verdict>>,
    /// How it may send to the recipient; `None` in it where it submits.
    pub recipient: Option<Result<Option<Grant>, Verdict>>,
    /// Whether its mail is marked for what its header says, or the refusal.
    pub message: Option<Result<bool, Verdict>>,
    /// Whether a look-up was asked for that the session says nothing of, so that somebody else may be told otherwise.
    pub is_vague: bool,
}

impl Answers {
    /// What this session is told under these settings.
    #[must_use]
    pub fn of(config: &Config, session: &Witness, now: Timestamp) -> Answers {
        let mut answers = Answers::default();
        let Some(server) = config.server(&session.server) else { return answers };
        let asking = Asking { rules: &server.rules, session, now, is_vague: Cell::new(false) };
        asking.answer(config, server, &mut answers);
        answers.is_vague = asking.is_vague.get();
        answers
    }
}

/// Whether nothing is heard on this link before TLS.
pub(crate) fn is_closed(server: &Server, link: Link) -> bool {
    link == Link::Clear && server.session.tls_required
}

struct Asking<'a> {
    rules: &'a Rules,
    session: &'a Witness,
    now: Timestamp,
    is_vague: Cell<bool>,
}

impl Asking<'_> {
    fn answer(&self, config: &Config, server: &Server, answers: &mut Answers) {
        let session = self.session;
        let Some(admission) = self.connection() else { return };
        let Some(offered) = session.link.offers(server) else { return };
        if is_closed(server, session.link) {
            return;
        }
        answers.admitted = true;
        answers.offered = session.mechanism.as_ref().map(|mechanism| offered.contains(mechanism));
        if answers.offered == Some(false) || !can_be(config, server, &session.identity, (session.client, session.link))
        {
            return;
        }
        let sender = self.sender(admission);
        answers.sender = Some(sender);
        if sender.is_ok() {
            answers.recipient = session.recipient.as_ref().map(|recipient| self.recipient(recipient));
            answers.message = session.header.as_ref().map(|(place, author)| self.message(*place, author));
        }
    }

    fn connection(&self) -> Option<Admission> {
        let facts = arrival(self.session.client, self.now);
        self.judge(|ledger| policy::connection(self.rules, &facts, ledger)).ok()
    }

    fn sender(&self, admission: Admission) -> Result<bool, Verdict> {
        let Witness { client, identity, reverse_path, .. } = self.session;
        let secured = self.session.link == Link::Tls;
        let facts = SenderFacts { client: *client, now: self.now, admission, identity, secured, reverse_path };
        let judged = self.judge(|ledger| policy::sender(self.rules, &facts, ledger));
        judged.map(|submission| submission.marked).map_err(|refusal| Verdict::refused(&refusal))
    }

    fn recipient(&self, recipient: &Mailbox) -> Result<Option<Grant>, Verdict> {
        let Witness { client, identity, .. } = self.session;
        let facts = RecipientFacts { client: *client, now: self.now, identity, recipient };
        let judged = self.judge(|ledger| policy::recipient(self.rules, &facts, ledger));
        judged.map(|acceptance| granted(&acceptance)).map_err(|refusal| Verdict::refused(&refusal))
    }

    fn message(&self, place: AddressPlace, author: &Mailbox) -> Result<bool, Verdict> {
        let Witness { client, identity, .. } = self.session;
        let authors = &authors(place, Author::Mailbox(author.clone()));
        let facts = MessageFacts { client: *client, now: self.now, identity, authors, hops: 0 };
        let judged = self.judge(|ledger| policy::message(self.rules, &facts, ledger));
        judged.map(|taken| !taken.marks.is_empty()).map_err(|refusal| Verdict::refused(&refusal))
    }

    /// Asks until nothing is missing; what look-ups find is what the session says.
    fn judge<V>(&self, ask: impl Fn(&Ledger) -> Result<Decision<V>, Missing>) -> Result<V, Refusal> {
        let mut ledger = Ledger::new();
        loop {
            match ask(&ledger) {
                Ok(decision) => return decision.verdict,
                Err(Missing(query)) => {
                    let is_told = match &query {
                        Query::ConfirmedNames(_) => self.session.names != Names::Any,
                        Query::Recipient(_) => self.session.found.is_some(),
                        Query::Addresses(_) => false,
                    };
                    self.is_vague.set(self.is_vague.get() || !is_told);
                    let found = match &query {
                        Query::ConfirmedNames(_) => self.session.names.found(),
                        Query::Recipient(_) => self.session.found.clone().unwrap_or(Found::Unavailable),
                        Query::Addresses(_) => Found::Unavailable,
                    };
                    ledger.enter(query, found);
                }
            }
        }
    }
}

/// A header with one address in one field.
pub(crate) fn authors(place: AddressPlace, author: Author) -> Authors {
    let mut authors = Authors::default();
    match place {
        AddressPlace::From | AddressPlace::Envelope => authors.from.push(author),
        AddressPlace::Sender => authors.sender.push(author),
        AddressPlace::ResentFrom => authors.resent_from.push(author),
    }
    authors
}
