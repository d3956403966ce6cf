//! The NT hash: MD4 of a password in UTF-16 (MS-NLMP §3.3.1, NTOWFv1).
//!
//! It is as good as the password to whoever steals it, so it is kept only for accounts that must use
//! NTLM and have been told to.

use crate::secret::Secret;
use md4::{Digest, Md4};
use zeroize::Zeroizing;

/// The NT hash of a password; `None` if it is not a text.
#[must_use]
pub fn nt_hash(password: &Secret) -> Option<Secret> {
    let text = str::from_utf8(password.expose()).ok()?;
    let utf16: Zeroizing<Vec<u8>> = Zeroizing::new(text.encode_utf16().flat_map(u16::to_le_bytes).collect());
    Some(Secret::from(&Md4::digest(&*utf16)[..]))
}

/// An NT hash in hexadecimal, as it is written.
pub(crate) fn nt_hash_text(hash: &Secret) -> Zeroizing<String> {
    Zeroizing::new(crate::hex::written(hash.expose()))
}

/// Reads 32 hexadecimal digits.
pub(crate) fn nt_hash_read(text: &str) -> Option<Secret> {
    crate::hex::read::<16>(text).map(|octets| Secret::from(&Zeroizing::new(octets)[..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_ms_nlmp() {
        // MS-NLMP §4.2.2.1.2: the password is "Password".
        let hash = nt_hash(&Secret::from("Password")).unwrap();
        assert_eq!(*nt_hash_text(&hash), "a4f49c406510bdcab6824ee7c30fd852");
        assert_eq!(nt_hash_read("A4F49C406510BDCAB6824EE7C30FD852").unwrap().expose(), hash.expose());
        assert!(nt_hash(&Secret::from(&b"\xff"[..])).is_none());
    }
}
