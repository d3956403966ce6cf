//! What a client of SCRAM writes (RFC 5802 §7), read strictly: its order, its alphabet, its bounds.

use crate::sasl::claim::sasl_name;
use base64ct::{Base64, Encoding};

/// Characters of a nonce; clients use some thirty.
const NONCE_CHARS: usize = 256;

/// Octets of what `c=` carries: a header with a name, and binding data of at most 64.
const BINDING_OCTETS: usize = 4096;

/// What a client says about channel binding.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Flag<'a> {
    /// `n`: it cannot.
    Cannot,
    /// `y`: it could, but believes that we cannot.
    NotOffered,
    /// `p=`: it binds, by this type.
    Binds(&'a str),
}

/// client-first-message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ClientFirst<'a> {
    pub(super) flag: Flag<'a>,
    /// gs2-header: what `c=` has to repeat.
    pub(super) header: &'a str,
    /// The account it wants to act for.
    pub(super) actor: Option<Box<str>>,
    /// The account it says it is.
    pub(super) name: Box<str>,
    pub(super) nonce: &'a str,
    /// client-first-message-bare.
    pub(super) bare: &'a str,
}

impl<'a> ClientFirst<'a> {
    /// Reads it; `None` if it is none.
    pub(super) fn parse(octets: &'a [u8]) -> Option<ClientFirst<'a>> {
        let text = str::from_utf8(octets).ok()?;
        let (flag, rest) = text.split_once(',')?;
        let (actor, bare) = rest.split_once(',')?;
        let flag = match flag {
            "n" => Flag::Cannot,
            "y" => Flag::NotOffered,
            _ => Flag::Binds(flag.strip_prefix("p=").filter(|name| is_binding_name(name))?),
        };
        let actor = if actor.is_empty() { None } else { Some(sasl_name(actor.strip_prefix("a=")?)?) };
        let mut fields = bare.split(',');
        // An extension that we must understand, `m=`, would stand here (§5.1). We understand none.
        let name = sasl_name(fields.next()?.strip_prefix("n=")?)?;
        let nonce = fields.next()?.strip_prefix("r=").filter(|nonce| is_nonce(nonce))?;
        let header = text.strip_suffix(bare)?;
        fields.all(is_extension).then_some(ClientFirst { flag, header, actor, name, nonce, bare })
    }
}

/// client-final-message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ClientFinal<'a> {
    /// What `c=` carries.
    pub(super) binding: Vec<u8>,
    pub(super) nonce: &'a str,
    pub(super) proof: [u8; 32],
    /// client-final-message-without-proof.
    pub(super) without_proof: &'a str,
}

