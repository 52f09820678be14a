//! The OpenAPI document, gathered from the routes and types themselves.

use axum::Json;
use latchkey_api::{
    audit, auth, device, event, export, group, household, list, mailbox, probe, problem, session,
};
use utoipa::openapi::OpenApi as Document;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};

use crate::http::{
    __path_live, audit as audit_routes, auth as auth_routes, events, export as export_routes, groups,
    households, key_packages, mailboxes, probes, sessions,
};

/// Serves the document.
pub(crate) async fn serve() -> Json<Document> {
    Json(document())
}

/// The OpenAPI document of this version.
#[must_use]
pub fn document() -> Document {
    Routes::openapi()
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Latchkey signaling",
        description = "Carries and orders what devices signed; it can add nothing of its own. Every error is a \
                       problem document (RFC 9457) with a stable `code`.",
    ),
    paths(
        households::found,
        households::lists,
        households::post_list,
        households::delete,
        audit_routes::read,
        export_routes::read,
        auth_routes::challenge,
        auth_routes::sign_in,
        key_packages::publish,
        key_packages::claim,
        groups::post_commit,
        groups::post_message,
        groups::messages,
        groups::post_cursor,
        groups::rejoin,
        groups::welcomes,
        groups::acknowledge_welcome,
        sessions::open,
        sessions::cameras,
        events::connect,
        mailboxes::write,
        mailboxes::read,
        probes::open,
        probes::socket,
        live,
    ),
    components(schemas(
        audit::AuditRows, audit::AuditRow, export::Export, export::ExportedGroup, export::ExportedCursor,
        export::ExportedWelcomes, export::ExportedKeyPackages, export::ExportedSession,
        household::CreateHousehold, household::HouseholdCreated, household::DeleteHousehold, list::Lists, list::PostList, list::ListAccepted,
        auth::ChallengeRequest, auth::Challenge, auth::SignIn, auth::SignedIn,
        device::PublishKeyPackages, device::KeyPackagesLeft, device::ClaimKeyPackage, device::ClaimedKeyPackage,
        group::PostCommit, group::WelcomeFor, group::PostMessage, group::MessageAccepted, group::GroupMessages,
        group::PostCursor, group::CursorKept, group::Rejoin, group::GroupMessage, group::MessageKind, group::Welcomes, group::PendingWelcome,
        session::OpenSession, session::SessionScope, session::SessionOpened, session::RelayDoor,
        session::CameraStatus, event::Event, mailbox::PostMail, mailbox::MailAccepted, mailbox::Mailbox,
        mailbox::Mail, probe::Probe, problem::Problem, problem::ProblemCode,
    )),
    modifiers(&BearerToken),
)]
struct Routes;

struct BearerToken;

impl Modify for BearerToken {
    fn modify(&self, document: &mut Document) {
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        document.components.get_or_insert_default().add_security_scheme("device", scheme);
    }
}
