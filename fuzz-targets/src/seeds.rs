//! The first inputs of each corpus, made from what the tests already have: transcripts, settings,
//! and one of each thing that a target reads.

#![allow(clippy::disallowed_methods, reason = "reads the tests from the tree")]

use crate::spool::first_meaning;
use identity::Mechanism;
use std::path::Path;

/// The seeds of a target, from the tree at `root`.
///
/// # Panics
/// If the tests are not where they should be.
#[must_use]
pub fn of(target: &str, root: &Path) -> Vec<Vec<u8>> {
    match target {
        "accounts" => vec![ACCOUNTS.into()],
        "address" => lines(ADDRESSES),
        "bearer" => bearers(root),
        "body" => bodies(root),
        "client" => client(root),
        "command" | "differential" => commands(root),
        "control" => lines(CONTROL),
        "dots" => said(root).into_iter().map(|content| [vec![1], content].concat()).collect(),
        "dump" | "spool" => directories(),
        "envelope" => vec![first_meaning().to_vec(), [&first_meaning()[..5], &[0xff; 40]].concat()],
        "explain" => explain(),
        "guess" => guesses(),
        "header" => said(root).into_iter().map(header).collect(),
        "ldap" => ldap(),
        "log" => (0..12).map(event).collect(),
        "password" => passwords(root),
        "proxy" => proxy(),
        "reply" => client(root).into_iter().map(|input| [&[1], &input[4..]].concat()).collect(),
        "ntlm" => ntlm(),
        "sasl" => exchanges(root),
        "scram" => scrams(),
        "server" => server(root),
        "settings" => settings(root),
        "token" => tokens(),
        other => panic!("no seeds for {other}"),
    }
}

const ACCOUNTS: &str = "# People.\n\naccount Alice\n  \
    password $2b$04$abcdefghijklmnopqrstuufznL8bkzdtHwLhca4To/v9Lo9bA7fR6\n  group staff\n  address a@corp.example\n\n\
    account b\u{fc}ro\n  nt-hash a4f49c406510bdcab6824ee7c30fd852\n  suspended\n  expires 2027-01-31\n  \
    certificate 000102030405060708090a0b0c0d0e0f000102030405060708090a0b0c0d0e0f\n";

/// A first message, and third ones: of today, and of old clients.
fn ntlm() -> Vec<Vec<u8>> {
    let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let third = |response: &[u8]| {
        let parts = [vec![0; 24], response.to_vec(), utf16("CORP"), utf16("alice"), utf16("PC"), vec![5; 16]];
        let mut message = b"NTLMSSP\0\x03\0\0\0".to_vec();
        let mut offset = 88_u32;
        for part in &parts {
            let length = u16::try_from(part.len()).unwrap();
            message.extend([length.to_le_bytes(), length.to_le_bytes()].concat());
            message.extend(offset.to_le_bytes());
            offset += u32::from(length);
        }
        message.extend(0xe288_8235_u32.to_le_bytes());
        message.resize(88, 0);
        [&[0, 0], &*message, &*parts.concat()].concat()
    };
    let fixed = [&[7; 16][..], &[1, 1, 0, 0, 0, 0, 0, 0], &[3; 8], &[0xaa; 8], &[0; 4]].concat();
    let pairs = [&[6, 0, 4, 0, 2, 0, 0, 0][..], &[10, 0, 16, 0], &[9; 16], &[0; 8]].concat();
    vec![[&[0, 1], crate::sasl::ntlm::NEGOTIATE].concat(), third(&[fixed, pairs].concat()), third(&[1; 24]), third(&[])]
}

/// Headers of proxies, in both versions.
fn proxy() -> Vec<Vec<u8>> {
    let block = |rest: &[u8]| [b"\r\n\r\n\0\r\nQUIT\n", rest].concat();
    vec![
        b"PROXY TCP4 192.0.2.66 10.0.0.1 51000 25\r\n".to_vec(),
        b"PROXY TCP6 2001:db8::66 ::1 51000 25\r\nEHLO a\r\n".to_vec(),
        b"PROXY UNKNOWN\r\n".to_vec(),
        block(b"\x20\0\0\0"),
        block(b"\x21\x11\0\x0c\xc0\0\x02\x42\x0a\0\0\x01\xc7\x38\0\x19"),
        block(&[&b"\x21\x21\0\x29"[..], &[0x20; 36], b"\x03\0\x02ab"].concat()),
    ]
}

