//! Sessions that show a change: each is asked under both settings before it is shown.

use super::{Change, Compared, Taken};
use crate::proving::can_be;
use crate::table::{Cell, ServerTable};
use crate::{Answers, SenderClass, Witness};
use config::Config;
use mail::{Domain, Host, Identity, Mailbox, ReversePath, Timestamp};
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt;

/// When every exception with an end has ended.
const AFTER_ALL: Timestamp = Timestamp::from_millis(u64::MAX);

/// A session that shows a change, and the settings to look at it by first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// What the settings are called.
    pub file: String,
    /// The session.
    pub session: Witness,
}

impl fmt::Display for Shown {
    /// The command line that explains it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.session.command(&self.file))
    }
}

impl Serialize for Shown {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Compared<'_> {
    /// What a session is told under the old settings, and under the new ones.
    pub(super) fn told(&self, session: &Witness) -> [Answers; 2] {
        self.told_at(session, self.classes.now)
    }

    fn told_at(&self, session: &Witness, now: Timestamp) -> [Answers; 2] {
        [self.old.1, self.new.1].map(|config| Answers::of(config, session, now))
    }

    /// The settings to look at a session by, and the day, where the same would be told otherwise some day.
    pub(super) fn shown(&self, session: Witness) -> Shown {
        let settings = [self.new, self.old];
        let (file, _) = settings.into_iter().find(|(_, config)| can_happen(config, &session)).unwrap_or(self.new);
        let ends = self.told(&session) != self.told_at(&session, AFTER_ALL);
        let session = if ends { session.on_day_of(self.classes.now) } else { session };
        Shown { file: file.to_owned(), session }
    }

    /// A session that shows a change of cells.
    pub(super) fn showing(&self, change: &Change) -> Option<Witness> {
        let own = |cell: &Cell<'_>| change.row.contains(cell);
        let after = || self.after.server(&change.server).into_iter().flat_map(ServerTable::cells).filter(own);
        let before = || self.before.server(&change.server).into_iter().flat_map(ServerTable::cells).filter(own);
        // Where mail is taken at all or no more, it is said with the mark and without.
        let is_one_sided = change.before == Taken::Not || change.after == Taken::Not;
        let as_said = |taken: Taken| if is_one_sided { taken.unmarked() } else { taken };
        let wanted = [change.before, change.after].map(as_said);
        let shows = |session: &Witness| self.told(session).map(|told| as_said(Taken::told(&told))) == wanted;
        let found = after().chain(before()).map(|cell| cell.witness()).find(shows);
        let others = || {
            let inside = after().chain(before()).filter(|cell| cell.sender == SenderClass::Inside);
            let strangers = self.strangers(&change.server);
            let mut all = inside.flat_map(move |cell| {
                let session = cell.witness();
                strangers.clone().into_iter().map(move |one| session.clone().from(&ReversePath::Mailbox(one)))
            });
            all.find(shows)
        };
        // What cannot be shown so is said all the same: a change that is not said would be worse.
        let any = || after().chain(before()).next().map(|cell| cell.witness());
        found.or_else(others).or_else(any)
    }

    /// Somebody in each domain of the organization, those of both settings first.
    pub(super) fn strangers(&self, server: &str) -> Vec<Mailbox> {
        let domains = |config: &Config| -> BTreeSet<Domain> {
            let rules = config.server(server).map(|server| &server.rules);
            rules.into_iter().flat_map(|rules| crate::senders::local_domains(rules)).cloned().collect()
        };
        let (old, new) = (domains(self.old.1), domains(self.new.1));
        let all = old.intersection(&new).chain(old.symmetric_difference(&new));
        all.filter_map(|domain| format!("somebody.else@{domain}").parse().ok()).collect()
    }

    /// The same session with a reverse-path that nothing is said against, under both settings if there is one, or else
    /// under the one that `wanted` says.
    pub(super) fn unsuspicious(&self, session: &Witness, wanted: Wanted) -> Option<Witness> {
        let own = match &session.identity {
            Identity::Account(account) => account.addresses.first().cloned(),
            Identity::Anonymous | Identity::Peer(_) => None,
        };
        let outside = "somebody".parse().ok().map(|local| {
            let host = Host::Domain(self.classes.outside.clone());
            Mailbox { local, host }
        });
        let mailboxes = [own, outside].into_iter().flatten().map(ReversePath::Mailbox);
        let paths = std::iter::once(ReversePath::Null).chain(mailboxes);
        let mut sessions = paths.map(|path| session.clone().from(&path));
        sessions.find(|session| {
            let [old, new] = self.told(session).map(|told| told.sender == Some(Ok(false)));
            match wanted {
                Wanted::Both => old && new,
                Wanted::Old => old,
                Wanted::New => new,
            }
        })
    }
}

/// Under which settings a session has to get as far as MAIL.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wanted {
    Both,
    Old,
    New,
}

/// Whether there can be such a session.
fn can_happen(config: &Config, session: &Witness) -> bool {
    config
        .server(&session.server)
        .is_some_and(|server| can_be(config, server, &session.identity, (session.client, session.link)))
}
