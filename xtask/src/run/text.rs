//! What `run` prints.

use std::fmt::Write;

use moegate_config::Config;

use crate::keys::Keys;
use crate::local::LocalOrigin;

/// What the repository's model says; a test of moe-server holds that it still does.
const DIALOGUE: &str = include_str!("../../../moe-server/models/demo/dialogue.txt");

/// The line for scripts: its four fields stay as they are.
pub(super) fn json_line(gateway_url: &str, origin_url: Option<&str>, keys: &Keys) -> String {
    let [gateway_url, origin_url, client, admin] =
        [Some(gateway_url), origin_url, keys.client.as_deref(), keys.admin.as_deref()]
            .map(serde_json::Value::from);
    format!(
        "{{\"gateway_url\":{gateway_url},\"origin_url\":{origin_url},\"client_key\":{client},\"admin_key\":{admin}}}"
    )
}

/// A key as it goes into a command line.
fn shown(key: Option<&str>) -> &str {
    key.unwrap_or("KEY")
}

/// How to use a gateway under a configuration of one's own.
pub(super) fn of_own(
    gateway_url: &str,
    origin: Option<&LocalOrigin>,
    config: &Config,
    keys: &Keys,
) -> String {
    let mut text = format!("\nThe gateway    {gateway_url}/v1\n");
    // Writing to a String cannot fail.
    if let Some(origin) = origin {
        let _ = writeln!(text, "The MoE server {}", origin.url);
    }
    if let Some(route) = config.routes.first() {
        let (client, model) = (shown(keys.client.as_deref()), serde_json::Value::from(route.model.as_str()));
        let _ = write!(
            text,
            r#"
Ask it something:

  curl -N {gateway_url}/v1/chat/completions \
    -H 'authorization: Bearer {client}' -H 'content-type: application/json' \
    -d '{{"model":{model},"stream":true,"messages":[{{"role":"user","content":"What is moegate?"}}]}}'
"#
        );
    }
    if let (Some(seconds), Some(admin)) =
        (origin.and_then(|origin| origin.sleep_after_s), keys.admin.as_deref())
    {
        let _ = write!(
            text,
            r#"
The server sleeps after {seconds} s without work: ask, wait, and ask again. How it is, what its wakes took and cost:

  curl {gateway_url}/origins -H 'authorization: Bearer {admin}'
"#
        );
    }
    if config.admin.is_some() {
        let admin = shown(keys.admin.as_deref());
        let _ = write!(
            text,
            "\nSee what was used:\n\n  curl {gateway_url}/usage -H 'authorization: Bearer {admin}'\n"
        );
    }
    text + "\nCtrl-C ends it."
}

/// What the stand-in provider is good for.
fn of_stand_in(gateway_url: &str, client: &str) -> String {
    format!(
        r#"
A stand-in provider runs beside it, so that all of this can be tried without an account. In the model's place:

  mock            answers, calls tools, fills JSON schemas; "tell me a long story" leaves time to press Stop
  mock-image      for /v1/images/generations
  mock-embedding  for /v1/embeddings
  mock-rerank     for /v1/rerank
  mock-fallback   the provider fails with 500, and the demo model answers
  mock-timeout    the provider is silent for three seconds, and another one answers
  mock-takeover   the provider breaks off in the middle of the answer, and another one goes on
  mock/error-500, mock/error-429, mock/stall, mock/break: the failures themselves

Watch a fallback in the answer's headers:

  curl -si {gateway_url}/v1/chat/completions \
    -H 'authorization: Bearer {client}' -H 'content-type: application/json' \
    -d '{{"model":"mock-fallback","messages":[{{"role":"user","content":"What is moegate?"}}]}}' | grep -i x-moegate

A chat page with tools, objects and images, on Next.js and the AI SDK: examples/next-chat
"#
    )
}

