//! OAUTHBEARER (RFC 7628) and its forerunner XOAUTH2: the client shows a token that somebody else
//! has issued. A client that fails is told so by a challenge, answers it with a dummy, and only then
//! has failed.

use super::claim::{self, Claim};
use crate::exchange::{Failure, Setting, Step, Steps, Why};
use crate::inquiry::{Finding, Inquiry};
use crate::secret::Secret;

/// What ends each pair of key and value.
const KVSEP: u8 = 1;

/// The two forms of the same thing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// RFC 7628.
    OauthBearer,
    /// XOAUTH2, as Google and Microsoft describe it.
    Xoauth2,
}

/// OAUTHBEARER or XOAUTH2.
pub(super) struct Bearer {
    form: Form,
    decoy: Secret,
    claim: Claim,
    /// How it has ended; the client has yet to answer the challenge that says so.
    failure: Option<Failure>,
}

/// What a client sends.
#[derive(Debug, PartialEq, Eq)]
struct Shown<'a> {
    name: Option<Box<str>>,
    /// Empty when the client asks what it would need.
    token: &'a [u8],
}

impl Bearer {
    pub(super) fn new(setting: Setting, form: Form) -> Bearer {
        Bearer { form, decoy: setting.decoy, claim: Claim::default(), failure: None }
    }

    fn shown(&mut self, response: &[u8]) -> Step {
        let parsed = match self.form {
            Form::OauthBearer => oauthbearer(response),
            Form::Xoauth2 => xoauth2(response),
        };
        let Some(Shown { name, token }) = parsed else { return claim::malformed() };
        let token = Secret::from(token);
        self.claim = Claim { name, digest: Some(token.digest(&self.decoy)) };
        if token.expose().is_empty() {
            return self.told(self.claim.failure(Why::Weak));
        }
        Step::Inquire(Inquiry::Token { token, name: self.claim.name.clone() })
    }

    /// Tells the client that it has failed. It is told nothing about the account or the token.
    fn told(&mut self, failure: Failure) -> Step {
        self.failure = Some(failure);
        let text = match self.form {
            // RFC 7628 §3.2.2; what `scope` would help with is for the issuer to say.
            Form::OauthBearer => r#"{"status":"invalid_token"}"#,
            Form::Xoauth2 => r#"{"status":"401","schemes":"bearer"}"#,
        };
        Step::Challenge(text.into())
    }
}

impl Steps for Bearer {
    fn respond(&mut self, response: Option<&[u8]>) -> Step {
        match (self.failure.take(), response) {
            // RFC 7628 §3.2.3: %x01, or nothing in XOAUTH2. Whatever it is, it has failed.
            (Some(failure), _) => Step::Failed(failure),
            (None, None) => Step::Challenge(Vec::new()),
            (None, Some(response)) => self.shown(response),
        }
    }

    fn found(&mut self, finding: Finding) -> Step {
        match self.claim.judged(finding) {
            Step::Failed(failure @ Failure::Refused { .. }) => self.told(failure),
            step => step,
        }
    }

    fn decided(&self) -> Option<Failure> {
        self.failure.clone()
    }
}

/// RFC 7628 §3.1: gs2-header kvsep *kvpair kvsep.
fn oauthbearer(octets: &[u8]) -> Option<Shown<'_>> {
    let text = str::from_utf8(octets).ok()?;
    let (header, pairs) = text.split_once(char::from(KVSEP))?;
    let mut header = header.splitn(3, ',');
    // A client may be able to bind a channel (`y`), but here is nothing to bind with (`p=`).
    let (Some("n" | "y"), Some(actor), Some("")) = (header.next(), header.next(), header.next()) else { return None };
    let name = if actor.is_empty() { None } else { Some(claim::sasl_name(actor.strip_prefix("a=")?)?) };
    let token = authorization(pairs.strip_suffix(char::from(KVSEP))?)?;
    Some(Shown { name, token })
}

/// `user=` name kvsep `auth=Bearer ` token kvsep kvsep.
fn xoauth2(octets: &[u8]) -> Option<Shown<'_>> {
    let text = str::from_utf8(octets).ok()?;
    let (user, pairs) = text.split_once(char::from(KVSEP))?;
    let name = Some(claim::name(user.strip_prefix("user=")?.as_bytes())?.into());
    let token = authorization(pairs.strip_suffix(char::from(KVSEP))?)?;
    Some(Shown { name, token })
}

/// The token in the pair `auth`, which stands once; the others are for resource servers of HTTP and
/// are ignored (RFC 7628 §3.1). Each pair ends with kvsep.
fn authorization(pairs: &str) -> Option<&[u8]> {
    let mut token = None;
    for pair in pairs.strip_suffix(char::from(KVSEP))?.split(char::from(KVSEP)) {
        let (key, value) = pair.split_once('=')?;
        let letters = !key.is_empty() && key.bytes().all(|octet| octet.is_ascii_alphabetic());
        if !letters || !value.bytes().all(is_value) {
            return None;
        }
        if key == "auth" && token.replace(bearer(value)?).is_some() {
            return None;
        }
    }
    token
}

/// The token of `Bearer` (RFC 6750 §2.1); empty if nothing is given.
fn bearer(value: &str) -> Option<&[u8]> {
    if value.is_empty() {
        return Some(b"");
    }
    let (scheme, token) = value.split_once(' ')?;
    let signs = token.trim_end_matches('=');
    let fits = |octet: u8| octet.is_ascii_alphanumeric() || b"-._~+/".contains(&octet);
    let is_token = !signs.is_empty() && signs.bytes().all(fits);
    (scheme.eq_ignore_ascii_case("bearer") && is_token).then_some(token.as_bytes())
}

/// A value: VCHAR, SP, HTAB, CR, LF.
fn is_value(octet: u8) -> bool {
    octet.is_ascii_graphic() || b" \t\r\n".contains(&octet)
}
