//! A request's body or a preset of OpenRouter: <https://openrouter.ai/docs/features/provider-routing>.

use super::Options;
use super::draft::{Draft, Key, Limits, Model, Origin, Place, Prices, Route};
use super::rule::Rule;
use super::source::{Item, Table};
use super::value::{Value, problem};
use moegate_config::Problem;
use std::collections::BTreeMap;

const URL: &str = "https://openrouter.ai/api/v1";

/// # Errors
/// A value of the wrong type, or no model.
pub(super) fn import(source: &Value, options: &Options<'_>) -> Result<Draft, Problem> {
    let mut draft = Draft::default();
    let mut body = Item::new("", source).table()?;
    // A preset as the API gives it has the body below these.
    for name in ["data", "designated_version", "config"] {
        if body.has("model") || body.has("models") {
            break;
        }
        if let Some(item) = body.take(name) {
            leftovers(&mut draft, &body);
            body = item.table()?;
        }
    }
    let models = models(&mut draft, &mut body, options)?;
    let secret =
        draft.secret("(top)", Key::Usual("OPENROUTER_API_KEY".to_owned()), URL, "OPENROUTER_API_KEY");
    let place = Place { kind: "openrouter", url: URL.to_owned(), api_version: None };
    let mut leaves = Vec::new();
    for (path, name) in &models {
        let origin = Origin {
            name: "openrouter".to_owned(),
            place: place.clone(),
            secret: Some(secret.clone()),
            aws: None,
            limits: Limits::default(),
            models: Vec::new(),
        };
        let model =
            Model { path: path.clone(), name: name.clone(), price: Prices::default(), ..Model::default() };
        let origin = draft.origin(path, origin, model)?;
        leaves.push(Rule::To { origin, model: Some(name.clone()) });
    }
    let attempts = u32::try_from(leaves.len()).ok().filter(|count| *count > 3).map(|count| count.min(10));
    let rule = if leaves.len() == 1 { leaves.remove(0) } else { Rule::Order(leaves) };
    let (path, model) = models.into_iter().next().ok_or_else(|| problem("model", "is missing"))?;
    let (model, aliases) = match options.models {
        [] => (model, Vec::new()),
        [first, more @ ..] => (first.clone(), more.to_vec()),
    };
    for name in aliases.iter().chain([&model]) {
        super::model_name(&path, name)?;
    }
    draft.routes.push(Route {
        model,
        aliases,
        rule,
        attempts,
        first_byte_s: None,
        drop_unsupported: false,
        on: BTreeMap::new(),
    });
    super::add_key(&mut draft);
    if let Some(item) = body.take("provider") {
        provider(&mut draft, &item)?;
    }
    leftovers(&mut draft, &body);
    Ok(draft)
}

/// `model`, then `models`, each once.
fn models(
    draft: &mut Draft,
    body: &mut Table<'_>,
    options: &Options<'_>,
) -> Result<Vec<(String, String)>, Problem> {
    let mut names = Vec::new();
    if let Some(item) = body.take("model") {
        names.push((item.path.clone(), item.text()?.to_owned()));
    }
    if let Some(item) = body.take("models") {
        for item in item.list()? {
            names.push((item.path.clone(), item.text()?.to_owned()));
        }
    }
    let mut models: Vec<(String, String)> = Vec::new();
    for (path, name) in names {
        // `model@preset/slug` is a model with a preset.
        let (name, preset) = match name.split_once("@preset/") {
            Some((name, preset)) => (name.to_owned(), Some(preset)),
            None => (name.clone(), None),
        };
        if preset.is_some() {
            draft.missing(&path, "the preset is kept at OpenRouter: export it there, and import it too");
        }
        if name.is_empty() {
            continue;
        }
        super::model_name(&path, &name)?;
        if let Some((_, variant)) =
            name.rsplit_once(':').filter(|(_, variant)| matches!(*variant, "nitro" | "floor"))
        {
            draft.differs(
                &path,
                format!("`:{variant}` goes on to OpenRouter, which sorts its providers by it"),
            );
        }
        if name.starts_with("openrouter/auto") {
            draft.differs(&path, "which model answers is OpenRouter's choice, at that model's price: no price that you fill in is exact");
        }
        if !models.iter().any(|(_, other)| *other == name) {
            models.push((path, name));
        }
    }
    if models.is_empty() {
        let known: Vec<_> = options.models.iter().map(|name| ("--model".to_owned(), name.clone())).collect();
        if known.is_empty() {
            return Err(problem(
                "model",
                "is missing, and `models` too: say with --model NAME what OpenRouter is to be asked for",
            ));
        }
        return Ok(known);
    }
    Ok(models)
}

fn provider(draft: &mut Draft, item: &Item<'_>) -> Result<(), Problem> {
    for (name, item) in item.table()?.all() {
        let text = match name {
            "max_price" => {
                "no rule goes by a provider's price: fill the prices in, limit a request by `budget.dollars` of the route, order origins by `cheapest`"
            }
            _ => {
                "which provider serves a model is OpenRouter's choice: say it in the account's settings there, or let clients send `provider` (`fields = { allow = [\"provider\"] }` at the origin)"
            }
        };
        draft.missing(item.path, text);
    }
    Ok(())
}

fn leftovers(draft: &mut Draft, body: &Table<'_>) {
    for item in body.rest() {
        let name = item.path.rsplit('.').next().unwrap_or_default();
        let text = match name {
            // What `order` in the rule does.
            "route" if matches!(item.value, Value::Text(text) if text == "fallback") => continue,
            "route" => "only `fallback` has a counterpart: the rule's `order`",
            "transforms" => {
                "prompts are not shortened: after the error a model with more `context_tokens` is tried"
            }
            "plugins" => {
                "let clients send it, with `fields = { allow = [\"plugins\"] }` at the origin, if all of them may"
            }
            "messages" | "prompt" | "stream" | "tools" | "user" => {
                "belongs to a request, not to a configuration"
            }
            "system_prompt" => "the gateway adds no messages: let clients send it",
            "name" | "slug" | "id" | "description" | "created_at" | "updated_at" | "version" | "status"
            | "creator_user_id" | "workspace_id" => "nothing is decided by it here",
            _ => "the gateway adds no parameters: let clients send it",
        };
        draft.missing(item.path, text);
    }
}
