//! What becomes of the certificates of virtual servers while they are in use: changed on disk, no good,
//! about to expire. The world looks at the files and takes new ones; here it is said to the log and
//! the counters.

use crate::Gateway;
use crate::event::Event;
use crate::world::{CertificateNews, Inspection, World};
use std::sync::Arc;

/// Says what there is to say of certificates, until the gateway stops.
pub(crate) async fn watch<W: World>(gateway: Arc<Gateway<W>>) {
    let mut stopping = gateway.stop.soft.ear();
    loop {
        let law = gateway.law.load_full();
        let mut names = Vec::new();
        let mut certificates = Vec::new();
        for server in &law.servers {
            match &server.certificates {
                Some(of_server) => {
                    names.push(&*server.config.name);
                    certificates.push(of_server.clone());
                }
                None => gateway.recorder.counters().certificates_gone(&server.config.name),
            }
        }
        tokio::select! {
            biased;
            () = stopping.heard() => return,
            () = gateway.reloaded.notified() => {}
            seen = gateway.world.watch(&certificates), if !certificates.is_empty() => {
                for (place, inspection) in &seen {
                    if let Some(server) = names.get(*place) {
                        say(&gateway, server, inspection);
                    }
                }
            }
        }
    }
}

fn say<W: World>(gateway: &Gateway<W>, server: &str, inspection: &Inspection) {
    gateway.recorder.counters().certificates_expire(server, inspection.days_left);
    for news in &inspection.news {
        match news {
            CertificateNews::Changed { file, names, days_left } => {
                let file = &file.to_string_lossy();
                let event = Event::CertificateChanged { server, file, names, days_left: *days_left };
                gateway.recorder.record(&event);
            }
            CertificateNews::Rejected { file, why } => {
                let file = &file.to_string_lossy();
                gateway.recorder.record(&Event::CertificateRejected { server, file, why });
            }
            CertificateNews::Doubtful { file, why } => {
                let file = &file.to_string_lossy();
                gateway.recorder.record(&Event::CertificateDoubtful { server, file, why });
            }
        }
    }
}
