//! The wall clock of a program under test: it can be set while the program runs, as an administrator or
//! a time service would, and nobody else's clock moves.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::foreign::installed;

const SOURCE: &str = include_str!("clock.c");

/// A clock for one program.
#[derive(Debug)]
pub struct WallClock {
    directory: TempDir,
}

impl WallClock {
    /// A clock that shows the real time until it is set. Or says why there is none: it is a small library
    /// that a C compiler must make.
    pub fn new() -> Result<Self, String> {
        if !installed("cc") {
            return Err("there is no C compiler".to_owned());
        }
        let directory = tempfile::Builder::new().prefix("bridgehead-clock-").tempdir().expect("a temporary directory");
        let (source, library) = (directory.path().join("clock.c"), directory.path().join("clock.so"));
        fs::write(&source, SOURCE).expect("our own directory");
        let mut compiler = Command::new("cc");
        let made = compiler.args(["-shared", "-fPIC", "-O", "-o"]).arg(&library).arg(&source).output();
        match made {
            Ok(made) if made.status.success() => {}
            Ok(made) => return Err(String::from_utf8_lossy(&made.stderr).into_owned()),
            Err(error) => return Err(error.to_string()),
        }
        let clock = Self { directory };
        clock.set(0);
        Ok(clock)
    }

    /// What the program's environment must have.
    #[must_use]
    pub fn environment(&self) -> [(&'static str, String); 2] {
        let path = |name| self.directory.path().join(name).display().to_string();
        [("LD_PRELOAD", path("clock.so")), ("BRIDGEHEAD_CLOCK", path("offset"))]
    }

    /// Sets it so many seconds after the real time, or before.
    ///
    /// # Panics
    /// When its file cannot be written.
    pub fn set(&self, seconds: i64) {
        // In place: the program has the file mapped.
        let file = self.directory.path().join("offset");
        if !Path::new(&file).exists() {
            fs::write(&file, 0_i64.to_ne_bytes()).expect("our own directory");
        }
        let open = fs::File::options().write(true).open(&file).expect("our own file");
        std::os::unix::fs::FileExt::write_all_at(&open, &seconds.to_ne_bytes(), 0).expect("our own file");
    }
}
