//! Scripted origins at real sockets. HTTP/1.1 by hand: chunk boundaries, resets and silences are exact.

use crate::client::chunk;
use moegate::platform::fake::{Arrived, COMMENT, End, Piece, Responder, Script, Scripted};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Only keeps a hanging gateway from hanging the suite.
const PATIENCE: Duration = Duration::from_secs(30);

/// Between two comments of an endless stream.
const PACE: Duration = Duration::from_millis(20);

/// What client and origins know of each other.
pub struct Progress {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    responder: Responder,
    /// Counts [`Progress::answer`]: connections of an earlier behaviour have no say any more.
    generation: u64,
    arrived: Vec<Arrived>,
    dropped: BTreeMap<usize, Instant>,
    client_has: usize,
    client_left: Option<Instant>,
}

impl Progress {
    fn new() -> Self {
        let state = State {
            responder: Arc::new(|_| Script::Reset),
            generation: 0,
            arrived: Vec::new(),
            dropped: BTreeMap::new(),
            client_has: 0,
            client_left: None,
        };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    pub fn answer(&self, responder: Responder) {
        let mut state = self.state();
        let generation = state.generation + 1;
        *state = State {
            responder,
            generation,
            arrived: Vec::new(),
            dropped: BTreeMap::new(),
            client_has: 0,
            client_left: None,
        };
    }

    #[must_use]
    pub fn arrived(&self) -> Vec<Arrived> {
        self.state().arrived.clone()
    }

    /// The client has this many bytes of its reply.
    pub fn client_has(&self, bytes: usize) {
        let mut state = self.state();
        state.client_has = state.client_has.max(bytes);
        self.changed.notify_all();
    }

    pub fn client_left(&self) {
        self.state().client_left = Some(Instant::now());
        self.changed.notify_all();
    }

    pub fn wait_for_arrival(&self, patience: Duration) {
        self.wait(patience, |state| !state.arrived.is_empty());
    }

    /// See [`crate::host::Host::dropped_after`].
    #[must_use]
    pub fn dropped_after(&self, number: usize, patience: Duration) -> Option<Duration> {
        self.wait(patience, |state| state.dropped.contains_key(&number));
        let state = self.state();
        let dropped = state.dropped.get(&number)?;
        Some(state.client_left.map_or(Duration::ZERO, |left| dropped.saturating_duration_since(left)))
    }

    fn wait(&self, patience: Duration, done: impl Fn(&State) -> bool) {
        let guard = self.state();
        drop(self.changed.wait_timeout_while(guard, patience, |state| !done(state)));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn arrive(&self, arrived: &Arrived) -> (u64, usize, Responder) {
        let mut state = self.state();
        state.arrived.push(arrived.clone());
        self.changed.notify_all();
        (state.generation, state.arrived.len() - 1, Arc::clone(&state.responder))
    }

    fn dropped(&self, generation: u64, number: usize) {
        let mut state = self.state();
        if state.generation == generation {
            state.dropped.entry(number).or_insert_with(Instant::now);
            self.changed.notify_all();
        }
    }
}

/// The ports that moegate.toml names.
pub const PORTS: [u16; 3] = [28711, 28712, 28713];

/// Listens on the ports, for as long as the process lives.
///
/// # Errors
/// Names the port that is taken.
pub fn listen(ports: &[u16]) -> Result<Arc<Progress>, String> {
    let progress = Arc::new(Progress::new());
    for &port in ports {
        let listener = TcpListener::bind(("127.0.0.1", port)).map_err(|error| {
            format!("port {port} cannot be listened on ({error}); the suite's configuration names it: end what uses it (`ss -ltnp 'sport = :{port}'` names it)")
        })?;
        let progress = Arc::clone(&progress);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let progress = Arc::clone(&progress);
                std::thread::spawn(move || serve(stream, port, &progress));
            }
        });
    }
    Ok(progress)
}

