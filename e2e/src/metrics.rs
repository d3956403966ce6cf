//! What the metrics page says, as numbers that can be compared.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::PATIENCE;

/// One reading of the metrics page.
#[derive(Clone, Debug)]
pub struct Metrics {
    page: String,
}

impl Metrics {
    /// Reads the page at `address`.
    ///
    /// # Panics
    /// When there is no such page.
    #[must_use]
    pub fn read(address: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(address).expect("the metrics listener accepts");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        let request = format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("a request can be sent");
        let mut page = String::new();
        stream.read_to_string(&mut page).expect("the page can be read");
        assert!(page.starts_with("HTTP/1.1 200"), "not a metrics page:\n{page}");
        Self { page }
    }

    /// The sum of all samples of `name` whose labels contain every one of `labels` (`server="inbound"`).
    #[must_use]
    pub fn sum(&self, name: &str, labels: &[&str]) -> f64 {
        let samples = self.page.lines().filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            let (found, rest) = series.split_once('{').unwrap_or((series, ""));
            let wanted = found == name && labels.iter().all(|label| rest.contains(label));
            wanted.then(|| value.parse::<f64>().ok())?
        });
        samples.sum()
    }

    /// The page itself.
    #[must_use]
    pub fn page(&self) -> &str {
        &self.page
    }
}
