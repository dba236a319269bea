//! What the gateway on Spin is compared with: the request goes on as it came, the answer comes back as it is, and not a
//! byte of either body is seen.

use exports::wasi::http::handler::Guest;
use wasi::http::client;
use wasi::http::types::{ErrorCode, Fields, Request, Response, Scheme};

wit_bindgen::generate!({ path: "../../wit", world: "gateway", generate_all });
export!(PassThrough);

struct PassThrough;

/// The bench's origin (xtask/src/bench/spin.rs).
const ORIGIN: &str = "127.0.0.1:28720";

impl Guest for PassThrough {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let path = request.get_path_with_query();
        if path.as_deref() == Some("/health") {
            let (_, no_trailers) = wit_future::new(|| Ok(None));
            return Ok(Response::new(Fields::new(), None, no_trailers).0);
        }
        let headers: Vec<_> = request.get_headers().copy_all();
        let headers: Vec<_> = headers.into_iter().filter(|(name, _)| name != "host").collect();
        let headers = Fields::from_list(&headers).map_err(|_| ErrorCode::InternalError(None))?;
        let method = request.get_method();
        let (_, received) = wit_future::new(|| Ok(()));
        let (body, trailers) = Request::consume_body(request, received);
        let (onward, _sent) = Request::new(headers, Some(body), trailers, None);
        let invalid = |()| ErrorCode::InternalError(None);
        onward.set_method(&method).map_err(invalid)?;
        onward.set_scheme(Some(&Scheme::Http)).map_err(invalid)?;
        onward.set_authority(Some(ORIGIN)).map_err(invalid)?;
        onward.set_path_with_query(path.as_deref()).map_err(invalid)?;
        client::send(onward).await
    }
}
