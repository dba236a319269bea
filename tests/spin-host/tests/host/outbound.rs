//! Requests that the component sends.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use crate::http::{End, head, send};
use crate::origin::{Origin, write};
use crate::process::Host;

fn relay(host: &Host, mode: &str, origin: &Origin) -> (u16, String) {
    host.text(&format!("/relay/{mode}/{}/path", origin.address))
}

/// An origin that answers every request with these bytes and keeps the connection.
fn saying(bytes: &'static str) -> Origin {
    Origin::start(move |_, stream| write(stream, bytes))
}

#[test]
fn only_allowed_hosts_are_reached() {
    let host = Host::start(&[]);
    let denied = (502, "ErrorCode::HttpRequestDenied".to_owned());
    for target in ["http/localhost:1/x", "https/127.0.0.1:1/x", "http/example.com/x"] {
        assert_eq!(host.text(&format!("/relay/{target}")), denied, "{target}");
    }
    let refused = (502, "ErrorCode::ConnectionRefused".to_owned());
    assert_eq!(host.text("/relay/http/127.0.0.1:1/x"), refused);
    // Where the manifest's template names another port, this one is not allowed either.
    let narrow = Host::start(&["--variable", "origin=http://127.0.0.1:2"]);
    assert_eq!(narrow.text("/relay/http/127.0.0.1:1/x"), denied);
    assert_eq!(narrow.text("/relay/http/127.0.0.1:2/x"), refused);
}

#[test]
fn redirects_are_not_followed_and_connections_are_kept() {
    let host = Host::start(&[]);
    let origin = saying("HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 2\r\n\r\nno");
    for _ in 0..3 {
        assert_eq!(relay(&host, "http", &origin), (302, "no".to_owned()));
    }
    assert_eq!(origin.connections(), 1);
}

#[test]
fn the_origin_sees_its_own_host_and_nothing_of_the_runtime() {
    let host = Host::start(&[]);
    let (heads, seen) = channel();
    let heads = std::sync::Mutex::new(heads);
    let origin = Origin::start(move |lines, stream| {
        heads.lock().unwrap().send(lines.to_vec()).unwrap();
        write(stream, "HTTP/1.1 204 No Content\r\n\r\n")
    });
    assert_eq!(relay(&host, "http", &origin).0, 204);
    let lines = seen.recv().unwrap();
    assert_eq!(lines[0], "GET /path HTTP/1.1");
    assert_eq!(lines[1..], [format!("host: {}", origin.address)]);
}

#[test]
fn hop_by_hop_headers_in_an_answer_are_a_500() {
    let host = Host::start(&[]);
    assert_eq!(host.text("/hop"), (500, "HeaderError::Forbidden".to_owned()));
    // The component gets the origin's, and fails where it hands them on.
    for header in
        ["transfer-encoding: chunked\r\n\r\n0\r\n", "connection: keep-alive\r\ncontent-length: 0\r\n"]
    {
        let answer = format!("HTTP/1.1 200 OK\r\n{header}\r\n");
        let origin = Origin::start(move |_, stream| write(stream, &answer));
        assert_eq!(relay(&host, "http+copy", &origin), (500, String::new()));
        assert_eq!(relay(&host, "http", &origin), (200, String::new()));
    }
    let plain = saying("HTTP/1.1 200 OK\r\ncontent-type: x/y\r\ncontent-length: 2\r\n\r\nok");
    let answer = host.get(&format!("/relay/http+copy/{}/", plain.address));
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("x/y")));
}

#[test]
fn bytes_beyond_ascii_in_headers() {
    let host = Host::start(&[]);
    // An origin's reach the component and the client as they are.
    let origin = Origin::start(|_, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nx-name: caf\xe9\r\ncontent-length: 2\r\n\r\nok").is_ok()
    });
    let stream = send(host.address, "GET", &format!("/relay/http+copy/{}/", origin.address), b"");
    assert!(raw(stream).windows(13).any(|part| part == b"x-name: caf\xe9\r"), "the header is not there");
    // A client's that is not UTF-8 is refused by the runtime itself, with an answer; what is UTF-8 passes.
    let with_header = |value: &[u8]| {
        let mut stream = TcpStream::connect(host.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let head = [b"GET /headers HTTP/1.1\r\nhost: a\r\nconnection: close\r\nx-name: ", value, b"\r\n\r\n"];
        stream.write_all(&head.concat()).unwrap();
        head_of(stream)
    };
    assert_eq!(with_header(b"caf\xe9"), (500, String::new()));
    let (status, headers) = with_header("café".as_bytes());
    assert!(status == 200 && headers.contains("x-name: café\n"), "{headers}");
}

