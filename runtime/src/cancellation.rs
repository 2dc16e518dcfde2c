//! Cancellation that wakes: a token shared by the threads and futures of one piece of work.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

type Callback = Arc<dyn Fn() + Send + Sync>;

/// Cancelled once, for good; its clones are the same token.
#[derive(Debug, Clone, Default)]
pub struct CancellationToken {
    state: Arc<State>,
    parent: Option<Arc<CancellationToken>>,
}

#[derive(Default)]
struct State {
    cancelled: AtomicBool,
    callbacks: Mutex<Callbacks>,
}

#[derive(Default)]
struct Callbacks {
    next_id: u64,
    waiting: Vec<(u64, Callback)>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("State").field("cancelled", &self.cancelled).finish_non_exhaustive()
    }
}

impl CancellationToken {
    /// Returns a token that is not cancelled.
    pub fn new() -> Self {
        CancellationToken::default()
    }

    /// Returns a token that is cancelled together with this one; cancelling the child leaves this one alone.
    pub fn child_token(&self) -> Self {
        CancellationToken { state: Arc::default(), parent: Some(Arc::new(self.clone())) }
    }

    /// Cancels the token and wakes all waiters, its own and those of its children.
    pub fn cancel(&self) {
        // The flag is set under the lock: a callback either is in the list by now or sees the flag when it registers.
        let waiting = {
            let mut callbacks = self.state.callbacks();
            self.state.cancelled.store(true, Ordering::Release);
            std::mem::take(&mut callbacks.waiting)
        };
        for (_, callback) in waiting {
            callback();
        }
    }

    /// Returns whether the token or one of its parents is cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.state.cancelled.load(Ordering::Acquire) || self.parent.as_ref().is_some_and(|parent| parent.is_cancelled())
    }

    /// Calls `callback` when the token is cancelled, at once if it is already, until the registration is dropped.
    ///
    /// The callback runs in the thread that cancels, and more than once if a parent is cancelled as well.
    pub fn on_cancel(&self, callback: impl Fn() + Send + Sync + 'static) -> Registration {
        let callback: Callback = Arc::new(callback);
        let mut registered = Vec::new();
        let mut level = Some(self);
        while let Some(token) = level {
            match token.state.register(&callback) {
                Some(id) => registered.push((token.state.clone(), id)),
                None => callback(),
            }
            level = token.parent.as_deref();
        }
        Registration { registered }
    }

    /// Waits until the token is cancelled.
    pub fn cancelled(&self) -> Cancelled {
        Cancelled { token: self.clone(), waker: Arc::default(), registration: None }
    }

    /// Blocks for `duration`, or until the token is cancelled; returns whether it is.
    pub fn wait_timeout(&self, duration: Duration) -> bool {
        let signal = Arc::new((Mutex::new(()), Condvar::new()));
        let woken = signal.clone();
        let _registration = self.on_cancel(move || {
            drop(woken.0.lock());
            woken.1.notify_all();
        });
        let waiting = signal.0.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = signal.1.wait_timeout_while(waiting, duration, |()| !self.is_cancelled());
        self.is_cancelled()
    }
}

impl State {
    fn callbacks(&self) -> std::sync::MutexGuard<'_, Callbacks> {
        self.callbacks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a callback; `None` if it would come too late.
    fn register(&self, callback: &Callback) -> Option<u64> {
        let mut callbacks = self.callbacks();
        if self.cancelled.load(Ordering::Acquire) {
            return None;
        }
        let id = callbacks.next_id;
        callbacks.next_id += 1;
        callbacks.waiting.push((id, callback.clone()));
        Some(id)
    }
}

/// A callback that waits for a cancellation; dropping this removes it.
#[must_use = "the callback is removed when the registration is dropped"]
pub struct Registration {
    registered: Vec<(Arc<State>, u64)>,
}

impl Drop for Registration {
    fn drop(&mut self) {
        for (state, id) in &self.registered {
            state.callbacks().waiting.retain(|(other, _)| other != id);
        }
    }
}

/// A future that is ready once its token is cancelled; it runs on any executor.
pub struct Cancelled {
    token: CancellationToken,
    waker: Arc<Mutex<Option<Waker>>>,
    registration: Option<Registration>,
}

impl Future for Cancelled {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        *self.waker.lock().unwrap_or_else(PoisonError::into_inner) = Some(context.waker().clone());
        if self.registration.is_none() {
            let waker = self.waker.clone();
            self.registration = Some(self.token.on_cancel(move || {
                if let Some(waker) = waker.lock().unwrap_or_else(PoisonError::into_inner).take() {
                    waker.wake();
                }
            }));
        }
        if self.token.is_cancelled() { Poll::Ready(()) } else { Poll::Pending }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::time::Instant;

    /// Longer than any test waits that works.
    const LONG: Duration = Duration::from_secs(60);

    fn callbacks(token: &CancellationToken) -> usize {
        token.state.callbacks().waiting.len()
    }

    #[test]
    fn a_child_ends_with_its_parent_but_not_the_other_way_round() {
        let parent = CancellationToken::new();
        let (one, other) = (parent.child_token(), parent.child_token());
        one.cancel();
        assert!(one.is_cancelled() && !other.is_cancelled() && !parent.is_cancelled());
        parent.cancel();
        assert!(other.is_cancelled());
    }

    #[test]
    fn cancelling_wakes_a_thread_that_waits() {
        let token = CancellationToken::new();
        let child = token.child_token();
        let (started, began) = (Instant::now(), mpsc::channel());
        let sender = began.0;
        let waiting = std::thread::spawn(move || {
            sender.send(()).unwrap();
            child.wait_timeout(LONG)
        });
        began.1.recv().unwrap();
        token.cancel();
        assert!(waiting.join().unwrap());
        assert!(started.elapsed() < LONG / 2);
    }

    #[test]
    fn waiting_ends_by_itself_without_a_cancellation() {
        let token = CancellationToken::new();
        assert!(!token.wait_timeout(Duration::from_millis(5)));
        assert_eq!(callbacks(&token), 0, "the callback of a wait that is over is removed");
    }

    #[test]
    fn a_callback_that_comes_too_late_is_called_at_once() {
        let token = CancellationToken::new();
        token.cancel();
        let (sender, called) = mpsc::channel();
        let _registration = token.child_token().on_cancel(move || sender.send(()).unwrap());
        assert!(called.try_recv().is_ok());
    }

    #[test]
    fn a_dropped_registration_is_not_called() {
        let token = CancellationToken::new();
        let (sender, called) = mpsc::channel();
        drop(token.child_token().on_cancel(move || sender.send(()).unwrap()));
        assert_eq!(callbacks(&token), 0);
        token.cancel();
        assert!(called.try_recv().is_err());
    }

    #[test]
    fn a_future_is_woken_by_the_parent() {
        struct Thread(std::thread::Thread);
        impl std::task::Wake for Thread {
            fn wake(self: Arc<Self>) {
                self.0.unpark();
            }
        }
        let token = CancellationToken::new();
        let mut future = token.child_token().cancelled();
        let waker = Waker::from(Arc::new(Thread(std::thread::current())));
        let mut context = Context::from_waker(&waker);
        assert!(Pin::new(&mut future).poll(&mut context).is_pending());
        let cancelling = std::thread::spawn(move || token.cancel());
        let started = Instant::now();
        while Pin::new(&mut future).poll(&mut context).is_pending() {
            std::thread::park_timeout(LONG);
            assert!(started.elapsed() < LONG / 2);
        }
        cancelling.join().unwrap();
    }
}
