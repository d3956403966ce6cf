//! Virtual servers that are new or gone, and where those that stay listen: who can reach what they may.

use super::{Compared, Direction, Line, Places};
use crate::audit::{self, Place};
use crate::rows::said;
use config::Config;

impl Compared<'_> {
    /// What changes about the sockets of a virtual server.
    pub(super) fn listeners(&self, name: &str) -> Vec<Line> {
        let addresses = |config: &Config| config.server(name).map(audit::listeners);
        let line = |direction, what: String| Line {
            direction,
            server: Some(name.to_owned()),
            what,
            words: None,
            by: Place::key(&self.new.1.book, &format!("virtual_server.{name}.listen")).into(),
            was: Places::default(),
            witness: None,
        };
        match (addresses(self.old.1), addresses(self.new.1)) {
            (None, Some(new)) => vec![line(Direction::Wider, format!("is new, and listens on {}", said(&new, "and")))],
            (Some(old), None) => {
                let gone = line(Direction::Narrower, format!("is gone; it listened on {}", said(&old, "and")));
                vec![Line { by: Places::default(), ..gone }]
            }
            (Some(old), Some(new)) => {
                let change = |direction, word: &str, addresses: Vec<String>| {
                    (!addresses.is_empty()).then(|| line(direction, format!("{word} {}", said(&addresses, "and"))))
                };
                let more = change(Direction::Wider, "now listens on", without(&new, &old));
                let less = change(Direction::Narrower, "no longer listens on", without(&old, &new));
                more.into_iter().chain(less).collect()
            }
            (None, None) => vec![],
        }
    }
}

fn without(these: &[String], those: &[String]) -> Vec<String> {
    these.iter().filter(|one| !those.contains(one)).cloned().collect()
}
