//! The command `moe-server`; see the library for the map.

fn main() {}