const ADDRESSES: &str = "<>\n<postmaster>\n<a@b.example>\n<\"a b\\\"@\"@[IPv6:2001:db8::1]>\na.b@c.example.\n\
    <@a.example,@b.example:c@d.example> SIZE=1\nbücher@bücher.example\n[192.0.2.1]\nxn--bcher-kva.example\n<a%b@c_d.example>";

const CONTROL: &str = r#"{"List":{}}
{"Show":"04000001"}
{"Delete":{"filter":{"ids":["04000001"],"from":"<>","to":"a","destination":"b","server":"c","older_than_s":5},"report":true}}
{"Freeze":"corp.example"}
{"Done":3}
{"NotFound":"x"}
{"View":{"destinations":[],"messages":[]}}"#;

fn lines(text: &str) -> Vec<Vec<u8>> {
    text.lines().map(|line| line.trim_start().into()).collect()
}

/// The texts of the files of a directory with this ending, in the order of their names.
fn texts(root: &Path, directory: &str, ending: &str) -> Vec<String> {
    let entries = std::fs::read_dir(root.join(directory)).expect("a directory of tests");
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|found| found == ending));
    paths.sort();
    assert!(!paths.is_empty(), "{directory} is empty");
    paths.into_iter().map(|path| std::fs::read_to_string(path).unwrap()).collect()
}

/// The octets of what a transcript writes in these lines; each turn is ended by 0xFF.
fn turns(text: &str, first: &str, further: &str) -> Vec<u8> {
    let mut turns = Vec::new();
    for line in text.lines() {
        let (mark, rest) = line.split_at_checked(2).unwrap_or((line, ""));
        if mark == first && !turns.is_empty() && first != further {
            turns.push(0xff);
        } else if mark != first && mark != further {
            if first == further && turns.last().is_some_and(|last| *last != 0xff) {
                turns.push(0xff);
            }
            continue;
        }
        turns.extend(octets(rest.strip_prefix(' ').unwrap_or(rest)));
    }
    turns
}

/// The octets of a line, in the escapes of the transcripts; repetitions are left as they are.
fn octets(text: &str) -> Vec<u8> {
    let (text, end) = text.strip_suffix('\\').map_or((text, "\r\n"), |front| (front, ""));
    let text = text.replace("\\r", "\r").replace("\\n", "\n").replace("\\0", "\0").replace("\\\\", "\\");
    [text.as_bytes(), end.as_bytes()].concat()
}

fn server(root: &Path) -> Vec<Vec<u8>> {
    let scripts = texts(root, "tests/protocol", "smtp");
    let script = |text: &String| {
        let has = |word| u8::from(text.lines().any(|line| line.starts_with("settings:") && line.contains(word)));
        let flags = has("normalise") | has("close-early-talk") << 1 | has("starttls") << 2 | has("tls-required") << 3;
        let flags = flags | has("auth") << 4 | has("auth-under-tls") << 5 | has("-size=") << 6;
        [vec![flags, 2, 1, 9], turns(text, "C:", "C+")].concat()
    };
    scripts.iter().map(script).collect()
}

fn client(root: &Path) -> Vec<Vec<u8>> {
    let scripts = texts(root, "crates/smtp/tests/client", "smtp");
    scripts.iter().map(|text| [vec![0, 2, 0b0110_0101, 0], turns(text, "S:", "S:")].concat()).collect()
}

/// Each different command line of the transcripts.
fn commands(root: &Path) -> Vec<Vec<u8>> {
    let all = texts(root, "tests/protocol", "smtp").concat();
    let commands = all.lines().filter_map(|line| line.strip_prefix("C: "));
    let mut commands: Vec<Vec<u8>> = commands.map(Vec::from).filter(|line| line.len() < 200).collect();
    commands.sort();
    commands.dedup();
    commands
}

/// What clients of the transcripts say, each as one piece.
fn said(root: &Path) -> Vec<Vec<u8>> {
    texts(root, "tests/protocol", "smtp").iter().map(|text| turns(text, "C:", "C+")).map(without_ends).collect()
}

