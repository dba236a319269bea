//! What the ledger asks of a database.

/// The database did not take a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SqlError;

/// What stands in a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    Null,
    /// Within ±2⁵³: on Workers it passes through JavaScript's numbers.
    Integer(i64),
    Text(String),
}

/// One connection to a SQLite database (3.35 or newer), within a transaction that the platform has begun.
pub trait Sql {
    /// Runs one statement whose parameters are `?1`, `?2`, … and gives its rows.
    ///
    /// # Errors
    /// The database did not take it. The platform rolls the transaction back.
    async fn run(&self, statement: &str, values: Vec<Value>) -> Result<Vec<Vec<Value>>, SqlError>;
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Integer(i64::try_from(number.min(LARGEST)).unwrap_or(0))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Option<&str>> for Value {
    fn from(text: Option<&str>) -> Self {
        text.map_or(Self::Null, Self::from)
    }
}

/// What JavaScript's numbers hold exactly: as nano-dollars, nine million dollars.
pub const LARGEST: u64 = (1 << 53) - 1;

/// A row, by the place of its columns.
pub(super) trait Row {
    fn number(&self, at: usize) -> i64;
    fn text(&self, at: usize) -> &str;
}

impl Row for [Value] {
    /// Zero where there is no number.
    fn number(&self, at: usize) -> i64 {
        match self.get(at) {
            Some(Value::Integer(number)) => *number,
            _ => 0,
        }
    }

    /// Empty where there is no text.
    fn text(&self, at: usize) -> &str {
        match self.get(at) {
            Some(Value::Text(text)) => text,
            _ => "",
        }
    }
}
