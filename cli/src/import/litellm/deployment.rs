//! An entry of `model_list`: a deployment of a model, under the name of its group.

use crate::decimal::Decimal;
use crate::import::cloud::{self, AwsKeys};
use crate::import::draft::{Draft, Key, Limits, Model, Origin, Place, Prices};
use crate::import::providers::{self, Provider, provider};
use crate::import::rule::Rule;
use crate::import::source::{Item, Table};
use crate::import::value::problem;
use crate::import::{Options, draft::is_model_name};
use moegate_config::Problem;

pub(super) struct Deployment {
    pub(super) group: String,
    pub(super) path: String,
    pub(super) leaf: Rule,
    /// Lower ones first.
    pub(super) order: Option<u32>,
    pub(super) weight: Option<Decimal>,
    pub(super) rpm: Option<Decimal>,
    pub(super) tpm: Option<Decimal>,
}

/// `None`: it is left out, and listed.
///
/// # Errors
/// A member that is missing or of the wrong type.
pub(super) fn read(
    draft: &mut Draft,
    limits: &Limits,
    item: &Item<'_>,
    options: &Options<'_>,
) -> Result<Option<Deployment>, Problem> {
    let mut entry = item.table()?;
    let group = needed(&mut entry, "model_name")?;
    let params = entry
        .take("litellm_params")
        .ok_or_else(|| problem(&entry.path_of("litellm_params"), "is missing"))?;
    let mut params = params.table()?;
    let model = needed(&mut params, "model")?;
    if group.contains('*') || model.contains('*') {
        draft.missing(&item.path, "the whole entry: wildcards have no counterpart, for a route needs prices; write one entry for each model");
        return Ok(None);
    }
    for (path, name) in [(entry.path_of("model_name"), group), (params.path_of("model"), model)] {
        if !is_model_name(name) {
            return Err(problem(
                &path,
                "must be 1 to 200 visible ASCII characters without blanks: clients and headers carry it",
            ));
        }
    }
    let base = ["api_base", "base_url"].into_iter().find_map(|name| params.take(name));
    let Some((provider, model)) = provider_of(draft, &mut params, model, base.is_some())? else {
        draft.missing(&item.path, "the whole entry: its provider is not known here; with an OpenAI-compatible API write the model as `openai/NAME` with its `api_base`, and import again");
        return Ok(None);
    };
    let (origin, model) = origin(draft, provider, &model, base.as_ref(), &mut params, limits, options)?;
    let mut info = entry.take("model_info").map(|item| item.table()).transpose()?;
    let model = Model {
        path: params.path_of("model"),
        name: model,
        price: prices(draft, &mut params, info.as_mut())?,
        context_tokens: number(info.as_mut(), "max_input_tokens")?,
        max_output_tokens: number(info.as_mut(), "max_output_tokens")?,
    };
    let name = model.name.clone();
    let origin = draft.origin(&item.path, origin, model)?;
    let decimal = |params: &mut Table<'_>, name| params.take(name).map(|item| item.decimal()).transpose();
    let deployment = Deployment {
        group: group.to_owned(),
        path: item.path.clone(),
        leaf: Rule::To { origin, model: Some(name) },
        order: params.take("order").map(|item| item.whole()).transpose()?,
        weight: decimal(&mut params, "weight")?,
        rpm: decimal(&mut params, "rpm")?,
        tpm: decimal(&mut params, "tpm")?,
    };
    leftovers(draft, &entry, &params, info.as_ref());
    Ok(Some(deployment))
}

fn needed<'a>(table: &mut Table<'a>, name: &str) -> Result<&'a str, Problem> {
    let path = table.path_of(name);
    table.text(name)?.ok_or_else(|| problem(&path, "is missing"))
}

fn number(table: Option<&mut Table<'_>>, name: &str) -> Result<Option<u32>, Problem> {
    let item = table.and_then(|table| table.take(name));
    Ok(item.map(|item| item.whole()).transpose()?.filter(|number| *number > 0))
}

/// The provider and the model's name there: `provider/model`, `custom_llm_provider`, or by a name that says it.
fn provider_of(
    draft: &mut Draft,
    params: &mut Table<'_>,
    model: &str,
    has_base: bool,
) -> Result<Option<(&'static Provider, String)>, Problem> {
    let named = params.text("custom_llm_provider")?;
    let (prefix, rest) = model.split_once('/').unwrap_or(("", model));
    let known = provider(prefix).map(|found| (found, rest.to_owned()));
    if let Some(named) = named {
        let rest = if prefix == named { rest } else { model };
        return Ok(provider(named).map(|found| (found, rest.to_owned())));
    }
    if known.is_some() {
        return Ok(known);
    }
    let guess = if prefix.is_empty() { providers::by_model(model) } else { None };
    let guess = guess.or_else(|| if has_base { provider("openai") } else { None });
    if let Some(found) = guess {
        draft.differs(params.path_of("model"), format!("names no provider: taken for `{}`", found.name()));
    }
    Ok(guess.map(|found| (found, model.to_owned())))
}

