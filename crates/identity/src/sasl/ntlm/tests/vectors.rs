//! The worked example of MS-NLMP §4.2.4, and of the digest of a channel binding.

use super::super::message::{Authenticate, Fault};
use super::super::proof;
use super::client::nt_hash;

/// The third message of §4.2.4.3, which has no integrity code.
const AUTHENTICATE: &str = "4e544c4d535350000300000018001800\
    6c0000005400540084000000\
    0c000c0048000000\
    0800080054000000\
    100010005c000000\
    10001000d8000000\
    358288e20501280a0000000f\
    44006f006d00610069006e00\
    5500730065007200\
    43004f004d0050005500540045005200\
    86c35097ac9cec102554764a57cccc19aaaaaaaaaaaaaaaa\
    68cd0ab851e51c96aabc927bebef6a1c\
    01010000000000000000000000000000aaaaaaaaaaaaaaaa00000000\
    02000c0044006f006d00610069006e00\
    01000c0053006500720076006500720000000000\
    00000000\
    c5dad2544fc9799094ce1ce90bc9d03e";

fn octets(hex: &str) -> Vec<u8> {
    let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
    assert!(rest.is_empty());
    pairs.iter().map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

#[test]
fn the_worked_example_comes_out() {
    assert_eq!(nt_hash("Password").to_vec(), octets("a4f49c406510bdcab6824ee7c30fd852"));
    let key = proof::response_key(&nt_hash("Password"), "User", "Domain");
    assert_eq!(key.to_vec(), octets("0c868a403bfd7a93a3001ef22ef02e3f"));
    let message = octets(AUTHENTICATE);
    let blob = &message[0x84 + 16..0xd8];
    let proof = proof::digest(&*key, &[&octets("0123456789abcdef"), blob]);
    assert_eq!(proof.to_vec(), octets("68cd0ab851e51c96aabc927bebef6a1c"));
    let base = proof::digest(&*key, &[&*proof]);
    assert_eq!(base.to_vec(), octets("8de40ccadbc14a82f15cb0ad0de95ca3"));
    let encrypted = <[u8; 16]>::try_from(octets("c5dad2544fc9799094ce1ce90bc9d03e")).unwrap();
    assert_eq!(proof::exported(base, Some(encrypted)).to_vec(), vec![0x55; 16]);
}

#[test]
fn the_worked_example_has_no_integrity_code_and_is_refused() {
    let fault = Authenticate::parse(&octets(AUTHENTICATE)).unwrap_err();
    assert_eq!(fault, Fault::Weak(Some("User".into())));
}

/// The example that Microsoft gave when it introduced extended protection; other implementations have it
/// among their tests, too.
#[test]
fn the_digest_of_a_channel_binding_comes_out() {
    let certificate = octets("ea05fefecc6b0bd571dbbc5baa3ed45386d0446835f7b74c85621b9983475f95");
    assert_eq!(proof::binding(&certificate).to_vec(), octets("6586e99d81c2fc984e47172fd4dd0310"));
}
