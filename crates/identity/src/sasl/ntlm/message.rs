//! What the client sends, read with hard bounds: every field lies within its message, behind the header,
//! and no larger than it may be; text is UTF-16 without a mistake in it.

/// Windows sends some 40 octets.
const NEGOTIATE_OCTETS: usize = 1024;
/// Windows sends some 500 octets, and never more than 2888.
const AUTHENTICATE_OCTETS: usize = 4096;
/// UTF-16 units of a name: 256 is what Windows has room for.
const NAME_UNITS: usize = 256;
/// Kinds of target information are 10 (MS-NLMP §2.2.2.1).
const PAIRS: usize = 16;

const SIGNATURE: &[u8; 8] = b"NTLMSSP\0";
/// The fixed part of the third message up to where the version may stand.
const FIXED_OCTETS: usize = 64;
/// Where the integrity code stands, behind the version.
pub(super) const MIC: std::ops::Range<usize> = 72..88;

/// The flags of MS-NLMP §2.2.2.5 that mean something here.
pub(super) mod flag {
    pub(in super::super) const UNICODE: u32 = 0x0000_0001;
    pub(in super::super) const REQUEST_TARGET: u32 = 0x0000_0004;
    pub(in super::super) const SIGN: u32 = 0x0000_0010;
    pub(in super::super) const SEAL: u32 = 0x0000_0020;
    pub(in super::super) const NTLM: u32 = 0x0000_0200;
    pub(in super::super) const ANONYMOUS: u32 = 0x0000_0800;
    pub(in super::super) const DOMAIN_SUPPLIED: u32 = 0x0000_1000;
    pub(in super::super) const WORKSTATION_SUPPLIED: u32 = 0x0000_2000;
    pub(in super::super) const ALWAYS_SIGN: u32 = 0x0000_8000;
    pub(in super::super) const TARGET_TYPE_SERVER: u32 = 0x0002_0000;
    pub(in super::super) const EXTENDED_SESSION_SECURITY: u32 = 0x0008_0000;
    pub(in super::super) const TARGET_INFO: u32 = 0x0080_0000;
    pub(in super::super) const VERSION: u32 = 0x0200_0000;
    pub(in super::super) const KEY_128: u32 = 0x2000_0000;
    pub(in super::super) const KEY_EXCHANGE: u32 = 0x4000_0000;
    pub(in super::super) const KEY_56: u32 = 0x8000_0000;
}

/// Kinds of target information (MS-NLMP §2.2.2.1).
pub(super) mod pair {
    pub(in super::super) const END: u16 = 0;
    pub(in super::super) const COMPUTER: u16 = 1;
    pub(in super::super) const DOMAIN: u16 = 2;
    pub(in super::super) const DNS_COMPUTER: u16 = 3;
    pub(in super::super) const DNS_DOMAIN: u16 = 4;
    pub(in super::super) const FLAGS: u16 = 6;
    pub(in super::super) const TIMESTAMP: u16 = 7;
    pub(in super::super) const CHANNEL_BINDINGS: u16 = 10;
    /// In `FLAGS`: there is an integrity code.
    pub(in super::super) const HAS_MIC: u32 = 2;
}

/// What is wrong with a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is none, or its parts do not fit.
    Malformed,
    /// An old or empty form, by this account if it says so.
    Weak(Option<Box<str>>),
}

/// The third message.
#[derive(Debug)]
pub(super) struct Authenticate {
    /// The account, as the client spelt it; not empty.
    pub(super) name: Box<str>,
    /// The domain that the client means; may be empty.
    pub(super) domain: Box<str>,
    /// `NTProofStr`.
    pub(super) proof: [u8; 16],
    /// What the proof is of, besides our challenge.
    pub(super) blob: Box<[u8]>,
    /// The session key, encrypted, if the client chose one.
    pub(super) session_key: Option<[u8; 16]>,
    /// The integrity code.
    pub(super) mic: [u8; 16],
    /// The whole message, with nothing where the integrity code was.
    pub(super) without_mic: Box<[u8]>,
    /// The digest of the channel binding; zeros are none.
    pub(super) binding: Option<[u8; 16]>,
}

/// Reads the first message: what the client can do. The names in it are of no use to anybody.
pub(super) fn negotiate(message: &[u8]) -> Result<u32, Fault> {
    if message.len() > NEGOTIATE_OCTETS {
        return Err(Fault::Malformed);
    }
    head(message, 1)?;
    let flags = u32_at(message, 12)?;
    for (supplied, at) in [(flag::DOMAIN_SUPPLIED, 16), (flag::WORKSTATION_SUPPLIED, 24)] {
        if flags & supplied != 0 {
            field(message, at, 32)?;
        }
    }
    // Names in the code page of the client cannot be told from each other; LM alone is older still.
    if flags & flag::UNICODE == 0 || flags & flag::NTLM == 0 { Err(Fault::Weak(None)) } else { Ok(flags) }
}

