//! What `docs/guides/reconcile.md` shows is what the command prints.

use super::world::call;

const PAGE: &str = include_str!("../../../docs/guides/reconcile.md");

/// The blocks of the page in that language.
fn blocks(language: &str) -> Vec<&'static str> {
    let fence = format!("```{language}\n");
    PAGE.split(&*fence).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

#[test]
fn the_examples_on_the_page_are_true() {
    let (tables, rows, consoles) = (blocks("csv"), blocks("jsonl"), blocks("console"));
    assert_eq!((tables.len(), rows.len(), consoles.len()), (2, 1, 2));
    let files = [
        ("openai.csv", tables[0].as_bytes()),
        ("plain.csv", tables[1].as_bytes()),
        ("rows.jsonl", rows[0].as_bytes()),
    ];
    for (console, expected_code) in consoles.into_iter().zip([1, 0]) {
        let (command, expected) = console.split_once('\n').unwrap();
        let arguments = command.strip_prefix("$ moegate reconcile ").unwrap();
        let (code, text, error) = call("guide", &files, arguments, "");
        assert_eq!((code, &*text, &*error), (expected_code, expected, ""), "{command}");
    }
}
