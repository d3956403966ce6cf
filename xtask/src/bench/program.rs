//! Our own client and next hop, `load`: started, told to go on, and read.

use std::env;
use std::fmt::Display;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// A running `load`, ended when dropped.
pub(super) struct Program {
    child: std::process::Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

/// Microseconds.
#[derive(Deserialize)]
pub(super) struct Latency {
    pub(super) p50: f64,
    pub(super) p99: f64,
    pub(super) max: f64,
}

/// What `load send` prints at its end.
#[derive(Deserialize)]
pub(super) struct Sent {
    pub(super) messages: u32,
    pub(super) seconds: f64,
    pub(super) processor_seconds: f64,
    pub(super) message_us: Latency,
    pub(super) content_us: Latency,
    pub(super) late: u32,
}

/// What `load idle` prints.
#[derive(Deserialize)]
pub(super) struct Held {
    pub(super) held: u32,
    pub(super) greeting_us: Latency,
}

/// `load sink`, and a connection on which it is asked how much it has had.
pub(super) struct Sink {
    _program: Program,
    address: SocketAddr,
    asking: BufReader<TcpStream>,
}

impl Program {
    pub(super) fn start(arguments: &[&dyn Display]) -> Result<Self> {
        let mut command = Command::new(env::var_os("LOAD_BIN").context("no LOAD_BIN")?);
        command.args(arguments.iter().map(ToString::to_string));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("cannot start load")?;
        let input = child.stdin.take().context("its input is a pipe")?;
        let output = BufReader::new(child.stdout.take().context("its output is a pipe")?);
        Ok(Self { child, input, output })
    }

    /// The next line it prints. Why there is none, it has said on standard error.
    pub(super) fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.output.read_line(&mut line)? == 0 {
            bail!("load ended early: {}", self.child.wait()?);
        }
        Ok(line.trim_end().to_owned())
    }

    pub(super) fn go_on(&mut self) -> Result<()> {
        Ok(self.input.write_all(b"\n")?)
    }

    /// What it prints next.
    pub(super) fn report<T: DeserializeOwned>(&mut self) -> Result<T> {
        let line = self.line()?;
        serde_json::from_str(&line).with_context(|| format!("load printed {line}"))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Sink {
    /// Starts one at an address whose port may be 0.
    pub(super) fn start(listen: SocketAddr) -> Result<Self> {
        let mut program = Program::start(&[&"sink", &"--listen", &listen])?;
        let address = program.line()?.parse()?;
        let mut asking = BufReader::new(TcpStream::connect(address)?);
        asking.read_line(&mut String::new())?;
        Ok(Self { _program: program, address, asking })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many recipients have had their message; a server may split a message, so these are counted.
    pub(super) fn recipients(&mut self) -> Result<u64> {
        self.asking.get_mut().write_all(b"XCOUNT\r\n")?;
        let mut line = String::new();
        self.asking.read_line(&mut line)?;
        line.split_whitespace().nth(2).and_then(|word| word.parse().ok()).with_context(|| format!("sink said {line}"))
    }
}
