//! Households and their devices: founding one, inviting, joining, and enrolment by QR code or six digits.

mod arrive;
mod clock;
mod code;
mod enlist;
mod founding;
mod invite;
mod join;
mod let_in;
mod post;
mod sealed;

pub use arrive::{Arrival, ArrivalConfig, ArrivalError};
pub use clock::{WallClock, machine_clock};
pub use code::{CodeError, InviteCode};
pub use enlist::Invited;
pub use founding::{CreateError, Founding, NotFounded, create};
pub use invite::{Invitation, InviteError};
pub use join::{JoinError, join};
pub use let_in::{Accepted, LetIn, LetInError, Met};
