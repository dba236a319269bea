//! What may be replaced while the gateway runs, and what only changes with a deploy.

use crate::{Config, KeyHash, Origin, Problem, Route};

const DEPLOY: &str = "only changes with a deploy: deploy instead";

/// What of a pushed configuration is not as it is in the compiled-in one, and has to be: whatever decides where requests may
/// go and with which secret. Routes, keys, tenants, limits, and the models of origins with their prices may differ.
///
/// Origins keep their places: what instances know of an origin's health stands under its place.
#[must_use]
pub fn replaceable(compiled: &Config, pushed: &Config) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut add = |path: String, message: String| problems.push(Problem { path, message });
    // All of them by name, so that a new section has to be decided about.
    let Config { gateway, origins: _, routes: _, keys: _, tenants: _, admin, ledger, telemetry } = pushed;
    let sections = [
        ("gateway", compiled.gateway == *gateway),
        ("ledger", compiled.ledger == *ledger),
        ("admin", compiled.admin == *admin),
        ("telemetry", compiled.telemetry == *telemetry),
    ];
    for (path, is_same) in sections {
        if !is_same {
            add(path.to_owned(), format!("differs from what is deployed, and {DEPLOY}"));
        }
    }
    for at in 0..compiled.origins.len().max(pushed.origins.len()) {
        let path = format!("origins[{at}]");
        match (compiled.origins.get(at), pushed.origins.get(at)) {
            (Some(own), Some(other)) if own.name != other.name => {
                let message = format!(
                    "is `{}`, but `{}` is deployed in this place: the list of origins {DEPLOY}",
                    other.name, own.name
                );
                add(format!("{path}.name"), message);
            }
            (Some(own), Some(other)) => {
                for field in differing(own, other) {
                    let message = format!("differs from what is deployed, and {DEPLOY}");
                    add(format!("{path}.{field}"), message);
                }
            }
            (Some(own), None) => {
                add(
                    path,
                    format!("`{}` is deployed, but is missing: the list of origins {DEPLOY}", own.name),
                );
            }
            (None, Some(other)) => {
                add(path, format!("`{}` is not deployed: the list of origins {DEPLOY}", other.name));
            }
            (None, None) => {}
        }
    }
    for (at, key) in pushed.keys.iter().enumerate() {
        if let Some(KeyHash::InSecret(name)) = key.hash()
            && !compiled.keys.iter().any(|own| own.sha256_secret.as_deref() == Some(name))
        {
            let message = format!(
                "`{name}` is no secret of a key that is deployed: give the hash itself as `sha256`; the names of secrets {}",
                DEPLOY.replace("changes", "change")
            );
            add(format!("keys[{at}].sha256_secret"), message);
        }
    }
    let known =
        |url: &str| compiled.keys.iter().filter_map(|key| key.oidc.as_ref()).any(|own| own.jwks_url() == url);
    for (at, key) in pushed.keys.iter().enumerate() {
        if let Some(oidc) = key.oidc.as_ref().filter(|oidc| !known(oidc.jwks_url())) {
            let message = format!(
                "has its keys at {}, where none of a deployed key are: whom the gateway trusts {DEPLOY}",
                oidc.jwks_url()
            );
            add(format!("keys[{at}].oidc"), message);
        }
    }
    let brought = compiled.rule_headers();
    for (at, route) in pushed.routes.iter().enumerate() {
        for name in route.rule_headers() {
            if !brought.contains(&name) {
                let message = format!(
                    "looks at the request header `{name}`, which no rule that is deployed looks at: instances only bring those headers, so this {DEPLOY}"
                );
                add(format!("routes[{at}].rule"), message);
            }
        }
    }
    problems
}

/// The fields that only change with a deploy and differ.
fn differing(own: &Origin, other: &Origin) -> impl Iterator<Item = &'static str> + use<> {
    // All of them by name, so that a new field has to be decided about.
    let Origin {
        name,
        kind,
        url,
        secret,
        spare_secrets,
        secret_headers,
        first_byte_timeout_s,
        breaker,
        retry_percent,
        limits: _,
        prefill,
        stream_usage,
        responses,
        api_version,
        aws,
        fields,
        gpu_hour: _,
        models: _,
        wake,
    } = own;
    let fields = [
        ("name", *name != other.name),
        ("kind", *kind != other.kind),
        ("url", *url != other.url),
        ("secret", *secret != other.secret),
        ("spare_secrets", *spare_secrets != other.spare_secrets),
        ("secret_headers", *secret_headers != other.secret_headers),
        ("first_byte_timeout_s", *first_byte_timeout_s != other.first_byte_timeout_s),
        ("breaker", *breaker != other.breaker),
        ("retry_percent", *retry_percent != other.retry_percent),
        ("prefill", *prefill != other.prefill),
        ("stream_usage", *stream_usage != other.stream_usage),
        ("responses", *responses != other.responses),
        ("api_version", *api_version != other.api_version),
        ("aws", *aws != other.aws),
        ("fields", *fields != other.fields),
        ("wake", *wake != other.wake),
    ];
    fields.into_iter().filter(|(_, differs)| *differs).map(|(field, _)| field)
}

impl Route {
    /// The names of request headers that its rule looks at, in lower case.
    pub(crate) fn rule_headers(&self) -> Vec<String> {
        let mut names = Vec::new();
        self.rule().headers(&mut names);
        names
    }
}
