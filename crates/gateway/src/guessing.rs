//! The owner of the defence against guessing.
//!
//! Sessions ask it before a secret is checked and tell it what came of that; what it decides is in
//! `identity`. What it knows is written to a file now and then, so that a restart gives nobody new tries.

use crate::kept::Kept;
use crate::world::World;
use crate::{Gateway, Law};
use identity::guess::{Ban, Banned, Gate, Guard, Limits, Settings};
use mail::Timestamp;
use std::net::IpAddr;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// What may wait for the owner; beyond that, whoever asks waits.
const ORDERS: usize = 1024;
/// The file, in the state directory.
pub(crate) const FILE: &str = "guessing";

/// What the owner is asked or told.
enum Order {
    /// A client has connected to a server that is only for those who authenticate.
    Arrived(IpAddr, oneshot::Sender<Gate>),
    /// A secret is about to be checked.
    Try(IpAddr, Box<str>, oneshot::Sender<Gate>),
    /// It was not good.
    Failed {
        client: IpAddr,
        tried: Box<str>,
        named: Option<Box<str>>,
        secret: Option<u64>,
        gate: oneshot::Sender<Gate>,
    },
    /// It was good, and this is the account.
    Succeeded(IpAddr, Box<str>, Box<str>),
    /// It was not checked to the end.
    Abandoned(IpAddr, Box<str>),
    /// AUTH where there is none.
    Decoy(IpAddr),
    /// The settings are other ones.
    Reloaded(Settings),
    /// Who is refused?
    Bans(oneshot::Sender<Vec<Ban>>),
    /// Refuse this one no longer.
    Lift(Banned, oneshot::Sender<bool>),
}

/// The way to the owner.
#[derive(Clone)]
pub(crate) struct Guessing(mpsc::Sender<Order>);

/// A secret that is being checked. When it is dropped without a result, it was not checked to the end.
pub(crate) struct Trying {
    client: IpAddr,
    name: Box<str>,
    to: Option<mpsc::Sender<Order>>,
}

impl Guessing {
    /// The way, and what its owner is to be made of.
    pub(crate) fn new() -> (Guessing, Orders) {
        let (orders, received) = mpsc::channel(ORDERS);
        (Guessing(orders), Orders(received))
    }

    /// Whether a client that has connected is let in.
    pub(crate) async fn arrived(&self, client: IpAddr) -> Gate {
        self.ask(|gate| Order::Arrived(client, gate)).await.unwrap_or(Gate::Close)
    }

    /// Whether a secret for `name` may be checked now.
    pub(crate) async fn before(&self, client: IpAddr, name: &str) -> (Gate, Trying) {
        let gate = self.ask(|gate| Order::Try(client, name.into(), gate)).await.unwrap_or(Gate::Close);
        let to = matches!(gate, Gate::Open | Gate::Pause(_)).then(|| self.0.clone());
        (gate, Trying { client, name: name.into(), to })
    }

    /// AUTH was sent to a server that has none. Lost when the owner cannot keep up: others are guessing then.
    pub(crate) fn decoy(&self, client: IpAddr) {
        let _ = self.0.try_send(Order::Decoy(client));
    }

    /// Goes by other settings.
    pub(crate) async fn reload(&self, settings: &config::Guessing) {
        // Fails only when everything stops.
        let _ = self.0.send(Order::Reloaded(limits(settings))).await;
    }

    /// Who is refused now.
    pub(crate) async fn bans(&self) -> Option<Vec<Ban>> {
        self.ask(Order::Bans).await
    }

    /// Ends a refusal; whether there was one.
    pub(crate) async fn lift(&self, banned: Banned) -> Option<bool> {
        self.ask(|done| Order::Lift(banned, done)).await
    }

    /// `None` when the owner has ended.
    async fn ask<T>(&self, order: impl FnOnce(oneshot::Sender<T>) -> Order) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        self.0.send(order(answer)).await.ok()?;
        answered.await.ok()
    }
}

impl Trying {
    /// The secret was not good; `named` is whom the client named, if it got so far.
    pub(crate) async fn failed(mut self, named: Option<&str>, secret: Option<u64>) -> Gate {
        let Some(to) = self.to.take() else { return Gate::Close };
        let (gate, told) = oneshot::channel();
        let (client, tried, named) = (self.client, self.name.clone(), named.map(Into::into));
        if to.send(Order::Failed { client, tried, named, secret, gate }).await.is_err() {
            return Gate::Close;
        }
        told.await.unwrap_or(Gate::Close)
    }

