//! Recovery by twelve words, of a device in its folder.

use std::path::Path;

pub use latchkey_household::recovery::{RecoverError, Recovered, Recovery};

use crate::home::Home;
use crate::household::fresh;

/// Makes this device, kept in `dir`, an admin of the household that `words` founded.
///
/// On failure nothing is left in `dir`, and the household is as it was.
pub async fn recover(
    dir: &Path,
    words: &str,
    recovery: Recovery<'_>,
) -> Result<(Home, Recovered), RecoverError> {
    latchkey_household::recovery::recover(fresh(dir)?, words, recovery).await
}
