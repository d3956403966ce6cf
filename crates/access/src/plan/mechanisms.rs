//! Mechanisms that are offered now, or no more, and on which link.

use super::{Compared, Direction, Line, Places};
use crate::audit::Place;
use crate::table::Link;
use crate::{ServerClasses, Witness};
use config::Server;
use std::collections::BTreeSet;

impl Compared<'_> {
    /// What is offered now, and what no more. What nobody who may connect is offered is not said.
    pub(super) fn mechanisms(&self, own: &ServerClasses) -> Vec<Line> {
        let [before, after] = [self.old.1, self.new.1].map(|config| offered(config.server(&own.server)));
        let changed = before.symmetric_difference(&after);
        changed.filter_map(|one| self.mechanism(own, one, after.contains(one))).collect()
    }

    fn mechanism(&self, own: &ServerClasses, (mechanism, link): &(String, Link), is_more: bool) -> Option<Line> {
        let sessions =
            || own.clients.iter().map(|client| Witness::arrival(&own.server, client, *link).asking_for(mechanism));
        let is_offered = |session: &Witness| self.told(session).map(|told| told.offered == Some(true));
        let shows = |session: &Witness| is_offered(session) == [!is_more, is_more];
        let enters = |session: &Witness| self.told(session).iter().all(|told| told.admitted);
        let session =
            sessions().find(|session| shows(session) && enters(session)).or_else(|| sessions().find(shows))?;
        let word = if is_more { "offered now," } else { "offered no more" };
        let key = format!("virtual_server.{}.authentication.mechanisms", own.server);
        Some(Line {
            direction: if is_more { Direction::Wider } else { Direction::Narrower },
            server: Some(own.server.to_string()),
            what: format!("{mechanism} is {word} {link}"),
            words: None,
            by: Place::key(&self.new.1.book, &key).into(),
            was: Places::default(),
            witness: Some(self.shown(session)),
        })
    }
}

fn offered(server: Option<&Server>) -> BTreeSet<(String, Link)> {
    let on = |link: Link| server.and_then(|server| link.offers(server)).unwrap_or_default();
    Link::ALL.into_iter().flat_map(|link| on(link).iter().map(move |name| (name.to_string(), link))).collect()
}
