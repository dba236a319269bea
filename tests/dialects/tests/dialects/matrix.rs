//! Every client's API to every origin's, by feature, whole and streamed, against what was written down (`golden/`; written

//! anew with `MOEGATE_UPDATE=1`, to be read before it is committed).
use dialects::api::{ClientApi, OriginApi};
use dialects::golden::{Cell, What, compare, play};
use dialects::setting::Setting;
use dialects::{fixture, table};
use std::fs;

fn cells() -> Vec<(Cell, serde_json::Value)> {
    let mut cells = Vec::new();
    for client in ClientApi::ALL {
        for feature in fixture::features() {
            for origin in OriginApi::ALL {
                // One gateway each: ids and numbers are then the same whatever else runs.
                let (what, written) = play(&Setting::new(), client, origin, &feature);
                cells.push((Cell { client, origin, feature: feature.clone(), what }, written));
            }
        }
    }
    cells
}

#[test]
fn all_cells_are_as_written_down() {
    let wrong: Vec<_> = cells()
        .iter()
        .filter_map(|(cell, written)| compare(cell.client, cell.origin, &cell.feature, written).err())
        .collect();
    assert!(wrong.is_empty(), "{} cells differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn answers_are_answers() {
    for (cell, written) in cells() {
        let name = format!("{} from {:?} to {:?}", cell.feature, cell.client, cell.origin);
        assert!(!matches!(cell.what, What::Failed), "{name}: {written:#}");
    }
}

#[test]
fn streams_are_the_same_however_they_are_cut() {
    for client in ClientApi::ALL {
        for feature in fixture::features() {
            let Some(request) = fixture::request(client, &feature) else { continue };
            for origin in OriginApi::ALL {
                if !fixture::has_answer(origin, &feature) {
                    continue;
                }
                let model = format!("drop-{}", origin.folder());
                let stream = fixture::stream(origin, &feature);
                let run = |piece| {
                    let setting = Setting::new();
                    setting.ask(client, &request, &model, true, &stream, piece).body
                };
                let whole = run(usize::MAX);
                for piece in [1, 2, 7, 64, 333] {
                    assert_eq!(
                        run(piece),
                        whole,
                        "{feature} from {client:?} to {origin:?} in pieces of {piece}"
                    );
                }
            }
        }
    }
}

#[test]
fn what_cannot_be_said_is_left_out_where_the_route_says_so() {
    for client in ClientApi::ALL {
        for feature in fixture::features() {
            let Some(request) = fixture::request(client, &feature) else { continue };
            for origin in OriginApi::ALL {
                let setting = Setting::new();
                let answer = fixture::answer(origin, &feature);
                let ask = |model: &str| {
                    let model = format!("{model}-{}", origin.folder());
                    setting.ask(client, &request, &model, false, answer.as_bytes(), usize::MAX)
                };
                let strict = ask("to");
                let lax = ask("drop");
                let name = format!("{feature} from {client:?} to {origin:?}");
                if strict.arrived.is_none() && strict.body.contains("drop_unsupported") {
                    assert_eq!(lax.status, 200, "{name}: {}", lax.body);
                    assert!(lax.headers.contains_key("x-moegate-dropped"), "{name}");
                } else {
                    // The AI SDK's clients have settings left out, with a warning, on any route.
                    let strict = strict.headers.get("x-moegate-dropped");
                    assert_eq!(lax.headers.get("x-moegate-dropped"), strict, "{name}");
                    assert!(strict.is_none() || client == ClientApi::AiSdk, "{name}");
                }
            }
        }
    }
}

#[test]
fn the_page_is_fresh() {
    const MARK: &str = "<!-- generated: `MOEGATE_UPDATE=1 cargo test -p dialects --test dialects` -->";
    let path = fixture::root().join("../../docs/reference/dialects.md");
    let page = fs::read_to_string(&path).unwrap();
    let (head, _) = page.split_once(MARK).unwrap();
    let cells: Vec<_> = cells().into_iter().map(|(cell, _)| cell).collect();
    let now = format!("{head}{MARK}\n{}", table::markdown(&cells));
    if std::env::var_os("MOEGATE_UPDATE").is_some() {
        fs::write(&path, now).unwrap();
    } else {
        assert!(
            page == now,
            "docs/reference/dialects.md is old: MOEGATE_UPDATE=1 cargo test -p dialects --test dialects"
        );
    }
}
