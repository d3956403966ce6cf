//! Handshakes and files, with certificates made for the occasion.

use super::certificates::Certificates;
use super::{accept, link};
use aws_lc_rs::digest::{SHA256, SHA384, digest};
use config::{Tls, TlsFiles, TlsVersion};
use gateway::world::{CertificateNews, Inspection};
use mail::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, SanType,
    date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, HandshakeKind};
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// 2026-11-02.
const NOW: Timestamp = Timestamp::from_millis(1_793_620_800_000);

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new(name: &str) -> Authority {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// A certificate and its key, as DER.
    fn issue(&self, params: &CertificateParams) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        (certificate.der().clone(), PrivateKeyDer::try_from(key.serialize_der()).unwrap())
    }
}

fn for_names(names: &[&str]) -> CertificateParams {
    CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap()
}

/// Writes a certificate of its own making for these names, and its key; whole, under other names first.
fn write(directory: &Path, stem: &str, names: &[&str]) -> TlsFiles {
    let (files, unfinished) = (files(directory, stem), files(directory, "unfinished"));
    let key = KeyPair::generate().unwrap();
    fs::write(&unfinished.certificate, for_names(names).self_signed(&key).unwrap().pem()).unwrap();
    fs::write(&unfinished.key, key.serialize_pem()).unwrap();
    fs::set_permissions(&unfinished.key, fs::Permissions::from_mode(0o600)).unwrap();
    fs::rename(&unfinished.certificate, &files.certificate).unwrap();
    fs::rename(&unfinished.key, &files.key).unwrap();
    files
}

fn files(directory: &Path, stem: &str) -> TlsFiles {
    TlsFiles { certificate: directory.join(format!("{stem}.pem")), key: directory.join(format!("{stem}.key")) }
}

fn settings(certificates: Vec<TlsFiles>) -> Tls {
    Tls { min_version: TlsVersion::Tls12, certificates, client_authorities: None }
}

/// A server on a port of its own, and a client that talks TLS to it: what each side has in the end.
async fn shake(
    certificates: &Certificates,
    client: ClientConfig,
    name: &str,
) -> (io::Result<gateway::world::Secured<super::Stream>>, io::Result<tokio_rustls::client::TlsStream<TcpStream>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (accepted, _) = listener.accept().await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(client));
    let name = ServerName::try_from(name.to_owned()).unwrap();
    tokio::join!(accept(accepted, certificates), connector.connect(name, stream))
}

/// A client that believes anybody, and shows this certificate.
fn client(
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
    builder.dangerous().with_custom_certificate_verifier(super::clients::anybody())
}

fn exported(client: &tokio_rustls::client::TlsStream<TcpStream>) -> [u8; 32] {
    client.get_ref().1.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(b"")).unwrap()
}

#[tokio::test]
async fn both_sides_have_the_same_bindings() {
    let directory = tempfile::tempdir().unwrap();
    let tls = settings(vec![
        write(directory.path(), "one", &["mx1.corp.example"]),
        write(directory.path(), "two", &["*.ext.example"]),
    ]);
    let certificates = Certificates::read(&tls).unwrap();
    for (name, files) in [
        ("mx1.corp.example", &tls.certificates[0]),
        ("mx.ext.example", &tls.certificates[1]),
        ("a.mx.ext.example", &tls.certificates[0]),
        ("ext.example", &tls.certificates[0]),
        ("other.example", &tls.certificates[0]),
    ] {
        let expected = super::pair::certificates(&files.certificate).unwrap();
        for (version, binds) in [(&rustls::version::TLS13, true), (&rustls::version::TLS12, false)] {
            let (server, client) = shake(&certificates, client(&[version]).with_no_client_auth(), name).await;
            let (server, client) = (server.unwrap(), client.unwrap());
            assert_eq!(client.get_ref().1.peer_certificates(), Some(&expected[..]), "{name}");
            assert_eq!(server.link.exporter, binds.then(|| exported(&client)), "{name}");
            assert_eq!(&*server.link.end_point, digest(&SHA256, &expected[0]).as_ref(), "{name}");
            assert_eq!(server.link.certificate, None);
            assert_eq!(server.facts.server_name.as_deref(), Some(name));
        }
    }
}

