//! gss-ntlmssp, a client of NTLM that others wrote, over the system's GSSAPI library.
//!
//! It takes its password from a file that the environment names, so it runs in a process of its own.

use super::{alone, is_alone, setting};
use e2e::skip;
use identity::{Exchange, Failure, Link, Mechanism, Protection, Setting, Step, Why};
use libgssapi::context::{ClientCtx, CtxFlags};
use libgssapi::credential::{Cred, CredUsage};
use libgssapi::name::Name;
use libgssapi::oid::{GSS_NT_HOSTBASED_SERVICE, GSS_NT_USER_NAME, Oid, OidSet};
use std::sync::Arc;

/// 1.3.6.1.4.1.311.2.2.10
const NTLMSSP: Oid<'static> = Oid::from_slice(b"\x2b\x06\x01\x04\x01\x82\x37\x02\x02\x0a");

#[test]
fn another_client_of_ntlm_is_understood() {
    if !std::path::Path::new("/etc/gss/mech.d").join("mech.ntlmssp.conf").exists() {
        return skip("gss-ntlmssp is not installed");
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let users = directory.path().join("users");
    std::fs::write(&users, "CORP:alice:Pa55 wörd\n").expect("our own directory");
    alone("ntlm::alice_with_a_password", vec![("NTLM_USER_FILE", users.display().to_string())]);
}

/// Outside SPNEGO this client has no integrity code, bound to the link or not: it is understood, and refused.
#[test]
fn alice_with_a_password() {
    if !is_alone("ntlm::alice_with_a_password") {
        return;
    }
    for end_point in [None, Some(&b"our certificate"[..])] {
        let step = authenticate("alice", end_point, on_link(Protection::WhenGiven));
        let weak = |name: &Option<Box<str>>| name.as_deref() == Some("alice");
        let refused = matches!(&step, Step::Failed(Failure::Refused { name, why: Why::Weak, .. }) if weak(name));
        assert!(refused, "{step:?}");
    }
}

/// The whole exchange of an account, bound to the link with this certificate.
fn authenticate(name: &str, end_point: Option<&[u8]>, setting: Setting) -> Step {
    let user = Name::new(format!("CORP\\{name}").as_bytes(), Some(GSS_NT_USER_NAME)).expect("a name");
    let mechanisms = OidSet::singleton(NTLMSSP).expect("a set");
    let credential = Cred::acquire(Some(&user), None, CredUsage::Initiate, Some(&mechanisms)).expect("a password");
    let service = Name::new(b"smtp@mx.corp.example", Some(GSS_NT_HOSTBASED_SERVICE)).expect("a name");
    let flags = CtxFlags::GSS_C_INTEG_FLAG;
    let mut client = ClientCtx::new(Some(credential), service, flags, Some(NTLMSSP));
    let binding = end_point.map(|end_point| [b"tls-server-end-point:", end_point].concat());
    let mut answer = |said: Option<&[u8]>| {
        let token = client.step(said, binding.as_deref()).expect("a token");
        token.map_or(Vec::new(), |token| token.to_vec())
    };
    let mut exchange = Exchange::new(Mechanism::Ntlm, setting);
    let Step::Challenge(challenge) = exchange.respond(Some(&answer(None))) else { panic!("a challenge") };
    exchange.respond(Some(&answer(Some(&challenge))))
}

fn on_link(protection: Protection) -> Setting {
    let link = Link { end_point: b"our certificate"[..].into(), ..Link::default() };
    Setting { link: Some(Arc::new(link)), protection, ..setting() }
}
