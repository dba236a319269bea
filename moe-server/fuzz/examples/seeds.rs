//! Writes the good files of `tests/hostile` to a folder, for the fuzzer to begin with.

#[path = "../../tests/gguf_writer/mod.rs"]
mod gguf_writer;
#[path = "../../tests/hostile/seeds.rs"]
mod seeds;

use std::{fs, io, path::Path};

fn main() -> io::Result<()> {
    let folder = std::env::args_os()
        .nth(1)
        .ok_or_else(|| io::Error::other("say where to: seeds FOLDER (as fuzz/corpus/gguf)"))?;
    let folder = Path::new(&folder);
    fs::create_dir_all(folder)?;
    for (name, bytes) in seeds::all() {
        fs::write(folder.join(name), bytes)?;
    }
    Ok(())
}
