//! Command lines and their meaning.
