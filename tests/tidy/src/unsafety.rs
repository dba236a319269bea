//! `unsafe` stands where the hardware, a mapped file or another language makes it necessary, and nowhere else.

use crate::source::{code_of, has_word};
use crate::{File, lines_where};

fn is_allowed(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    path.starts_with("moe-kernels/")
        || path.starts_with("moe-cuda/")
        || path.starts_with("src/platform/cloudflare/")
        || name == "map.rs"
        || name.starts_with("mmap")
        || path.contains("/mmap/")
}

pub(crate) fn is_where_it_belongs(file: File<'_>) -> Vec<(usize, String)> {
    if !file.has_extension(&["rs"]) || is_allowed(file.path) {
        return Vec::new();
    }
    lines_where(&code_of(file.text), |line| {
        has_word(line, "unsafe").then(|| {
            "unsafe outside moe-kernels, moe-cuda, mmap and the Workers platform; find a safe way, or move it there"
                .to_owned()
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsafe_is_found_outside_its_places() {
        let text = "fn f() { unsafe { g() } }\n";
        for (path, expected) in [
            ("src/core/a.rs", 1),
            ("moe-server/src/http/mod.rs", 1),
            ("moe-kernels/src/tile.rs", 0),
            ("moe-cuda/src/driver.rs", 0),
            ("moe-server/src/model/mmap.rs", 0),
            ("moe-server/src/gguf/map.rs", 0),
            ("moe-server/src/gguf/bitmap.rs", 1),
            ("src/platform/cloudflare/abi.rs", 0),
            ("src/platform/spin/mod.rs", 1),
        ] {
            assert_eq!(is_where_it_belongs(File { path, text }).len(), expected, "{path}");
        }
        let text = "#![forbid(unsafe_code)]\n// unsafe is not for here\nlet a = \"unsafe\";\n";
        assert_eq!(is_where_it_belongs(File { path: "src/lib.rs", text }).len(), 0);
    }
}