/// All that comes, as bytes.
fn raw(mut stream: TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    bytes
}

fn head_of(stream: TcpStream) -> (u16, String) {
    let answer = head(stream).expect("an answer").finish();
    (answer.status, answer.text())
}

#[test]
fn a_relayed_body_is_not_held_back() {
    let host = Host::start(&[]);
    let (go, gone) = channel::<()>();
    let gone = std::sync::Mutex::new(gone);
    let origin = Origin::start(move |_, stream| {
        write(stream, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n");
        // The second piece only once the first has reached the client.
        gone.lock().unwrap().recv_timeout(Duration::from_secs(10)).is_ok()
            && write(stream, "3\r\ntwo\r\n0\r\n\r\n")
    });
    let path = format!("/relay/http/{}/", origin.address);
    let mut answer = head(send(host.address, "GET", &path, b"")).expect("an answer");
    assert_eq!(answer.chunk(), Ok(Some(b"one".to_vec())));
    go.send(()).unwrap();
    assert_eq!(answer.chunk(), Ok(Some(b"two".to_vec())));
    assert_eq!(answer.chunk(), Ok(None));
}

/// An origin that says this and then keeps still.
fn silent_after(bytes: &'static str) -> Origin {
    Origin::start(move |_, stream: &mut TcpStream| {
        write(stream, bytes);
        thread::sleep(Duration::from_secs(8));
        false
    })
}

#[test]
fn time_outs_are_read_time_outs() {
    let host = Host::start(&[]);
    let late = silent_after("");
    let timeout = "ErrorCode::ConnectionReadTimeout";
    assert_eq!(relay(&host, "http+first200", &late), (502, timeout.to_owned()));
    let stalls = silent_after("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n");
    let (status, seen) = relay(&host, "http+read+between200", &stalls);
    assert_eq!((status, seen), (200, format!("3 bytes, Err({timeout})")));
}

#[test]
fn a_broken_body_is_an_error_to_its_reader_and_a_break_to_the_client() {
    let host = Host::start(&[]);
    let answer = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n";
    let origin = Arc::new(Origin::start(move |_, stream| {
        write(stream, answer);
        false
    }));
    let (_, seen) = relay(&host, "http+read", &origin);
    assert_eq!(seen, "3 bytes, Err(ErrorCode::HttpProtocolError)");
    let relayed = host.get(&format!("/relay/http/{}/", origin.address));
    assert_eq!((relayed.text().as_str(), relayed.end), ("one", End::Broken));
    // Nothing at all instead of an answer.
    let mute = Origin::start(|_, _| false);
    assert_eq!(relay(&host, "http", &mute), (502, "ErrorCode::HttpProtocolError".to_owned()));
}

/// A TLS server for `localhost`, and its certificate in a file.
fn secure(answer: &'static str) -> (u16, tempfile::NamedTempFile) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), made.cert.pem()).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = std::net::TcpListener::bind("localhost:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let session = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut tls = rustls::StreamOwned::new(session, stream.unwrap());
            let mut request = [0; 1024];
            // A client that does not trust the certificate ends the handshake here.
            if tls.read(&mut request).is_ok_and(|length| length > 0) {
                let _ = tls.write_all(answer.as_bytes());
                let _ = tls.flush();
            }
        }
    });
    (port, file)
}

#[test]
fn tls_trusts_what_it_is_told_to() {
    let (port, certificate) = secure("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nsecure");
    let path = format!("/relay/https/localhost:{port}/");
    let distrusting = Host::start(&[]);
    assert_eq!(distrusting.text(&path), (502, "ErrorCode::TlsProtocolError".to_owned()));
    let trusting = Host::start(&["--ca", certificate.path().to_str().unwrap()]);
    assert_eq!(trusting.text(&path), (200, "secure".to_owned()));
}
