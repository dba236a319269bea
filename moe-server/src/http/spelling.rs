//! Paths as clients spell them.

use axum::extract::Request;
use axum::http::Uri;
use axum::http::uri::PathAndQuery;
use axum::middleware::Next;
use axum::response::Response;
use moegate_wire::path;
use std::borrow::Cow;

/// Puts the usual spelling in the place of another one of the same path.
pub(super) async fn normal(mut request: Request, next: Next) -> Response {
    if let Some(uri) = respelled(request.uri()) {
        *request.uri_mut() = uri;
    }
    next.run(request).await
}

fn respelled(uri: &Uri) -> Option<Uri> {
    let Cow::Owned(path) = path::normal(uri.path()) else { return None };
    let target = uri.query().map_or_else(|| path.clone(), |query| format!("{path}?{query}"));
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(target).ok()?);
    Uri::from_parts(parts).ok()
}