/// The origin with its keys, and the model's name there.
fn origin(
    draft: &mut Draft,
    provider: &'static Provider,
    model: &str,
    base: Option<&Item<'_>>,
    params: &mut Table<'_>,
    limits: &Limits,
    options: &Options<'_>,
) -> Result<(Origin, String), Problem> {
    let path = params.path.clone();
    let mut limits = limits.clone();
    if let Some(item) = params.take("timeout") {
        limits.first_byte_timeout_s = Some(draft.within(&item.path, item.whole()?, 1, 600));
    }
    let mut name = model.to_owned();
    let mut region = String::new();
    let base_text = base.map(|item| options.text(draft, item, true)).transpose()?;
    let base_path = base.map_or_else(|| params.path_of("api_base"), |item| item.path.clone());
    let place = match provider.kind {
        "azure-openai" => {
            // LiteLLM then takes it from there.
            let base = base_text
                .unwrap_or_else(|| options.text_of_variable(draft, &base_path, "AZURE_API_BASE", true));
            let version =
                params.take("api_version").map(|item| options.text(draft, &item, false)).transpose()?;
            cloud::azure(draft, &base_path, &base, version)?
        }
        "bedrock" => {
            let (in_name, rest) = bedrock_model(model);
            name = rest.to_owned();
            let item = params.take("aws_region_name");
            let given = item.map(|item| options.text(draft, &item, false)).transpose()?;
            let path = params.path_of("aws_region_name");
            region =
                given.or(in_name.map(str::to_owned)).or_else(|| options.variable("AWS_REGION")).ok_or_else(
                    || problem(&path, "is missing: write the region, or set AWS_REGION for the import"),
                )?;
            cloud::bedrock(&path, &region)?
        }
        "vertex" => vertex(draft, params, options)?,
        _ => provider.place(draft, &base_path, base_text.as_deref())?,
    };
    let (secret, aws) = if provider.kind == "bedrock" {
        let mut key = |name: &str| params.take(name).map(|item| key_of(&item)).transpose();
        let keys = AwsKeys {
            access_key_id: key("aws_access_key_id")?,
            secret_access_key: key("aws_secret_access_key")?,
            session_token: key("aws_session_token")?,
            api_key: key("api_key")?,
        };
        let (secret, aws) = cloud::aws(draft, &path, &region, &place.url, keys);
        (Some(secret), aws)
    } else {
        (secret(draft, provider, params, &place)?, None)
    };
    let origin = Origin { name: provider.name().to_owned(), place, secret, aws, limits, models: Vec::new() };
    Ok((origin, name))
}

/// `converse/`, `invoke/` and a region may stand before the model's id.
fn bedrock_model(model: &str) -> (Option<&str>, &str) {
    let mut rest = model;
    let mut region = None;
    while let Some((first, after)) = rest.split_once('/') {
        match first {
            "converse" | "invoke" | "converse_like" => {}
            first if first.matches('-').count() >= 2 && !first.contains([':', '.']) => region = Some(first),
            _ => break,
        }
        rest = after;
    }
    (region, rest)
}

fn vertex(draft: &mut Draft, params: &mut Table<'_>, options: &Options<'_>) -> Result<Place, Problem> {
    let path = params.path_of("vertex_project");
    let mut text = |names: [&str; 2]| {
        let item = names.into_iter().find_map(|name| params.take(name));
        item.map(|item| options.text(draft, &item, false)).transpose()
    };
    let project =
        text(["vertex_project", "vertex_ai_project"])?.or_else(|| options.variable("VERTEXAI_PROJECT"));
    let location =
        text(["vertex_location", "vertex_ai_location"])?.or_else(|| options.variable("VERTEXAI_LOCATION"));
    let project = project.ok_or_else(|| {
        problem(&path, "is missing: write the project, or set VERTEXAI_PROJECT for the import")
    })?;
    cloud::vertex(&path, &project, location.as_deref().unwrap_or("us-central1"))
}

/// What stands for a key where a server wants none.
const NO_KEYS: &[&str] = &[
    "",
    "none",
    "null",
    "empty",
    "dummy",
    "fake",
    "fake-key",
    "anything",
    "not-needed",
    "sk-no-key-required",
];

