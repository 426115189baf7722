//! Lists by key, newest first, never by OFFSET.

use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    Select,
    sea_query::{Expr, Query},
};

/// Counting stops here: above it a total would cost a scan that grows with the table.
pub const COUNT_LIMIT: u64 = 10_000;
/// Most rows that a list without `limit` returns where clients read no `Link` header.
pub const UNPAGED_LIMIT: u64 = 5_000;

/// Which part of a list is asked for.
#[derive(Clone, Copy, Debug)]
pub struct PageRequest {
    /// Rows at most.
    pub limit: u64,
    /// Only rows with a smaller id.
    pub before: Option<i64>,
}

impl PageRequest {
    /// Everything, up to [`UNPAGED_LIMIT`].
    pub fn everything() -> Self {
        Self { limit: UNPAGED_LIMIT, before: None }
    }
}

/// A part of a list.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// The rows, newest first.
    pub items: Vec<T>,
    /// Exact number of rows in the whole list, absent above [`COUNT_LIMIT`].
    pub total: Option<u64>,
    /// `before` of the next part, when there is one.
    pub next: Option<i64>,
}

impl<T> Page<T> {
    /// The same part with each row turned into something else.
    pub fn map<U>(self, turn: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(turn).collect(), total: self.total, next: self.next }
    }
}

/// Fetches one part, ordered by the id column from the newest down.
pub async fn fetch<E, C>(
    connection: &C,
    query: Select<E>,
    id: E::Column,
    request: PageRequest,
    id_of: impl Fn(&E::Model) -> i64,
) -> Result<Page<E::Model>, DbErr>
where
    E: EntityTrait,
    E::Model: Send + Sync,
    C: ConnectionTrait,
{
    let total = count(connection, &query, id).await?;
    let mut part = query;
    if let Some(before) = request.before {
        part = part.filter(id.lt(before));
    }
    let mut items = part.order_by_desc(id).limit(request.limit + 1).all(connection).await?;
    let more = items.len() as u64 > request.limit;
    items.truncate(request.limit as usize);
    let next = items.last().filter(|_| more).map(&id_of);
    Ok(Page { items, total, next })
}

/// Rows of a list, absent above [`COUNT_LIMIT`].
pub(super) async fn count<E, C>(
    connection: &C,
    query: &Select<E>,
    id: E::Column,
) -> Result<Option<u64>, DbErr>
where
    E: EntityTrait,
    C: ConnectionTrait,
{
    let capped = query.clone().select_only().column(id).limit(COUNT_LIMIT + 1).into_query();
    let count =
        Query::select().expr_as(Expr::cust("COUNT(*)"), "count").from_subquery(capped, "part").to_owned();
    let row = connection.query_one(&count).await?;
    let count = row.map(|row| row.try_get::<i64>("", "count")).transpose()?.unwrap_or_default() as u64;
    Ok((count <= COUNT_LIMIT).then_some(count))
}