impl<'a> ClientFinal<'a> {
    /// Reads it; `None` if it is none.
    pub(super) fn parse(octets: &'a [u8]) -> Option<ClientFinal<'a>> {
        let text = str::from_utf8(octets).ok()?;
        let (without_proof, proof) = text.rsplit_once(',')?;
        let mut written = [0; 32];
        let proof = Base64::decode(proof.strip_prefix("p=")?, &mut written).ok()?;
        let proof = proof.try_into().ok()?;
        let mut fields = without_proof.split(',');
        let binding = fields.next()?.strip_prefix("c=").filter(|text| text.len() <= BINDING_OCTETS)?;
        let binding = Base64::decode_vec(binding).ok()?;
        let nonce = fields.next()?.strip_prefix("r=").filter(|nonce| !nonce.is_empty())?;
        fields.all(is_extension).then_some(ClientFinal { binding, nonce, proof, without_proof })
    }
}

/// cb-name.
fn is_binding_name(name: &str) -> bool {
    let fits = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'.' || octet == b'-';
    (1..=64).contains(&name.len()) && name.bytes().all(fits)
}

/// printable: %x21-2B / %x2D-7E. There is no comma left where this is asked.
fn is_nonce(nonce: &str) -> bool {
    (1..=NONCE_CHARS).contains(&nonce.len()) && nonce.bytes().all(|octet| octet.is_ascii_graphic())
}

/// An extension that may be ignored: attr-val, which is a letter, `=` and anything but a comma or NUL.
fn is_extension(field: &str) -> bool {
    match field.as_bytes() {
        [letter, b'=', value @ ..] => {
            letter.is_ascii_alphabetic() && *letter != b'm' && !value.is_empty() && !value.contains(&0)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{ClientFinal, ClientFirst, Flag};

    #[test]
    fn a_first_message_is_taken_apart() {
        let first = ClientFirst::parse(b"p=tls-exporter,a=x=2Cy,n=x=2Cy,r=q+/,z=1=2").unwrap();
        assert_eq!(first.flag, Flag::Binds("tls-exporter"));
        assert_eq!(first.header, "p=tls-exporter,a=x=2Cy,");
        assert_eq!((first.actor.as_deref(), &*first.name), (Some("x,y"), "x,y"));
        assert_eq!((first.nonce, first.bare), ("q+/", "n=x=2Cy,r=q+/,z=1=2"));
        assert_eq!(&*ClientFirst::parse(b"n,,n==3D=2C=3D2C,r=q").unwrap().name, "=,=2C");
    }

    #[test]
    fn a_first_message_of_another_form_is_none() {
        let long_name = format!("n,,n={},r=q", "x".repeat(1025));
        let long_nonce = format!("n,,n=x,r={}", "q".repeat(257));
        let cases: [&[u8]; 38] = [
            b"",
            b"n",
            b"n,",
            b"n,,",
            b",,n=x,r=q",
            b"n,n=x,r=q",
            b"N,,n=x,r=q",
            b"x,,n=x,r=q",
            b"p,,n=x,r=q",
            b"p=,,n=x,r=q",
            b"p=a b,,n=x,r=q",
            b"n,a=,n=x,r=q",
            b"n,x,n=x,r=q",
            b"n,a=x=2,n=x,r=q",
            b"n,,n=,r=q",
            b"n,,n=x",
            b"n,,r=q,n=x",
            b"n,,n=x,r=",
            b"n,,n=x,r=q ",
            b"n,,n=x,r=\xc3\xa4",
            b"n,,n=x,r=q,",
            b"n,,n=x,r=q,zz=1",
            b"n,,n=x,r=q,1=2",
            b"n,,n=x,r=q,z=",
            b"n,,n=x,r=q,z=a\0",
            b"n,,n=x,r=q,m=1",
            b"n,,m=1,n=x,r=q",
            b"n,,n=x=,r=q",
            b"n,,n=x=2c,r=q",
            b"n,,n=x=3d,r=q",
            b"n,,n=x=20,r=q",
            b"n,,n=x\0,r=q",
            b"n,,n=x\r\n,r=q",
            b"n,,n=\xff,r=q",
            b"n,,N=x,r=q",
            b" n,,n=x,r=q",
            long_name.as_bytes(),
            long_nonce.as_bytes(),
        ];
        for case in cases {
            assert_eq!(ClientFirst::parse(case), None, "{}", String::from_utf8_lossy(case));
        }
    }

    #[test]
    fn a_final_message_is_taken_apart() {
        let proof = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        let text = format!("c=biws,r=qs,x=y,p={proof}");
        let last = ClientFinal::parse(text.as_bytes()).unwrap();
        assert_eq!((&last.binding[..], last.nonce, last.proof), (&b"n,,"[..], "qs", [0; 32]));
        assert_eq!(last.without_proof, "c=biws,r=qs,x=y");
    }

    #[test]
    fn a_final_message_of_another_form_is_none() {
        const PROOF: &str = "p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        let good = format!("c=biws,r=q,{PROOF}");
        assert!(ClientFinal::parse(good.as_bytes()).is_some());
        for front in
            ["", "c=biws", "r=q,c=biws", "c=biws,r=", "c=bi ws,r=q", "c=biw,r=q", "c=b===,r=q", "c=biws,r=q,m=1"]
        {
            let text = format!("{front},{PROOF}");
            assert_eq!(ClientFinal::parse(text.as_bytes()), None, "{text}");
        }
        let short = "A".repeat(40);
        let loose = format!("{}B=", "A".repeat(42));
        for proof in
            ["", "p=", "AAAA", &format!("p={short}"), &format!("p={loose}"), &PROOF[..45], &format!("{PROOF},")]
        {
            let text = format!("c=biws,r=q,{proof}");
            assert_eq!(ClientFinal::parse(text.as_bytes()), None, "{text}");
        }
        let long = format!("c={},r=q,{PROOF}", "AAAA".repeat(1025));
        assert_eq!(ClientFinal::parse(long.as_bytes()), None);
    }
}
