//! One binary with every scenario; the modules are features, and the names of tests carry the
//! acceptance ids they prove (tests/acceptance.md).

mod peers;