    /// The secret was good; `account` is whose it is.
    pub(crate) async fn succeeded(mut self, account: &str) {
        if let Some(to) = self.to.take() {
            // Fails only when everything stops.
            let _ = to.send(Order::Succeeded(self.client, self.name.clone(), account.into())).await;
        }
    }
}

impl Drop for Trying {
    fn drop(&mut self) {
        if let Some(to) = self.to.take() {
            // What is pending is forgotten by itself after a while.
            let _ = to.try_send(Order::Abandoned(self.client, self.name.clone()));
        }
    }
}

/// What the owner receives.
pub(crate) struct Orders(mpsc::Receiver<Order>);

/// The owner.
struct Owner<W: World> {
    gateway: Arc<Gateway<W>>,
    guard: Guard,
    orders: mpsc::Receiver<Order>,
    kept: Kept,
}

/// Starts the owner with what was known when the last one ended.
pub(crate) fn start<W: World>(gateway: &Arc<Gateway<W>>, law: &Law<W>, orders: Orders, mut kept: Kept) {
    let settings = limits(&law.config.guessing);
    let [key, _] = halves(gateway.world.entropy());
    let guard = kept.restore(
        gateway,
        |saved| Guard::restore(settings.clone(), key, saved, gateway.world.now()),
        || Guard::new(settings.clone(), key),
    );
    let owner = Owner { gateway: gateway.clone(), guard, orders: orders.0, kept };
    gateway.tasks.spawn(owner.run());
}

impl<W: World> Owner<W> {
    async fn run(mut self) {
        let gateway = self.gateway.clone();
        while let Some(order) = self.kept.next(&gateway, &mut self.orders, || self.guard.save()).await {
            self.obey(order);
        }
    }

    fn obey(&mut self, order: Order) {
        let now = self.gateway.world.now();
        // Whoever has asked may have gone meanwhile.
        match order {
            Order::Arrived(client, gate) => _ = gate.send(self.guard.gate(now, client)),
            Order::Try(client, name, gate) => _ = gate.send(self.guard.before_try(now, client, &name)),
            Order::Failed { client, tried, named, secret, gate } => {
                let verdict = self.guard.failed(now, client, named.as_deref().or(Some(&tried)), secret);
                let _ = gate.send(verdict);
                self.kept.changed();
            }
            Order::Succeeded(client, tried, account) => {
                if tried != account {
                    self.guard.abandoned(now, client, &tried);
                }
                self.guard.succeeded(now, client, &account);
                self.kept.changed();
            }
            Order::Abandoned(client, name) => self.guard.abandoned(now, client, &name),
            Order::Decoy(client) => {
                self.guard.decoy(now, client);
                self.kept.changed();
            }
            Order::Reloaded(settings) => self.guard.reload(settings),
            Order::Bans(answer) => _ = answer.send(self.guard.bans(now)),
            Order::Lift(banned, answer) => {
                let _ = answer.send(self.guard.lift(&banned));
                self.kept.changed();
            }
        }
    }
}

fn halves(octets: [u8; 32]) -> [[u8; 16]; 2] {
    let (one, other) = octets.split_at(16);
    [one, other].map(|half| half.try_into().expect("invariant: half of 32 is 16"))
}

/// The settings of the defence: what comes before a refusal follows from it.
fn limits(settings: &config::Guessing) -> Settings {
    let steps = |refuse: u32, pause: u32, close: u32, usual: Limits| Limits {
        pause: (refuse / pause).max(1),
        close: (refuse * 2 / close).max(1),
        refuse,
        ..usual
    };
    let usual = Settings::default();
    Settings {
        exempt: settings.exempt.clone().into(),
        prefix: steps(settings.accounts_per_network, 3, 3, usual.prefix),
        account: steps(settings.secrets_per_account, 7, 7, usual.account),
        forget: settings.forget,
        refusal: settings.refuse,
        ..usual
    }
}

/// A refusal in the words of an administrator.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct BanView {
    /// The network or account.
    pub banned: String,
    /// Until when.
    pub until: String,
}

impl BanView {
    pub(crate) fn new(ban: &Ban) -> BanView {
        BanView { banned: ban.banned.to_string(), until: Timestamp::to_string(&ban.until) }
    }
}
