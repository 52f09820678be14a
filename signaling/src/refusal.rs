//! Every refusal as a problem document: the one table from the errors of the rules to codes on the wire.

use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use latchkey_api::device_list::ListError;
use latchkey_api::problem::{CONTENT_TYPE, Problem, ProblemCode};
use latchkey_signaling_core::deletion::DeletionRefused;
use latchkey_signaling_core::delivery::{CommitRefused, MessageRefused, ReadRefused};
use latchkey_signaling_core::export::ExportRefused;
use latchkey_signaling_core::framing::FramingError;
use latchkey_signaling_core::households::{FoundRefused, ListRefused};
use latchkey_signaling_core::key_packages::KeyPackageRefused;
use latchkey_signaling_core::mailboxes::MailRefused;
use latchkey_signaling_core::rate::TooSoon;
use latchkey_signaling_core::rejoin::RejoinRefused;
use latchkey_signaling_core::sessions::SessionRefused;
use latchkey_signaling_core::sign_in::{NotSignedIn, SignInRefused};
use latchkey_signaling_core::store::StoreError;

use crate::addresses::NotOurName;

/// A request that was not done.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    code: ProblemCode,
    detail: String,
    retry_after: Option<Duration>,
}

impl Refusal {
    pub(crate) fn new(code: ProblemCode, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), retry_after: None }
    }

    /// Ours; the log says more.
    pub(crate) fn internal() -> Self {
        Self::new(ProblemCode::Internal, "the server failed: its log says how; the request may be sent again")
    }

    pub(crate) fn code(&self) -> ProblemCode {
        self.code
    }
}

/// What `observe` wants to know of a refusal after it became a response.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RefusedWith(pub(crate) ProblemCode);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let problem = Problem::new(self.code, self.detail);
        let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, axum::Json(problem)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
        if let Some(wait) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs_f64().ceil() as u64));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response.extensions_mut().insert(RefusedWith(self.code));
        response
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Busy | StoreError::Full => {
                let refusal =
                    Self::new(ProblemCode::Unavailable, "the server cannot store anything just now");
                Self { retry_after: Some(Duration::from_secs(2)), ..refusal }
            }
            _ => Self::internal(),
        }
    }
}

impl From<TooSoon> for Refusal {
    fn from(error: TooSoon) -> Self {
        let refusal =
            Self::new(ProblemCode::RateLimited, "too many requests: wait as long as Retry-After says");
        Self { retry_after: Some(error.retry_after), ..refusal }
    }
}

impl From<NotOurName> for Refusal {
    fn from(error: NotOurName) -> Self {
        let code = match error {
            NotOurName::Missing => ProblemCode::BadRequest,
            NotOurName::Other | NotOurName::NoPublicUrl => ProblemCode::WrongAudience,
        };
        Self::new(code, error.to_string())
    }
}

impl From<FoundRefused> for Refusal {
    fn from(error: FoundRefused) -> Self {
        match error {
            FoundRefused::List(list) => list.into(),
            FoundRefused::Exists => Self::new(ProblemCode::HouseholdExists, error.to_string()),
            FoundRefused::CodeNeeded => Self::new(ProblemCode::InviteCodeNeeded, error.to_string()),
            FoundRefused::CodeRefused => Self::new(ProblemCode::InviteCodeRefused, error.to_string()),
            FoundRefused::Full => Self::new(ProblemCode::LimitReached, error.to_string()),
            FoundRefused::Store(store) => store.into(),
            _ => Self::internal(),
        }
    }
}

impl From<ListError> for Refusal {
    fn from(error: ListError) -> Self {
        let code = match error {
            ListError::UnknownSigner
            | ListError::SignerNotAdmin
            | ListError::SignerExpired
            | ListError::RootOutOfPlace
            | ListError::FirstNotByRoot => ProblemCode::ListSignerNotAllowed,
            ListError::TwoHistories { .. } => ProblemCode::ListVersionTaken,
            _ => ProblemCode::ListInvalid,
        };
        Self::new(code, error.to_string())
    }
}

impl From<ListRefused> for Refusal {
    fn from(error: ListRefused) -> Self {
        match error {
            ListRefused::Invalid(list) => list.into(),
            ListRefused::NotByRoot => Self::new(ProblemCode::Forbidden, error.to_string()),
            ListRefused::VersionTaken => Self::new(ProblemCode::ListVersionTaken, error.to_string()),
            ListRefused::Store(store) => store.into(),
            _ => Self::internal(),
        }
    }
}

impl From<SignInRefused> for Refusal {
    fn from(error: SignInRefused) -> Self {
        match error {
            SignInRefused::Failed => Self::new(ProblemCode::SignInFailed, error.to_string()),
            SignInRefused::Store(store) => store.into(),
            _ => Self::internal(),
        }
    }
}