fn secret(
    draft: &mut Draft,
    provider: &'static Provider,
    params: &mut Table<'_>,
    place: &Place,
) -> Result<Option<String>, Problem> {
    let names: [&str; 2] = if provider.kind == "vertex" {
        ["vertex_credentials", "vertex_ai_credentials"]
    } else {
        ["api_key", "azure_api_key"]
    };
    let item = names.into_iter().find_map(|name| params.take(name));
    let path = item.as_ref().map_or_else(|| params.path_of(names[0]), |item| item.path.clone());
    // An inference server of one's own wants none of the hosted service's keys.
    let variable = provider.variable.filter(|_| place.kind != "tgi");
    let key = match (&item, variable) {
        (Some(item), None) if NO_KEYS.contains(&item.word()?.to_ascii_lowercase().as_str()) => {
            draft.differs(&item.path, "looks like no key at all: none is sent");
            return Ok(None);
        }
        (Some(item), _) => key_of(item)?,
        (None, Some(variable)) => Key::Usual(variable.to_owned()),
        (None, None) => return Ok(None),
    };
    let usual = format!("{}_KEY", crate::import::draft::secret_name(provider.name()));
    if provider.kind == "vertex" {
        draft.differs(
            &path,
            "the secret must hold the JSON of a service account's key itself, not a file's name",
        );
    }
    Ok(Some(draft.secret(&path, key, &place.url, &usual)))
}

fn key_of(item: &Item<'_>) -> Result<Key, Problem> {
    // Vertex's credentials may be the JSON as a table.
    let Ok(text) = item.word() else { return Ok(Key::Literal(item.path.clone())) };
    Ok(match text.strip_prefix("os.environ/") {
        Some(variable) => Key::Variable(variable.trim().to_owned()),
        None => Key::Literal(text),
    })
}

/// `litellm_params` counts before `model_info`, as LiteLLM has it.
fn prices(
    draft: &mut Draft,
    params: &mut Table<'_>,
    mut info: Option<&mut Table<'_>>,
) -> Result<Prices, Problem> {
    let mut price = |name: &str| -> Result<Option<String>, Problem> {
        let own = params.take(name);
        let other = info.as_mut().and_then(|info| info.take(name));
        if let (Some(own), Some(other)) = (&own, &other) {
            draft.missing(&other.path, format!("{} stands for it", own.path));
        }
        let Some(item) = own.or(other) else { return Ok(None) };
        Ok(Some(draft.price(&item.path, item.decimal()?, 6)?))
    };
    Ok(Prices {
        input: price("input_cost_per_token")?,
        cached_input: price("cache_read_input_token_cost")?,
        cache_write: price("cache_creation_input_token_cost")?,
        output: price("output_cost_per_token")?,
    })
}

fn leftovers(draft: &mut Draft, entry: &Table<'_>, params: &Table<'_>, info: Option<&Table<'_>>) {
    for item in entry.rest() {
        draft.missing(item.path, "has no counterpart");
    }
    for item in params.rest() {
        let name = item.path.rsplit('.').next().unwrap_or_default();
        let text = match name {
            "headers" | "extra_headers" | "organization" => {
                "write it under the origin's `secret_headers`, with the value as a platform secret"
            }
            "max_retries" | "num_retries" => "`budget.attempts` of the route",
            "stream_timeout" => "`timeouts` of the route: the first content, silence within a stream",
            "max_parallel_requests" => {
                "the provider's own limit answers 429, after which another origin is tried"
            }
            "drop_params" => "`drop_unsupported` of the route",
            "litellm_credential_name" => "write the key here, `api_key: os.environ/NAME`, and import again",
            "tags" => "rules know the key, the tenant and headers",
            "input_cost_per_second"
            | "output_cost_per_second"
            | "output_cost_per_image"
            | "input_cost_per_query" => "prices are per token: give the model the ones that come nearest",
            "merge_reasoning_content_in_choices" | "use_in_pass_through" | "mock_response" | "guardrails" => {
                "has no counterpart"
            }
            _ => "the gateway adds no parameters: let clients send it",
        };
        draft.missing(item.path, text);
    }
    for item in info.into_iter().flat_map(Table::rest) {
        draft.missing(item.path, "nothing is decided by it here");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bedrock_names() {
        for (model, expected) in [
            ("anthropic.claude-3-sonnet-20240229-v1:0", (None, "anthropic.claude-3-sonnet-20240229-v1:0")),
            ("converse/us.amazon.nova-pro-v1:0", (None, "us.amazon.nova-pro-v1:0")),
            ("us-west-2/anthropic.claude-v2", (Some("us-west-2"), "anthropic.claude-v2")),
            (
                "arn:aws:bedrock:us-east-1:1:inference-profile/x",
                (None, "arn:aws:bedrock:us-east-1:1:inference-profile/x"),
            ),
        ] {
            assert_eq!(bedrock_model(model), expected, "{model}");
        }
    }
}
