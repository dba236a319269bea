//! What gateways answer about keys, for people.

use serde_json::Value;

/// A line for each key.
pub(super) fn keys(rows: &[Value]) -> String {
    if rows.is_empty() {
        return "no keys were made at run time\n".to_owned();
    }
    let mut text = String::new();
    for row in rows {
        let mut about = vec![format!("made by {}, {}", word(&row["made_by"]), day(&row["created_at"]))];
        if let Some(tenant) = row["tenant"].as_str() {
            about.push(format!("tenant {tenant}"));
        }
        if let Some(models) = row["models"].as_array() {
            let models: Vec<_> = models.iter().map(word).collect();
            about.push(format!("models {}", models.join(" ")));
        }
        about.extend(row["limits"].as_array().into_iter().flatten().map(limit));
        for (member, name) in
            [("expires_at", "expires"), ("revoked_at", "revoked"), ("old_secrets_until", "old secrets until")]
        {
            if !row[member].is_null() {
                about.push(format!("{name} {}", day(&row[member])));
            }
        }
        text.push_str(&format!("{}  {}\n", word(&row["name"]), about.join("; ")));
    }
    text
}

/// A line for each change.
pub(super) fn changes(rows: &[Value]) -> String {
    let line = |row: &Value| {
        let [at, by, what, name] =
            [day(&row["at"]), word(&row["by"]), word(&row["what"]), word(&row["name"])];
        format!("{at}  {by}  {what}  {name}\n")
    };
    rows.iter().map(line).collect()
}

/// After a change; with the secret, where there is a new one.
pub(super) fn changed(answer: &Value) -> String {
    let key = keys(std::slice::from_ref(&answer["key"]));
    match answer["secret"].as_str() {
        Some(secret) => format!("For its holder, shown only now:\n\n    {secret}\n\n{key}"),
        None => key,
    }
}

/// Without what a terminal obeys.
fn word(value: &Value) -> String {
    value.as_str().unwrap_or("?").chars().filter(|c| !c.is_control()).collect()
}

/// `day: 100 requests, 5 dollars`.
fn limit(limit: &Value) -> String {
    let terms: Vec<_> = ["requests", "tokens", "dollars", "concurrent"]
        .into_iter()
        .filter(|name| !limit[name].is_null())
        .map(|name| match limit[name].as_str() {
            Some(_) => format!("{} {name}", word(&limit[name])),
            None => format!("{} {name}", limit[name]),
        })
        .collect();
    match limit["per"].as_str() {
        Some(_) => format!("{} a {}", terms.join(", "), word(&limit["per"])),
        None => terms.join(", "),
    }
}

/// Unix seconds as a time in UTC.
fn day(seconds: &Value) -> String {
    let seconds = seconds.as_u64().unwrap_or(0);
    let (minutes, day) = (seconds / 60 % 1440, moegate::metering::record::day(seconds.saturating_mul(1000)));
    format!("{day} {:02}:{:02}Z", minutes / 60, minutes % 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn keys_and_changes() {
        let key = json!({
            "name": "pr-7", "tenant": "acme", "models": ["a", "b"], "made_by": "admin", "created_at": 1_795_811_400,
            "limits": [{"per": "day", "requests": 100, "dollars": "0.5"}, {"concurrent": 2}],
            "expires_at": 1_798_761_600,
        });
        let line = "pr-7  made by admin, 2026-11-27 20:30Z; tenant acme; models a b; 100 requests, 0.5 dollars a day; \
                    2 concurrent; expires 2027-01-01 00:00Z\n";
        assert_eq!(keys(std::slice::from_ref(&key)), line);
        assert!(keys(&[]).starts_with("no keys"));
        let answer = json!({"key": key, "secret": "mg-x"});
        assert_eq!(changed(&answer), format!("For its holder, shown only now:\n\n    mg-x\n\n{line}"));
        let change = json!({"at": 1_795_811_400, "by": "admin", "what": "make", "name": "pr\u{1b}-7"});
        assert_eq!(changes(&[change]), "2026-11-27 20:30Z  admin  make  pr-7\n");
    }
}
