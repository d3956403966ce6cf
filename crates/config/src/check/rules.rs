//! The rules of a virtual server: who may connect, send and relay. Every rule and every entry of a
//! list gets its place, so that a decision can name the line that made it.

use super::Check;
use super::open_relay;
use super::rights::Shared;
use crate::Server;
use crate::file::{self, File, Mode, ServerLimits, VirtualServer};
use crate::mistake::Mistake;
use crate::places::{below, entry};
use mail::Net;
use policy::{Allowed, Entry, List, Local, Match, Rights, Rules, SenderFilter, Term};
use std::sync::Arc;

/// How many addresses' worth of sessions a whole network may have, unless the settings say more.
const NETWORK_OF_ADDRESSES: u32 = 5;
/// The key of the sessions of all virtual servers together.
const IN_ALL: &str = "limits.connections";

/// The word of somebody who wants an open relay.
const INSISTENCE: &str = "i-know-this-is-an-open-relay";

impl Check<'_> {
    pub(super) fn rules(
        &mut self,
        key: &str,
        name: &str,
        server: &VirtualServer,
        shared: &Shared<'_>,
        default_domain: Option<&Local>,
    ) -> Option<Rules> {
        let connection = self.connection_control(&below(key, "connection_control"), &server.connection_control);
        let authentication = self.authentication(&below(key, "authentication"), &server.authentication);
        let submit = self.submit(&below(key, "submit"), &server.submit);
        let relay = self.relay(&below(key, "relay"), &server.relay);
        let applied_rule = self.rule(&below(&below(key, "filters"), "sender"));
        let senders = shared.senders.clone();
        let send_as = self.send_as(&below(key, "send_as"), &server.send_as, &shared.loans);
        self.open_relay(key, server, connection.as_ref(), relay.as_ref());
        let limits = self.policy_limits(&below(key, "limits"), &server.limits);
        Some(Rules {
            server: name.into(),
            connection: connection?.0,
            authentication,
            submit: submit?,
            relay: relay?.0,
            sender_filter: SenderFilter { applied: server.filters.sender, applied_rule, senders: senders? },
            send_as,
            peers: shared.peers.clone(),
            domains: Arc::new(shared.names?.of_server(default_domain?.clone())),
            limits: limits?,
        })
    }

    /// The rules, and the networks of the list.
    fn connection_control(
        &mut self,
        key: &str,
        table: &file::ConnectionControl,
    ) -> Option<(policy::ConnectionControl, Vec<Net>)> {
        let rule = self.rule(key);
        let (list, nets) = self.clients(key, &table.list)?;
        let list_key = below(key, "list");
        self.mode_with_list(key, table.mode, !table.list.is_empty());
        let (mode_key, applies_key) = (below(key, "mode"), below(key, "applies_to"));
        if self.places.has(&applies_key) && !self.places.has(&list_key) {
            let mistake = Mistake::error(
                &applies_key,
                self.places.key_of(&applies_key),
                "`applies_to` says whom a list is for, and there is no list",
            )
            .expected("this needs `mode` and `list`");
            self.mistakes.push(mistake);
        }
        let control = policy::ConnectionControl {
            rule,
            mode: mode(table.mode),
            mode_rule: self.rule(&mode_key),
            list,
            applies_to: match table.applies_to {
                file::AppliesTo::Everyone => policy::AppliesTo::Everyone,
                file::AppliesTo::Anonymous => policy::AppliesTo::Anonymous,
            },
            applies_rule: self.rule(&applies_key),
        };
        Some((control, nets))
    }

    fn authentication(&mut self, key: &str, table: &file::Authentication) -> policy::Authentication {
        let key = below(key, "anonymous");
        if !table.anonymous && table.mechanisms.is_empty() {
            let mistake =
                Mistake::warning(&key, self.places.value_of(&key), "no client can send mail to this virtual server")
                    .expected("anonymous access is off, and no mechanism lets a client prove who it is");
            self.mistakes.push(mistake);
        }
        policy::Authentication { anonymous: table.anonymous, anonymous_rule: self.rule(&key) }
    }

    fn relay(&mut self, key: &str, table: &file::Relay) -> Option<(policy::Relay, Vec<Net>)> {
        let (list, nets) = self.clients(key, &table.list)?;
        self.mode_with_list(key, table.mode, !table.list.is_empty());
        if table.mode == Mode::Only {
            self.wide_names(&below(key, "list"), &list);
        }
        let rights = Rights {
            deny: self.holders(&below(key, "deny"), &table.deny)?,
            allow: Allowed::Only(self.holders(&below(key, "allow"), &table.allow)?),
        };
        let relay = policy::Relay {
            mode: mode(table.mode),
            mode_rule: self.rule(&below(key, "mode")),
            list,
            authenticated: table.authenticated,
            authenticated_rule: self.rule(&below(key, "authenticated")),
            rights,
        };
        Some((relay, nets))
    }

    /// Names under which very many hosts are found, which can all relay.
    fn wide_names(&mut self, key: &str, list: &List) {
        for (index, one) in list.entries().iter().enumerate() {
            if let Match::Domain(domain) = &one.what
                && domain.parent().is_none()
            {
                let key = entry(key, index);
                let found = format!("every host with a name below `{domain}` may relay");
                let mistake = Mistake::warning(&key, self.places.value_of(&key), found)
                    .expected("a whole top-level domain; name the domains that are meant");
                self.mistakes.push(mistake);
            }
        }
    }

    /// The list of a table, and the networks in it.
    fn clients(&mut self, table: &str, list: &[file::ClientEntry]) -> Option<(List, Vec<Net>)> {
        let key = below(table, "list");
        let matches = self.all(list, &key, Self::client_entry)?;
        if self.is_broken(&below(table, "mode")) {
            return None;
        }
        let rule = self.rule(&key);
        let nets = matches.iter().filter_map(|(what, _)| match what {
            Match::Net(net) => Some(*net),
            Match::Domain(_) => None,
        });
        let nets = nets.collect();
        let entries = matches.into_iter().enumerate();
        let entries = entries.map(|(index, (what, term))| Entry { rule: self.rule(&entry(&key, index)), what, term });
        let entries = entries.collect();
        Some((List::new(rule, entries), nets))
    }

    /// One entry of a list of clients, with its term.
    fn client_entry(&mut self, key: &str, entry: &file::ClientEntry) -> Option<(Match, Term)> {
        let (text, name) = entry.text();
        let text_key = name.map_or_else(|| key.to_owned(), |name| below(key, name));
        let what = match text {
            Some(text) => self.client(&text_key, text),
            None => self.missing(&text_key, "client = \"192.0.2.1\""),
        };
        let term = self.term(key, &entry.term());
        Some((what?, term?))
    }

    /// A list alone could be read in two ways, and one is the opposite of the other; a mode alone
    /// shuts out everyone or lets everyone in. Half a file must not be read as a whole one. Only
    /// those of a list that is not there may relay: that is the default, and may be written.
    fn mode_with_list(&mut self, table: &str, mode: Mode, is_listed: bool) {
        let (mode_key, list_key) = (below(table, "mode"), below(table, "list"));
        let (has_mode, has_list) = (self.places.has(&mode_key), self.places.has(&list_key));
        let mistake = if is_listed && !has_mode {
            Mistake::error(&list_key, self.places.key_of(&list_key), "a list without a mode")
                .expected("this needs mode = \"only\" or mode = \"all-except\"")
        } else if has_mode && !has_list && !(mode == Mode::Only && table.ends_with("relay")) {
            Mistake::error(&mode_key, self.places.value_of(&mode_key), "a mode without a list")
                .expected("this needs `list`")
                .advice("if the list is to be empty, write list = []")
        } else {
            return;
        };
        self.mistakes.push(mistake);
    }

    fn open_relay(
        &mut self,
        key: &str,
        server: &VirtualServer,
        connection: Option<&(policy::ConnectionControl, Vec<Net>)>,
        relay: Option<&(policy::Relay, Vec<Net>)>,
    ) {
        let relay_key = below(key, "relay");
        let word_key = below(&relay_key, "open_relay");
        let insists = server.relay.open_relay.as_deref();
        if insists.is_some_and(|word| word != INSISTENCE) {
            self.bad(
                &word_key,
                "is not the sentence",
                "expected the sentence in the manual, or no such key",
                Some(format!("{INSISTENCE:?}")),
            );
            return;
        }
        let (Some((_, connect)), Some((_, relay))) = (connection, relay) else { return };
        // Judged only when all that it depends on could be read.
        let parts = ["connection_control", "relay", "authentication", "authentication.anonymous"];
        if parts.iter().any(|part| self.is_broken(&format!("{key}.{part}"))) {
            return;
        }
        let control = (server.connection_control.mode, connect.as_slice());
        let open = server.authentication.anonymous && open_relay::is_open(control, (server.relay.mode, relay));
        let mistake = match (open, insists) {
            (true, None) => {
                let at =
                    ["mode", "list"].map(|name| below(&relay_key, name)).into_iter().find(|key| self.places.has(key));
                let at = at.unwrap_or_else(|| relay_key.clone());
                Mistake::error(
                    &at,
                    self.places.value_of(&at),
                    "everyone in the Internet could relay through this virtual server",
                )
                .expected("this permits strangers to send mail to anywhere")
                .advice(format!("list those who may, with mode = \"only\"; or insist with open_relay = {INSISTENCE:?}"))
            }
            (false, Some(_)) => Mistake::warning(&word_key, self.places.key_of(&word_key), "this is no open relay")
                .expected("not needed; remove it before it is"),
            _ => return,
        };
        self.mistakes.push(mistake);
    }

    /// Gives every virtual server the limit that holds for all of them together.
    pub(super) fn connections_in_all(&mut self, file: &File, servers: &mut [Server]) -> Option<()> {
        let said = match &file.limits.connections {
            Some(count) => Some(self.count(IN_ALL, count)?),
            None => None,
        };
        let most = in_all(said, servers);
        for server in servers {
            Arc::make_mut(&mut server.rules).limits.connections_in_all = most;
        }
        Some(())
    }

    fn policy_limits(&mut self, key: &str, table: &ServerLimits) -> Option<policy::Limits> {
        let [all, each, network, hops] =
            ["connections", "connections_per_address", "connections_per_network", "hop_count"]
                .map(|name| below(key, name));
        let connections = self.count(&all, &table.connections);
        let per_address = self.count(&each, &table.connections_per_address);
        let per_network = match &table.connections_per_network {
            Some(count) => self.count(&network, count),
            None => per_address.map(|most| most.map(|most| most.saturating_mul(NETWORK_OF_ADDRESSES))),
        };
        Some(policy::Limits {
            connections: connections?,
            connections_rule: self.rule(&all),
            connections_per_address: per_address?,
            connections_per_address_rule: self.rule(&each),
            connections_per_network: per_network?,
            connections_per_network_rule: self.rule(&network),
            // What holds for all virtual servers is known when all have been read.
            connections_in_all: None,
            connections_in_all_rule: self.rule(IN_ALL),
            hop_count: table.hop_count,
            hop_count_rule: self.rule(&hops),
        })
    }
}

/// The sessions of all virtual servers together. When the settings do not say, the virtual server
/// with the most may have all of them; where there is only one, its own limit says it already.
fn in_all(said: Option<Option<u32>>, servers: &[Server]) -> Option<u32> {
    said.unwrap_or_else(|| match servers {
        [_] => None,
        several => {
            several.iter().map(|server| server.rules.limits.connections).try_fold(0, |most, one| Some(one?.max(most)))
        }
    })
}

fn mode(mode: Mode) -> policy::Mode {
    match mode {
        Mode::AllExcept => policy::Mode::AllExcept,
        Mode::Only => policy::Mode::Only,
    }
}
