//! How passwords are kept: read, bounded, verified, made.
//!
//! What is made is argon2id; what other systems have made is verified: sha-crypt, yescrypt, bcrypt. A
//! hash comes from a file that somebody else may have written, so nothing is computed before its
//! parameters were found to be within bounds: one verification costs at most 64 MiB and about a
//! second. Hashes that were broken long ago are refused by name.

use crate::name::prepared_password;
use crate::secret::Secret;
use argon2::{Algorithm, Argon2, Params, Version};
use base64ct::{Base64Unpadded, Encoding};
use sha_crypt::PasswordVerifier;
use std::fmt;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Octets of a password that is verified or set. RFC 4616 §2 wants room for 255; sha-crypt takes time
/// in proportion.
pub const PASSWORD_OCTETS: usize = 256;
/// Octets of the text of a hash.
const TEXT_OCTETS: usize = 256;
/// KiB that one verification may take.
const MEMORY_KIB: u32 = 64 * 1024;
/// KiB that one verification may write, over all passes.
const WORK_KIB: u64 = 4 * MEMORY_KIB as u64;
/// Lanes of argon2.
const LANES: u32 = 16;
/// Rounds of sha-crypt: what `rounds=` may say.
const ROUNDS: std::ops::RangeInclusive<u32> = 1_000..=1_000_000;
/// Cost of bcrypt: 2 to this power is how often.
const COST: std::ops::RangeInclusive<u32> = 4..=14;
/// What new hashes cost: OWASP's first choice for argon2id, 19 MiB, two passes, one lane.
const NEW: (u32, u32, u32) = (19 * 1024, 2, 1);

/// A password as it is kept.
#[derive(Clone)]
pub struct PasswordHash {
    text: Zeroizing<Box<str>>,
    kind: Kind,
}

#[derive(Clone)]
enum Kind {
    Argon2id { params: Params, salt: Box<[u8]>, hash: Zeroizing<Box<[u8]>> },
    ShaCrypt { rounds: u32 },
    Yescrypt,
    Bcrypt { cost: u32 },
}

/// What a verification costs; two hashes with the same cost take the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Cost(&'static str, [u32; 3]);

/// Why a text is not a hash that is verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashError {
    /// A kind of hash that is not good enough: its name.
    Weak(&'static str),
    /// Not the form of any hash that is known.
    Unknown,
    /// It begins like a hash of this kind and does not go on like one.
    Malformed(&'static str),
    /// A parameter is outside what is allowed: its name, and what is allowed.
    Bounds(&'static str, &'static str),
}

impl fmt::Display for HashError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HashError::Weak(name) => write!(f, "{name} is too weak to keep passwords in; set a new password"),
            HashError::Unknown => f.write_str("not a hash of argon2id, sha-crypt ($5$, $6$), yescrypt or bcrypt"),
            HashError::Malformed(name) => write!(f, "not a whole hash of {name}"),
            HashError::Bounds(what, allowed) => write!(f, "{what} must be {allowed}"),
        }
    }
}

impl std::error::Error for HashError {}

impl PasswordHash {
    /// The argon2id hash of a password, to be kept.
    ///
    /// # Errors
    /// If the password is empty or longer than [`PASSWORD_OCTETS`].
    pub fn new(password: &Secret, salt: [u8; 16]) -> Result<PasswordHash, PasswordError> {
        let octets = prepared_password(password.expose())
            .map_or_else(|| Zeroizing::new(password.expose().to_vec()), |text| Zeroizing::new(text.into_bytes()));
        match octets.len() {
            0 => return Err(PasswordError::Empty),
            1..=PASSWORD_OCTETS => {}
            _ => return Err(PasswordError::TooLong),
        }
        let (memory, passes, lanes) = NEW;
        let params = Params::new(memory, passes, lanes, Some(32)).expect("invariant: argon2 takes these parameters");
        let mut hash = Zeroizing::new(vec![0; 32].into_boxed_slice());
        argon2id(&params).hash_password_into(&octets, &salt, &mut hash).expect("invariant: argon2 takes these lengths");
        let [salt_text, hash_text] = [&salt[..], &hash].map(Base64Unpadded::encode_string);
        let text = format!("$argon2id$v=19$m={memory},t={passes},p={lanes}${salt_text}${hash_text}");
        let kind = Kind::Argon2id { params, salt: salt.into(), hash };
        Ok(PasswordHash { text: Zeroizing::new(text.into()), kind })
    }

