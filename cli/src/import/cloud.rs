//! The clouds, whose addresses are made of parts, and whose keys are more than one.

use super::draft::{Aws, Draft, Key, Place};
use super::providers::plain_url;
use super::value::problem;
use moegate_config::Problem;

/// Azure OpenAI: `https://NAME.openai.azure.com/openai/v1`, or with an `api-version` the older form
/// `…/openai/deployments`, which the deployment's name follows.
///
/// # Errors
/// `base` is no URL.
pub(super) fn azure(
    draft: &mut Draft,
    path: &str,
    base: &str,
    api_version: Option<String>,
) -> Result<Place, Problem> {
    let url = plain_url(draft, path, base)?;
    let base = url.find("/openai").filter(|at| *at > "https://".len()).map_or(&url[..], |at| &url[..at]);
    // `latest` and `preview` belong to the v1 API, which needs none (Azure's API lifecycle).
    let api_version = api_version.filter(|version| !matches!(version.as_str(), "v1" | "latest" | "preview"));
    let tail = if api_version.is_some() { "openai/deployments" } else { "openai/v1" };
    Ok(Place { kind: "azure-openai", url: format!("{base}/{tail}"), api_version })
}

/// Amazon Bedrock's runtime in a region.
///
/// # Errors
/// That is no region's name.
pub(super) fn bedrock(path: &str, region: &str) -> Result<Place, Problem> {
    is_label(path, region)?;
    Ok(Place {
        kind: "bedrock",
        url: format!("https://bedrock-runtime.{region}.amazonaws.com"),
        api_version: None,
    })
}

/// Vertex AI of a project in a location; `global` has the host without one.
///
/// # Errors
/// These are no names of a project and a location.
pub(super) fn vertex(path: &str, project: &str, location: &str) -> Result<Place, Problem> {
    is_label(path, project)?;
    is_label(path, location)?;
    let host = match location {
        "global" => "aiplatform.googleapis.com".to_owned(),
        location => format!("{location}-aiplatform.googleapis.com"),
    };
    let url = format!("https://{host}/v1/projects/{project}/locations/{location}");
    Ok(Place { kind: "vertex", url, api_version: None })
}

fn is_label(path: &str, text: &str) -> Result<(), Problem> {
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if text.is_empty() || !text.bytes().all(good) {
        return Err(problem(path, "must be a name of small letters, digits and `-`, such as `us-east-1`"));
    }
    Ok(())
}

/// How the other gateway calls Bedrock.
pub(super) struct AwsKeys {
    pub(super) access_key_id: Option<Key>,
    pub(super) secret_access_key: Option<Key>,
    pub(super) session_token: Option<Key>,
    /// A Bedrock API key, which is sent as it is.
    pub(super) api_key: Option<Key>,
}

/// The origin's `secret`, and what signs.
pub(super) fn aws(
    draft: &mut Draft,
    path: &str,
    region: &str,
    url: &str,
    keys: AwsKeys,
) -> (String, Option<Aws>) {
    let AwsKeys { access_key_id, secret_access_key, session_token, api_key } = keys;
    if let Some(key) = api_key {
        if access_key_id.is_some() || secret_access_key.is_some() {
            draft.missing(
                path,
                "AWS's access key: the Bedrock API key beside it is sent, and nothing is signed",
            );
        }
        return (draft.secret(path, key, url, "BEDROCK_API_KEY"), None);
    }
    let usual = |name: &str| Key::Usual(name.to_owned());
    let (id, secret) = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY");
    if access_key_id.is_none() {
        draft.differs(path, "has no keys of AWS in the file; here they are secrets: make a user with an access key that may only invoke these models");
    }
    let access_key_id = draft.secret(path, access_key_id.unwrap_or_else(|| usual(id)), url, id);
    let secret = draft.secret(path, secret_access_key.unwrap_or_else(|| usual(secret)), url, secret);
    let session_token = session_token.map(|key| draft.secret(path, key, url, "AWS_SESSION_TOKEN"));
    (secret, Some(Aws { region: region.to_owned(), access_key_id, session_token }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may fail")]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let mut draft = Draft::default();
        let old = Some("2024-10-21".to_owned());
        for (base, version, expected) in [
            ("https://x.openai.azure.com/", None, "https://x.openai.azure.com/openai/v1"),
            ("https://x.openai.azure.com", old.clone(), "https://x.openai.azure.com/openai/deployments"),
            (
                "https://x.openai.azure.com/openai/deployments/a",
                old,
                "https://x.openai.azure.com/openai/deployments",
            ),
            (
                "https://x.openai.azure.com/openai/v1/",
                Some("preview".to_owned()),
                "https://x.openai.azure.com/openai/v1",
            ),
        ] {
            assert_eq!(azure(&mut draft, "x", base, version).unwrap().url, expected);
        }
        assert_eq!(bedrock("x", "us-east-1").unwrap().url, "https://bedrock-runtime.us-east-1.amazonaws.com");
        assert!(bedrock("x", "us-east-1.evil.example/").is_err());
        assert_eq!(
            vertex("x", "p", "global").unwrap().url,
            "https://aiplatform.googleapis.com/v1/projects/p/locations/global"
        );
    }
}
