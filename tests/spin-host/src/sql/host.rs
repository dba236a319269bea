//! The interface over the connections.

use std::collections::HashSet;
use std::sync::Arc;

use wasmtime::Result;
use wasmtime::component::{Accessor, FutureReader, HasData, Linker, Resource, ResourceTable, StreamReader};

use super::connection::{Database, SqlConnection, Streamed};
use crate::bindings::spin::sqlite::sqlite::{self, Error, QueryResult, RowResult, Value};
use crate::producer::Producer;

/// Connections that one instance may have open.
const MOST_OPEN: usize = 256;

/// What an instance may open, and where it is.
#[derive(Clone)]
pub(crate) struct SqlState {
    database: Database,
    allowed: Arc<HashSet<String>>,
}

/// [`SqlState`] together with the instance's resources.
pub(crate) struct SqlView<'a> {
    pub(crate) state: &'a SqlState,
    pub(crate) table: &'a mut ResourceTable,
    /// Connections among them.
    pub(crate) open: &'a mut usize,
}

struct SqlData;

impl HasData for SqlData {
    type Data<'a> = SqlView<'a>;
}

/// Makes the interface available to components.
pub(crate) fn add_to_linker<T: Send + 'static>(
    linker: &mut Linker<T>,
    view: fn(&mut T) -> SqlView<'_>,
) -> Result<()> {
    sqlite::add_to_linker::<T, SqlData>(linker, view)
}

impl SqlState {
    /// `allowed`: the names that the manifest lists for the component.
    pub(crate) fn new(database: Database, allowed: HashSet<String>) -> Self {
        Self { database, allowed: Arc::new(allowed) }
    }
}

type Answer<A> = std::result::Result<A, Error>;

impl SqlView<'_> {
    fn open_here(&mut self, name: &str) -> Result<Answer<Resource<SqlConnection>>> {
        if !self.state.allowed.contains(name) {
            return Ok(Err(Error::AccessDenied));
        }
        let connection = match self.state.database.open() {
            Ok(connection) => connection,
            Err(error) => return Ok(Err(error)),
        };
        if *self.open == MOST_OPEN {
            return Ok(Err(Error::Io("too many connections opened".to_owned())));
        }
        *self.open += 1;
        Ok(Ok(self.table.push(connection)?))
    }
}

/// An error of a call that has none to return ends the instance, as in the real runtime.
fn traps<A>(answer: Answer<A>) -> Result<A> {
    answer.map_err(|error| wasmtime::Error::msg(format!("{error:?}")))
}

fn connection<T: 'static>(
    accessor: &Accessor<T, SqlData>,
    connection: &Resource<SqlConnection>,
) -> Result<SqlConnection> {
    Ok(accessor.with(|mut access| access.get().table.get(connection).cloned())?)
}

impl sqlite::Host for SqlView<'_> {}

/// The functions that keep the instance waiting.
impl sqlite::HostConnection for SqlView<'_> {
    fn open(&mut self, database: String) -> Result<Answer<Resource<SqlConnection>>> {
        self.open_here(&database)
    }

    fn execute(
        &mut self,
        connection: Resource<SqlConnection>,
        statement: String,
        parameters: Vec<Value>,
    ) -> Result<Answer<QueryResult>> {
        let connection = self.table.get(&connection)?;
        Ok(tokio::task::block_in_place(|| connection.execute(&statement, parameters)))
    }

    fn last_insert_rowid(&mut self, connection: Resource<SqlConnection>) -> Result<i64> {
        let connection = self.table.get(&connection)?;
        traps(tokio::task::block_in_place(|| connection.last_insert_rowid()))
    }

    fn changes(&mut self, connection: Resource<SqlConnection>) -> Result<u64> {
        let connection = self.table.get(&connection)?;
        traps(tokio::task::block_in_place(|| connection.changes()))
    }

    fn drop(&mut self, connection: Resource<SqlConnection>) -> Result<()> {
        self.table.delete(connection)?;
        *self.open -= 1;
        Ok(())
    }
}

impl<T: Send + 'static> sqlite::HostConnectionWithStore<T> for SqlData {
    async fn open_async(
        accessor: &Accessor<T, Self>,
        database: String,
    ) -> Result<Answer<Resource<SqlConnection>>> {
        accessor.with(|mut access| access.get().open_here(&database))
    }

    async fn execute_async(
        accessor: &Accessor<T, Self>,
        on: Resource<SqlConnection>,
        statement: String,
        parameters: Vec<Value>,
    ) -> Result<Answer<(Vec<String>, StreamReader<RowResult>, FutureReader<Answer<()>>)>> {
        let Streamed { columns, rows, end } =
            match connection(accessor, &on)?.stream(statement, parameters).await {
                Ok(streamed) => streamed,
                Err(error) => return Ok(Err(error)),
            };
        accessor.with(|mut access| {
            let rows = StreamReader::new(&mut access, Producer(rows))?;
            let end = async move { wasmtime::error::Ok(end.await?) };
            Ok(Ok((columns, rows, FutureReader::new(&mut access, end)?)))
        })
    }

    // Both wait for a statement that runs on the connection, on the instance's own thread: as in the real runtime.
    async fn last_insert_rowid_async(
        accessor: &Accessor<T, Self>,
        on: Resource<SqlConnection>,
    ) -> Result<i64> {
        let connection = connection(accessor, &on)?;
        traps(tokio::task::block_in_place(|| connection.last_insert_rowid()))
    }

    async fn changes_async(accessor: &Accessor<T, Self>, on: Resource<SqlConnection>) -> Result<u64> {
        let connection = connection(accessor, &on)?;
        traps(tokio::task::block_in_place(|| connection.changes()))
    }
}