    /// Reads a hash.
    ///
    /// # Errors
    /// [`HashError`] if it is not one that is verified here.
    pub fn read(text: &str) -> Result<PasswordHash, HashError> {
        if text.len() > TEXT_OCTETS {
            return Err(HashError::Unknown);
        }
        let fields: Vec<&str> = text.split('$').collect();
        let kind = match fields[..] {
            ["", "argon2id", version, params, salt, hash] => read_argon2id([version, params, salt, hash])?,
            ["", "5", salt, hash] => read_sha_crypt(None, salt, hash, 43)?,
            ["", "5", rounds, salt, hash] => read_sha_crypt(Some(rounds), salt, hash, 43)?,
            ["", "6", salt, hash] => read_sha_crypt(None, salt, hash, 86)?,
            ["", "6", rounds, salt, hash] => read_sha_crypt(Some(rounds), salt, hash, 86)?,
            ["", "y", params, salt, hash] => read_yescrypt(params, salt, hash)?,
            ["", "2a" | "2b" | "2y", cost, rest] => read_bcrypt(cost, rest, text)?,
            _ => return Err(refused(text, &fields)),
        };
        Ok(PasswordHash { text: Zeroizing::new(text.into()), kind })
    }

    /// Whether this is the hash of `password`, as it is given or as RFC 4013 prepares it.
    #[must_use]
    pub fn verify(&self, password: &Secret) -> bool {
        let given = password.expose();
        // What is too long is not the password of anybody, and takes as long to refuse as any other.
        if given.is_empty() || given.len() > PASSWORD_OCTETS {
            self.verify_octets(b"-");
            return false;
        }
        let prepared = prepared_password(given).map(Zeroizing::new);
        let as_prepared = prepared.is_some_and(|text| self.verify_octets(text.as_bytes()));
        as_prepared | self.verify_octets(given)
    }

    fn verify_octets(&self, password: &[u8]) -> bool {
        #[cfg(test)]
        tests::WORK.with_borrow_mut(|work| work.push(self.cost()));
        match &self.kind {
            Kind::Argon2id { params, salt, hash } => {
                let mut computed = Zeroizing::new(vec![0; hash.len()]);
                let done = argon2id(params).hash_password_into(password, salt, &mut computed);
                done.is_ok() && bool::from(computed.ct_eq(hash))
            }
            Kind::ShaCrypt { .. } => sha_crypt::ShaCrypt::default().verify_password(password, &**self.text).is_ok(),
            Kind::Yescrypt => yescrypt::Yescrypt::default().verify_password(password, &**self.text).is_ok(),
            Kind::Bcrypt { .. } => bcrypt::verify(password, &self.text).unwrap_or(false),
        }
    }

    /// As it is written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What kind of hash it is.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        self.cost().0
    }

    pub(crate) fn cost(&self) -> Cost {
        match &self.kind {
            Kind::Argon2id { params, .. } => Cost("argon2id", [params.m_cost(), params.t_cost(), params.p_cost()]),
            Kind::ShaCrypt { rounds } if self.text.starts_with("$5$") => Cost("sha256-crypt", [*rounds, 0, 0]),
            Kind::ShaCrypt { rounds } => Cost("sha512-crypt", [*rounds, 0, 0]),
            Kind::Yescrypt => {
                let params = self.text.as_bytes();
                Cost("yescrypt", [params[4].into(), params[5].into(), 0])
            }
            Kind::Bcrypt { cost } => Cost("bcrypt", [*cost, 0, 0]),
        }
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PasswordHash({}, …)", self.scheme())
    }
}

