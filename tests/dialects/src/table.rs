//! The page that says which feature goes where.

use crate::api::{ClientApi, OriginApi};
use crate::golden::{Cell, What};
use std::fmt::Write;

/// The number of a note.
fn note(notes: &mut Vec<String>, text: &str) -> usize {
    let at = notes.iter().position(|note| note == text).unwrap_or_else(|| {
        notes.push(text.to_owned());
        notes.len() - 1
    });
    at + 1
}

/// The page's generated part.
#[must_use]
pub fn markdown(cells: &[Cell]) -> String {
    let mut text = String::new();
    let mut notes: Vec<String> = Vec::new();
    for client in ClientApi::ALL {
        let of_client: Vec<_> = cells.iter().filter(|cell| cell.client == client).collect();
        let _ = write!(text, "\n## From clients of {}\n\n| Feature |", client.title());
        OriginApi::ALL.iter().for_each(|origin| text += &format!(" to {} |", origin.title()));
        text += "\n| --- |";
        OriginApi::ALL.iter().for_each(|_| text += " --- |");
        text.push('\n');
        let mut features: Vec<_> = of_client.iter().map(|cell| cell.feature.as_str()).collect();
        features.dedup();
        for feature in features {
            let row: Vec<_> = of_client.iter().filter(|cell| cell.feature == feature).collect();
            if row.iter().all(|cell| matches!(cell.what, What::NotAsked)) {
                continue;
            }
            let _ = write!(text, "| {} |", feature.replace('_', " "));
            for cell in row {
                let shown = match &cell.what {
                    What::NotAsked => "".to_owned(),
                    What::Answered => "✓".to_owned(),
                    What::Failed => "✗".to_owned(),
                    What::Refused(names) => format!("no [{}]", note(&mut notes, names)),
                    What::LeftOut(names) => {
                        let names: Vec<_> = names.split(", ").map(|name| format!("`{name}`")).collect();
                        format!("without [{}]", note(&mut notes, &names.join(", ")))
                    }
                };
                let _ = write!(text, " {shown} |");
            }
            text.push('\n');
        }
    }
    if !notes.is_empty() {
        text += "\nWhat cannot be said there, as the gateway names it:\n\n";
        for (at, note) in notes.iter().enumerate() {
            let _ = writeln!(text, "{}. {note}", at + 1);
        }
    }
    text
}