#[tokio::test]
async fn oldest_version_and_protocol_names() {
    let directory = tempfile::tempdir().unwrap();
    let mut tls = settings(vec![write(directory.path(), "one", &["mx1.corp.example"])]);
    tls.min_version = TlsVersion::Tls13;
    let certificates = Certificates::read(&tls).unwrap();
    let old = client(&[&rustls::version::TLS12]).with_no_client_auth();
    assert!(shake(&certificates, old, "mx1.corp.example").await.0.is_err());
    for (protocols, taken) in [(&["smtp"][..], true), (&["http/1.1"], false), (&["h2", "smtp"], true), (&[], true)] {
        let mut client = client(&[&rustls::version::TLS13]).with_no_client_auth();
        client.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let (server, _) = shake(&certificates, client, "mx1.corp.example").await;
        assert_eq!(server.is_ok(), taken, "{protocols:?}");
    }
}

/// Settings that ask clients for certificates of this authority.
fn asking(directory: &TempDir, authority: &Authority) -> Tls {
    let file = directory.path().join("clients.pem");
    fs::write(&file, authority.0.pem()).unwrap();
    let mut tls = settings(vec![write(directory.path(), "one", &["mx1.corp.example"])]);
    tls.client_authorities = Some(file);
    tls
}

#[tokio::test]
async fn a_client_is_who_its_certificate_says() {
    let (directory, authority) = (tempfile::tempdir().unwrap(), Authority::new("Clients of corp.example"));
    let certificates = Certificates::read(&asking(&directory, &authority)).unwrap();
    let mut params = for_names(&["peer.ext.example"]);
    params.subject_alt_names.push(SanType::Rfc822Name("relay@ext.example".try_into().unwrap()));
    params.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth);
    let (certificate, key) = authority.issue(&params);
    let fingerprint: [u8; 32] = digest(&SHA256, &certificate).as_ref().try_into().unwrap();
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let shown = client(&[version]).with_client_auth_cert(vec![certificate.clone()], key.clone_key()).unwrap();
        let server = shake(&certificates, shown, "mx1.corp.example").await.0.unwrap();
        let seen = server.link.certificate.clone().unwrap();
        assert_eq!(
            seen.names.iter().map(|name| &**name).collect::<Vec<_>>(),
            ["peer.ext.example", "relay@ext.example"]
        );
        assert_eq!(seen.fingerprint, fingerprint);
    }
    let none = client(&[&rustls::version::TLS13]).with_no_client_auth();
    assert_eq!(shake(&certificates, none, "mx1.corp.example").await.0.unwrap().link.certificate, None);
}

/// Octets of the server reach the client, and with them the tickets that came first.
async fn greet(server: &mut super::Stream, client: &mut tokio_rustls::client::TlsStream<TcpStream>) {
    server.write_all(b"220").await.unwrap();
    server.flush().await.unwrap();
    client.read_exact(&mut [0; 3]).await.unwrap();
}

#[tokio::test]
async fn a_resumed_session_says_the_same_of_the_client_and_has_a_binding_of_its_own() {
    let (directory, authority) = (tempfile::tempdir().unwrap(), Authority::new("Clients of corp.example"));
    let certificates = Certificates::read(&asking(&directory, &authority)).unwrap();
    let (certificate, key) = authority.issue(&for_names(&["peer.ext.example"]));
    for (version, binds) in [(&rustls::version::TLS13, true), (&rustls::version::TLS12, false)] {
        let same = client(&[version]).with_client_auth_cert(vec![certificate.clone()], key.clone_key()).unwrap();
        let (server, client) = shake(&certificates, same.clone(), "mx1.corp.example").await;
        let (mut first, mut client) = (server.unwrap(), client.unwrap());
        assert_eq!(client.get_ref().1.handshake_kind(), Some(HandshakeKind::Full));
        greet(&mut first.stream, &mut client).await;
        let (again, client) = shake(&certificates, same, "mx1.corp.example").await;
        let (again, client) = (again.unwrap(), client.unwrap());
        assert_eq!(client.get_ref().1.handshake_kind(), Some(HandshakeKind::Resumed), "{version:?}");
        assert!(again.link.certificate.is_some() && again.link.certificate == first.link.certificate);
        assert_eq!(again.link.end_point, first.link.end_point);
        assert_eq!(again.link.exporter, binds.then(|| exported(&client)));
        assert_eq!(again.link.exporter != first.link.exporter, binds, "a binding is of one connection");
        assert_eq!(again.facts, first.facts);
    }
}