impl Authenticate {
    /// Reads the third message. What it says of weak forms comes with the account that tried them.
    pub(super) fn parse(message: &[u8]) -> Result<Authenticate, Fault> {
        if message.len() > AUTHENTICATE_OCTETS {
            return Err(Fault::Malformed);
        }
        head(message, 3)?;
        let flags = u32_at(message, 60)?;
        let part = |at| field(message, at, FIXED_OCTETS);
        let (lm, nt, domain, user) = (part(12)?, part(20)?, part(28)?, part(36)?);
        let (workstation, session_key) = (part(44)?, part(52)?);
        if flags & flag::UNICODE == 0 {
            return Err(Fault::Weak(None));
        }
        let (name, domain_name) = (text(user.octets)?, text(domain.octets)?);
        if name.is_empty() || flags & flag::ANONYMOUS != 0 {
            return Err(Fault::Weak(None));
        }
        let weak = || Fault::Weak(Some(name.clone()));
        // Nothing is LM alone, 24 octets are NTLMv1 (MS-NLMP §2.2.2.6).
        if nt.octets.is_empty() || nt.octets.len() == 24 {
            return Err(weak());
        }
        let (proof, blob) = nt.octets.split_first_chunk::<16>().ok_or(Fault::Malformed)?;
        let said = ClientChallenge::parse(blob)?;
        let lowest = [lm, nt, domain, user, workstation, session_key].iter().filter_map(|field| field.from).min();
        if !said.has_mic || lowest < Some(MIC.end) {
            return Err(weak());
        }
        let mut without_mic: Box<[u8]> = message.into();
        let place = without_mic.get_mut(MIC).ok_or(Fault::Malformed)?;
        let mic = <[u8; 16]>::try_from(&*place).map_err(|_| Fault::Malformed)?;
        place.fill(0);
        let session_key = match session_key.octets {
            [] => None,
            key => Some(key.try_into().map_err(|_| Fault::Malformed)?),
        };
        let (proof, blob, binding) = (*proof, blob.into(), said.binding);
        Ok(Authenticate { name, domain: domain_name, proof, blob, session_key, mic, without_mic, binding })
    }
}

/// What is of use in `NTLMv2_CLIENT_CHALLENGE` (MS-NLMP §2.2.2.7).
struct ClientChallenge {
    has_mic: bool,
    binding: Option<[u8; 16]>,
}

impl ClientChallenge {
    fn parse(blob: &[u8]) -> Result<ClientChallenge, Fault> {
        // Both of its versions are 1; then reserved octets, the time and the client's challenge.
        if !blob.starts_with(&[1, 1]) {
            return Err(Fault::Malformed);
        }
        let mut rest = blob.get(28..).ok_or(Fault::Malformed)?;
        let mut said = ClientChallenge { has_mic: false, binding: None };
        let mut seen = Vec::with_capacity(PAIRS);
        loop {
            let (id, value, behind) = next_pair(rest)?;
            rest = behind;
            if id == pair::END {
                return if value.is_empty() { Ok(said) } else { Err(Fault::Malformed) };
            }
            // Twice the same would leave open which one counts.
            if seen.len() == PAIRS || seen.contains(&id) {
                return Err(Fault::Malformed);
            }
            seen.push(id);
            match id {
                pair::FLAGS => {
                    let flags = u32::from_le_bytes(value.try_into().map_err(|_| Fault::Malformed)?);
                    said.has_mic = flags & pair::HAS_MIC != 0;
                }
                pair::CHANNEL_BINDINGS => {
                    let digest: [u8; 16] = value.try_into().map_err(|_| Fault::Malformed)?;
                    said.binding = (digest != [0; 16]).then_some(digest);
                }
                _ => {}
            }
        }
    }
}

fn next_pair(octets: &[u8]) -> Result<(u16, &[u8], &[u8]), Fault> {
    let (id, rest) = octets.split_first_chunk::<2>().ok_or(Fault::Malformed)?;
    let (length, rest) = rest.split_first_chunk::<2>().ok_or(Fault::Malformed)?;
    let (value, rest) = rest.split_at_checked(u16::from_le_bytes(*length).into()).ok_or(Fault::Malformed)?;
    Ok((u16::from_le_bytes(*id), value, rest))
}

fn head(message: &[u8], kind: u32) -> Result<(), Fault> {
    let rest = message.strip_prefix(SIGNATURE).ok_or(Fault::Malformed)?;
    if rest.starts_with(&kind.to_le_bytes()) { Ok(()) } else { Err(Fault::Malformed) }
}

/// A field of the payload.
#[derive(Clone, Copy)]
struct Field<'a> {
    octets: &'a [u8],
    /// Where it begins; `None` if it is empty, for then its offset means nothing.
    from: Option<usize>,
}

/// The field that is described at `at`: length, room, offset. It must lie behind `header` octets.
fn field(message: &[u8], at: usize, header: usize) -> Result<Field<'_>, Fault> {
    let length = message.get(at..at + 2).and_then(|two| two.try_into().ok()).map(u16::from_le_bytes);
    let length = usize::from(length.ok_or(Fault::Malformed)?);
    let offset = u32_at(message, at + 4)?;
    if length == 0 {
        return Ok(Field { octets: &[], from: None });
    }
    let from = usize::try_from(offset).map_err(|_| Fault::Malformed)?;
    let end = from.checked_add(length).ok_or(Fault::Malformed)?;
    match message.get(from..end) {
        Some(octets) if from >= header => Ok(Field { octets, from: Some(from) }),
        _ => Err(Fault::Malformed),
    }
}

fn u32_at(message: &[u8], at: usize) -> Result<u32, Fault> {
    let four = message.get(at..at + 4).and_then(|four| four.try_into().ok());
    four.map(u32::from_le_bytes).ok_or(Fault::Malformed)
}

/// UTF-16LE, without unpaired surrogates and control characters.
fn text(octets: &[u8]) -> Result<Box<str>, Fault> {
    let (units, rest) = octets.as_chunks::<2>();
    if !rest.is_empty() || units.len() > NAME_UNITS {
        return Err(Fault::Malformed);
    }
    let text: Result<String, _> = char::decode_utf16(units.iter().map(|unit| u16::from_le_bytes(*unit))).collect();
    match text {
        Ok(text) if !text.contains(char::is_control) => Ok(text.into()),
        _ => Err(Fault::Malformed),
    }
}
