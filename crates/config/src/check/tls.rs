//! TLS of one virtual server: what is offered, and the files it needs.

use super::Check;
use crate::file::{CertificateFiles, ClientCertificates, PathText, TlsMode, VirtualServer};
use crate::mistake::Mistake;
use crate::places::{below, entry};
use crate::{Tls, TlsFiles};
use std::path::PathBuf;

impl Check<'_> {
    /// What is offered in the end, and with what; the inner `None`: there is no TLS.
    pub(super) fn tls(&mut self, key: &str, server: &VirtualServer) -> (TlsMode, Option<Option<Tls>>) {
        let certificates_key = below(key, "certificates");
        let certificates = self.certificates(&certificates_key, &server.tls.certificates);
        let authorities = self.client_authorities(key, server);
        let (Some(certificates), Some(client_authorities)) = (certificates, authorities) else {
            return (TlsMode::Off, None);
        };
        let mode = server.tls.mode;
        if !self.mode_fits(key, server, certificates.is_empty()) {
            return (TlsMode::Off, None);
        }
        if mode == TlsMode::Off || certificates.is_empty() {
            return (TlsMode::Off, Some(None));
        }
        (mode, Some(Some(Tls { min_version: server.tls.min_version, certificates, client_authorities })))
    }

    fn certificates(&mut self, key: &str, list: &[CertificateFiles]) -> Option<Vec<TlsFiles>> {
        let files = self.all(list, key, Self::certificate_files)?;
        for (index, one) in files.iter().enumerate() {
            if files[..index].contains(one) {
                let key = entry(key, index);
                let mistake = Mistake::warning(&key, self.places.value_of(&key), "this certificate is there twice");
                self.mistakes.push(mistake);
            }
        }
        Some(files)
    }

    fn certificate_files(&mut self, key: &str, files: &CertificateFiles) -> Option<TlsFiles> {
        let [certificate_key, key_key] = ["certificate", "key"].map(|name| below(key, name));
        let certificate = files.certificate.as_ref().map(|text| self.path(&certificate_key, text));
        let private = files.key.as_ref().map(|text| self.path(&key_key, text));
        match (certificate, private) {
            (Some(certificate), Some(key)) => Some(TlsFiles { certificate: certificate?, key: key? }),
            (Some(_), None) => self.unfit(key, "a certificate without its key", "expected `key` beside it"),
            (None, Some(_)) => self.unfit(key, "a key without its certificate", "expected `certificate` beside it"),
            (None, None) => self.unfit(key, "no certificate", "expected `certificate` and `key`"),
        }
    }

    /// Whether what is written about TLS can be had.
    fn mode_fits(&mut self, key: &str, server: &VirtualServer, without: bool) -> bool {
        let (mode_key, listen_key) = (below(key, "mode"), below(key.strip_suffix(".tls").unwrap_or(key), "listen_tls"));
        let needs = "this needs `certificates`";
        match server.tls.mode {
            _ if self.is_broken(&mode_key) => return false,
            TlsMode::Required if without => {
                return self.unfit::<()>(&mode_key, "TLS is required, but there is no certificate", needs).is_some();
            }
            TlsMode::Offered if without && self.places.has(&mode_key) && server.listen_tls.is_empty() => {
                let found = "TLS is offered, but there is no certificate";
                let mistake = Mistake::warning(&mode_key, self.places.value_of(&mode_key), found).expected(needs);
                self.mistakes.push(mistake);
            }
            TlsMode::Off if !server.listen_tls.is_empty() => {
                let found = "TLS comes first here, but it is switched off";
                let mistake = Mistake::error(&listen_key, self.places.value_of(&listen_key), found)
                    .related(self.places.value_of(&mode_key), "it is switched off here");
                self.mistakes.push(mistake);
                return false;
            }
            _ if without && !server.listen_tls.is_empty() => {
                let found = "TLS comes first here, but there is no certificate";
                return self.unfit::<()>(&listen_key, found, "this needs `tls.certificates`").is_some();
            }
            _ => {}
        }
        true
    }

    /// Who vouches for certificates of clients; the inner `None`: they are not asked for one.
    fn client_authorities(&mut self, key: &str, server: &VirtualServer) -> Option<Option<PathBuf>> {
        let [asked_key, file_key] = ["client_certificates", "client_authorities"].map(|name| below(key, name));
        if self.is_broken(&asked_key) || self.is_broken(&file_key) {
            return None;
        }
        let read = |check: &mut Self, text: &PathText| check.path(&file_key, text);
        match (server.tls.client_certificates, &server.tls.client_authorities) {
            (ClientCertificates::Asked, Some(text)) => read(self, text).map(Some),
            (ClientCertificates::Asked, None) => {
                let found = "clients are asked for certificates, and nobody vouches for them";
                self.unfit(&asked_key, found, "this needs `client_authorities`")
            }
            (ClientCertificates::Off, Some(text)) => {
                read(self, text)?;
                let found = "clients are not asked for certificates";
                let mistake = Mistake::warning(&file_key, self.places.key_of(&file_key), found)
                    .expected("this has no effect without client_certificates = \"asked\"");
                self.mistakes.push(mistake);
                Some(None)
            }
            (ClientCertificates::Off, None) => Some(None),
        }
    }

    fn unfit<T>(&mut self, key: &str, found: &str, expected: &str) -> Option<T> {
        let mistake = Mistake::error(key, self.places.value_of(key), found).expected(expected);
        self.mistakes.push(mistake);
        None
    }
}
