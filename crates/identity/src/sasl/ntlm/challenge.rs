//! The second message: our challenge, and what we say about ourselves.

use super::message::{flag, pair};
use crate::exchange::Setting;

/// Seconds from 1601, where Windows counts from, to 1970.
const EPOCH_S: u64 = 11_644_473_600;
/// Windows counts in 100 ns.
const TICKS: u64 = 10_000_000;
/// The fixed part: up to and with the version.
const FIXED_OCTETS: usize = 56;
/// Windows 7 and revision 15 of NTLMSSP: what says that integrity codes are understood.
const VERSION: [u8; 8] = [6, 1, 0, 0, 0, 0, 0, 15];

/// What is always in our flags.
const OURS: u32 = flag::UNICODE | flag::NTLM | flag::TARGET_INFO | flag::TARGET_TYPE_SERVER | flag::REQUEST_TARGET;
/// What is in them if the client asks. SMTP has no layer to sign or seal with, but a client that wants
/// to hear of one would go away.
const ECHOED: u32 = flag::SIGN
    | flag::SEAL
    | flag::ALWAYS_SIGN
    | flag::EXTENDED_SESSION_SECURITY
    | flag::VERSION
    | flag::KEY_128
    | flag::KEY_EXCHANGE
    | flag::KEY_56;

/// The octets of the challenge that a proof is of.
pub(super) const NONCE: std::ops::Range<usize> = 24..32;

/// Makes the second message (MS-NLMP §2.2.1.2) for a client that offered these flags.
pub(super) fn challenge(setting: &Setting, offered: u32) -> Vec<u8> {
    let target = utf16(&netbios(&setting.hostname));
    let about = target_info(setting);
    let flags = OURS | offered & ECHOED;
    let mut message = b"NTLMSSP\0\x02\0\0\0".to_vec();
    message.extend(place(target.len(), FIXED_OCTETS));
    message.extend(flags.to_le_bytes());
    // Eight octets nobody can guess, of which no two exchanges have the same.
    message.extend(&setting.entropy[..8]);
    message.extend([0; 8]);
    message.extend(place(about.len(), FIXED_OCTETS + target.len()));
    message.extend(VERSION);
    message.extend(target);
    message.extend(about);
    message
}

/// What the client repeats in its proof. The time in it makes clients send an integrity code.
fn target_info(setting: &Setting) -> Vec<u8> {
    let host = &*setting.hostname;
    let computer = netbios(host);
    let domain = host.split_once('.').map_or(host, |(_, domain)| domain);
    let ticks = setting.now.saturating_add(EPOCH_S).saturating_mul(TICKS);
    let mut info = Vec::new();
    let mut add = |id: u16, value: &[u8]| {
        // A host name has 255 octets at most, so a length fits; a longer one would be cut, not wrapped.
        let length = u16::try_from(value.len()).unwrap_or(u16::MAX - 1);
        info.extend(id.to_le_bytes());
        info.extend(length.to_le_bytes());
        info.extend(&value[..length.into()]);
    };
    add(pair::DOMAIN, &utf16(&computer));
    add(pair::COMPUTER, &utf16(&computer));
    add(pair::DNS_DOMAIN, &utf16(domain));
    add(pair::DNS_COMPUTER, &utf16(host));
    add(pair::TIMESTAMP, &ticks.to_le_bytes());
    add(pair::END, &[]);
    info
}

/// The name that a host has in Windows when nobody gave it one: its first label, 15 characters of it.
fn netbios(host: &str) -> String {
    let label = host.split('.').next().unwrap_or_default();
    label.chars().take(15).collect::<String>().to_ascii_uppercase()
}

pub(super) fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// How a field is described: length, room, offset.
fn place(length: usize, offset: usize) -> [u8; 8] {
    // A message of ours has at most some 1700 octets.
    let [a, b] = u16::try_from(length).unwrap_or_default().to_le_bytes();
    let [c, d, e, f] = u32::try_from(offset).unwrap_or_default().to_le_bytes();
    [a, b, a, b, c, d, e, f]
}