/// Why a password cannot be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasswordError {
    /// It has no octets.
    Empty,
    /// It has more than [`PASSWORD_OCTETS`].
    TooLong,
    /// It is not a text, or has characters that RFC 4013 prohibits: some clients could not send it.
    Prohibited,
}

impl fmt::Display for PasswordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PasswordError::Empty => f.write_str("the password is empty"),
            PasswordError::TooLong => write!(f, "the password is longer than {PASSWORD_OCTETS} octets"),
            PasswordError::Prohibited => f.write_str("a character of the password is not allowed in passwords"),
        }
    }
}

impl std::error::Error for PasswordError {}

fn argon2id(params: &Params) -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone())
}

/// Why a text that has no known form is refused; the old ones by name.
fn refused(text: &str, fields: &[&str]) -> HashError {
    match fields {
        ["", "argon2id", ..] => HashError::Malformed("argon2id"),
        ["", "5" | "6", ..] => HashError::Malformed("sha-crypt"),
        ["", "y", ..] => HashError::Malformed("yescrypt"),
        ["", "2a" | "2b" | "2y", ..] => HashError::Malformed("bcrypt"),
        ["", "1", ..] => HashError::Weak("MD5-crypt ($1$)"),
        ["", "apr1", ..] => HashError::Weak("Apache's MD5 ($apr1$)"),
        ["", "2x", ..] => HashError::Weak("bcrypt with the fault of 2011 ($2x$)"),
        ["", "3", ..] => HashError::Weak("an NT hash ($3$)"),
        ["", "sha1" | "md5", ..] => HashError::Weak("crypt by SHA-1 or MD5"),
        ["", "argon2i" | "argon2d", ..] => HashError::Weak("argon2 other than argon2id"),
        _ if text.starts_with("{SHA}") || text.starts_with("{SSHA}") => HashError::Weak("salted or plain SHA-1"),
        _ if text.starts_with('_') && text.len() == 20 => HashError::Weak("extended DES crypt"),
        _ if text.len() == 13 && text.bytes().all(is_crypt_sign) => HashError::Weak("DES crypt"),
        _ => HashError::Unknown,
    }
}

