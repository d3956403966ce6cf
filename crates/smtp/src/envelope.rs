//! The envelope as MAIL and RCPT give it: paths, and the parameters of the extensions.
//!
//! A value that reaches a file, a log or another server later is decoded here, once, and control
//! characters in it are refused here (conformance row 15). A parameter whose extension is not offered
//! does not exist.

use crate::command::Mistake;
use crate::extensions::Offers;
use mail::{Domain, Host, Mailbox, Path, ReversePath};

/// What MAIL said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    /// Where reports go.
    pub reverse_path: ReversePath,
    /// SIZE (RFC 1870); `None` when not said or said to be 0, which means unknown.
    pub size: Option<u64>,
    /// BODY (RFC 6152, RFC 3030).
    pub body: Body,
    /// SMTPUTF8 (RFC 6531).
    pub smtputf8: bool,
    /// RET (RFC 3461).
    pub ret: Option<Ret>,
    /// ENVID (RFC 3461), decoded, printable ASCII.
    pub envid: Option<Box<str>>,
    /// AUTH= (RFC 4954 §5), decoded and not believed; `<>` when the client said so.
    pub auth: Option<Box<str>>,
}

/// What RCPT said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// Where the message goes.
    pub forward_path: Mailbox,
    /// NOTIFY (RFC 3461).
    pub notify: Option<Notify>,
    /// ORCPT (RFC 3461).
    pub original: Option<Original>,
}

/// What kind of content MAIL announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Body {
    /// 7BIT, also when nothing was said.
    #[default]
    SevenBit,
    /// 8BITMIME.
    EightBit,
    /// BINARYMIME.
    Binary,
}

/// How much of the message a failure report returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ret {
    /// All of it.
    Full,
    /// Its header.
    Headers,
}

/// When the sender wants a report about a recipient. All false: NEVER.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Notify {
    /// On delivery.
    pub success: bool,
    /// On failure.
    pub failure: bool,
    /// On delay.
    pub delay: bool,
}

/// The recipient as the sender knew it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Original {
    /// The kind of address, lower case: usually `rfc822`.
    pub kind: Box<str>,
    /// The address, decoded; printable characters only.
    pub address: Box<str>,
}

/// What an envelope is read against.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// The extensions in force. After HELO none are.
    pub offers: Offers,
    /// Whether the client said EHLO: SIZE belongs to every such session.
    pub extended: bool,
    /// Whether AUTH is offered, and with it the AUTH parameter.
    pub auth: bool,
    /// Appended to a path without a domain.
    pub default_domain: &'a Domain,
}

impl Sender {
    /// Reads what follows `MAIL FROM:`.
    ///
    /// # Errors
    /// Everything that is not a reverse-path and offered parameters is a [`Mistake`].
    pub fn parse(text: &str, terms: &Terms<'_>) -> Result<Sender, Mistake> {
        let (path, rest) = Path::take(text).map_err(|_| Mistake::ReversePath)?;
        let ascii = text[..text.len() - rest.len()].is_ascii();
        let reverse_path = match path {
            Path::Null => ReversePath::Null,
            Path::Bare(local) => ReversePath::Mailbox(at_default(local, terms)),
            Path::Mailbox(mailbox) => ReversePath::Mailbox(mailbox),
        };
        let mut sender = Sender {
            reverse_path,
            size: None,
            body: Body::SevenBit,
            smtputf8: false,
            ret: None,
            envid: None,
            auth: None,
        };
        sender.read_parameters(rest, terms)?;
        if ascii || sender.smtputf8 { Ok(sender) } else { Err(Mistake::ReversePathNotAscii) }
    }

    fn read_parameters(&mut self, rest: &str, terms: &Terms<'_>) -> Result<(), Mistake> {
        let offers = terms.offers;
        let mut seen = Seen::default();
        for parameter in parameters(rest) {
            let (keyword, value) = parameter?;
            let is = |name: &str| keyword.eq_ignore_ascii_case(name);
            match () {
                () if is("SIZE") && terms.extended => {
                    seen.once(0)?;
                    self.size = size(value)?;
                }
                () if is("BODY") && (offers.eight_bit || offers.binary) => {
                    seen.once(1)?;
                    self.body = body(value, offers)?;
                }
                () if is("SMTPUTF8") && offers.smtputf8 => {
                    seen.once(2)?;
                    self.smtputf8 = value.is_none().then_some(true).ok_or(Mistake::Parameter)?;
                }
                () if is("RET") && offers.dsn => {
                    seen.once(3)?;
                    self.ret = Some(ret(value)?);
                }
                () if is("ENVID") && offers.dsn => {
                    seen.once(4)?;
                    // RFC 3461 §4.4: at most 100 characters, before decoding.
                    self.envid = Some(xtext(value, 100, false)?);
                }
                () if is("AUTH") && terms.auth => {
                    seen.once(5)?;
                    // RFC 4954 §5: at most 500 characters, before decoding.
                    self.auth = Some(xtext(value, 500, false)?);
                }
                () => return Err(Mistake::UnknownParameter),
            }
        }
        Ok(())
    }
}

