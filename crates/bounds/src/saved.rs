//! What was counted, as it survives a restart: a text with a checksum.
//!
//! What is damaged is not believed in part: the caller begins with nothing, and says so.

use crate::cause::{Cause, Stage};
use crate::grants::Relay;
use crate::sender::Sender;
use crate::{Bounds, Settings, Subject};
use mail::Timestamp;
use sha2::{Digest, Sha256};
use std::fmt;
use std::fmt::Write as _;
use std::str::{FromStr, SplitAsciiWhitespace};

const HEAD: &str = "bridgehead bounds 1\n";
/// Octets of the text. The largest tables are smaller.
const OCTETS: usize = 64 * 1024 * 1024;

/// The saved text is not one that [`Bounds::save`] has written, or not all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damaged;

impl fmt::Display for Damaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("what was counted of senders is damaged")
    }
}

impl std::error::Error for Damaged {}

impl Bounds {
    /// All that is to survive a restart.
    #[must_use]
    pub fn save(&self) -> String {
        let mut text = HEAD.to_owned();
        line(&mut text, format_args!("key {}", hex(&self.key)));
        for (subject, sender) in &self.senders {
            line(&mut text, format_args!("{} {}", Named(subject), Counted(sender)));
        }
        for (client, relay) in self.relays.iter() {
            let (since, cause) = suspension(relay.suspended);
            let alarmed = relay.alarmed.unwrap_or_default().millis();
            line(&mut text, format_args!("relay {client} {alarmed} {since} {cause}"));
        }
        let sum = checksum(&text);
        line(&mut text, format_args!("end {sum}"));
        text
    }

    /// What was saved, by the settings of today.
    ///
    /// # Errors
    /// [`Damaged`]: begin with [`Bounds::new`].
    pub fn restore(settings: Settings, saved: &[u8], now: Timestamp) -> Result<Bounds, Damaged> {
        if saved.len() > OCTETS {
            return Err(Damaged);
        }
        let text = str::from_utf8(saved).map_err(|_| Damaged)?;
        let (body, end) = text.split_at(text.rfind("end ").ok_or(Damaged)?);
        if end.strip_prefix("end ").and_then(|end| end.strip_suffix('\n')) != Some(&*checksum(body)) {
            return Err(Damaged);
        }
        let mut lines = body.strip_prefix(HEAD).ok_or(Damaged)?.lines();
        let key = lines.next().and_then(|line| unhex(line.strip_prefix("key ")?)).ok_or(Damaged)?;
        let mut bounds = Bounds::new(settings, key);
        lines.try_for_each(|line| bounds.restore_line(line).ok_or(Damaged))?;
        // The clock may have been wrong when it was saved, or be wrong now.
        bounds.rebase(now);
        Ok(bounds)
    }

    fn restore_line(&mut self, line: &str) -> Option<()> {
        let mut words = line.split_ascii_whitespace();
        let subject = match words.next()? {
            "account" => Subject::Account(unescaped(words.next()?)?.into()),
            "device" => Subject::Device(next(&mut words)?),
            "relay" => {
                let client = next(&mut words)?;
                let alarmed = moment(&mut words)?;
                let relay = Relay::known(alarmed.unwrap_or_default(), alarmed, suspended(&mut words)?);
                self.relays.put(client, relay);
                return words.next().is_none().then_some(());
            }
            _ => return None,
        };
        let mut sender = counted(&mut words)?;
        sender.limits = self.settings.of(crate::User { subject: &subject, groups: &[] });
        let fits = self.senders.len() < self.settings.remembered && self.digests + sender.digests() <= crate::DIGESTS;
        if fits || sender.is_suspended() {
            self.forget(&subject);
            self.digests += sender.digests();
            self.senders.insert(subject, sender);
        }
        words.next().is_none().then_some(())
    }
}

