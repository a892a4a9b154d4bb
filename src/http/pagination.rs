//! Lists: `?limit=&cursor=` -> `{"data": [...], "next_cursor": null}`.

use serde::{Deserialize, Serialize};

use super::error::Problem;

const LIMIT_DEFAULT: u16 = 50;
/// The most items of a page.
const LIMIT_MAX: u16 = 200;

/// Which page of a list.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Page {
    /// Items of a page, 1 to 200. Default: 50.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u16>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

impl Page {
    pub fn new(limit: Option<u16>, cursor: Option<String>) -> Self {
        Self { limit, cursor }
    }

    pub fn limit(&self) -> Result<usize, Problem> {
        match self.limit.unwrap_or(LIMIT_DEFAULT) {
            limit @ 1..=LIMIT_MAX => Ok(limit.into()),
            limit => Err(Problem::unprocessable(
                "invalid_limit",
                format!("The limit {limit} is out of range: give 1 to {LIMIT_MAX}."),
            )
            .with("limit_max", LIMIT_MAX)),
        }
    }

    /// The cursor, read by `parse`.
    pub fn cursor<T>(&self, parse: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>, Problem> {
        let invalid = || Problem::unprocessable("invalid_cursor", "The cursor is not one that this list gave out.");
        self.cursor
            .as_deref()
            .map(|text| parse(text).ok_or_else(invalid))
            .transpose()
    }

    /// A cursor that is an id.
    pub fn id_cursor(&self) -> Result<Option<uuid::Uuid>, Problem> {
        self.cursor(|text| uuid::Uuid::try_parse(text).ok())
    }
}

/// A page of a list.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct List<T> {
    pub data: Vec<T>,
    /// Null: this was the last page.
    pub next_cursor: Option<String>,
}

impl<T> List<T> {
    /// From `limit + 1` items read, if there were so many: the one too many shows that another page follows.
    pub fn from_items<I>(items: Vec<I>, limit: usize, cursor: impl Fn(&I) -> String, view: impl Fn(I) -> T) -> Self {
        let more = items.len() > limit;
        let next_cursor = if more { items.get(limit - 1).map(cursor) } else { None };
        Self {
            data: items.into_iter().take(limit).map(view).collect(),
            next_cursor,
        }
    }
}

/// How many items to read for a page of `limit`.
pub fn one_more(limit: usize) -> i64 {
    i64::try_from(limit + 1).unwrap_or(i64::MAX)
}
