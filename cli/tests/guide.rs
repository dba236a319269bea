//! What `docs/guides/routing.md` shows is true.
#![allow(clippy::unwrap_used, reason = "a helper of tests may fail a test")]

use moegate_config::authoring;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

const PAGE: &str = include_str!("../../docs/guides/routing.md");

/// The origins that the page speaks of.
fn origins() -> String {
    let origin = |(name, kind, model, input, output): (&str, &str, &str, &str, &str)| {
        let secret = name.replace('-', "_").to_uppercase();
        format!(
            "[[origins]]\nname = \"{name}\"\nkind = \"{kind}\"\nurl = \"https://{name}.example/v1\"\nsecret = \"{secret}_KEY\"\n\
             [[origins.models]]\nname = \"{model}\"\ninput = \"{input}\"\noutput = \"{output}\"\n"
        )
    };
    let origins = [
        ("near", "openai", "scout", "0.11", "0.34"),
        ("far", "openai", "scout", "0.18", "0.59"),
        ("long", "openai", "scout-10m", "0.50", "1.50"),
        ("gpu-1", "moegate", "scout", "0.05", "0.20"),
        ("gpu-2", "moegate", "scout", "0.05", "0.20"),
    ];
    let key = "[[keys]]\nname = \"app\"\nsha256_secret = \"APP_KEY_SHA256\"\n";
    origins.map(origin).concat() + key
}

/// The blocks of the page in that language.
fn blocks(language: &str) -> Vec<&'static str> {
    let fence = format!("```{language}\n");
    PAGE.split(&*fence).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

#[test]
fn every_configuration_on_the_page_is_good() {
    let blocks = blocks("toml");
    assert!(blocks.len() >= 7, "{}", blocks.len());
    for block in blocks {
        let parsed = authoring::parse(&(origins() + block));
        assert!(parsed.is_ok(), "{block}\n{parsed:#?}");
    }
}

#[test]
fn the_explanation_on_the_page_is_what_the_command_prints() {
    let split = blocks("toml").into_iter().find(|block| block.contains("sticky")).unwrap();
    let console = blocks("console")[0];
    let (shown, expected) = console.split_once("\n$ ").unwrap();
    let body = shown.lines().last().unwrap();
    let (command, expected) = expected.split_once('\n').unwrap();
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("guide");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("moegate.toml"), origins() + split).unwrap();
    fs::write(folder.join("request.json"), body).unwrap();
    let arguments: Vec<_> = command.split(' ').skip_while(|word| *word != "check").collect();
    let output =
        Command::new(env!("CARGO_BIN_EXE_moegate")).args(arguments).current_dir(&folder).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
}