impl Recipient {
    /// Reads what follows `RCPT TO:`, in a transaction that used SMTPUTF8 or did not.
    ///
    /// # Errors
    /// Everything that is not a forward-path and offered parameters is a [`Mistake`].
    pub fn parse(text: &str, smtputf8: bool, terms: &Terms<'_>) -> Result<Recipient, Mistake> {
        let (path, rest) = Path::take(text).map_err(|_| Mistake::ForwardPath)?;
        if !smtputf8 && !text[..text.len() - rest.len()].is_ascii() {
            return Err(Mistake::ForwardPathNotAscii);
        }
        let forward_path = match path {
            Path::Null => return Err(Mistake::ForwardPath),
            Path::Bare(local) => at_default(local, terms),
            Path::Mailbox(mailbox) => mailbox,
        };
        let mut recipient = Recipient { forward_path, notify: None, original: None };
        let mut seen = Seen::default();
        for parameter in parameters(rest) {
            let (keyword, value) = parameter?;
            if keyword.eq_ignore_ascii_case("NOTIFY") && terms.offers.dsn {
                seen.once(0)?;
                recipient.notify = Some(notify(value)?);
            } else if keyword.eq_ignore_ascii_case("ORCPT") && terms.offers.dsn {
                seen.once(1)?;
                recipient.original = Some(original(value, smtputf8)?);
            } else {
                return Err(Mistake::UnknownParameter);
            }
        }
        Ok(recipient)
    }
}

fn at_default(local: mail::LocalPart, terms: &Terms<'_>) -> Mailbox {
    Mailbox { local, host: Host::Domain(terms.default_domain.clone()) }
}

/// Which parameters were given, to refuse the second of a kind.
#[derive(Default)]
struct Seen(u8);

impl Seen {
    fn once(&mut self, parameter: u8) -> Result<(), Mistake> {
        let bit = 1 << parameter;
        if self.0 & bit != 0 {
            return Err(Mistake::Parameter);
        }
        self.0 |= bit;
        Ok(())
    }
}

/// `SP keyword [= value]`, again and again (RFC 5321 §4.1.2).
fn parameters(rest: &str) -> impl Iterator<Item = Result<(&str, Option<&str>), Mistake>> {
    let glued = !rest.is_empty() && !rest.starts_with(' ');
    let wrong = glued.then_some(Err(Mistake::Parameter));
    wrong.into_iter().chain(rest.split(' ').filter(|word| !word.is_empty()).map(|word| {
        let (keyword, value) = match word.split_once('=') {
            None => (word, None),
            Some((keyword, value)) => (keyword, Some(value)),
        };
        let spelt = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        let empty = keyword.is_empty() || value.is_some_and(|v| v.is_empty() || v.contains('='));
        if empty || !keyword.bytes().all(spelt) { Err(Mistake::Parameter) } else { Ok((keyword, value)) }
    }))
}

/// RFC 1870 §5: one to twenty digits. What does not fit is more than anybody takes.
fn size(value: Option<&str>) -> Result<Option<u64>, Mistake> {
    let digits = value.filter(|v| v.len() <= 20 && v.bytes().all(|b| b.is_ascii_digit())).ok_or(Mistake::Parameter)?;
    Ok(Some(digits.parse().unwrap_or(u64::MAX)).filter(|&octets| octets != 0))
}

fn body(value: Option<&str>, offers: Offers) -> Result<Body, Mistake> {
    let value = value.ok_or(Mistake::Parameter)?;
    match () {
        () if value.eq_ignore_ascii_case("7BIT") => Ok(Body::SevenBit),
        () if value.eq_ignore_ascii_case("8BITMIME") && offers.eight_bit => Ok(Body::EightBit),
        () if value.eq_ignore_ascii_case("BINARYMIME") && offers.binary => Ok(Body::Binary),
        () => Err(Mistake::Parameter),
    }
}

fn ret(value: Option<&str>) -> Result<Ret, Mistake> {
    match value {
        Some(v) if v.eq_ignore_ascii_case("FULL") => Ok(Ret::Full),
        Some(v) if v.eq_ignore_ascii_case("HDRS") => Ok(Ret::Headers),
        _ => Err(Mistake::Parameter),
    }
}

/// RFC 3461 §4.1: NEVER alone, or a list of the others.
fn notify(value: Option<&str>) -> Result<Notify, Mistake> {
    let value = value.ok_or(Mistake::Parameter)?;
    let mut notify = Notify::default();
    if value.eq_ignore_ascii_case("NEVER") {
        return Ok(notify);
    }
    for word in value.split(',') {
        match () {
            () if word.eq_ignore_ascii_case("SUCCESS") => notify.success = true,
            () if word.eq_ignore_ascii_case("FAILURE") => notify.failure = true,
            () if word.eq_ignore_ascii_case("DELAY") => notify.delay = true,
            () => return Err(Mistake::Parameter),
        }
    }
    Ok(notify)
}

