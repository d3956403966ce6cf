//! An issuer of tokens: its keys, and the site where it publishes them.

use crate::authority::Authority;
use base64ct::{Base64UrlUnpadded, Encoding};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rcgen::{KeyPair, PublicKeyData};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// A key that signs tokens.
pub(crate) struct Key {
    id: String,
    pub(crate) algorithm: Algorithm,
    pair: KeyPair,
    secret: EncodingKey,
}

impl Key {
    pub(crate) fn new(id: &str, algorithm: Algorithm) -> Key {
        let kind = match algorithm {
            Algorithm::ES256 => &rcgen::PKCS_ECDSA_P256_SHA256,
            Algorithm::ES384 => &rcgen::PKCS_ECDSA_P384_SHA384,
            Algorithm::EdDSA => &rcgen::PKCS_ED25519,
            _ => &rcgen::PKCS_RSA_SHA256,
        };
        let pair = KeyPair::generate_for(kind).unwrap();
        let der = pair.serialize_der();
        let secret = match algorithm {
            Algorithm::ES256 | Algorithm::ES384 => EncodingKey::from_ec_der(&der),
            Algorithm::EdDSA => EncodingKey::from_ed_der(&der),
            _ => EncodingKey::from_rsa_der(&rsa_inside(&der)),
        };
        Key { id: id.into(), algorithm, pair, secret }
    }

    pub(crate) fn sign(&self, claims: &Value) -> String {
        self.sign_as(self.algorithm, claims)
    }

    pub(crate) fn sign_as(&self, algorithm: Algorithm, claims: &Value) -> String {
        let head = Header { kid: Some(self.id.clone()), ..Header::new(algorithm) };
        jsonwebtoken::encode(&head, claims, &self.secret).unwrap()
    }

    pub(crate) fn sign_without_id(&self, claims: &Value) -> String {
        jsonwebtoken::encode(&Header::new(self.algorithm), claims, &self.secret).unwrap()
    }

    /// A token with any head at all, well signed.
    pub(crate) fn sign_with_head(&self, head: &Value, claims: &Value) -> String {
        let part = |value: &Value| Base64UrlUnpadded::encode_string(value.to_string().as_bytes());
        let signed = format!("{}.{}", part(head), part(claims));
        let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), &self.secret, self.algorithm).unwrap();
        format!("{signed}.{signature}")
    }

    /// A token that brings a key of its own to be checked by (RFC 7515 §4.1.3), well signed by that.
    pub(crate) fn with_embedded_key(&self, claims: &Value) -> String {
        let own = Key::new("k", self.algorithm);
        own.sign_with_head(&json!({ "alg": format!("{:?}", own.algorithm), "jwk": own.public() }), claims)
    }

    fn public(&self) -> Value {
        if self.algorithm == Algorithm::EdDSA {
            let point = Base64UrlUnpadded::encode_string(self.pair.der_bytes());
            return json!({ "kty": "OKP", "crv": "Ed25519", "x": point, "alg": "EdDSA", "kid": self.id });
        }
        let mut key = Jwk::from_encoding_key(&self.secret, self.algorithm).unwrap();
        key.common.key_id = Some(self.id.clone());
        serde_json::to_value(key).unwrap()
    }

    /// What somebody may take for a shared secret.
    pub(crate) fn public_forms(&self) -> Vec<Vec<u8>> {
        let public = self.public();
        let modulus = public["n"].as_str().unwrap();
        let pem = self.pair.public_key_pem();
        vec![
            pem.clone().into_bytes(),
            pem.trim().as_bytes().to_vec(),
            self.pair.der_bytes().to_vec(),
            modulus.as_bytes().to_vec(),
            Base64UrlUnpadded::decode_vec(modulus).unwrap(),
            public.to_string().into_bytes(),
            Vec::new(),
        ]
    }
}

/// A token that a shared secret has signed.
pub(crate) fn sign_with_secret(secret: &[u8], id: &str, claims: &Value) -> String {
    let head = Header { kid: Some(id.into()), ..Header::new(Algorithm::HS256) };
    jsonwebtoken::encode(&head, claims, &EncodingKey::from_secret(secret)).unwrap()
}

/// PKCS #1 inside PKCS #8: the octet string at the end.
fn rsa_inside(der: &[u8]) -> Vec<u8> {
    let start = der.windows(4).skip(8).position(|window| window[0] == 0x04 && window[1] == 0x82).unwrap() + 8;
    der[start + 4..].to_vec()
}

/// The keys as an issuer publishes them.
pub(crate) fn jwks(keys: &[&Key]) -> String {
    json!({ "keys": keys.iter().map(|key| key.public()).collect::<Vec<_>>() }).to_string()
}

/// A web server that has one page.
pub(crate) struct Site {
    port: u16,
    page: Arc<Mutex<String>>,
    asked: Arc<AtomicUsize>,
}

impl Site {
    pub(crate) async fn start(authority: &Authority) -> Site {
        let certificate = CertificateDer::from_pem_file(&authority.certificate).unwrap();
        let key = PrivateKeyDer::from_pem_file(&authority.key).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let acceptor = TlsAcceptor::from(Arc::new(config.with_single_cert(vec![certificate], key).unwrap()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (page, asked) = (Arc::<Mutex<String>>::default(), Arc::<AtomicUsize>::default());
        let site = Site { port: listener.local_addr().unwrap().port(), page: page.clone(), asked: asked.clone() };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") && stream.read_buf(&mut request).await.unwrap_or(0) > 0 {}
                asked.fetch_add(1, Ordering::SeqCst);
                let answer = page.lock().unwrap().clone();
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
            }
        });
        site
    }

    pub(crate) fn url(&self) -> String {
        format!("https://127.0.0.1:{}/jwks.json", self.port)
    }

    pub(crate) fn answers(&self, status: u16, body: &str) {
        let location = if status == 302 { format!("Location: {}\r\n", self.url()) } else { String::new() };
        let head = format!("HTTP/1.1 {status} It\r\n{location}Content-Length: {}\r\nConnection: close\r\n", body.len());
        *self.page.lock().unwrap() = format!("{head}\r\n{body}");
    }

    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}
