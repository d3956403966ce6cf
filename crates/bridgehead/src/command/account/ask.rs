//! A password from whoever sits at the terminal, or from a pipe; and octets that nobody can guess.

use anyhow::{Context, Result, bail, ensure};
use identity::{PASSWORD_OCTETS, Secret};
use rustix::rand::GetRandomFlags;
use rustix::termios::{self, LocalModes, OptionalActions, SpecialCodeIndex, Termios};
use std::io::{self, IsTerminal, Stdin};
use zeroize::Zeroizing;

/// What Ctrl-C types.
const INTERRUPT: u8 = 0x03;

/// Octets from the system.
pub(super) fn entropy<const N: usize>() -> Result<[u8; N]> {
    let mut octets = [0; N];
    let mut filled = 0;
    while filled < N {
        filled += rustix::rand::getrandom(&mut octets[filled..], GetRandomFlags::empty()).context("no entropy")?;
    }
    Ok(octets)
}

/// Asks twice at a terminal, without echo; reads one line of anything else.
pub(super) fn password() -> Result<Secret> {
    let input = io::stdin();
    if !input.is_terminal() {
        return line(&input);
    }
    let first = typed(&input, "Password: ")?;
    let second = typed(&input, "Again: ")?;
    ensure!(first.expose() == second.expose(), "the passwords are not the same; nothing is changed");
    Ok(first)
}

fn typed(input: &Stdin, prompt: &str) -> Result<Secret> {
    // The prompt comes last: what is typed before the echo is gone is thrown away.
    let quiet = Quiet::new(input)?;
    eprint!("{prompt}");
    let line = line(input);
    drop(quiet);
    eprintln!();
    line
}

/// The terminal without echo, until this is dropped. Ctrl-C ends the line instead of the program, so
/// that the echo comes back.
struct Quiet<'a> {
    input: &'a Stdin,
    before: Termios,
}

impl Quiet<'_> {
    fn new(input: &Stdin) -> Result<Quiet<'_>> {
        let before = termios::tcgetattr(input).context("cannot ask at this terminal")?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO | LocalModes::ISIG);
        quiet.special_codes[SpecialCodeIndex::VEOL] = INTERRUPT;
        termios::tcsetattr(input, OptionalActions::Flush, &quiet).context("cannot ask at this terminal")?;
        Ok(Quiet { input, before })
    }
}

impl Drop for Quiet<'_> {
    fn drop(&mut self) {
        // There is nothing that could be done if it fails.
        let _ = termios::tcsetattr(self.input, OptionalActions::Flush, &self.before);
    }
}

/// One line, without its end. Read octet by octet: what follows it is not ours, and no buffer keeps it.
fn line(input: &Stdin) -> Result<Secret> {
    let mut line = Zeroizing::new(Vec::with_capacity(PASSWORD_OCTETS + 1));
    let mut octet = Zeroizing::new([0]);
    loop {
        match rustix::io::read(input, &mut *octet) {
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error).context("cannot read the password"),
            Ok(0) => break,
            Ok(_) if octet[0] == b'\n' => break,
            Ok(_) if octet[0] == INTERRUPT => bail!("interrupted; nothing is changed"),
            Ok(_) if line.len() == PASSWORD_OCTETS => bail!("the password is longer than {PASSWORD_OCTETS} octets"),
            Ok(_) => line.push(octet[0]),
        }
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    Ok(Secret::from(&line[..]))
}
