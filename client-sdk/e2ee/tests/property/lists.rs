//! How a device keeps the lists that it was shown, rivals included.

use latchkey_api::device_list::{ListChain, VerifiedList};

use crate::server::Server;
use crate::world::at;

/// Reads what [`stored`] wrote; rivals of the newest list come back as such.
pub fn read(root: &[u8; 32], lists: &[Vec<u8>]) -> ListChain {
    let mut chain = ListChain::new(root).unwrap();
    for list in lists {
        let _ = chain.accept(list, None);
    }
    chain
}

pub fn stored(chain: &ListChain) -> Vec<Vec<u8>> {
    chain.lists().chain(chain.rivals()).map(|list: &VerifiedList| list.as_bytes().to_vec()).collect()
}

/// Takes up to `count` lists more from the server.
pub fn fetch(chain: &mut ListChain, server: &Server, count: usize, now: u64) {
    let known = chain.lists().count();
    for list in server.lists().lists().skip(known).take(count) {
        // One that does not join a rival that is known here is refused.
        let _ = chain.accept(list.as_bytes(), Some(at(now)));
    }
}

/// A signed list that the server does not have is shown to a device that knows the one the server has. Returns
/// whether it is a rival of its newest one.
pub fn show(chain: &mut ListChain, list: &[u8], now: u64) -> bool {
    let mut after = chain.clone();
    let refused = after.accept(list, Some(at(now))).is_err();
    let grew = refused && after.rivals().count() > chain.rivals().count();
    if grew {
        *chain = after;
    }
    grew
}