impl From<NotSignedIn> for Refusal {
    fn from(error: NotSignedIn) -> Self {
        match error {
            NotSignedIn::Unknown => Self::new(ProblemCode::NotSignedIn, error.to_string()),
            NotSignedIn::Store(store) => store.into(),
            _ => Self::internal(),
        }
    }
}

impl From<FramingError> for Refusal {
    fn from(error: FramingError) -> Self {
        Self::new(ProblemCode::BadMessage, error.to_string())
    }
}

impl From<KeyPackageRefused> for Refusal {
    fn from(error: KeyPackageRefused) -> Self {
        let code = match error {
            KeyPackageRefused::Framing(framing) => return framing.into(),
            KeyPackageRefused::Store(store) => return store.into(),
            KeyPackageRefused::TooLarge => ProblemCode::TooLarge,
            KeyPackageRefused::TooMany => ProblemCode::LimitReached,
            KeyPackageRefused::NotACamera => ProblemCode::Forbidden,
            KeyPackageRefused::UnknownDevice => ProblemCode::NotFound,
            KeyPackageRefused::NoneLeft => ProblemCode::NoKeyPackage,
            _ => return Self::internal(),
        };
        Self::new(code, error.to_string())
    }
}

impl From<CommitRefused> for Refusal {
    fn from(error: CommitRefused) -> Self {
        let code = match error {
            CommitRefused::Framing(framing) => return framing.into(),
            CommitRefused::List(list) => return list.into(),
            CommitRefused::Store(store) => return store.into(),
            CommitRefused::TooLarge => ProblemCode::TooLarge,
            CommitRefused::OtherGroup
            | CommitRefused::OtherEpoch
            | CommitRefused::OtherGeneration
            | CommitRefused::WelcomeForNobody => ProblemCode::MessageMismatch,
            CommitRefused::UnknownGroup => ProblemCode::NotFound,
            CommitRefused::NotTheCommitter => ProblemCode::Forbidden,
            CommitRefused::EpochTaken => ProblemCode::EpochTaken,
            CommitRefused::EpochAhead => ProblemCode::EpochNotCurrent,
            _ => return Self::internal(),
        };
        Self::new(code, error.to_string())
    }
}

impl From<MessageRefused> for Refusal {
    fn from(error: MessageRefused) -> Self {
        let code = match error {
            MessageRefused::Framing(framing) => return framing.into(),
            MessageRefused::Store(store) => return store.into(),
            MessageRefused::TooLarge | MessageRefused::NoteTooLarge => ProblemCode::TooLarge,
            MessageRefused::OtherGroup => ProblemCode::MessageMismatch,
            MessageRefused::UnknownGroup => ProblemCode::NotFound,
            MessageRefused::NotCurrent => ProblemCode::EpochNotCurrent,
            _ => return Self::internal(),
        };
        Self::new(code, error.to_string())
    }
}

impl From<ReadRefused> for Refusal {
    fn from(error: ReadRefused) -> Self {
        match error {
            ReadRefused::UnknownGroup => Self::new(ProblemCode::NotFound, error.to_string()),
            ReadRefused::Store(store) => store.into(),
            _ => Self::internal(),
        }
    }
}

impl From<RejoinRefused> for Refusal {
    fn from(error: RejoinRefused) -> Self {
        match error {
            RejoinRefused::UnknownGroup => Self::new(ProblemCode::NotFound, error.to_string()),
            RejoinRefused::Malformed => Self::new(ProblemCode::BadMessage, error.to_string()),
            _ => Self::internal(),
        }
    }
}

impl From<DeletionRefused> for Refusal {
    fn from(error: DeletionRefused) -> Self {
        match error {
            DeletionRefused::NotAnAdmin => Self::new(ProblemCode::Forbidden, error.to_string()),
            DeletionRefused::NotSigned => Self::new(ProblemCode::SignInFailed, error.to_string()),
            DeletionRefused::Store(store) => store.into(),
            _ => Self::internal(),
        }
    }
}

impl From<ExportRefused> for Refusal {
    fn from(error: ExportRefused) -> Self {
        match error {
            ExportRefused::NotAnAdmin => Self::new(ProblemCode::Forbidden, error.to_string()),
            ExportRefused::Store(store) => store.into(),
            _ => Self::internal(),
        }
    }
}

impl From<SessionRefused> for Refusal {
    fn from(error: SessionRefused) -> Self {
        match error {
            SessionRefused::NotAllowed => Self::new(ProblemCode::Forbidden, error.to_string()),
            SessionRefused::Store(store) => store.into(),
            _ => Self::internal(),
        }
    }
}

impl From<MailRefused> for Refusal {
    fn from(error: MailRefused) -> Self {
        let code = match error {
            MailRefused::Store(store) => return store.into(),
            MailRefused::TooLarge => ProblemCode::TooLarge,
            MailRefused::MailboxFull => ProblemCode::LimitReached,
            MailRefused::AllFull => ProblemCode::Unavailable,
            _ => return Self::internal(),
        };
        Self::new(code, error.to_string())
    }
}
