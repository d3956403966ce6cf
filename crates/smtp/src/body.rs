//! The content of a message, from the wire to what is stored.
