//! wasm-bindgen, as a library of exactly the version that the gateway is compiled with.

use std::fs;
use std::path::Path;

use wasm_bindgen_cli_support::Bindgen;

use crate::cache::remove;
use crate::failure::{At, Failure, Result};

/// Puts `moegate.js`, `moegate_bg.wasm` and the crates' pieces of JavaScript into a folder that holds nothing else: an ES
/// module for a runtime that compiles what it imports, with `__wbg_reset_state`, by which the entry goes on with a new
/// instance after a trap.
pub(crate) fn make(module: Vec<u8>, folder: &Path) -> Result<()> {
    remove(folder)?;
    let mut bindgen = Bindgen::new();
    bindgen.input_bytes("moegate", module).typescript(false).reset_state_function(true);
    bindgen
        .module(true)
        .and_then(|bindgen| bindgen.generate(folder))
        .map_err(|error| Failure::new(format!("wasm-bindgen cannot bind the module: {error:#}")))?;
    // Workers import compiled modules, but not under the name that the proposal has for it now.
    let js = folder.join("moegate.js");
    let text = fs::read_to_string(&js).at("read", &js)?;
    fs::write(&js, text.replace("import source ", "import ")).at("write", &js)
}
