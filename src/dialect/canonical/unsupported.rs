//! What of a request cannot be said to an origin.

/// The paths of members that an origin's API has no words for, as the client wrote them (`seed`, `messages[2].content[0]`).
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::dialect) struct Unsupported(Vec<String>);

/// So many are told: a body of megabytes could hold a million.
const MOST: usize = 100;

impl Unsupported {
    pub(in crate::dialect) fn add(&mut self, path: impl Into<String>) {
        let path = path.into();
        if self.0.len() < MOST && !self.0.contains(&path) {
            self.0.push(path);
        }
    }

    /// Adds it where the client said it.
    pub(in crate::dialect) fn add_if(&mut self, said: bool, path: &str) {
        if said {
            self.add(path);
        }
    }

    pub(in crate::dialect) fn extend(&mut self, paths: &[String]) {
        for path in paths {
            self.add(path.as_str());
        }
    }

    pub(in crate::dialect) fn into_paths(self) -> Vec<String> {
        self.0
    }
}