fn serve(stream: TcpStream, port: u16, progress: &Progress) {
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let Some(arrived) = read(&stream, port) else { return };
    let (generation, number, responder) = progress.arrive(&arrived);
    let dropped = || progress.dropped(generation, number);
    let mut script = responder(&arrived);
    while let Script::After(ms, then) = script {
        std::thread::sleep(Duration::from_millis(ms));
        script = *then;
    }
    match script {
        Script::Refuse => panic!("an origin that listens cannot refuse: the script belongs to the fake"),
        Script::After(..) => unreachable!("it is over"),
        Script::Reset => reset(stream),
        Script::Silence => {
            until_closed(&stream);
            dropped();
        }
        Script::Answer(scripted) => {
            if play(stream, &scripted, progress).is_err() {
                dropped();
            }
        }
    }
}

fn unix_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or_default()
}

/// An error: the gateway closed the connection first.
fn play(mut stream: TcpStream, scripted: &Scripted, progress: &Progress) -> std::io::Result<()> {
    let length: usize = scripted
        .pieces
        .iter()
        .map(|piece| if let Piece::Bytes(bytes) = piece { bytes.len() } else { 0 })
        .sum();
    let chunked = scripted.header("content-type").is_some_and(|kind| kind.starts_with("text/event-stream"));
    let mut head = format!("HTTP/1.1 {} Scripted\r\nconnection: close\r\n", scripted.status);
    for (name, value) in &scripted.headers {
        head += &format!("{name}: {value}\r\n");
    }
    if chunked {
        head += "transfer-encoding: chunked\r\n\r\n";
    } else {
        let promised = if scripted.end == End::Clean { length } else { length + 100 };
        head += &format!("content-length: {promised}\r\n\r\n");
    }
    // A character over 127 goes out as one byte (Latin-1), as origins send them.
    stream.write_all(&head.chars().map(|character| character as u8).collect::<Vec<_>>())?;
    for piece in &scripted.pieces {
        match piece {
            Piece::Bytes(bytes) if chunked => stream.write_all(&chunk(bytes))?,
            Piece::Bytes(bytes) => stream.write_all(bytes)?,
            Piece::After(ms) => std::thread::sleep(Duration::from_millis(*ms)),
            // A client that has left will not have more.
            Piece::Until(bytes) => {
                progress.wait(PATIENCE, |state| state.client_has >= *bytes || state.client_left.is_some());
            }
        }
    }
    match scripted.end {
        End::Clean => {
            if chunked {
                stream.write_all(b"0\r\n\r\n")?;
            }
        }
        End::Cut => {}
        End::Reset => reset(stream),
        End::Endless => loop {
            stream.write_all(&chunk(COMMENT.as_bytes()))?;
            std::thread::sleep(PACE);
        },
        End::Stall => {
            until_closed(&stream);
            return Err(std::io::ErrorKind::ConnectionAborted.into());
        }
    }
    Ok(())
}

/// Closes with a reset instead of an orderly end.
fn reset(stream: TcpStream) {
    socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    drop(stream);
}

fn until_closed(mut stream: &TcpStream) {
    let mut buffer = [0; 64];
    while matches!(stream.read(&mut buffer), Ok(1..)) {}
}

fn read(stream: &TcpStream, port: u16) -> Option<Arrived> {
    let mut reader = BufReader::new(stream);
    let mut line = || {
        let mut text = String::new();
        reader.read_line(&mut text).ok().filter(|&length| length > 0)?;
        Some(text.trim_end().to_owned())
    };
    let first = line()?;
    let mut words = first.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        let text = line()?;
        if text.is_empty() {
            break;
        }
        let (name, value) = text.split_once(':')?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut arrived = Arrived {
        at_ms: unix_ms(),
        authority: format!("127.0.0.1:{port}"),
        method,
        path,
        headers,
        body: Vec::new(),
    };
    if let Some(length) = arrived.header("content-length") {
        arrived.body.resize(length.parse().ok()?, 0);
        reader.read_exact(&mut arrived.body).ok()?;
    } else if arrived.header("transfer-encoding").is_some() {
        loop {
            let mut size = String::new();
            reader.read_line(&mut size).ok()?;
            let size = usize::from_str_radix(size.trim(), 16).ok()?;
            let mut bytes = vec![0; size + 2];
            reader.read_exact(&mut bytes).ok()?;
            if size == 0 {
                break;
            }
            arrived.body.extend_from_slice(&bytes[..size]);
        }
    }
    Some(arrived)
}