/// RFC 3461 §4.2: `type;xtext`, at most 500 characters.
fn original(value: Option<&str>, smtputf8: bool) -> Result<Original, Mistake> {
    let (kind, address) = value.and_then(|v| v.split_once(';')).ok_or(Mistake::Parameter)?;
    let spelt = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    if kind.is_empty() || !kind.bytes().all(spelt) {
        return Err(Mistake::Parameter);
    }
    let kind = kind.to_ascii_lowercase();
    // RFC 6533 §3: a utf-8 address may stand there as it is, once SMTPUTF8 is in force.
    let raw = smtputf8 && kind == "utf-8";
    let address = xtext(Some(address), 500, raw)?;
    Ok(Original { kind: kind.into(), address })
}

/// Decodes xtext (RFC 3461 §4) of at most `limit` characters. What comes out is printable, and ASCII
/// unless `raw` allows more.
pub(crate) fn xtext(value: Option<&str>, limit: usize, raw: bool) -> Result<Box<str>, Mistake> {
    let value = value.filter(|v| !v.is_empty() && v.len() <= limit).ok_or(Mistake::Parameter)?;
    let mut text = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        let meant = match c {
            '+' => {
                let mut digit = || chars.next().filter(|d| !d.is_ascii_lowercase()).and_then(|d| d.to_digit(16));
                let (high, low) = (digit().ok_or(Mistake::Parameter)?, digit().ok_or(Mistake::Parameter)?);
                char::from_u32(high * 16 + low).filter(char::is_ascii).ok_or(Mistake::Parameter)?
            }
            c if c.is_ascii() || raw => c,
            _ => return Err(Mistake::Parameter),
        };
        if meant.is_control() {
            return Err(Mistake::Parameter);
        }
        text.push(meant);
    }
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sender(text: &str) -> Result<Sender, Mistake> {
        let default_domain = "corp.example".parse().unwrap();
        let terms = Terms { offers: Offers::default(), extended: true, auth: true, default_domain: &default_domain };
        Sender::parse(text, &terms)
    }

    fn recipient(text: &str, smtputf8: bool) -> Result<Recipient, Mistake> {
        let default_domain = "corp.example".parse().unwrap();
        let terms = Terms { offers: Offers::default(), extended: true, auth: true, default_domain: &default_domain };
        Recipient::parse(text, smtputf8, &terms)
    }

    #[test]
    fn every_parameter_of_mail() {
        let it =
            sender("<a@b.example> size=10 Body=8bitmime SMTPUTF8 RET=HDRS ENVID=q+2B1 AUTH=e+3Df@g.example").unwrap();
        assert_eq!((it.size, it.body, it.smtputf8, it.ret), (Some(10), Body::EightBit, true, Some(Ret::Headers)));
        assert_eq!((it.envid.as_deref(), it.auth.as_deref()), (Some("q+1"), Some("e=f@g.example")));
    }

    #[test]
    fn row15_control_characters_in_decoded_text_are_refused() {
        for text in ["ENVID=a+0Ab", "ENVID=a+00", "AUTH=x+0D+0A", "ENVID=+7F", "ENVID=+4g", "ENVID=+4", "ENVID=+C3+A4"]
        {
            assert_eq!(sender(&format!("<> {text}")), Err(Mistake::Parameter), "{text}");
        }
        for text in ["ORCPT=rfc822;a+0Ab", "ORCPT=;a", "ORCPT=rfc822", "ORCPT=rfc822;", "ORCPT=rf c;a"] {
            assert_eq!(recipient(&format!("<a@b.example> {text}"), false), Err(Mistake::Parameter), "{text}");
        }
    }

    #[test]
    fn row27_sizes() {
        assert_eq!(sender("<> SIZE=0").unwrap().size, None);
        assert_eq!(sender("<> SIZE=99999999999999999999").unwrap().size, Some(u64::MAX));
        for text in ["SIZE", "SIZE=", "SIZE=1k", "SIZE=-1", "SIZE=100000000000000000000", "SIZE=1 SIZE=1"] {
            assert_eq!(sender(&format!("<> {text}")), Err(Mistake::Parameter), "{text}");
        }
    }

    #[test]
    fn the_original_recipient() {
        let it = recipient("<a@b.example> ORCPT=RFC822;a+2Bb@c.example NOTIFY=success,Delay", false).unwrap();
        assert_eq!(it.original, Some(Original { kind: "rfc822".into(), address: "a+b@c.example".into() }));
        assert_eq!(it.notify, Some(Notify { success: true, failure: false, delay: true }));
        assert_eq!(recipient("<a@b.example> NOTIFY=NEVER,DELAY", false), Err(Mistake::Parameter));
        assert_eq!(recipient("<a@b.example>NOTIFY=NEVER", false), Err(Mistake::Parameter));
        assert!(recipient("<a@b.example> ORCPT=utf-8;ü@b.example", true).is_ok());
        assert_eq!(recipient("<a@b.example> ORCPT=utf-8;ü@b.example", false), Err(Mistake::Parameter));
    }
}
