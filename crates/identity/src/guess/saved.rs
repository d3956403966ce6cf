//! What the defence knows, as it survives a restart: a text with a checksum.
//!
//! Refusals, counts and known prefixes are kept; digests are not, so that nothing made of a password is
//! on any disk. What is damaged is not believed in part: the caller begins with nothing, and says so.

use super::device::Device;
use super::level::{Level, Points, Refusal};
use super::suspect::Suspect;
use super::{Guard, Settings};
use crate::hex;
use mail::Timestamp;
use sha2::{Digest, Sha256};
use std::fmt;
use std::fmt::Write as _;
use std::str::{FromStr, SplitAsciiWhitespace};
use std::time::Duration;

const HEAD: &str = "bridgehead guard 1\n";
/// Octets of the text. The largest tables are far smaller.
const OCTETS: usize = 64 * 1024 * 1024;

/// The saved text is not one that [`Guard::save`] has written, or not all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damaged;

impl fmt::Display for Damaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("what was known about guessing is damaged")
    }
}

impl std::error::Error for Damaged {}

impl Guard {
    /// All that is to survive a restart.
    #[must_use]
    pub fn save(&self) -> String {
        let mut text = HEAD.to_owned();
        for (net, suspect) in self.prefixes.iter() {
            line(&mut text, format_args!("prefix {net} {}", Known(suspect)));
        }
        for (name, suspect) in self.accounts.iter() {
            line(&mut text, format_args!("account {name} {}", Known(suspect)));
        }
        for (name, device) in self.devices.iter() {
            let Device { net, last, level } = device;
            let (points, at) = (level.points.0, level.at.millis());
            line(&mut text, format_args!("device {name} {net} {} {points} {at}", last.millis()));
        }
        let sum = checksum(&text);
        line(&mut text, format_args!("end {sum}"));
        text
    }

    /// What was saved, by the settings of today.
    ///
    /// # Errors
    /// [`Damaged`]: begin with [`Guard::new`].
    pub fn restore(settings: Settings, key: [u8; 16], saved: &[u8], now: Timestamp) -> Result<Guard, Damaged> {
        if saved.len() > OCTETS {
            return Err(Damaged);
        }
        let text = str::from_utf8(saved).map_err(|_| Damaged)?;
        let end = text.rfind("end ").ok_or(Damaged)?;
        let (body, end) = text.split_at(end);
        if end.strip_prefix("end ").and_then(|end| end.strip_suffix('\n')) != Some(&*checksum(body)) {
            return Err(Damaged);
        }
        let mut guard = Guard::new(settings, key);
        let mut lines = body.strip_prefix(HEAD).ok_or(Damaged)?.lines();
        lines.try_for_each(|line| guard.restore_line(line, now).ok_or(Damaged))?;
        // The clock may have been wrong when it was saved, or be wrong now.
        guard.rebase(now);
        Ok(guard)
    }

    fn restore_line(&mut self, line: &str, now: Timestamp) -> Option<()> {
        let mut words = line.split_ascii_whitespace();
        let settings = &self.settings;
        match words.next()? {
            "prefix" => {
                let net = next(&mut words)?;
                *self.prefixes.entry(net, now, settings) = suspect(&mut words, settings, now)?;
            }
            "account" => {
                let name = next(&mut words)?;
                *self.accounts.entry(name, now, settings) = suspect(&mut words, settings, now)?;
            }
            "device" => {
                let (name, net) = (next(&mut words)?, next(&mut words)?);
                let last = moment(&mut words)?;
                self.devices.put(name, Device { net, last, level: level(&mut words)? }, settings);
            }
            _ => return None,
        }
        words.next().is_none().then_some(())
    }
}

/// Of a suspect, what is written.
struct Known<'a>(&'a Suspect);

impl fmt::Display for Known<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Level { points, at } = self.0.level;
        let none = Refusal { from: Timestamp::default(), lasts: Duration::ZERO };
        let Refusal { from, lasts } = self.0.refusal.unwrap_or(none);
        write!(f, "{} {} {} {}", points.0, at.millis(), from.millis(), lasts.as_secs())
    }
}

fn suspect(words: &mut SplitAsciiWhitespace<'_>, settings: &Settings, now: Timestamp) -> Option<Suspect> {
    let mut suspect = Suspect::new(now);
    suspect.level = level(words)?;
    let (from, lasts) = (moment(words)?, Duration::from_secs(next(words)?));
    if !lasts.is_zero() {
        suspect.refusal = Some(Refusal { from, lasts: lasts.min(settings.refusal_longest) });
    }
    Some(suspect)
}

fn level(words: &mut SplitAsciiWhitespace<'_>) -> Option<Level> {
    Some(Level { points: Points::NONE.plus(Points(next(words)?)), at: moment(words)? })
}

fn moment(words: &mut SplitAsciiWhitespace<'_>) -> Option<Timestamp> {
    next(words).map(Timestamp::from_millis)
}

fn next<T: FromStr>(words: &mut SplitAsciiWhitespace<'_>) -> Option<T> {
    words.next()?.parse().ok()
}

fn line(text: &mut String, words: fmt::Arguments<'_>) {
    writeln!(text, "{words}").expect("invariant: a text can always be written to");
}

fn checksum(text: &str) -> String {
    hex::written(&Sha256::digest(text))
}
