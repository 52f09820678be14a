//! Work beside: on tokio's threads natively, on the page's own task queue in a browser.

#[cfg(not(target_arch = "wasm32"))]
pub use native::{Task, spawn};
#[cfg(target_arch = "wasm32")]
pub use page::{Task, spawn};

/// What may be handed to another thread where there are threads: `Send + Sync` natively, anything in a browser.
#[cfg(not(target_arch = "wasm32"))]
pub trait Portable: Send + Sync {}
#[cfg(not(target_arch = "wasm32"))]
impl<T: Send + Sync + ?Sized> Portable for T {}

/// What may be handed to another thread where there are threads: `Send + Sync` natively, anything in a browser.
#[cfg(target_arch = "wasm32")]
pub trait Portable {}
#[cfg(target_arch = "wasm32")]
impl<T: ?Sized> Portable for T {}

#[cfg(not(target_arch = "wasm32"))]
mod native {
    use tokio::task::JoinHandle;

    /// Work that was begun. Dropping this does not end it.
    #[derive(Debug)]
    pub struct Task(JoinHandle<()>);

    /// Begins work beside.
    #[allow(clippy::disallowed_methods, reason = "this is the one place that spawns")]
    pub fn spawn(work: impl Future<Output = ()> + Send + 'static) -> Task {
        Task(tokio::spawn(work))
    }

    impl Task {
        /// Ends it where it next waits.
        pub fn abort(&self) {
            self.0.abort();
        }

        /// Waits until it has ended.
        pub async fn ended(self) {
            // Work that panicked has ended too.
            let _ = self.0.await;
        }
    }
}

#[cfg(target_arch = "wasm32")]
mod page {
    use futures_util::future::{AbortHandle, abortable};
    use tokio::sync::oneshot;

    /// Work that was begun. Dropping this does not end it.
    #[derive(Debug)]
    pub struct Task {
        abort: AbortHandle,
        ended: oneshot::Receiver<()>,
    }

    /// Begins work beside.
    pub fn spawn(work: impl Future<Output = ()> + 'static) -> Task {
        let (work, abort) = abortable(work);
        let (done, ended) = oneshot::channel();
        wasm_bindgen_futures::spawn_local(async move {
            let _ = work.await;
            // Nobody waiting is fine.
            let _ = done.send(());
        });
        Task { abort, ended }
    }

    impl Task {
        /// Ends it where it next waits.
        pub fn abort(&self) {
            self.abort.abort();
        }

        /// Waits until it has ended.
        pub async fn ended(self) {
            let _ = self.ended.await;
        }
    }
}
