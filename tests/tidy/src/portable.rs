//! Nothing in the repository is true on one machine only.

use crate::{File, lines_where};

/// Folders in which one person's or one machine's files lie.
const MACHINE: &[&str] =
    &["/home/", "/root/", "/Users/", "/work/", "/mnt/", "/workspace/", "/github/", "C:\\Users\\"];

/// In sources also the folder for temporary files: its place is asked of the system.
const TEMPORARY: &str = "/tmp/";

pub(crate) fn names_no_machine_path(file: File<'_>) -> Vec<(usize, String)> {
    if file.is_tidy_itself() || file.is_recorded() {
        return Vec::new();
    }
    let is_document = file.has_extension(&["md", "service", "conf"]);
    lines_where(file.text, |line| {
        let temporary = (!is_document).then_some(&TEMPORARY);
        let found = MACHINE.iter().chain(temporary).find(|folder| begins_a_path(line, folder))?;
        Some(format!("{found} is a path of one machine; make it relative, or ask the system for it"))
    })
}

/// Whether the folder stands where a path begins: after `x` in `x/home/` it does not.
fn begins_a_path(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|c| !(c.is_alphanumeric() || "_-./}*)".contains(c)))
    })
}

/// Where packages come from is the business of the machine that fetches them (mirrors, proxies).
const REGISTRIES: &[&str] = &[
    "registry.npmjs.org",
    "registry.yarnpkg.com",
    "index.crates.io",
    "static.crates.io",
    "files.pythonhosted.org",
    "pypi.org/simple",
    "deb.debian.org",
    "artifactory",
];

pub(crate) fn names_no_registry(file: File<'_>) -> Vec<(usize, String)> {
    if file.is_tidy_itself() {
        return Vec::new();
    }
    lines_where(file.text, |line| {
        let found = REGISTRIES.iter().find(|host| line.contains(**host))?;
        Some(format!("{found} is the host of a package registry; leave it to the tool's configuration"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machines_path_is_found() {
        for text in
            ["let a = \"/home/me/x\";", "cd /root/x", "path=/Users/x/y", "open('/tmp/x')", "C:\\Users\\x"]
        {
            assert_eq!(names_no_machine_path(File { path: "a.rs", text }).len(), 1, "{text}");
        }
        for text in
            ["https://a.example/home/x", "./work/x", "$HOME/tmp/x", "/v1/root/x", "~/x", "/usr/bin/env"]
        {
            assert_eq!(names_no_machine_path(File { path: "a.rs", text }).len(), 0, "{text}");
        }
        assert_eq!(names_no_machine_path(File { path: "docs/a.md", text: "curl -o /tmp/x" }).len(), 0);
        assert_eq!(names_no_machine_path(File { path: "docs/a.md", text: "cd /home/me" }).len(), 1);
    }

    #[test]
    fn a_registry_is_found() {
        let text = "\"resolved\": \"https://registry.npmjs.org/ai\"\n";
        assert_eq!(names_no_registry(File { path: "package-lock.json", text }).len(), 1);
        let text = "source = \"registry+https://github.com/rust-lang/crates.io-index\"\n";
        assert_eq!(names_no_registry(File { path: "Cargo.lock", text }).len(), 0);
    }
}
