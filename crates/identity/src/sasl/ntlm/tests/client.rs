//! A client that does as it is told, wrong things too.

use super::super::challenge::{NONCE, utf16};
use super::super::proof::response_key;
use hmac::{Hmac, KeyInit, Mac};
use md4::{Digest, Md4};
use md5::Md5;
use rc4::{Rc4, StreamCipher};

/// A first message as Windows sends it.
pub(super) const NEGOTIATE: &[u8] =
    b"NTLMSSP\0\x01\0\0\0\x97\x82\x08\xe2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x0a\0\x63\x45\0\0\0\x0f";

/// Flags of the third message.
pub(super) const FLAGS: u32 = 0xe288_8235;

pub(super) struct Client {
    pub(super) name: String,
    pub(super) domain: String,
    pub(super) hash: [u8; 16],
    pub(super) flags: u32,
    /// A session key of its own.
    pub(super) session_key: Option<[u8; 16]>,
    /// `MsvAvFlags`.
    pub(super) av_flags: Option<u32>,
    /// `MsvAvChannelBindings`.
    pub(super) binding: Option<[u8; 16]>,
    /// Where the payload begins.
    pub(super) header: usize,
    /// Instead of what they would be.
    pub(super) proof: Option<[u8; 16]>,
    pub(super) nt: Option<Vec<u8>>,
    pub(super) raw_name: Option<Vec<u8>>,
    pub(super) raw_pairs: Option<Vec<u8>>,
}

impl Client {
    pub(super) fn new(name: &str, domain: &str, password: &str) -> Client {
        Client {
            name: name.into(),
            domain: domain.into(),
            hash: nt_hash(password),
            flags: FLAGS,
            session_key: Some([0x55; 16]),
            av_flags: Some(2),
            binding: None,
            header: 88,
            proof: None,
            nt: None,
            raw_name: None,
            raw_pairs: None,
        }
    }

    /// The third message, in answer to `challenge`.
    pub(super) fn authenticate(&self, challenge: &[u8]) -> Vec<u8> {
        let key = response_key(&self.hash, &self.name, &self.domain);
        let blob = [&[1, 1, 0, 0, 0, 0, 0, 0][..], &[3; 8], &[0xaa; 8], &[0; 4], &self.pairs(challenge)].concat();
        let proof = self.proof.unwrap_or_else(|| hmac(&*key, &[&challenge[NONCE], &blob]));
        let base = hmac(&*key, &[&proof]);
        let (exported, encrypted) = match self.session_key {
            None => (base, Vec::new()),
            Some(own) => {
                let mut encrypted = own.to_vec();
                Rc4::new_from_slice(&base).unwrap().apply_keystream(&mut encrypted);
                (own, encrypted)
            }
        };
        let nt = self.nt.clone().unwrap_or_else(|| [&proof[..], &blob].concat());
        let name = self.raw_name.clone().unwrap_or_else(|| utf16(&self.name));
        let parts = [vec![0; 24], nt, utf16(&self.domain), name, utf16("PC"), encrypted];
        let mut message = b"NTLMSSP\0\x03\0\0\0".to_vec();
        let mut offset = self.header;
        for part in &parts {
            let length = u16::try_from(part.len()).unwrap().to_le_bytes();
            message.extend([length, length].concat());
            message.extend(u32::try_from(offset).unwrap().to_le_bytes());
            offset += part.len();
        }
        message.extend(self.flags.to_le_bytes());
        message.extend(b"\x0a\0\x63\x45\0\0\0\x0f");
        message.resize(self.header, 0);
        message.extend(parts.concat());
        let mic = hmac(&exported, &[NEGOTIATE, challenge, &message]);
        if self.header == 88 {
            message[72..88].copy_from_slice(&mic);
        }
        message
    }

    /// What the server said about itself, with what the client adds.
    fn pairs(&self, challenge: &[u8]) -> Vec<u8> {
        if let Some(pairs) = &self.raw_pairs {
            return pairs.clone();
        }
        let from = u32::from_le_bytes(challenge[44..48].try_into().unwrap()) as usize;
        let mut pairs = challenge[from..challenge.len() - 4].to_vec();
        if let Some(flags) = self.av_flags {
            pairs.extend([6, 0, 4, 0]);
            pairs.extend(flags.to_le_bytes());
        }
        if let Some(binding) = self.binding {
            pairs.extend([10, 0, 16, 0]);
            pairs.extend(binding);
        }
        pairs.extend([0; 8]);
        pairs
    }
}

/// `NTOWFv1`.
pub(super) fn nt_hash(password: &str) -> [u8; 16] {
    Md4::digest(utf16(password)).into()
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 16] {
    let mut mac = Hmac::<Md5>::new_from_slice(key).unwrap();
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}