#[tokio::test]
async fn nothing_is_resumed_across_a_change_of_certificates_or_authorities() {
    let (directory, authority) = (tempfile::tempdir().unwrap(), Authority::new("Clients of corp.example"));
    let certificates = Certificates::read(&asking(&directory, &authority)).unwrap();
    certificates.look(NOW);
    let (certificate, key) = authority.issue(&for_names(&["peer.ext.example"]));
    let same = client(&[&rustls::version::TLS13]).with_client_auth_cert(vec![certificate], key).unwrap();
    let (server, client) = shake(&certificates, same.clone(), "mx1.corp.example").await;
    greet(&mut server.unwrap().stream, &mut client.unwrap()).await;

    write(directory.path(), "one", &["mx1.corp.example"]);
    assert_eq!(looks(&certificates).unwrap().news.len(), 1);
    let (server, client) = shake(&certificates, same.clone(), "mx1.corp.example").await;
    let (mut server, mut client) = (server.unwrap(), client.unwrap());
    assert_eq!(client.get_ref().1.handshake_kind(), Some(HandshakeKind::Full));
    greet(&mut server.stream, &mut client).await;

    fs::write(directory.path().join("clients.pem"), Authority::new("Others").0.pem()).unwrap();
    assert_eq!(looks(&certificates).unwrap().news.len(), 1);
    let (server, _) = shake(&certificates, same, "mx1.corp.example").await;
    assert!(server.is_err(), "who vouched for it is believed no longer");
}

#[tokio::test]
async fn certificates_that_prove_nothing_end_the_handshake() {
    let (directory, authority) = (tempfile::tempdir().unwrap(), Authority::new("Clients of corp.example"));
    let certificates = Certificates::read(&asking(&directory, &authority)).unwrap();
    let named = || for_names(&["peer.ext.example"]);
    let mut expired = named();
    (expired.not_before, expired.not_after) = (date_time_ymd(2001, 1, 1), date_time_ymd(2002, 1, 1));
    let mut early = named();
    (early.not_before, early.not_after) = (date_time_ymd(3001, 1, 1), date_time_ymd(3002, 1, 1));
    let mut for_servers = named();
    for_servers.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
    let own_key = KeyPair::generate().unwrap();
    let own = named().self_signed(&own_key).unwrap().der().clone();
    let own_key = PrivateKeyDer::try_from(own_key.serialize_der()).unwrap();
    // The same name as the authority has, and another key.
    let impostor = Authority::new("Clients of corp.example");
    for (what, (certificate, key)) in [
        ("expired", authority.issue(&expired)),
        ("not valid yet", authority.issue(&early)),
        ("for servers", authority.issue(&for_servers)),
        ("of another authority", impostor.issue(&named())),
        ("of its own making", (own, own_key)),
    ] {
        for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
            let shown = client(&[version]).with_client_auth_cert(vec![certificate.clone()], key.clone_key()).unwrap();
            assert!(shake(&certificates, shown, "mx1.corp.example").await.0.is_err(), "{what}");
        }
    }
    let (certificate, key) = authority.issue(&named());
    let padded: Vec<_> = std::iter::once(certificate).chain((0..40).map(|_| impostor.issue(&named()).0)).collect();
    let long = client(&[&rustls::version::TLS13]).with_client_auth_cert(padded, key).unwrap();
    // What is superfluous does no harm and is no proof: at most it is too much.
    let _ = shake(&certificates, long, "mx1.corp.example").await;
    let fine = client(&[&rustls::version::TLS13]).with_no_client_auth();
    assert!(shake(&certificates, fine, "mx1.corp.example").await.0.is_ok());
}

#[test]
fn the_end_point_is_hashed_as_it_was_signed() {
    for (algorithm, hash) in [
        (&rcgen::PKCS_ECDSA_P256_SHA256, &SHA256),
        (&rcgen::PKCS_ECDSA_P384_SHA384, &SHA384),
        (&rcgen::PKCS_ED25519, &SHA256),
    ] {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let certificate = for_names(&["mx1.corp.example"]).self_signed(&key).unwrap();
        let (_, parsed) = x509_parser::parse_x509_certificate(certificate.der()).unwrap();
        assert_eq!(&*link::end_point(&parsed, certificate.der()), digest(hash, certificate.der()).as_ref());
    }
}

/// Two looks: the first sees that a file has changed, the second that it stays so.
fn looks(certificates: &Certificates) -> Option<Inspection> {
    let first = certificates.look(NOW);
    assert_eq!(first, None, "what has just changed may still be changing");
    certificates.look(NOW)
}

fn names(news: &[CertificateNews]) -> Vec<String> {
    let name = |news: &CertificateNews| match news {
        CertificateNews::Changed { names, .. } => format!("changed: {names}"),
        CertificateNews::Rejected { file, .. } => format!("rejected: {}", file.file_name().unwrap().display()),
        CertificateNews::Doubtful { file, why } => format!("{}: {why}", file.file_name().unwrap().display()),
    };
    news.iter().map(name).collect()
}

