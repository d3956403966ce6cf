//! The owner of what was counted of senders.
//!
//! Sessions ask it at MAIL and tell it of every message and every refused recipient, and connections to next hops of
//! the recipients that are refused there; what follows is decided in `bounds`. What it knows is written to a file now and then, so that a restart gives nobody a new hour.

mod alert;
mod asked;

pub(crate) use asked::{gate, message, missed, refused_by_hop, relay};

use crate::event::Event;
use crate::kept::Kept;
use crate::world::World;
use crate::{Gateway, Law};
use alert::Alert;
use arc_swap::ArcSwap;
use bounds::{Alarm, Bounds, Gate, Judged, News, Settings, Standing, Subject, User};
use mail::{Account, Timestamp};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// What may wait for the owner; beyond that, whoever asks waits.
const ORDERS: usize = 1024;
/// The file, in the state directory.
pub(crate) const FILE: &str = "bounds";

/// Whose sending is counted, and where.
#[derive(Clone, Debug)]
pub(crate) struct Sending {
    subject: Subject,
    /// Its groups, if it is an account.
    account: Option<Arc<Account>>,
    server: Box<str>,
}

/// What the owner is asked or told.
enum Order {
    /// It has said MAIL.
    Gate(Sending, oneshot::Sender<Gate>),
    /// It has sent a message to these.
    Message(Sending, Vec<String>, oneshot::Sender<Judged>),
    /// A recipient that it named was refused.
    Missed(Sending, String),
    /// A next hop has refused these recipients of a message of its, which was taken at that moment.
    RefusedByHop { subject: Subject, server: Box<str>, taken: Timestamp, recipients: Vec<String> },
    /// Somebody relays because of its address.
    Relays { client: IpAddr, hello: Box<str>, domain: Option<Box<str>>, server: Box<str> },
    /// The settings are other ones.
    Reloaded(Box<Settings>),
    /// Where does everybody stand?
    Standings(oneshot::Sender<Vec<Standing>>),
    /// Let this one send again.
    Resume(Subject, oneshot::Sender<bool>),
}

/// The way to the owner.
#[derive(Clone)]
pub(crate) struct Bounding {
    orders: mpsc::Sender<Order>,
    /// Who may not relay because of its address now.
    relays: Arc<ArcSwap<BTreeSet<IpAddr>>>,
}

/// What the owner is made of.
pub(crate) struct Orders {
    received: mpsc::Receiver<Order>,
    relays: Arc<ArcSwap<BTreeSet<IpAddr>>>,
}

impl Bounding {
    /// The way, and what its owner is to be made of.
    pub(crate) fn new() -> (Bounding, Orders) {
        let (orders, received) = mpsc::channel(ORDERS);
        let relays = Arc::<ArcSwap<BTreeSet<IpAddr>>>::default();
        (Bounding { orders, relays: relays.clone() }, Orders { received, relays })
    }

    /// Whether an address may not relay by a list, until somebody resumes it.
    pub(crate) fn suspends(&self, client: IpAddr) -> bool {
        self.relays.load().contains(&client)
    }

    /// Goes by other settings.
    pub(crate) async fn reload(&self, settings: &Settings) {
        // Fails only when everything stops.
        let _ = self.orders.send(Order::Reloaded(Box::new(settings.clone()))).await;
    }

    /// Where everybody stands; `None` when everything stops.
    pub(crate) async fn standings(&self) -> Option<Vec<Standing>> {
        self.ask(Order::Standings).await
    }

    /// Lets somebody send again; whether there was anything in the way.
    pub(crate) async fn resume(&self, subject: Subject) -> Option<bool> {
        self.ask(|done| Order::Resume(subject, done)).await
    }

    /// `None` when the owner has ended.
    async fn ask<T>(&self, order: impl FnOnce(oneshot::Sender<T>) -> Order) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        self.orders.send(order(answer)).await.ok()?;
        answered.await.ok()
    }

    async fn tell(&self, order: Order) {
        // Fails only when everything stops.
        let _ = self.orders.send(order).await;
    }
}

/// The owner.
struct Owner<W: World> {
    gateway: Arc<Gateway<W>>,
    bounds: Bounds,
    orders: Orders,
    alerts: mpsc::Sender<Alert>,
    kept: Kept,
}

/// Starts the owner with what was known when the last one ended.
pub(crate) fn start<W: World>(gateway: &Arc<Gateway<W>>, law: &Law<W>, orders: Orders, mut kept: Kept) {
    let settings = law.config.bounds.settings.clone();
    let key = || gateway.world.entropy()[..16].try_into().expect("invariant: 16 of 32 octets are 16");
    let bounds = kept.restore(
        gateway,
        |saved| Bounds::restore(settings.clone(), saved, gateway.world.now()),
        || Bounds::new(settings.clone(), key()),
    );
    let alerts = alert::start(gateway);
    let owner = Owner { gateway: gateway.clone(), bounds, orders, alerts, kept };
    owner.publish();
    gateway.tasks.spawn(owner.run());
}