fn without_ends(mut turns: Vec<u8>) -> Vec<u8> {
    turns.retain(|b| *b != 0xff);
    turns
}

fn bodies(root: &Path) -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = said(root).into_iter().map(|said| [vec![0, 1], said].concat()).collect();
    seeds.push(b"\x04\x01\x00\x08a: b\r\n\r\n\x03\x03c\r\n".to_vec());
    seeds.push(b"\x0c\x01\x00\x08a: b\r\n\r\n\x03\x03\x00\r\x0a".to_vec());
    seeds.push(b"\x05\x01\x00\x05text\r\x03\x01\n".to_vec());
    seeds
}

fn header(said: Vec<u8>) -> Vec<u8> {
    let header = b"\x01\x0athere.test\x0fa@corp.example.Received: from x\r\nreceived : y\r\nSubject: \xc3\xa4\r\n\r\n";
    [header.to_vec(), said].concat()
}

fn event(kind: u8) -> Vec<u8> {
    [&[kind, 1, 2][..], b"\x09192.0.2.1", b"\x05a@b.c", b"\x06\r\n\"\x1b\xc2\x9b"].concat()
}

fn explain() -> Vec<Vec<u8>> {
    let counted = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    let client = ["10.168.0.1", "2001:db8::1", "::ffff:203.0.113.7"];
    let seed = |server: u8| {
        let said = [counted(client[usize::from(server % 3)]), counted("a@there.test"), counted("h.partner.example")];
        [vec![server % 4, server, server >> 2, server], said.concat(), b"alice@corp.example\nbob@ext.example".to_vec()]
            .concat()
    };
    (0..16).map(seed).collect()
}

fn settings(root: &Path) -> Vec<Vec<u8>> {
    let all = [texts(root, "tests/settings/good", "toml"), texts(root, "tests/settings/bad", "toml")].concat();
    all.into_iter().map(String::into_bytes).collect()
}

/// A turn of a dialog: who speaks, and what.
type Turn = (char, Vec<u8>);

/// The dialogs of the mechanisms: what clients say, each turn in one piece, and what is found.
fn dialogs(root: &Path) -> Vec<(String, Vec<Turn>)> {
    let mut dialogs: Vec<(String, Vec<Turn>)> = Vec::new();
    for line in texts(root, "tests/mechanisms", "dialog").concat().lines() {
        if let Some(words) = line.strip_prefix("mechanism ") {
            dialogs.push((words.to_owned(), Vec::new()));
        }
        let (mark, rest) = line.split_at_checked(2).unwrap_or((line, ""));
        let Some((_, turns)) = dialogs.last_mut() else { continue };
        match mark {
            "C:" => turns.push(('C', said_octets(rest.strip_prefix(' ').unwrap_or(rest)))),
            "C-" => turns.push(('-', Vec::new())),
            "F:" => turns.push(('F', rest.trim().into())),
            _ => {}
        }
    }
    dialogs.retain(|(_, turns)| turns.iter().all(|(_, octets)| octets.len() < 256));
    dialogs
}

/// The octets of a dialog, in its escapes; repetitions are left as they are.
fn said_octets(text: &str) -> Vec<u8> {
    let mut octets = Vec::new();
    let mut rest = text;
    while let Some((front, back)) = rest.split_once("\\x") {
        octets.extend(self::octets(&format!("{front}\\")));
        octets.push(u8::from_str_radix(&back[..2], 16).unwrap());
        rest = &back[2..];
    }
    octets.extend(self::octets(&format!("{rest}\\")));
    octets
}

