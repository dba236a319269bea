//! Origins.

use super::{Problems, headers};
use crate::fields::{NEEDED_FIELDS, is_denied_by_default};
use crate::{Authority, DENIED_FIELDS, FieldPolicy, Kind, Origin, is_same_field};

impl Problems {
    pub(super) fn origin(&mut self, path: &str, origin: &Origin) {
        self.name(&format!("{path}.name"), &origin.name);
        match Authority::of(&origin.url) {
            None => self.add(
                format!("{path}.url"),
                format!("`{}` is not a plain absolute URL: write it as https://host[:port]/path, in lower case, without user name or escapes in the host", origin.url),
            ),
            Some(authority) if authority.scheme == "http" && !authority.is_loopback() => self.add(
                format!("{path}.url"),
                "would send the key in the clear: use https (http is for loopback addresses only)",
            ),
            // The second half is what RFC 3986 has no place for: one platform escapes it, another refuses it.
            Some(_) if origin.url.contains(['?', '#', '%', '\\', '"', '<', '>', '^', '`', '{', '|', '}'])
                || origin.url.contains("..")
                || !origin.url.bytes().all(|b| b.is_ascii_graphic()) => {
                self.add(format!("{path}.url"), "must have a plain path: no query, fragment, escapes, `..`, quotes, brackets, `^` or `|`");
            }
            Some(_) if origin.url.ends_with('/') => {
                self.add(format!("{path}.url"), "must not end in `/`: `/chat/completions` is appended to it");
            }
            Some(_) => {}
        }
        if origin.kind == Kind::Moegate && origin.secret.is_none() {
            self.add(
                format!("{path}.secret"),
                "is missing: requests to a moe-server are signed with its key; name the platform secret that holds it",
            );
        }
        if let Some(name) = &origin.secret {
            self.secret_name(&format!("{path}.secret"), name);
        }
        let mut lower: Vec<_> =
            origin.secret_headers.keys().map(|header| header.to_ascii_lowercase()).collect();
        lower.sort_unstable();
        if lower.windows(2).any(|pair| pair[0] == pair[1]) {
            self.add(format!("{path}.secret_headers"), "names one header twice, in different case");
        }
        for (header, name) in &origin.secret_headers {
            let path = format!("{path}.secret_headers.{}", header.escape_debug());
            if !headers::is_name(header) {
                self.add(path.as_str(), "is not a header name (RFC 9110, token)");
            } else if headers::is_reserved(header) {
                self.add(
                    path.as_str(),
                    "is a header that the gateway sets itself, or one of the connection; for `Authorization` use `secret`",
                );
            }
            self.secret_name(&path, name);
        }
        if !(1..=600).contains(&origin.first_byte_timeout_s) {
            self.add(format!("{path}.first_byte_timeout_s"), "must be 1 to 600 seconds");
        }
        let breaker = &origin.breaker;
        for (name, value, least, most) in [
            ("breaker.failures", breaker.failures, 0, 1_000),
            ("breaker.percent", breaker.percent, 1, 100),
            ("breaker.attempts", breaker.attempts, 1, 10_000),
            ("breaker.open_s", breaker.open_s, 1, 60),
            ("retry_percent", origin.retry_percent, 0, 100),
        ] {
            self.range(&format!("{path}.{name}"), value, least, most);
        }
        for (i, name) in origin.spare_secrets.iter().enumerate() {
            let path = format!("{path}.spare_secrets[{i}]");
            self.secret_name(&path, name);
            if origin.secret.iter().chain(&origin.spare_secrets[..i]).any(|other| other == name) {
                self.add(path, format!("`{name}` would be tried twice"));
            }
        }
        if origin.secret.is_none() && !origin.spare_secrets.is_empty() {
            self.add(format!("{path}.spare_secrets"), "stand in for `secret`, which is missing");
        }
        if origin.kind == Kind::Moegate && origin.prefill.is_some() {
            self.add(
                format!("{path}.prefill"),
                "has no use where the kind is `moegate`: it gets a resume handle",
            );
        }
        self.cloud(path, origin);
        self.fields(&format!("{path}.fields"), origin);
        if origin.models.is_empty() {
            self.add(
                format!("{path}.models"),
                "is empty: add [[origins.models]] with name, input and output",
            );
        }
        for (i, model) in origin.models.iter().enumerate() {
            self.model_name(&format!("{path}.models[{i}].name"), &model.name);
        }
        self.unique(
            origin
                .models
                .iter()
                .enumerate()
                .map(|(i, m)| (format!("{path}.models[{i}].name"), m.name.as_str())),
        );
    }