/// How to use the checkout's own gateway and MoE server. `demo`: with the repository's model; `mock`: with the stand-in provider.
pub(super) fn instructions(
    gateway_url: &str,
    origin: &LocalOrigin,
    keys: &Keys,
    (demo, mock): (bool, bool),
) -> String {
    let (client, admin) = (shown(keys.client.as_deref()), shown(keys.admin.as_deref()));
    let model = &origin.model;
    let stand_in = if mock { of_stand_in(gateway_url, client) } else { String::new() };
    let dialogue = if demo { DIALOGUE } else { "" };
    let dialogue: String = dialogue.lines().map(|line| format!("  {line}\n")).collect();
    let dialogue = if dialogue.is_empty() {
        dialogue
    } else {
        format!("\nIt is small and talks like this:\n\n{dialogue}")
    };
    format!(
        r#"
The gateway    {gateway_url}/v1
The MoE server {origin_url}

Ask it something:

  curl -N {gateway_url}/v1/chat/completions \
    -H 'authorization: Bearer {client}' -H 'content-type: application/json' \
    -d '{{"model":"{model}","stream":true,"temperature":0,"messages":[{{"role":"user","content":"What is moegate?"}}]}}'
{dialogue}
See what was used:

  curl {gateway_url}/usage -H 'authorization: Bearer {admin}'

From an app on the AI SDK (npm i ai @ai-sdk/openai-compatible):

  import {{ streamText }} from 'ai';
  import {{ createOpenAICompatible }} from '@ai-sdk/openai-compatible';

  const moegate = createOpenAICompatible({{
    name: 'moegate',
    baseURL: '{gateway_url}/v1',
    apiKey: '{client}',
  }});
  const result = streamText({{ model: moegate('{model}'), temperature: 0, prompt: 'What is moegate?' }});
  for await (const text of result.textStream) process.stdout.write(text);
{stand_in}
Ctrl-C ends all of it."#,
        origin_url = origin.url,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn keys(client: Option<&str>, admin: Option<&str>) -> Keys {
        let (client, admin) = (client.map(str::to_owned), admin.map(str::to_owned));
        Keys { client, admin, vars: PathBuf::new(), origin_file: PathBuf::new() }
    }

    #[test]
    fn the_line_for_scripts_has_the_four_fields() {
        assert_eq!(
            json_line("http://g", Some("http://o/v1"), &keys(Some("c"), Some("a"))),
            r#"{"gateway_url":"http://g","origin_url":"http://o/v1","client_key":"c","admin_key":"a"}"#
        );
        assert_eq!(
            json_line("http://g", None, &keys(None, None)),
            r#"{"gateway_url":"http://g","origin_url":null,"client_key":null,"admin_key":null}"#
        );
    }

    #[test]
    fn the_stand_in_is_told_of_where_it_runs_and_its_models_are_those_of_the_configuration() {
        let config = moegate_config::authoring::parse(include_str!("../../../moegate.toml")).unwrap();
        let origin = LocalOrigin::of(&config).unwrap();
        let keys = keys(Some("mg-1"), Some("mg-2"));
        let text = instructions("http://g", &origin, &keys, (true, true));
        for route in &config.routes {
            assert!(text.contains(&route.model), "{} is not told of", route.model);
        }
        assert!(!instructions("http://g", &origin, &keys, (true, false)).contains("mock"));
    }

    #[test]
    fn what_is_told_of_an_own_configuration_is_what_it_has() {
        let config = moegate_config::authoring::parse(
            r#"
[[origins]]
name = "far"
kind = "openai"
url = "https://far.example/v1"
models = [{ name = "m", input = "1", output = "1" }]
[[routes]]
model = "m"
origin = "far"
"#,
        )
        .unwrap();
        let text = of_own("http://g", None, &config, &keys(Some("mg-1"), None));
        assert!(text.contains("Bearer mg-1") && text.contains("\"model\":\"m\""), "{text}");
        assert!(!text.contains("MoE server") && !text.contains("/usage"), "{text}");
    }
}
