//! What changes about addresses in the header of a message.

use super::show::Wanted;
use super::{Compared, Direction, Line, Places};
use crate::audit::Place;
use crate::rows;
use crate::table::{HeaderCell, Link};
use crate::verdict::Verdict;
use crate::{SenderClass, Witness};
use mail::{Identity, Mailbox, ReversePath};
use policy::AddressPlace;
use std::collections::{BTreeMap, BTreeSet};

/// What becomes of an address in a header.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Header {
    Taken,
    Marked,
    Refused,
}

impl Header {
    pub(super) fn of(judged: Result<bool, Verdict>) -> Header {
        match judged {
            Ok(false) => Header::Taken,
            Ok(true) => Header::Marked,
            Err(_) => Header::Refused,
        }
    }

    fn words(self, before: Header) -> &'static str {
        match self {
            Header::Taken if before == Header::Refused => "is taken now",
            Header::Taken => "is no longer marked",
            Header::Marked if before == Header::Refused => "is taken now, and marked",
            Header::Marked => "is marked now",
            Header::Refused => "is refused now",
        }
    }
}

/// Whose mail, and which address in it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Kind {
    whose: Whose,
    place: AddressPlace,
    sender: SenderClass,
    was: Header,
    is: Header,
}

/// What becomes of an address in a header depends on no more; of peers, on each.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Whose {
    Anonymous,
    Accounts,
    Peers,
}

/// Header cells that change in the same way.
#[derive(Default)]
struct Alike<'t> {
    peers: BTreeSet<String>,
    /// Each as it was and as it is.
    cells: Vec<[HeaderCell<'t>; 2]>,
}

impl Compared<'_> {
    /// What changes about addresses in headers, of whoever could submit before and can now: what becomes of the mail of
    /// the others is said elsewhere.
    pub(super) fn headers(&self, server: &str) -> Vec<Line> {
        let (Some(before), Some(after)) = (self.before.server(server), self.after.server(server)) else {
            return Vec::new();
        };
        let key = |cell: &HeaderCell<'_>| (cell.places, cell.place, cell.sender);
        let known: BTreeMap<_, _> = before.headers().map(|cell| (key(&cell), cell)).collect();
        let mut kinds: BTreeMap<Kind, Alike<'_>> = BTreeMap::new();
        for cell in after.headers() {
            let Some(former) = known.get(&key(&cell)) else { continue };
            let (was, is) = (Header::of(former.verdict), Header::of(cell.verdict));
            if was != is {
                let kind = Kind { whose: whose(&cell), place: cell.place, sender: cell.sender, was, is };
                let alike = kinds.entry(kind).or_default();
                alike.peers.extend(peer(&cell));
                alike.cells.push([*former, cell]);
            }
        }
        kinds.into_iter().filter_map(|(kind, alike)| self.header_line(server, kind, &alike)).collect()
    }

    /// `None` where only another address stands for the class, and nothing changes for either.
    fn header_line(&self, server: &str, kind: Kind, alike: &Alike<'_>) -> Option<Line> {
        let strangers = if kind.sender == SenderClass::Inside { self.strangers(server) } else { Vec::new() };
        let session = alike.cells.iter().find_map(|cells| self.header_session(server, kind, cells, &strangers))?;
        let whose = match kind.whose {
            Whose::Anonymous => "the anonymous".to_owned(),
            Whose::Accounts => "accounts".to_owned(),
            Whose::Peers => {
                let names: Vec<String> = alike.peers.iter().cloned().collect();
                format!("{} {}", if names.len() == 1 { "peer" } else { "peers" }, rows::said(&names, "and"))
            }
        };
        let (address, field, becomes) = (sender_words(kind.sender), field(kind.place), kind.is.words(kind.was));
        Some(Line {
            direction: if kind.is < kind.was { Direction::Wider } else { Direction::Narrower },
            server: Some(server.to_owned()),
            what: format!("mail of {whose} with {address} in {field} {becomes}"),
            words: None,
            by: self.header_rule(server, kind, alike).into(),
            was: Places::default(),
            witness: Some(self.shown(session)),
        })
    }

    /// What is responsible: the check of that place; of a peer that is trusted now or no more, that it is.
    fn header_rule(&self, server: &str, kind: Kind, alike: &Alike<'_>) -> Place {
        let book = &self.new.1.book;
        let trust = alike.peers.first().and_then(|name| {
            let peers = [self.old.1, self.new.1].map(|config| config.server(server)?.rules.peers.get(name.as_str()));
            let [Some(was), Some(is)] = peers else { return None };
            (was.send_as_anybody != is.send_as_anybody).then(|| Place::of(book, is.send_as_anybody_rule))
        });
        trust.unwrap_or_else(|| Place::key(book, &header_key(server, kind)))
    }

    /// A message of this cell with such an address, which shows the change.
    fn header_session(
        &self,
        server: &str,
        kind: Kind,
        [former, cell]: &[HeaderCell<'_>; 2],
        strangers: &[Mailbox],
    ) -> Option<Witness> {
        let own = [cell, former].into_iter().filter_map(|cell| match cell.author {
            ReversePath::Mailbox(mailbox) => Some(mailbox),
            ReversePath::Null => None,
        });
        let authors: Vec<&Mailbox> = own.chain(strangers).collect();
        Link::ALL.into_iter().find_map(|link| {
            let session = Witness::arrival(server, cell.client, link).by(&cell.identity.identity);
            let session = self.unsuspicious(&session, Wanted::Both)?;
            let mut messages = authors.iter().map(|author| session.clone().saying(kind.place, author));
            messages.find(|message| {
                let told = self.told(message).map(|told| told.message.map(Header::of));
                told == [Some(kind.was), Some(kind.is)]
            })
        })
    }
}

fn whose(cell: &HeaderCell<'_>) -> Whose {
    match cell.identity.identity {
        Identity::Anonymous => Whose::Anonymous,
        Identity::Account(_) => Whose::Accounts,
        Identity::Peer(_) => Whose::Peers,
    }
}

fn peer(cell: &HeaderCell<'_>) -> Option<String> {
    match &cell.identity.identity {
        Identity::Peer(name) => Some(name.to_string()),
        Identity::Anonymous | Identity::Account(_) => None,
    }
}

fn header_key(server: &str, kind: Kind) -> String {
    let name = match kind.place {
        _ if kind.whose == Whose::Anonymous => "anonymous",
        AddressPlace::Envelope => "envelope",
        AddressPlace::From => "from",
        AddressPlace::Sender => "sender",
        AddressPlace::ResentFrom => "resent_from",
    };
    format!("virtual_server.{server}.send_as.{name}")
}

fn field(place: AddressPlace) -> &'static str {
    match place {
        AddressPlace::Envelope => "the envelope",
        AddressPlace::From => "From",
        AddressPlace::Sender => "Sender",
        AddressPlace::ResentFrom => "Resent-From",
    }
}

fn sender_words(sender: SenderClass) -> &'static str {
    match sender {
        SenderClass::Filtered => "a filtered address",
        SenderClass::Null | SenderClass::Own => "an address of its own",
        SenderClass::Lent => "a lent address",
        SenderClass::Inside => "somebody else's address inside",
        SenderClass::Outside => "an address outside",
    }
}
