//! The route of the audit chain.

use axum::Json;
use axum::extract::State;
use latchkey_api::audit::AuditRows;
use latchkey_api::problem::Problem;

use crate::app::App;
use crate::http::body::{After, Asked};
use crate::http::caller::SignedIn;
use crate::refusal::Refusal;

/// Reads the audit chain of the caller's household after row `after`, oldest first. Every device may: who watches whom
/// is no secret inside the household.
#[utoipa::path(
    get, path = "/v1/audit", tag = "households", security(("device" = [])),
    params(("after" = Option<u64>, Query, description = "A row's `seq`; 0 reads from the start.")),
    responses(
        (status = 200, body = AuditRows),
        (status = 401, body = Problem, description = "`not-signed-in`"),
    ),
)]
pub(crate) async fn read(
    State(app): State<App>,
    SignedIn(caller): SignedIn,
    Asked(After { after }): Asked<After>,
) -> Result<Json<AuditRows>, Refusal> {
    Ok(Json(app.signaling.audit(&caller, after).await?))
}
