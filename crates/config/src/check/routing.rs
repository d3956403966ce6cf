//! Where mail goes: the route of the organization, its drop directory, and the smart hosts of each
//! virtual server.

use super::Check;
use super::domains::Names;
use crate::file::File;
use crate::mistake::Mistake;
use crate::places::below;
use policy::{DropDirectory, Route, Routing, ServerRouting};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

impl Check<'_> {
    pub(super) fn routing(
        &mut self,
        file: &File,
        names: Option<&Names>,
        state_dir: Option<&Path>,
        servers: Option<&[crate::Server]>,
    ) -> Option<Routing> {
        let organization = match &file.organization.route {
            Some(hosts) => Some(Route::SmartHosts(self.smart_hosts("organization.route", hosts, false)?)),
            None if self.is_broken("organization.route") => return None,
            None => None,
        };
        let drop_directory = self.drop_directory(file, organization.is_some(), state_dir);
        let mut by_server = BTreeMap::new();
        let mut complete = true;
        for (name, server) in &file.virtual_server {
            let key = format!("{}.delivery.smart_hosts", below("virtual_server", name));
            let hosts = match &server.delivery.smart_hosts {
                Some(hosts) => self.smart_hosts(&key, hosts, server.delivery.spread).map(Some),
                None if self.is_broken(&key) => None,
                None => Some(None),
            };
            let rules = servers.and_then(|all| all.iter().find(|s| *s.name == **name)).map(|s| &s.rules);
            let (Some(smart_hosts), Some(rules)) = (hosts, rules) else {
                complete = false;
                continue;
            };
            by_server.insert(name.as_str().into(), ServerRouting { domains: Arc::clone(&rules.domains), smart_hosts });
        }
        let domains = Arc::new(names?.shared.clone());
        let drop_directory = Some(drop_directory?);
        complete.then_some(Routing { domains, organization, drop_directory, servers: by_server })
    }

    /// Where mail for the organization is put when it has no route. One directory for all virtual
    /// servers: a message in the queue is for the organization, whichever way it came in.
    fn drop_directory(&mut self, file: &File, has_route: bool, state_dir: Option<&Path>) -> Option<Route> {
        let mut chosen: Option<(String, Option<PathBuf>)> = None;
        for (name, server) in &file.virtual_server {
            let key = format!("{}.delivery.drop_directory", below("virtual_server", name));
            let Some(text) = &server.delivery.drop_directory else { continue };
            let path = self.path(&key, text);
            if has_route {
                let mistake = Mistake::warning(&key, self.places.key_of(&key), "the drop directory is not used")
                    .expected("mail for the organization goes to its route")
                    .related(self.places.key_of("organization.route"), "this is the route");
                self.mistakes.push(mistake);
            }
            match &chosen {
                Some((first, other)) if *other != path && other.is_some() && path.is_some() => {
                    let mistake = Mistake::error(
                        &key,
                        self.places.value_of(&key),
                        "two virtual servers have different drop directories",
                    )
                    .expected("mail for the organization has one place, whichever way it came in")
                    .related(self.places.value_of(first), "this is the other");
                    self.mistakes.push(mistake);
                    return None;
                }
                Some(_) => {}
                None => chosen = Some((key, path)),
            }
        }
        let (key, directory) = match chosen {
            Some((key, path)) => (key, path?),
            // Nobody wrote it: it is what the absence of a route means.
            None => ("organization.route".to_owned(), state_dir?.join("drop")),
        };
        Some(Route::Drop(Arc::new(DropDirectory { rule: self.rule(&key), directory })))
    }
}