/// Whole dialogs for `sasl`.
fn exchanges(root: &Path) -> Vec<Vec<u8>> {
    let seed = |(words, turns): (String, Vec<(char, Vec<u8>)>)| {
        let name = words.split(' ').next().unwrap_or_default();
        let mechanism = Mechanism::ALL.iter().position(|known| known.name() == name).expect("a mechanism");
        let has = |word| u8::from(words.contains(word));
        let flags = has("tls") | has("certificate") << 1 | has("tls1.3") << 2 | has("plus-offered") << 3;
        let mut seed = vec![u8::try_from(mechanism).unwrap(), flags];
        for (mark, octets) in turns {
            match mark {
                'C' => seed.extend([&[11, u8::try_from(octets.len()).unwrap()], &octets[..]].concat()),
                '-' => seed.push(0),
                _ => seed.extend(match octets.split(|octet| *octet == b' ').next().unwrap_or_default() {
                    b"account" => &b"\x02\x00"[..],
                    b"principal" => b"\x03\x01p",
                    b"keys" => b"\x04\x04salt",
                    b"unknown" => b"\x08\x00",
                    b"unavailable" => b"\x0a\x00",
                    _ => b"\x09\x00",
                }),
            }
        }
        seed
    };
    dialogs(root).into_iter().map(seed).collect()
}

/// What the clients of one kind of mechanism say first.
fn first_responses(root: &Path, names: [&str; 2]) -> Vec<(bool, Vec<u8>)> {
    let of_kind = |(words, turns): (String, Vec<(char, Vec<u8>)>)| {
        let kind = words.split(' ').next().unwrap_or_default().to_owned();
        let said = turns.into_iter().find(|(mark, _)| *mark == 'C')?;
        names.contains(&&*kind).then_some((kind == names[0], said.1))
    };
    dialogs(root).into_iter().filter_map(of_kind).collect()
}

fn bearers(root: &Path) -> Vec<Vec<u8>> {
    let seed = |(first, said): (bool, Vec<u8>)| [&[u8::from(first), 1, 1], &said[..]].concat();
    first_responses(root, ["OAUTHBEARER", "XOAUTH2"]).into_iter().map(seed).collect()
}

fn passwords(root: &Path) -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = first_responses(root, ["PLAIN", "PLAIN"]).into_iter().map(|(_, said)| said).collect();
    seeds.extend([b"\x05alicesecret".to_vec(), b"\x05alice".to_vec(), b"\x06al\xc2\x9bicex".to_vec()]);
    seeds
}

fn scrams() -> Vec<Vec<u8>> {
    vec![
        b"\x00\x00\x05alice\x01q".to_vec(),
        b"\x01\x01\x06al,i=e\x05rOprN\x03y=z".to_vec(),
        b"\x01\x00\x05alice\x01q\x00\x03\x00A".to_vec(),
        b"\x00\x01\x05alice\x01q\x00\x40\x00=".to_vec(),
        b"\x00\x00\x05alice\x01q\x00\x00\x00\x00x".to_vec(),
        b"\x00\x00\x05al\nic\x01,".to_vec(),
    ]
}

/// Directories in the steps of the builder: a message with its history, damage, body files, a
/// segment that was cut off.
fn directories() -> Vec<Vec<u8>> {
    vec![
        b"\x01\x01\x01\x06\x11\x05hello\x07\x06\x12\x03abc\x07\x02\x00\x11\x01\x00\x07\x0c\x11\x02\x01\x01".to_vec(),
        b"\x01\x01\x01\x06\x11\x05hello\x09\x50\x20\x01\x07\x06\x12\x03abc\x0f\x02\x02\x02\x06\x21\x03new".to_vec(),
        b"\x01\x01\x01\x0b\x11\x05hello\x00\x07\x0b\x12\x05hello\x11\x0a\x13\x03abc".to_vec(),
        b"\x01\x01\x01\x0d\xff\x1f".to_vec(),
        b"\x01\x01\x01\x06\x11\x05hello\x0f\x02\x01\x02\x06\x21\x03new".to_vec(),
        b"\xfe\x01\x01\x06\x11\x05hello\x0f\x02\xff\x02\x06\x21\x03new\x0e\x0dbody-ZZZZZZZ0".to_vec(),
    ]
}

