//! LiteLLM's proxy configuration, `config.yaml`: <https://docs.litellm.ai/docs/proxy/configs>.

mod deployment;
mod routes;
mod settings;

use super::Options;
use super::draft::{Draft, Sort};
use super::source::{Item, Table};
use super::value::{Value, problem};
use moegate_config::Problem;
use settings::Settings;

/// # Errors
/// What in the file is not as LiteLLM reads it, or leaves nothing to route.
pub(super) fn import(source: &Value, options: &Options<'_>) -> Result<Draft, Problem> {
    let mut draft = Draft::default();
    let mut top = Item::new("", source).table()?;
    let settings = Settings::read(&mut draft, &mut top)?;
    let list = top
        .take("model_list")
        .ok_or_else(|| problem("model_list", "is missing: there is nothing to route"))?;
    let mut deployments = Vec::new();
    for item in list.list()? {
        deployments.extend(deployment::read(&mut draft, &settings.limits, &item, options)?);
    }
    routes::build(&mut draft, &settings, deployments)?;
    general(&mut draft, &mut top)?;
    for item in top.rest() {
        let text = match item.path.as_str() {
            "environment_variables" => {
                "the platform has the variables and secrets; set there what is in the list of secrets"
            }
            "guardrails" | "prompts" => {
                "the gateway changes and judges no prompts: do it in front of it, or in the application"
            }
            "mcp_servers" | "mcp_tools" | "vector_store_registry" | "search_tools" => {
                "is no matter of routing: let the application call these servers itself"
            }
            "credential_list" => "name the key at each model: `api_key: os.environ/NAME`, and import again",
            "include" => "further files are not read: import them as one",
            _ => "has no counterpart",
        };
        draft.missing(item.path, text);
    }
    Ok(draft)
}

/// Who may call.
fn general(draft: &mut Draft, top: &mut Table<'_>) -> Result<(), Problem> {
    let Some(item) = top.take("general_settings") else {
        super::add_key(draft);
        return Ok(());
    };
    let mut general = item.table()?;
    match general.take("master_key") {
        Some(item) => {
            let name = match item.text()?.strip_prefix("os.environ/") {
                Some(variable) => super::draft::secret_name(variable),
                None => "MASTER_KEY".to_owned(),
            } + "_SHA256";
            draft.note(
                Sort::Secret,
                &item.path,
                format!("set `{name}`: the SHA-256 of the master key in hex (`printf %s KEY | sha256sum`), so clients go on with it; better, give each a key of its own: `moegate keys new`"),
            );
            let admin = "ADMIN_KEY_SHA256";
            draft.note(
                Sort::Secret,
                &item.path,
                format!(
                    "set `{admin}`: the hash of another key, by which `/usage` is read: `moegate keys new`"
                ),
            );
            draft.keys.push(("master".to_owned(), name));
            draft.admin = Some(admin.to_owned());
        }
        None => super::add_key(draft),
    }
    for item in general.rest() {
        let name = item.path.rsplit('.').next().unwrap_or_default();
        let text = match name {
            "database_url"
            | "store_model_in_db"
            | "store_prompts_in_spend_logs"
            | "database_connection_pool_limit"
            | "allow_requests_on_db_unavailable" => {
                "there is no database: models and keys stand in moegate.toml, usage in the platform's key-value store"
            }
            "alerting" | "alerting_threshold" | "alert_types" => {
                "watch `/usage` and the platform's own alerts"
            }
            "max_parallel_requests" | "global_max_parallel_requests" => {
                "the platform limits concurrency; bytes in flight: `max_inflight_mib` under [gateway]"
            }
            _ => "has no counterpart: the gateway's surroundings are the platform's",
        };
        draft.missing(item.path, text);
    }
    Ok(())
}
