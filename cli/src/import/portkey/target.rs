//! A target without targets: a provider, with what it has from the objects around it.

use super::Reader;
use crate::import::cloud::{self, AwsKeys};
use crate::import::draft::{Key, Limits, Model, Origin, Prices, is_model_name, plain_name, secret_name};
use crate::import::providers::{self, Provider, provider};
use crate::import::rule::Rule;
use crate::import::source::{Item, Table};
use crate::import::value::problem;
use moegate_config::Problem;

/// What a target takes over from the one around it.
#[derive(Clone, Default)]
pub(super) struct Inherited {
    model: Option<(String, String)>,
    custom_host: Option<(String, String)>,
    timeout_s: Option<u32>,
}

impl Reader<'_> {
    /// Reads what is handed down, or only listed.
    pub(super) fn inherit(&mut self, table: &mut Table<'_>, above: &Inherited) -> Result<Inherited, Problem> {
        let mut inherited = above.clone();
        if let Some(item) = table.take("override_params") {
            let mut params = item.table()?;
            if let Some(item) = params.take("model") {
                inherited.model = Some((item.path.clone(), item.text()?.to_owned()));
            }
            for item in params.rest() {
                self.draft.missing(item.path, "the gateway adds no parameters: let clients send it");
            }
        }
        if let Some(item) = table.take("custom_host") {
            inherited.custom_host = Some((item.path.clone(), item.text()?.to_owned()));
        }
        if let Some(item) = table.take("request_timeout") {
            let seconds = item.decimal()?.shifted(-3).whole_up();
            let seconds = seconds.ok_or_else(|| problem(&item.path, "is too large a number"))?;
            inherited.timeout_s = Some(self.draft.within(&item.path, seconds, 1, 600));
            self.draft.differs(item.path, "milliseconds there, whole seconds here; limits an unstreamed answer, and of a stream the first content");
        }
        if let Some(item) = table.take("retry") {
            self.failures.retries(&mut self.draft, &item)?;
        }
        Ok(inherited)
    }

    /// # Errors
    /// It names no provider, or one that is not known.
    pub(super) fn leaf(&mut self, table: &mut Table<'_>, inherited: &Inherited) -> Result<Rule, Problem> {
        let provider_item = table.take("provider");
        let named = provider_item.as_ref().map(Item::text).transpose()?;
        let slug = match named.and_then(|name| name.strip_prefix('@')) {
            Some(slug) => Some((table.path_of("provider"), slug.to_owned())),
            None => table
                .take("virtual_key")
                .map(|item| Ok((item.path.clone(), item.text()?.to_owned())))
                .transpose()?,
        };
        let named = named.filter(|name| !name.starts_with('@'));
        // The model may carry its provider: `@slug/model`.
        let mut model = inherited.model.clone();
        let mut slug = slug;
        if let Some((path, name)) = &model
            && let Some((of, rest)) = name.strip_prefix('@').and_then(|name| name.split_once('/'))
        {
            slug = slug.or_else(|| Some((path.clone(), of.to_owned())));
            model = Some((path.clone(), rest.to_owned()));
        }
        let found = self.provider(table, named, slug.as_ref())?;
        let origin = self.origin(table, found, slug.as_ref(), inherited)?;
        self.models(table, &origin, model)
    }

    fn provider(
        &mut self,
        table: &Table<'_>,
        named: Option<&str>,
        slug: Option<&(String, String)>,
    ) -> Result<&'static Provider, Problem> {
        let unknown = |path: &str, name: &str| {
            problem(
                path,
                format!(
                    "the provider {name:?} is not known here: say with --provider {name}=openai (or another) what its API is"
                ),
            )
        };
        if let Some(name) = named {
            let path = table.path_of("provider");
            let name = self.options.providers.get(name).map_or(name, String::as_str);
            return provider(name).ok_or_else(|| unknown(&path, name));
        }
        let Some((path, slug)) = slug else {
            return Err(problem(
                &table.path_of("provider"),
                "is missing: add `provider` (or `virtual_key`) to the file, such as \"openai\"",
            ));
        };
        if let Some(name) = self.options.providers.get(slug) {
            return provider(name).ok_or_else(|| unknown(path, name));
        }
        let found = providers::by_slug(slug).ok_or_else(|| {
            problem(path, format!("Portkey keeps the provider behind {slug:?}: say with --provider {slug}=openai (or another) which it is"))
        })?;
        self.draft.differs(
            path,
            format!("taken for `{}` by its name; if it is another: --provider {slug}=NAME", found.name()),
        );
        Ok(found)
    }

    fn origin(
        &mut self,
        table: &mut Table<'_>,
        provider: &'static Provider,
        slug: Option<&(String, String)>,
        inherited: &Inherited,
    ) -> Result<Origin, Problem> {
        let mut text = |name: &str| table.text(name).map(|text| text.map(str::to_owned));
        let host = inherited.custom_host.as_ref();
        let host_path = host.map_or_else(|| "custom_host".to_owned(), |(path, _)| path.clone());
        let mut region = String::new();
        let draft = &mut self.draft;
        let place = match provider.kind {
            "azure-openai" => {
                // With an address of its own the resource's name is left over, and listed.
                let resource = match host {
                    Some(_) => None,
                    None => text("resource_name")?.or(text("azure_resource_name")?),
                };
                let version = text("api_version")?.or(text("azure_api_version")?);
                let base = match (host, resource) {
                    (Some((_, host)), _) => host.clone(),
                    (None, Some(name)) => format!("https://{name}.openai.azure.com"),
                    (None, None) => placeholder(
                        draft,
                        table,
                        slug,
                        "resource_name",
                        "azure-resource",
                        "https://",
                        ".openai.azure.com",
                    ),
                };
                cloud::azure(draft, &host_path, &base, version)?
            }
            "bedrock" => {
                region = match text("aws_region")? {
                    Some(region) => region,
                    None => placeholder(draft, table, slug, "aws_region", "region", "", ""),
                };
                cloud::bedrock(&table.path_of("aws_region"), &region)?
            }
            "vertex" => {
                let project = text("vertex_project_id")?;
                let location = text("vertex_region")?;
                let project = project.unwrap_or_else(|| {
                    placeholder(draft, table, slug, "vertex_project_id", "project", "", "")
                });
                let location = location
                    .unwrap_or_else(|| placeholder(draft, table, slug, "vertex_region", "region", "", ""));
                cloud::vertex(&table.path_of("vertex_project_id"), &project, &location)?
            }
            _ => provider.place(draft, &host_path, host.map(|(_, host)| host.as_str()))?,
        };
        let name = match slug {
            Some((_, slug)) => plain_name(slug),
            None => provider.name().to_owned(),
        };
        let key = |item: Option<Item<'_>>| item.map(|item| item.word().map(Key::Literal)).transpose();
        let vault = slug.map(|(_, slug)| Key::Vault(slug.clone()));
        let (secret, aws) = if provider.kind == "bedrock" {
            let keys = AwsKeys {
                access_key_id: key(table.take("aws_access_key_id"))?,
                secret_access_key: key(table.take("aws_secret_access_key"))?,
                session_token: key(table.take("aws_session_token"))?,
                api_key: key(table.take("api_key"))?,
            };
            let (secret, aws) = cloud::aws(draft, &path_or_top(table), &region, &place.url, keys);
            (Some(secret), aws)
        } else {
            let member = if provider.kind == "vertex" { "vertex_service_account_json" } else { "api_key" };
            let item = table.take(member);
            let path = item.as_ref().map(|item| item.path.clone());
            // An object is as good as its JSON.
            let literal = item.map(|item| item.word().map_or_else(|_| Key::Literal(item.path), Key::Literal));
            let path = path.or(slug.map(|(path, _)| path.clone())).unwrap_or_else(|| table.path_of(member));
            let key = literal.or(vault).or_else(|| provider.variable.map(|name| Key::Usual(name.to_owned())));
            let usual = format!("{}_KEY", secret_name(provider.name()));
            (key.map(|key| draft.secret(&path, key, &place.url, &usual)), None)
        };
        let limits = Limits { first_byte_timeout_s: inherited.timeout_s, ..Limits::default() };
        Ok(Origin { name, place, secret, aws, limits, models: Vec::new() })
    }

    /// The leaf, for the model it names, or for every one that clients ask for.
    fn models(
        &mut self,
        table: &mut Table<'_>,
        origin: &Origin,
        model: Option<(String, String)>,
    ) -> Result<Rule, Problem> {
        // Azure's models are deployments.
        let names: &[&str] = match origin.place.kind {
            "azure-openai" => &["deployment_id", "azure_deployment_id", "deployment_name"],
            _ => &[],
        };
        let model = match names.iter().find_map(|name| table.take(name)) {
            Some(item) => Some((item.path.clone(), item.text()?.to_owned())),
            None => model,
        };
        let path = path_or_top(table);
        let names = match &model {
            Some((path, name)) => vec![(path.clone(), name.clone())],
            None => self.asked.iter().map(|name| (path.clone(), name.clone())).collect(),
        };
        if model.is_none() {
            self.open.push(path.clone());
        }
        let mut name = origin.name.clone();
        for (path, model) in names {
            if !is_model_name(&model) {
                return Err(problem(&path, "must be 1 to 200 visible ASCII characters without blanks"));
            }
            let model =
                Model { path: path.clone(), name: model, price: Prices::default(), ..Model::default() };
            name = self.draft.origin(&path, origin.clone(), model)?;
        }
        let model = model.map(|(_, name)| name);
        self.fixed.extend(model.clone());
        Ok(Rule::To { origin: name, model })
    }

    pub(super) fn leftovers(&mut self, table: &Table<'_>) {
        for item in table.rest() {
            let text = match item.path.rsplit('.').next().unwrap_or_default() {
                "cache" => {
                    "it is not taken over: `cache = { seconds = 300 }` under `[[routes]]` gives an answer again to the very same request of the same tenant"
                }
                "forward_headers" | "forwardHeaders" => {
                    "clients' headers go to no origin; fixed ones do: `secret_headers` of the origin"
                }
                "input_guardrails"
                | "output_guardrails"
                | "inputGuardrails"
                | "outputGuardrails"
                | "guardrails"
                | "before_request_hooks"
                | "after_request_hooks"
                | "beforeRequestHooks"
                | "afterRequestHooks"
                | "default_input_guardrails"
                | "default_output_guardrails" => {
                    "the gateway judges no prompts and answers: do it in the application"
                }
                "weight" => "has a meaning only among the targets of `loadbalance`",
                "metadata" => "records name the key and its tenant",
                "api_key" | "apiKey" | "authorization" | "Authorization" => {
                    "a key goes to the origin it belongs to: name its provider beside it"
                }
                "openai_organization"
                | "openai_project"
                | "openaiOrganization"
                | "openaiProject"
                | "azure_ad_token"
                | "headers" => {
                    "write it as a header under the origin's `secret_headers`, with the value as a platform secret"
                }
                "strict_open_ai_compliance" | "strictOpenAiCompliance" => {
                    "answers have the form of the API that the client called"
                }
                _ => "has no counterpart",
            };
            self.draft.missing(item.path, text);
        }
    }
}

fn path_or_top(table: &Table<'_>) -> String {
    if table.path.is_empty() { "(top)".to_owned() } else { table.path.clone() }
}

/// What cannot work, where Portkey keeps a part of the address.
fn placeholder(
    draft: &mut crate::import::draft::Draft,
    table: &Table<'_>,
    slug: Option<&(String, String)>,
    member: &str,
    what: &str,
    before: &str,
    after: &str,
) -> String {
    let path = slug.map_or_else(|| table.path_of(member), |(path, _)| path.clone());
    let label = format!("fill-in-{what}");
    draft.note(
        crate::import::draft::Sort::FillIn,
        path,
        format!(
            "the file does not tell the {}: write it wherever the origin has `{label}`",
            what.replace('-', " ")
        ),
    );
    format!("{before}{label}{after}")
}