/// Histories: guesses from one place and from many, restarts, a clock that jumps.
fn guesses() -> Vec<Vec<u8>> {
    let home = b"\x0d\0\0";
    let guesses: Vec<u8> = (1..20).flat_map(|account| [2, 5, account, account]).collect();
    let distributed = b"\x0c\x50\0";
    vec![
        [b"\0", &home[..], &guesses, home].concat(),
        [b"\0", &home[..], distributed, b"\x09\0\0", home, b"\x08\0\0\x03\x40\0", home].concat(),
        [b"\0", &guesses[..], b"\x0a\0\0\x07\0\0\x02\x10\0\x0b\x03\0", &guesses, b"\x00\x05\0"].concat(),
        b"\x01\x2fprefix 192.0.2.0/24 9000 1 1767225599000 86400\n\x00\0\0\x0d\0\0".to_vec(),
        b"\x01\x31account alice 9 1 2 3\ndevice alice 192.0.2.0/24 5 4 3\x09\0\0".to_vec(),
    ]
}

/// A message, an entry for each schema, filters with a name in them, templates of a DN.
fn ldap() -> Vec<Vec<u8>> {
    let counted = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    let attribute = |kind: u8, value: &str| [&[kind, 0, 1][..], &counted(value)].concat();
    let entry = |attributes: &[(u8, &str)]| {
        let attributes: Vec<u8> = attributes.iter().flat_map(|(kind, value)| attribute(*kind, value)).collect();
        [&[1][..], &counted("uid=a\\2Cb,dc=x"), &attributes].concat()
    };
    let filter = |value: &str, text: &str| [&[2][..], &counted(value), text.as_bytes()].concat();
    let name = |template: &str, name: &str| [&[3][..], &counted(template), &counted(name), b"secret"].concat();
    vec![
        b"\0\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x31\x04\x00\x04\x00".to_vec(),
        b"\0\x30\x1b\x02\x01\x02\x64\x16\x04\x04dc=x\x30\x0e\x30\x0c\x04\x03uid\x31\x05\x04\x03abc".to_vec(),
        entry(&[(0, "a,b"), (3, "a@b.test"), (5, "SMTP:c@b.test"), (6, "20454"), (7, "TRUE"), (8, "000001010000Z")]),
        entry(&[(1, "alice"), (9, "514"), (10, "16"), (11, "134116992000000000"), (12, "1"), (13, "0"), (2, "x")]),
        filter("*)(uid=*", "(&(objectClass=person)(|(uid=%u)(mail=%u@*))(!(a>=5)))"),
        filter("x", "(&(member:1.2.840.113556.1.4.1941:=%u)(a:dn:=\\28)(b=*c*%u*)(d~=%%)(e=*))"),
        name("uid=%u,ou=people,dc=example", " a,\"+=#\\ "),
        name("cn=x%uy+mail=%u@x,dc=a", "b\u{fc}ro"),
    ]
}

/// Tokens in every manner: as octets, keys, and claims that are signed well or badly.
fn tokens() -> Vec<Vec<u8>> {
    let good = r#"{"iss":"https://login.test","aud":"smtp","exp":1767229200,"email":"alice@corp.example","scope":"mail.send"}"#;
    let list =
        good.replace("\"smtp\"", "[\"a\",\"smtp\"]").replace("\"mail.send\"", "\"a mail.send\",\"nbf\":1767225600.5");
    let token = |manner: u8, choice: u8, head: &str, claims: &str, rest: &[u8]| {
        let size = u16::try_from(claims.len()).unwrap().to_le_bytes();
        let head = [&[u8::try_from(head.len()).unwrap()], head.as_bytes()].concat();
        [&[manner, choice][..], &head, &size, claims.as_bytes(), rest].concat()
    };
    let mut seeds = vec![
        b"\0\0eyJhbGciOiJub25lIn0.eyJpc3MiOiJodHRwczovL2xvZ2luLnRlc3QifQ.".to_vec(),
        [b"\x01\0", crate::token::published().as_bytes()].concat(),
        token(2, 0, r#"{"alg":"none"}"#, good, b""),
        token(4, 0, "", good, b""),
        token(5, 0, "", good, b"\x20\0A"),
        token(6, 0, "", good, b""),
        token(6, 0, r#"{"alg":"EdDSA","typ":"JWT"}"#, &list, b""),
        token(6, 0, r#"{"alg":"EdDSA","kid":"k1","crit":["exp"]}"#, good, b""),
    ];
    seeds.extend((0..6).map(|choice| token(3, choice, r#"{"alg":"HS256","kid":"k2"}"#, good, b"")));
    seeds
}
