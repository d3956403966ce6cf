//! The arithmetic of NTLMv2 (MS-NLMP §3.3.2), as a server does it: all from the NT hash of the account.

use super::challenge::{NONCE, utf16};
use super::message::Authenticate;
use crate::secret::Secret;
use hmac::{Hmac, KeyInit, Mac};
use md5::{Digest, Md5};
use rc4::{Rc4, StreamCipher};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

type Key = Zeroizing<[u8; 16]>;

/// Whether whoever made `claim` knew this NT hash, and all three messages came as they were sent. Both
/// are found out, whatever comes of the first.
pub(super) fn is_good(nt_hash: &[u8; 16], claim: &Authenticate, negotiate: &[u8], challenge: &[u8]) -> bool {
    let nonce = challenge.get(NONCE).unwrap_or_default();
    let response_key = response_key(nt_hash, &claim.name, &claim.domain);
    let proof = digest(&*response_key, &[nonce, &claim.blob]);
    let session_key = exported(digest(&*response_key, &[&*proof]), claim.session_key);
    let mic = digest(&*session_key, &[negotiate, challenge, &claim.without_mic]);
    (proof.ct_eq(&claim.proof) & mic.ct_eq(&claim.mic)).into()
}

/// What stands for the NT hash of an account that there is not. Nothing is accepted by it; it is there
/// to be computed with.
pub(super) fn decoy(secret: &Secret, name: &str) -> Secret {
    Secret::from(&digest(secret.expose(), &[b"nt-hash\0", name.as_bytes()])[..])
}

/// MD5 of the `gss_channel_bindings_struct` (MS-NLMP §2.2.2.1) that has `tls-server-end-point` (RFC 5929
/// §4) in its application data and nothing in its addresses.
pub(super) fn binding(end_point: &[u8]) -> [u8; 16] {
    const KIND: &[u8] = b"tls-server-end-point:";
    let length = u32::try_from(KIND.len() + end_point.len()).unwrap_or(u32::MAX);
    Md5::new()
        .chain_update([0; 16])
        .chain_update(length.to_le_bytes())
        .chain_update(KIND)
        .chain_update(end_point)
        .finalize()
        .into()
}

/// `NTOWFv2`. The domain is as the client wrote it.
pub(super) fn response_key(nt_hash: &[u8; 16], name: &str, domain: &str) -> Key {
    let upper: String = name.chars().map(upcase).collect();
    digest(nt_hash, &[&utf16(&upper), &utf16(domain)])
}

/// The key of the integrity code: the client's own choice, if it made one.
pub(super) fn exported(base: Key, encrypted: Option<[u8; 16]>) -> Key {
    let Some(mut key) = encrypted else { return base };
    Rc4::new_from_slice(&*base).expect("invariant: RC4 takes keys of 16 octets").apply_keystream(&mut key);
    Zeroizing::new(key)
}

/// As Windows does it: one character for one, and none beyond the first plane.
fn upcase(character: char) -> char {
    let mut upper = character.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(upper), None) if character <= '\u{ffff}' => upper,
        _ => character,
    }
}

pub(super) fn digest(key: &[u8], parts: &[&[u8]]) -> Key {
    let mut mac = Hmac::<Md5>::new_from_slice(key).expect("invariant: HMAC takes keys of any length");
    for part in parts {
        mac.update(part);
    }
    Zeroizing::new(mac.finalize().into_bytes().into())
}