#[test]
fn files_that_change_are_taken_up_if_they_can_be_used() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let tls = settings(vec![write(here, "one", &["one.example"]), write(here, "two", &["two.example"])]);
    let certificates = Certificates::read(&tls).unwrap();
    assert!(certificates.look(NOW).unwrap().news.is_empty(), "there is nothing to object to");
    assert_eq!(certificates.look(NOW), None);

    write(here, "one", &["new.example"]);
    assert_eq!(names(&looks(&certificates).unwrap().news), ["changed: new.example"]);
    assert_eq!(certificates.look(NOW), None);

    // A certificate without its key, then with it: the second pair of looks finds them together.
    let other = write(here, "other", &["late.example"]);
    fs::rename(&other.certificate, &tls.certificates[0].certificate).unwrap();
    assert_eq!(names(&looks(&certificates).unwrap().news), ["rejected: one.key"]);
    assert_eq!(certificates.look(NOW), None, "said once");
    assert_eq!(certificates.names_in_use(), [["new.example"], ["two.example"]]);
    fs::rename(&other.key, &tls.certificates[0].key).unwrap();
    assert_eq!(names(&looks(&certificates).unwrap().news), ["changed: late.example"]);

    // Written by halves while somebody looks.
    let text = fs::read(&tls.certificates[1].certificate).unwrap();
    let whole = write(here, "other", &["whole.example"]);
    let next = fs::read(&whole.certificate).unwrap();
    for cut in [0, 10, next.len() / 2] {
        fs::write(&tls.certificates[1].certificate, &next[..cut]).unwrap();
        assert_eq!(certificates.look(NOW), None);
    }
    assert_eq!(names(&certificates.look(NOW).unwrap().news), ["rejected: two.pem"]);
    fs::write(&tls.certificates[1].certificate, text).unwrap();
    assert_eq!(names(&looks(&certificates).unwrap().news), ["changed: two.example"]);

    fs::remove_file(&tls.certificates[1].key).unwrap();
    assert_eq!(names(&looks(&certificates).unwrap().news), ["rejected: two.key"]);
    assert_eq!(certificates.names_in_use(), [["late.example"], ["two.example"]]);
}

#[test]
fn what_somebody_should_look_at_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let files = files(directory.path(), "old");
    let key = KeyPair::generate().unwrap();
    let mut params = for_names(&["old.example"]);
    params.not_after = date_time_ymd(2026, 11, 12);
    fs::write(&files.certificate, params.self_signed(&key).unwrap().pem()).unwrap();
    fs::write(&files.key, key.serialize_pem()).unwrap();
    fs::set_permissions(&files.key, fs::Permissions::from_mode(0o604)).unwrap();
    let certificates = Certificates::read(&settings(vec![files])).unwrap();
    let first = certificates.look(NOW).unwrap();
    let said =
        ["old.pem: the certificate expires in 9 days", "old.key: everybody on this host can read the private key"];
    assert_eq!((names(&first.news), first.days_left), (said.map(str::to_owned).to_vec(), 9));
    let later = |days: u64| Timestamp::from_millis(NOW.millis() + days * 86_400_000);
    assert_eq!(certificates.look(NOW), None);
    let next = certificates.look(later(1)).unwrap();
    assert_eq!((names(&next.news), next.days_left), (vec!["old.pem: the certificate expires in 8 days".to_owned()], 8));
    let over = certificates.look(later(10)).unwrap();
    assert_eq!((names(&over.news), over.days_left), (vec!["old.pem: the certificate has expired".to_owned()], -1));
}

#[test]
fn files_that_cannot_be_used_at_the_start_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let (one, two) = (write(directory.path(), "one", &["a.example"]), write(directory.path(), "two", &["b.example"]));
    let swapped = TlsFiles { certificate: one.certificate.clone(), key: two.key.clone() };
    let no_key = TlsFiles { key: one.certificate.clone(), ..one.clone() };
    let no_certificate = TlsFiles { certificate: one.key.clone(), ..one.clone() };
    let absent = TlsFiles { key: directory.path().join("absent.key"), ..one.clone() };
    for (files, named) in
        [(swapped, "two.key"), (no_key, "one.pem"), (no_certificate, "one.key"), (absent, "absent.key")]
    {
        let error = Certificates::read(&settings(vec![two.clone(), files])).err().unwrap().to_string();
        assert!(error.contains(named), "{error}");
    }
    let nobody = Tls { client_authorities: Some(one.key.clone()), ..settings(vec![one]) };
    assert!(Certificates::read(&nobody).is_err());
}
