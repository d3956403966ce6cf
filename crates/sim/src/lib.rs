//! The worse world: a simulated network, name service, disk, power supply and clock.
//!
//! The gateway runs here whole and unmodified, on one thread whose time stands still while anybody
//! has something to do. Nothing here knows how the product is supposed to cope.
//!
//! There are three ways in. [`play`] plays transcripts, in a world where everything works unless the
//! transcript says otherwise. [`seed`] makes a plan of a number, in a world where everything may fail,
//! and judges what was seen. [`astray`] lets the rules answer what they should not.

mod accounts;
pub mod astray;
pub mod bug;
mod client;
pub mod clock;
pub mod dice;
mod disk;
mod link;
pub mod mood;
pub mod names;
pub mod net;
mod pace;
pub mod pattern;
pub mod peers;
pub mod plant;
pub mod play;
mod power;
pub mod running;
pub mod script;
pub mod seed;
mod shown;
pub mod world;