    /// What only some kinds have.
    fn cloud(&mut self, path: &str, origin: &Origin) {
        let Origin { kind, aws, api_version, responses, .. } = origin;
        if let Some(aws) = aws {
            let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
            if *kind != Kind::Bedrock {
                self.add(format!("{path}.aws"), "is for origins of kind `bedrock`");
            }
            if aws.region.is_empty() || !aws.region.bytes().all(good) {
                self.add(format!("{path}.aws.region"), "must be a region such as `us-east-1`");
            }
            self.secret_name(&format!("{path}.aws.access_key_id"), &aws.access_key_id);
            if let Some(name) = &aws.session_token {
                self.secret_name(&format!("{path}.aws.session_token"), name);
            }
            if !origin.spare_secrets.is_empty() {
                self.add(
                    format!("{path}.spare_secrets"),
                    "cannot sign with the one `aws.access_key_id`: make them origins of their own",
                );
            }
        }
        if matches!(
            kind,
            Kind::Anthropic
                | Kind::Gemini
                | Kind::AzureOpenai
                | Kind::Bedrock
                | Kind::Vertex
                | Kind::Openrouter
        ) && origin.secret.is_none()
            && origin.secret_headers.is_empty()
        {
            self.add(
                format!("{path}.secret"),
                format!(
                    "is missing: an origin of kind `{}` wants a key; name the platform secret that holds it",
                    kind.name()
                ),
            );
        }
        if let Some(version) = api_version {
            if *kind != Kind::AzureOpenai {
                self.add(format!("{path}.api_version"), "is for origins of kind `azure-openai`");
            }
            if version.is_empty() || !version.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
                self.add(format!("{path}.api_version"), "must be a version such as `2024-10-21`");
            }
        }
        if *responses == Some(true) && !kind.is_openai_compatible() {
            self.add(
                format!("{path}.responses"),
                format!("cannot be: origins of kind `{}` have no Responses API", kind.name()),
            );
        }
    }

    fn fields(&mut self, path: &str, origin: &Origin) {
        let FieldPolicy { allow, deny, denied: _ } = &origin.fields;
        let lists = [("allow", allow), ("deny", deny)];
        for (list, names) in lists {
            for (i, name) in names.iter().enumerate() {
                let path = format!("{path}.{list}[{i}]");
                if name.is_empty() || name.len() > 64 || name.chars().any(char::is_control) {
                    self.add(path, format!("{name:?} cannot be a field's name: 1 to 64 characters"));
                } else if names[..i].iter().any(|other| is_same_field(other, name)) {
                    self.add(path, format!("`{name}` stands there twice (case, `-` and `_` do not count)"));
                }
            }
        }
        for (i, name) in allow.iter().enumerate() {
            if deny.iter().any(|other| is_same_field(other, name)) {
                self.add(format!("{path}.allow[{i}]"), format!("`{name}` is in `deny` too: which is meant?"));
            } else if !is_denied_by_default(origin.kind, name) {
                self.add(format!("{path}.allow[{i}]"), not_denied(origin.kind, name));
            }
        }
        for (i, name) in deny.iter().enumerate() {
            if NEEDED_FIELDS.iter().any(|needed| is_same_field(needed, name)) {
                let text = format!(
                    "`{name}` cannot be denied: without it there is no answer, or none that can be metered"
                );
                self.add(format!("{path}.deny[{i}]"), text);
            }
        }
    }
}

fn not_denied(kind: Kind, name: &str) -> String {
    match kind {
        Kind::Moegate => format!("`{name}` is not denied: an origin of kind `moegate` gets every field"),
        _ => format!("`{name}` is not denied; what is: {}", DENIED_FIELDS.join(", ")),
    }
}
