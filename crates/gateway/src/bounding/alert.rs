//! Somebody is told that a sender is held or suspended, or that an address is not what it seems: the postmaster by
//! mail, and a program of theirs by a webhook. Neither harms anything else when it fails.

use crate::Gateway;
use crate::conclude::report_settings;
use crate::event::Event;
use crate::world::World;
use mail::Timestamp;
use queue::Draft;
use queue::report::notice::notice;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// What may wait to be told; what comes beyond that is not told.
const WAITING: usize = 64;
/// How long a webhook may take.
const WEBHOOK_LIMIT: Duration = Duration::from_secs(10);

/// What is to be told.
#[derive(Clone, Debug, serde::Serialize)]
pub(super) struct Alert {
    #[serde(rename = "time", serialize_with = "shown")]
    pub(super) at: Timestamp,
    pub(super) event: &'static str,
    /// Where it happened.
    pub(super) server: Box<str>,
    /// About whom.
    #[serde(rename = "sender")]
    pub(super) subject: String,
    pub(super) stage: &'static str,
    pub(super) why: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn shown<S: serde::Serializer>(at: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(at)
}

/// Starts the task that tells; it is given what to tell by this way.
pub(super) fn start<W: World>(gateway: &Arc<Gateway<W>>) -> mpsc::Sender<Alert> {
    let (to, mut from) = mpsc::channel::<Alert>(WAITING);
    let teller = gateway.clone();
    gateway.tasks.spawn(async move {
        loop {
            let alert = tokio::select! {
                biased;
                alert = from.recv() => alert,
                () = teller.stop.soft.given() => None,
            };
            let Some(alert) = alert else { return };
            mail(&teller, &alert).await;
            tokio::select! {
                biased;
                () = teller.stop.soft.given() => {}
                () = post(&teller, &alert) => {}
            }
        }
    });
    to
}

async fn mail<W: World>(gateway: &Arc<Gateway<W>>, alert: &Alert) {
    let (title, text) = words(alert);
    let of_notice = (gateway.ids.next(), alert.at);
    let (envelope, body) = notice((&title, &text), &report_settings(gateway), &alert.server, of_notice);
    let mut draft = Draft::new();
    draft.push(&body);
    let (envelope, about) = (Arc::new(envelope), &*alert.subject);
    match gateway.keeper.commit(envelope.clone(), draft.finish()).await {
        Ok((receipt, admission)) => {
            admission.enter().await;
            gateway.recorder.record(&Event::Alerted { server: &alert.server, id: receipt.id(), about });
        }
        Err(why) => gateway.recorder.record(&Event::NotAlerted { way: "mail", why: &why.to_string() }),
    }
}

async fn post<W: World>(gateway: &Arc<Gateway<W>>, alert: &Alert) {
    let law = gateway.law.load_full();
    let Some(url) = law.config.bounds.webhook.as_deref() else { return };
    let body = serde_json::to_vec(alert).expect("invariant: texts and a moment can be written as JSON");
    let posted = tokio::time::timeout(WEBHOOK_LIMIT, gateway.world.post(url, body)).await;
    let why = match posted {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error.to_string(),
        Err(_) => "it took too long".to_owned(),
    };
    gateway.recorder.record(&Event::NotAlerted { way: "webhook", why: &why });
}

/// The subject and the text of the mail.
fn words(alert: &Alert) -> (String, String) {
    let Alert { at, event, server, subject, stage, why } = alert;
    let (title, what, then) = match (*event, *stage) {
        ("grant-alarm", "suspend") => (
            format!("{subject} may no longer relay"),
            format!("The address {subject} relays because of a list, and is not what it seems. It may no longer."),
            format!("`bridgehead account resume {subject}` lets it relay again."),
        ),
        ("grant-alarm", _) => (
            format!("{subject} relays for many"),
            format!("The address {subject} relays because of a list, and is not what it seems."),
            "Look at what stands behind it; `relay.list` is where it is let through.".to_owned(),
        ),
        (_, "suspend") => (
            format!("{subject} may no longer send"),
            format!("{subject} has sent far more than it may, or to many who are not there. It may no longer send."),
            format!(
                "Perhaps somebody else has its password, or the machine: mend that first.\n\
                 `bridgehead queue list` shows what is held.\n\
                 `bridgehead account resume {subject}` lets it send again."
            ),
        ),
        _ => (
            format!("mail of {subject} is held"),
            format!("{subject} has sent more than it may. What it sends is taken and held in the queue."),
            "`bridgehead queue list` shows what is held, `bridgehead queue release` lets it go, and `bridgehead queue\n\
             delete` takes it away. `bridgehead account limits` shows who stands where."
                .to_owned(),
        ),
    };
    (title, format!("{what}\n\nWhy: {why}\nVirtual server: {server}\nTime: {at}\n\n{then}\n"))
}
