//! From which prefixes accounts have lately been used.

use super::Settings;
use super::level::{Level, Points};
use crate::name::AccountName;
use mail::{Net, Timestamp};
use std::collections::BTreeMap;

/// Prefixes of one account.
const DEVICES: usize = 8;
/// Different wrong secrets from such a prefix after which it is one like any other.
const WRONG: u32 = 10;

/// One such prefix.
#[derive(Clone, Copy, Debug)]
pub(super) struct Device {
    pub(super) net: Net,
    /// When the account was last used from there.
    pub(super) last: Timestamp,
    /// What was tried from there without success.
    pub(super) level: Level,
}

/// All of them. Only who has logged in adds to it, so no stranger can make it forget.
#[derive(Debug, Default)]
pub(super) struct Devices {
    of: BTreeMap<AccountName, Vec<Device>>,
    /// How many accounts have been used from a prefix.
    at: BTreeMap<Net, usize>,
}

impl Devices {
    pub(super) fn knows(&self, name: &AccountName, net: Net, now: Timestamp, settings: &Settings) -> bool {
        let device = self.of.get(name).into_iter().flatten().find(|device| device.net == net);
        device.is_some_and(|device| {
            let wrong = device.level.points(now, settings.forget);
            now.since(device.last) <= settings.device && wrong.whole() < WRONG
        })
    }

    /// Whether any account has been used from there.
    pub(super) fn any_at(&self, net: Net) -> bool {
        self.at.contains_key(&net)
    }

    pub(super) fn of(&self, name: &AccountName) -> Vec<Net> {
        self.of.get(name).into_iter().flatten().map(|device| device.net).collect()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&AccountName, &Device)> {
        self.of.iter().flat_map(|(name, devices)| devices.iter().map(move |device| (name, device)))
    }

    /// The account has been used from there.
    pub(super) fn learn(&mut self, name: AccountName, net: Net, now: Timestamp, settings: &Settings) {
        let known = self.of.get(&name).into_iter().flatten().find(|device| device.net == net);
        // What was tried from there stays counted: who guesses beside the owner must not gain by it.
        let level = known.map_or_else(|| Level::new(now), |device| device.level);
        self.put(name, Device { net, last: now, level }, settings);
    }

    pub(super) fn put(&mut self, name: AccountName, device: Device, settings: &Settings) {
        if self.of.len() >= settings.remembered.max(8) && !self.of.contains_key(&name) {
            self.sweep(settings);
        }
        let devices = self.of.entry(name).or_default();
        let before: Vec<Net> = devices.iter().map(|device| device.net).collect();
        devices.retain(|other| other.net != device.net && device.last.since(other.last) <= settings.device);
        if devices.len() == DEVICES {
            let oldest = devices.iter().enumerate().min_by_key(|(_, device)| device.last).map(|(at, _)| at);
            if let Some(at) = oldest {
                devices.remove(at);
            }
        }
        devices.push(device);
        let after: Vec<Net> = devices.iter().map(|device| device.net).collect();
        after.iter().for_each(|net| *self.at.entry(*net).or_default() += 1);
        before.into_iter().for_each(|net| self.leave(net));
    }

    pub(super) fn blame(&mut self, name: &AccountName, net: Net, now: Timestamp, points: Points, settings: &Settings) {
        let device = self.of.get_mut(name).into_iter().flatten().find(|device| device.net == net);
        device.into_iter().for_each(|device| device.level.add(now, settings.forget, points));
    }

    /// The clock has gone back to `now`.
    pub(super) fn rebase(&mut self, now: Timestamp) {
        for device in self.of.values_mut().flatten() {
            device.last = device.last.min(now);
            device.level.at = device.level.at.min(now);
        }
    }

    /// Forgets the eighth of the accounts that has not been used for longest.
    fn sweep(&mut self, settings: &Settings) {
        let last = |devices: &Vec<Device>| devices.iter().map(|device| device.last).max();
        let mut used: Vec<_> = self.of.iter().map(|(name, devices)| (last(devices), name.clone())).collect();
        used.sort_unstable();
        for (_, name) in used.iter().rev().skip(settings.remembered.max(8) / 8 * 7) {
            let devices = self.of.remove(name).unwrap_or_default();
            devices.into_iter().for_each(|device| self.leave(device.net));
        }
    }

    fn leave(&mut self, net: Net) {
        if let Some(accounts) = self.at.get_mut(&net) {
            *accounts -= 1;
            if *accounts == 0 {
                self.at.remove(&net);
            }
        }
    }
}
