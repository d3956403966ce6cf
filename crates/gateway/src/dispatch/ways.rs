//! The ways out that mail has gone or is to go, by the destination each is.

use crate::plan::{self, Way};
use config::Config;
use policy::Route;
use queue::{DestinationId, Schedule};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Ways that are looked at before their name is made: most mail goes one of few ways.
const FREQUENT: usize = 8;

/// The ways out of the gateway.
#[derive(Debug, Default)]
pub(super) struct Ways {
    known: BTreeMap<DestinationId, Arc<Way>>,
    /// Those used last, the last one first.
    frequent: Vec<(DestinationId, Arc<Way>)>,
}

impl Ways {
    /// The way a destination is.
    pub(super) fn get(&self, destination: DestinationId) -> Option<&Arc<Way>> {
        self.known.get(&destination)
    }

    /// The destination of mail of a virtual server that takes this route.
    pub(super) fn destination(
        &mut self,
        schedule: &mut Schedule,
        config: &Config,
        server: &str,
        route: &Route,
    ) -> DestinationId {
        let frequent = self.frequent.iter().position(|(_, way)| *way.server == *server && way.route == *route);
        if let Some(at) = frequent {
            self.frequent[..=at].rotate_right(1);
            return self.frequent[0].0;
        }
        let id = self.by_name(schedule, config, server, route);
        self.frequent.truncate(FREQUENT - 1);
        self.frequent.insert(0, (id, self.known[&id].clone()));
        id
    }

    /// Destinations are told apart by name: the same hosts may stand in several rules.
    fn by_name(&mut self, schedule: &mut Schedule, config: &Config, server: &str, route: &Route) -> DestinationId {
        let name = plan::name(server, route);
        if let Some(known) = schedule.find(&name)
            && self.known.contains_key(&known)
        {
            return known;
        }
        let id = schedule.destination(&name, plan::terms(config));
        self.known.insert(id, Arc::new(plan::way(config, server, route)));
        id
    }

    /// A destination that is still in use goes its way on, by new settings.
    pub(super) fn keep(&mut self, config: &Config, destination: DestinationId, old: &Way) {
        let way = || Arc::new(plan::way(config, &old.server, &old.route));
        self.known.entry(destination).or_insert_with(way);
    }
}
