//! What the tables are made of.

/// One operation.
#[derive(Debug)]
pub struct Endpoint {
    pub method: &'static str,
    pub path: &'static str,
    pub id: &'static str,
    pub summary: &'static str,
    pub api: Api,
    pub key: Key,
    /// Parameters of the query; those of the path follow from it.
    pub query: &'static [Member],
    pub request: Option<Body>,
    /// The bodies of an answer, by their media type.
    pub answers: &'static [(&'static str, Kind)],
}

/// Whose form errors have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Api {
    OpenAi,
    Anthropic,
    Gemini,
    AiSdk,
    /// By the request's headers.
    ByHeaders,
}

/// Which key a request needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    None,
    Client,
    Admin,
}

/// A request's body.
#[derive(Debug, Clone, Copy)]
pub struct Body {
    pub media_type: &'static str,
    pub object: &'static Object,
    /// Bodies that have every member between them.
    pub examples: &'static [&'static str],
    /// Whether the gateway reads all of it for origins of another API; otherwise it looks at the model and passes the rest.
    pub is_read: bool,
}

/// An object; unknown members are allowed.
#[derive(Debug)]
pub struct Object {
    /// Empty: it is written where it is used.
    pub name: &'static str,
    pub members: &'static [Member],
}

/// A member of an object, or a parameter.
#[derive(Debug, Clone, Copy)]
pub struct Member {
    pub name: &'static str,
    pub kind: Kind,
    pub is_needed: bool,
    pub about: &'static str,
    /// Origins of other APIs cannot be told it.
    pub is_same_api: bool,
}

/// What a value is.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    Text,
    Number,
    /// A whole number, 0 or more.
    Count,
    Flag,
    Null,
    /// An object of any members.
    Map,
    Any,
    /// Bytes that are no JSON: audio, files.
    Bytes,
    /// One of these.
    Words(&'static [&'static str]),
    Object(&'static Object),
    List(&'static Kind),
    Either(&'static [Kind]),
}

impl Member {
    #[must_use]
    pub const fn needed(mut self) -> Self {
        self.is_needed = true;
        self
    }

    /// Origins of other APIs cannot be told it.
    #[must_use]
    pub const fn same_api(mut self) -> Self {
        self.is_same_api = true;
        self
    }
}

#[must_use]
pub const fn member(name: &'static str, kind: Kind, about: &'static str) -> Member {
    Member { name, kind, is_needed: false, about, is_same_api: false }
}

#[must_use]
pub const fn text(name: &'static str, about: &'static str) -> Member {
    member(name, Kind::Text, about)
}

#[must_use]
pub const fn count(name: &'static str, about: &'static str) -> Member {
    member(name, Kind::Count, about)
}

#[must_use]
pub const fn number(name: &'static str, about: &'static str) -> Member {
    member(name, Kind::Number, about)
}

#[must_use]
pub const fn flag(name: &'static str, about: &'static str) -> Member {
    member(name, Kind::Flag, about)
}

#[must_use]
pub const fn map(name: &'static str, about: &'static str) -> Member {
    member(name, Kind::Map, about)
}

#[must_use]
pub const fn words(name: &'static str, words: &'static [&'static str], about: &'static str) -> Member {
    member(name, Kind::Words(words), about)
}

#[must_use]
pub const fn object(name: &'static str, object: &'static Object, about: &'static str) -> Member {
    member(name, Kind::Object(object), about)
}

#[must_use]
pub const fn list(name: &'static str, of: &'static Kind, about: &'static str) -> Member {
    member(name, Kind::List(of), about)
}

pub const JSON: &str = "application/json";
pub const EVENTS: &str = "text/event-stream";
pub const FORM: &str = "multipart/form-data";

/// The member that every request to an origin has.
pub const MODEL: Member =
    text("model", "The model's name at this gateway; the list of models has it.").needed();
pub const STREAM: Member = flag("stream", "The answer comes as server-sent events.");
