//! The trial balance of a tenant's books.

use axum::{Json, extract::State};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    domain::entry::LedgerAccount,
    http::{auth::Auditor, body::Query, error::Problem, fields, state::AppState},
    storage::{
        test_clocks,
        trial_balance::{self, Sum},
    },
};

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct At {
    /// Entries that count at this instant. Default: now.
    #[serde(default, deserialize_with = "fields::time")]
    at: Option<DateTime<Utc>>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct TrialBalanceView {
    at: DateTime<Utc>,
    accounts: Vec<LedgerAccountView>,
    /// The sum of all balances: 0, or the books are wrong.
    sum: i64,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct LedgerAccountView {
    account: LedgerAccount,
    /// `customer` or `tenant`.
    side: &'static str,
    debits: i64,
    credits: i64,
    /// Credits less debits: on the customers' side what is owed to them.
    balance: i64,
}

impl From<Sum> for LedgerAccountView {
    fn from(sum: Sum) -> Self {
        Self {
            account: sum.account,
            side: if sum.account.is_customers() {
                "customer"
            } else {
                "tenant"
            },
            debits: sum.debits,
            credits: sum.credits,
            balance: sum.credits - sum.debits,
        }
    }
}

/// The trial balance
///
/// By ledger account; it sums to zero.
#[utoipa::path(get, path = "/v1/ledger/trial_balance", tag = "books", security(("admin" = []), ("read" = [])), params(At), responses(
    (status = 200, description = "The trial balance", body = TrialBalanceView)))]
pub async fn get(
    State(state): State<AppState>,
    Auditor { 0: principal }: Auditor,
    Query(At { at }): Query<At>,
) -> Result<Json<TrialBalanceView>, Problem> {
    let mut scope = state.db.tenant(principal.tenant).await?;
    let at = match at {
        Some(at) => at,
        None => test_clocks::now(&mut scope, principal.tenant, state.now()).await?,
    };
    let sums = trial_balance::sums(&mut scope, principal.tenant, at).await?;
    scope.commit().await?;
    let accounts: Vec<LedgerAccountView> = sums.into_iter().map(LedgerAccountView::from).collect();
    let sum = accounts.iter().map(|a| a.balance).sum();
    Ok(Json(TrialBalanceView { at, accounts, sum }))
}