/// A subject in two words. The name of an account may have anything in it.
struct Named<'a>(&'a Subject);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.0 {
            Subject::Device(address) => return write!(f, "device {address}"),
            Subject::Account(name) => name,
        };
        f.write_str("account =")?;
        name.bytes().try_for_each(|octet| match octet {
            b'%' => f.write_str("%25"),
            0x21..=0x7e => f.write_char(octet.into()),
            _ => write!(f, "%{octet:02x}"),
        })
    }
}

fn unescaped(text: &str) -> Option<String> {
    let mut octets = Vec::with_capacity(text.len());
    let mut parts = text.strip_prefix('=')?.split('%');
    octets.extend_from_slice(parts.next()?.as_bytes());
    for part in parts {
        octets.push(u8::from_str_radix(part.get(..2)?, 16).ok()?);
        octets.extend_from_slice(part.get(2..)?.as_bytes());
    }
    String::from_utf8(octets).ok()
}

/// Of a sender, what is written.
struct Counted<'a>(&'a Sender);

impl fmt::Display for Counted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Sender { messages, recipients, refused, by_hops, distinct, since, last, stage, .. } = self.0;
        write!(f, "{} {}", last.millis(), stage.name())?;
        write!(f, " {} {} {} {} {refused}", messages.0, messages.1, recipients.0, recipients.1)?;
        for told in self.0.alerted {
            write!(f, " {}", told.unwrap_or_default().millis())?;
        }
        let (suspended, cause) = suspension(self.0.suspended);
        write!(f, " {suspended} {cause} {distinct} {} {by_hops}", since.millis())
    }
}

fn counted(words: &mut SplitAsciiWhitespace<'_>) -> Option<Sender> {
    let mut sender = Sender {
        last: moment(words)?.unwrap_or_default(),
        stage: stage(words.next()?)?,
        messages: (next(words)?, next(words)?),
        recipients: (next(words)?, next(words)?),
        refused: next(words)?,
        alerted: [moment(words)?, moment(words)?],
        suspended: suspended(words)?,
        distinct: next(words)?,
        ..Sender::default()
    };
    // A program that did not count what next hops refuse has written no more.
    if let Some(since) = words.next() {
        (sender.since, sender.by_hops) = (Timestamp::from_millis(since.parse().ok()?), next(words)?);
    }
    Some(sender)
}

fn stage(word: &str) -> Option<Stage> {
    if word == Stage::Open.name() {
        return Some(Stage::Open);
    }
    Stage::REACHED.into_iter().find(|stage| stage.name() == word)
}

/// Since when, and why; 0 and nothing for never.
fn suspension(suspended: Option<(Timestamp, Cause)>) -> (u64, String) {
    suspended.map_or((0, "-".to_owned()), |(since, cause)| (since.millis(), cause.word()))
}

fn suspended(words: &mut SplitAsciiWhitespace<'_>) -> Option<Option<(Timestamp, Cause)>> {
    let since = moment(words)?;
    match words.next()? {
        "-" => Some(None),
        word => Some(Some((since.unwrap_or_default(), word.parse().ok()?))),
    }
}

/// A moment; `None` inside for 0, which is never.
fn moment(words: &mut SplitAsciiWhitespace<'_>) -> Option<Option<Timestamp>> {
    next(words).map(|millis: u64| (millis > 0).then(|| Timestamp::from_millis(millis)))
}

fn next<T: FromStr>(words: &mut SplitAsciiWhitespace<'_>) -> Option<T> {
    words.next()?.parse().ok()
}

fn line(text: &mut String, words: fmt::Arguments<'_>) {
    writeln!(text, "{words}").expect("invariant: a text can always be written to");
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

fn unhex(text: &str) -> Option<[u8; 16]> {
    let mut octets = [0; 16];
    for (at, octet) in octets.iter_mut().enumerate() {
        *octet = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    (text.len() == 32).then_some(octets)
}

fn checksum(text: &str) -> String {
    hex(&Sha256::digest(text))
}