/// A number without sign or leading zeros.
fn number(text: &str) -> Option<u32> {
    let plain = text.bytes().all(|octet| octet.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if plain { text.parse().ok() } else { None }
}

fn read_argon2id([version, params, salt, hash]: [&str; 4]) -> Result<Kind, HashError> {
    const WHOLE: HashError = HashError::Malformed("argon2id");
    if version != "v=19" {
        return Err(HashError::Bounds("the version of argon2id", "v=19"));
    }
    let mut values = [0; 3];
    let mut fields = params.split(',');
    for (value, key) in values.iter_mut().zip(["m=", "t=", "p="]) {
        let field = fields.next().and_then(|field| field.strip_prefix(key)).ok_or(WHOLE)?;
        *value = number(field).ok_or(WHOLE)?;
    }
    let [memory, passes, lanes] = values;
    if fields.next().is_some() {
        return Err(WHOLE);
    }
    if memory > MEMORY_KIB {
        return Err(HashError::Bounds("m of argon2id", "65536 at the most"));
    }
    if u64::from(memory) * u64::from(passes) > WORK_KIB {
        return Err(HashError::Bounds("m times t of argon2id", "262144 at the most"));
    }
    if lanes > LANES {
        return Err(HashError::Bounds("p of argon2id", "16 at the most"));
    }
    let salt = Base64Unpadded::decode_vec(salt).map_err(|_| WHOLE)?;
    let hash = Base64Unpadded::decode_vec(hash).map_err(|_| WHOLE)?;
    if !(8..=64).contains(&salt.len()) || !(16..=64).contains(&hash.len()) {
        return Err(WHOLE);
    }
    let params = Params::new(memory, passes, lanes, Some(hash.len())).map_err(|_| WHOLE)?;
    Ok(Kind::Argon2id { params, salt: salt.into(), hash: Zeroizing::new(hash.into()) })
}

fn read_sha_crypt(rounds: Option<&str>, salt: &str, hash: &str, length: usize) -> Result<Kind, HashError> {
    const WHOLE: HashError = HashError::Malformed("sha-crypt");
    let rounds = match rounds {
        None => 5_000,
        Some(field) => field.strip_prefix("rounds=").and_then(number).ok_or(WHOLE)?,
    };
    if !ROUNDS.contains(&rounds) {
        return Err(HashError::Bounds("rounds of sha-crypt", "1000 to 1000000"));
    }
    let salted = (1..=16).contains(&salt.len()) && salt.bytes().all(is_crypt_sign);
    if !salted || hash.len() != length || !hash.bytes().all(is_crypt_sign) {
        return Err(WHOLE);
    }
    Ok(Kind::ShaCrypt { rounds })
}

/// `j` for the flavour that libxcrypt makes, then log2 N and r as one sign each. Longer forms would ask
/// for more memory than is allowed, or for what no system makes.
fn read_yescrypt(params: &str, salt: &str, hash: &str) -> Result<Kind, HashError> {
    const WHOLE: HashError = HashError::Malformed("yescrypt");
    const BOUNDS: HashError = HashError::Bounds("the cost of yescrypt", "that of 64 MiB at the most, such as $y$j9T$");
    let [b'j', n, r] = params.as_bytes() else { return Err(BOUNDS) };
    let (Some(n), Some(r)) = (crypt_value(*n), crypt_value(*r)) else { return Err(WHOLE) };
    // Beyond 47 a sign is the first of several.
    if n > 47 || r > 47 {
        return Err(BOUNDS);
    }
    let (log2_n, r) = (n + 1, r + 1);
    // 128 octets, r of them a block, N blocks; and N of 2^10 at the least, or the hash is no obstacle.
    let octets = 1_u64.checked_shl(log2_n).and_then(|n| n.checked_mul(128 * u64::from(r)));
    if log2_n < 10 || octets.is_none_or(|octets| octets > u64::from(MEMORY_KIB) * 1024) {
        return Err(BOUNDS);
    }
    let salted = (1..=86).contains(&salt.len()) && salt.bytes().all(is_crypt_sign);
    if !salted || hash.len() != 43 || !hash.bytes().all(is_crypt_sign) {
        return Err(WHOLE);
    }
    // The library has the last word on what can be decoded.
    params.parse::<yescrypt::Params>().map_err(|_| BOUNDS)?;
    Ok(Kind::Yescrypt)
}

fn read_bcrypt(cost: &str, rest: &str, text: &str) -> Result<Kind, HashError> {
    const WHOLE: HashError = HashError::Malformed("bcrypt");
    let two = cost.len() == 2 && cost.bytes().all(|octet| octet.is_ascii_digit());
    if !two || rest.len() != 53 || !rest.bytes().all(is_crypt_sign) {
        return Err(WHOLE);
    }
    let cost = cost.parse().map_err(|_| WHOLE)?;
    if !COST.contains(&cost) {
        return Err(HashError::Bounds("the cost of bcrypt", "04 to 14"));
    }
    text.parse::<bcrypt::HashParts>().map_err(|_| WHOLE)?;
    Ok(Kind::Bcrypt { cost })
}

fn is_crypt_sign(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || octet == b'.' || octet == b'/'
}

/// The value of a sign of crypt's base64.
fn crypt_value(sign: u8) -> Option<u32> {
    const SIGNS: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    SIGNS.iter().position(|known| *known == sign).and_then(|at| u32::try_from(at).ok())
}

#[cfg(test)]
pub(crate) mod tests;
