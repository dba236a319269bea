//! A stand-in for the gateway that takes receipts: it checks each push as the gateway does, and answers as it is told.

use moegate_wire::{Period, Push, Receipt, push};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// What the stand-in does with a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Say {
    Take,
    /// Keeps it, and closes the connection in the place of an answer.
    TakeAndHangUp,
    Refuse(u16, &'static str),
    /// Never answers.
    Nothing,
}

pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    state: Arc<State>,
}

struct State {
    say: Mutex<Say>,
    asked: AtomicUsize,
    taken: Mutex<Vec<Push>>,
}

impl Gateway {
    pub(crate) fn start(say: Say) -> Self {
        Self::on("127.0.0.1:0", say, None)
    }

    /// Over TLS where a certificate is given.
    pub(crate) fn on(address: &str, say: Say, tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let state =
            Arc::new(State { say: Mutex::new(say), asked: AtomicUsize::new(0), taken: Mutex::default() });
        let serving = state.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, state, tls) = (stream.unwrap(), serving.clone(), tls.clone());
                thread::spawn(move || match tls {
                    None => serve(Box::new(stream), &state),
                    Some(config) => {
                        let connection = ServerConnection::new(config).unwrap();
                        serve(Box::new(StreamOwned::new(connection, stream)), &state);
                    }
                });
            }
        });
        Self { address, state }
    }

    pub(crate) fn say(&self, say: Say) {
        *self.state.say.lock().unwrap() = say;
    }

    pub(crate) fn asked(&self) -> usize {
        self.state.asked.load(SeqCst)
    }

    /// All receipts, as often as they have come.
    pub(crate) fn receipts(&self) -> Vec<Receipt> {
        self.state.taken.lock().unwrap().iter().flat_map(|push| push.receipts.clone()).collect()
    }

    /// The last of each instance and hour, and that none of them ever shrank.
    pub(crate) fn periods(&self) -> Vec<Period> {
        let mut hours: BTreeMap<(String, u64), Period> = BTreeMap::new();
        for period in self.state.taken.lock().unwrap().iter().flat_map(|push| &push.periods) {
            let key = (period.origin_instance.clone(), period.hour_ms);
            if let Some(before) = hours.insert(key, period.clone()) {
                assert!(before.busy_us <= period.busy_us && before.idle_us <= period.idle_us);
                assert!(before.cold_us <= period.cold_us);
            }
        }
        hours.into_values().collect()
    }

    pub(crate) fn until(&self, what: &str, so: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !so(self) {
            assert!(begun.elapsed() < Duration::from_secs(60), "never: {what}");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits for the receipt of this id.
    pub(crate) fn receipt(&self, id: &str) -> Receipt {
        self.until(id, |gateway| gateway.receipts().iter().any(|receipt| receipt.id == id));
        self.receipts().into_iter().find(|receipt| receipt.id == id).unwrap()
    }
}

trait Stream: Read + Write + Send {}
impl Stream for TcpStream {}
impl Stream for StreamOwned<ServerConnection, TcpStream> {}

/// Requests of one connection, one after the other.
fn serve(stream: Box<dyn Stream>, state: &State) {
    let mut stream = BufReader::new(stream);
    loop {
        let mut head = BTreeMap::new();
        let mut first = String::new();
        // A client that does not trust us leaves here.
        if stream.read_line(&mut first).unwrap_or(0) == 0 {
            return;
        }
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).unwrap();
            let Some((name, value)) = line.trim_end().split_once(": ") else { break };
            head.insert(name.to_lowercase(), value.to_owned());
        }
        assert_eq!(first, "POST /gw/receipts HTTP/1.1\r\n");
        assert_eq!(head["content-type"], "application/json");
        let mut body = vec![0; head["content-length"].parse().unwrap()];
        stream.read_exact(&mut body).unwrap();
        state.asked.fetch_add(1, SeqCst);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let (time, signature) = (&head["x-moegate-time"], &head["x-moegate-signature"]);
        assert_eq!(push::verify(b"key", time, &body, signature, now), Ok(()));
        let push: Push = serde_json::from_slice(&body).unwrap();
        assert_eq!(push.origin, "own");
        let count = push.receipts.len() + push.periods.len();
        assert!((1..=push::MAX_ITEMS).contains(&count), "{count}");
        let say = *state.say.lock().unwrap();
        if matches!(say, Say::Take | Say::TakeAndHangUp) {
            state.taken.lock().unwrap().push(push);
        }
        let (status, text) = match say {
            Say::Take => (200, format!("{{\"accepted\":{count}}}")),
            Say::TakeAndHangUp => return,
            Say::Refuse(status, text) => (status, text.to_owned()),
            Say::Nothing => {
                thread::sleep(Duration::from_secs(60));
                return;
            }
        };
        let length = text.len();
        write!(stream.get_mut(), "HTTP/1.1 {status} x\r\ncontent-length: {length}\r\n\r\n{text}").unwrap();
        stream.get_mut().flush().unwrap();
    }
}

/// What a server of this name needs for TLS, and its certificate as PEM.
pub(crate) fn certificate(name: &str) -> (Arc<ServerConfig>, String) {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let chain: Vec<CertificateDer<'static>> = vec![made.cert.der().clone()];
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    (Arc::new(config.with_no_client_auth().with_single_cert(chain, key).unwrap()), made.cert.pem())
}