impl<W: World> Owner<W> {
    async fn run(mut self) {
        let gateway = self.gateway.clone();
        while let Some(order) = self.kept.next(&gateway, &mut self.orders.received, || self.bounds.save()).await {
            self.obey(order);
        }
    }

    fn obey(&mut self, order: Order) {
        let now = self.gateway.world.now();
        // Whoever has asked may have gone meanwhile.
        match order {
            Order::Gate(sending, gate) => _ = gate.send(self.bounds.gate(now, user(&sending))),
            Order::Message(sending, recipients, judged) => {
                let verdict = self.bounds.message(now, user(&sending), recipients.iter().map(String::as_str));
                self.say(now, verdict.news.as_ref(), &sending.server);
                self.changed(verdict.news.is_some());
                let _ = judged.send(verdict);
            }
            Order::Missed(sending, recipient) => {
                let news = self.bounds.refused(now, user(&sending), &recipient);
                self.say(now, news.as_ref(), &sending.server);
                self.changed(news.is_some());
            }
            Order::RefusedByHop { subject, server, taken, recipients } => {
                for recipient in &recipients {
                    let news = self.bounds.refused_by_hop(now, &subject, taken, recipient);
                    self.say(now, news.as_ref(), &server);
                    self.changed(news.is_some());
                }
            }
            Order::Relays { client, hello, domain, server } => {
                if let Some(alarm) = self.bounds.relays(now, client, &hello, domain.as_deref()) {
                    self.raise(now, &alarm, &server);
                    self.changed(alarm.suspended);
                }
            }
            Order::Reloaded(settings) => self.bounds.reload(*settings),
            Order::Standings(answer) => _ = answer.send(self.bounds.standings(now)),
            Order::Resume(subject, answer) => {
                let resumed = self.bounds.resume(&subject);
                self.publish();
                let touched = usize::from(resumed);
                self.gateway.recorder.record(&Event::Administered { command: "resume", touched });
                let _ = answer.send(resumed);
                self.changed(true);
            }
        }
    }

    /// Says what has become of a sender, to the log and to whoever is to be told.
    fn say(&self, now: Timestamp, news: Option<&News>, server: &str) {
        let Some(news) = news else { return };
        let (subject, why) = (news.subject.to_string(), news.cause.to_string());
        let stage = news.stage.name();
        self.gateway.recorder.record(&Event::SendingLimit { server, subject: &subject, stage, why: &why });
        if news.alert {
            self.alert(Alert { at: now, server: server.into(), event: "sending-limit", subject, stage, why });
        }
    }

    /// An address that relays is not what it seems.
    fn raise(&self, now: Timestamp, alarm: &Alarm, server: &str) {
        let why = alarm.cause.to_string();
        let Alarm { client, suspended, .. } = *alarm;
        self.gateway.recorder.record(&Event::GrantAlarm { server, client, suspended, why: &why });
        if suspended {
            self.publish();
        }
        let stage = if suspended { "suspend" } else { "alarm" };
        let subject = client.to_string();
        self.alert(Alert { at: now, server: server.into(), event: "grant-alarm", subject, stage, why });
    }

    fn alert(&self, alert: Alert) {
        if self.alerts.try_send(alert).is_err() {
            self.gateway.recorder.record(&Event::NotAlerted { way: "any", why: "too many others wait to be told" });
        }
    }

    /// Tells the sessions who may not relay.
    fn publish(&self) {
        self.orders.relays.store(Arc::new(self.bounds.suspended_relays().collect()));
    }

    /// Something is to be saved. Counts can wait, and be lost with a process that is killed; at what stage somebody is,
    /// cannot: a thief would be let out by a crash.
    fn changed(&mut self, at_once: bool) {
        if at_once { self.kept.changed_for_good() } else { self.kept.changed() }
    }
}

fn user(sending: &Sending) -> User<'_> {
    User { subject: &sending.subject, groups: sending.account.as_ref().map_or(&[], |account| &account.groups) }
}

/// Where a sender stands, in the words of an administrator.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct StandingView {
    /// The account, or the address of a device.
    pub sender: String,
    /// `open`, `slow`, `hold` or `suspend`.
    pub stage: String,
    /// Since when it is suspended.
    pub since: Option<String>,
    /// What it is nearest to, or why it is suspended.
    pub why: Option<String>,
}

impl StandingView {
    pub(crate) fn new(standing: &Standing) -> StandingView {
        StandingView {
            sender: standing.subject.to_string(),
            stage: standing.stage.name().to_owned(),
            since: standing.since.map(|since| since.to_string()),
            why: standing.cause.map(|cause| cause.to_string()),
        }
    }
}
