//! Follows the household's list while the page is open, whether or not a camera is watched.

use std::sync::Arc;

use latchkey_api::event::Event as Hint;
use latchkey_household::home::HomeError;
use latchkey_household::signaling::SignalUpdate;
use latchkey_household::task::{Task, spawn};

use crate::device::Member;
use crate::face::event::Event;
use crate::host::Host;
use crate::told;

/// Ends when it is dropped.
pub(super) struct Steward(Task);

impl Steward {
    pub(super) fn begin(member: Member, host: Arc<dyn Host>) -> Self {
        Self(spawn(follow(member, host)))
    }
}

impl Drop for Steward {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn follow(member: Member, host: Arc<dyn Host>) {
    let mut updates = member.signaling.events();
    let mut told = told::devices(&*member.home.lock().await).list_version;
    while let Some(update) = updates.next().await {
        let look = match update {
            SignalUpdate::Connected => true,
            SignalUpdate::Event(hint) => matches!(hint, Hint::List { .. } | Hint::Removed),
            _ => false,
        };
        if look {
            tell_news(&member, &host, &mut told).await;
        }
    }
}

/// Reads new lists and tells what they change.
async fn tell_news(member: &Member, host: &Arc<dyn Host>, told: &mut u64) {
    let mut home = member.home.lock().await;
    match home.refresh(&member.signaling).await {
        // It is asked again when the server is back.
        Ok(_) | Err(HomeError::Signaling(_)) => {}
        Err(error) => {
            let fault = crate::face::Fault::from(error);
            host.tell(Event::Alarm { session: None, code: fault.code, text: fault.text });
        }
    }
    for notice in home.take_news() {
        host.tell(Event::Notice { code: notice.code.to_owned(), text: notice.text });
    }
    let devices = told::devices(&home);
    if devices.list_version != *told {
        *told = devices.list_version;
        host.tell(Event::ListChanged { devices });
    }
}
