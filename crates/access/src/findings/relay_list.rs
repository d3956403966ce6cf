//! What is wrong with relaying by address.

use super::{Finding, Severity, View};
use crate::audit::{Place, Surroundings};
use crate::rows;
use crate::table::Cell;
use mail::{AddressSet, Identity, Net};
use policy::{Grant, Match, Mode, RuleId};

impl View<'_> {
    /// Sessions that relay because of their address, without having authenticated.
    fn by_list(&self) -> impl Iterator<Item = Cell<'_>> {
        self.table.cells().filter(|cell| {
            matches!(cell.identity.identity, Identity::Anonymous)
                && matches!(cell.verdict, crate::Verdict::Relayed { by: Grant::List, .. })
        })
    }

    /// The addresses of those.
    fn devices(&self) -> AddressSet {
        let mut all = AddressSet::default();
        for cell in self.by_list() {
            if !all.contains(cell.client.representative) {
                all = all.union(&cell.client.addresses);
            }
        }
        all
    }

    /// The addresses and networks of the relay list that have not ended.
    fn listed(&self) -> impl Iterator<Item = (Net, RuleId)> {
        let now = self.table.now();
        let live = self.server.rules.relay.list.entries().iter().filter(move |entry| !entry.term.is_over(now));
        live.filter_map(|entry| match entry.what {
            Match::Net(net) => Some((net, entry.rule)),
            Match::Domain(_) => None,
        })
    }

    pub(super) fn open_relay(&self) -> Option<Finding> {
        let strangers = self.devices().intersection(&AddressSet::public());
        if !strangers.is_many() {
            return None;
        }
        let (key, mend) = match self.server.rules.relay.mode {
            Mode::AllExcept => {
                ("relay.mode", format!("Write {} = \"only\", and list those who may.", self.key("relay.mode")))
            }
            Mode::Only => {
                ("relay.list", format!("Take {} out of {}.", self.too_wide(&strangers), self.key("relay.list")))
            }
        };
        let mut finding = self.finding(
            "open-relay",
            Severity::Critical,
            key,
            [
                format!("Anybody in the Internet can send mail to anywhere through {}.", self.server.name),
                "It will be found within days, used for spam, and listed by everybody.".to_owned(),
                mend,
            ],
        );
        let public = |cell: &Cell<'_>| !cell.client.addresses.intersection(&AddressSet::public()).is_empty();
        finding.witness = self.by_list().find(public).and_then(|cell| self.witness(&cell));
        Some(finding)
    }

    /// The entries of the relay list that let so many strangers in, as they stand there; where only all of them
    /// together are too many, the addresses.
    fn too_wide(&self, strangers: &AddressSet) -> String {
        let wide = self.listed().filter(|(net, _)| AddressSet::of([net]).intersection(strangers).is_many());
        let wide: Vec<String> = wide.map(|(net, _)| net.to_string()).collect();
        if wide.is_empty() { strangers.in_short() } else { rows::said(&wide, "and") }
    }

    /// Relay grants by address whose address is not that of who sends.
    pub(super) fn covered(&self, surroundings: &Surroundings) -> Vec<Finding> {
        if self.server.rules.relay.mode == Mode::AllExcept {
            return Vec::new();
        }
        let own = self.server.listen.iter().chain(&self.server.listen_tls).map(std::net::SocketAddr::ip);
        let own: Vec<Net> = own.filter(|ip| !ip.is_unspecified() && !ip.is_loopback()).map(Net::from).collect();
        let gateways: Vec<Net> = surroundings.gateways.iter().copied().map(Net::from).collect();
        let kinds = [
            ("relay-covers-proxy", Severity::Critical, &self.server.proxies, "a declared proxy"),
            ("relay-covers-self", Severity::Warning, &own, "this host itself"),
            ("relay-covers-gateway", Severity::Critical, &gateways, "the default gateway of this host"),
        ];
        let mut found = Vec::new();
        for (id, severity, addresses, word) in kinds {
            let set = AddressSet::of(addresses);
            let Some((net, rule)) = self.listed().find(|(net, _)| set.overlaps(*net)) else { continue };
            let place = Place::of(&self.auditor.config.book, rule);
            let mut finding = self.finding(
                id,
                severity,
                "relay.list",
                [
                    format!("The relay list of {} has {net}, which covers {word}.", self.server.name),
                    "Whoever comes through there comes from that address, and could relay.".to_owned(),
                    format!("Take that address out of {}.", place.key),
                ],
            );
            finding.rule = place;
            found.push(finding);
        }
        found
    }

    /// Grants to devices that cannot be used without authenticating: anonymous access is off, or connection control
    /// does not let them in. An account uses such a grant, too, so it is worth no more than a notice.
    pub(super) fn devices_shut_out(&self) -> Option<Finding> {
        if self.server.rules.relay.mode == Mode::AllExcept {
            return None;
        }
        let devices = self.devices();
        let shut_out: Vec<(Net, RuleId)> = self.listed().filter(|(net, _)| !devices.overlaps(*net)).collect();
        let (_, first) = *shut_out.first()?;
        let nets: Vec<String> = shut_out.iter().map(|(net, _)| net.to_string()).collect();
        let verb = if nets.len() == 1 { "is" } else { "are" };
        let mut finding = self.finding(
            "devices-shut-out",
            Severity::Notice,
            "relay.list",
            [
                format!(
                    "{} {verb} on the relay list of {}, and may send there only after authenticating.",
                    rows::said(&nets, "and"),
                    self.server.name
                ),
                "A device that cannot authenticate cannot use its grant; whoever can needs none by address.".to_owned(),
                format!(
                    "Give such devices a virtual server with authentication.anonymous = true that lets only them in, or \
                     take them out of {}.",
                    self.key("relay.list")
                ),
            ],
        );
        finding.rule = Place::of(&self.auditor.config.book, first);
        Some(finding)
    }
}
