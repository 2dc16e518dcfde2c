//! Faults that tests inject into statements; nothing of it is in the program itself.
//!
//! Every statement, BEGIN, COMMIT and ROLLBACK asks before and after it is executed. Outside tests the answer is known
//! when the program is compiled.

use crate::sql::target::Target;
/// The faults that a database is to have; in the program there are none.
#[cfg(not(test))]
#[derive(Debug, Clone)]
pub(crate) struct Faults;

#[cfg(not(test))]
impl Faults {
    /// Returns that there are none.
    pub(crate) fn none() -> Self {
        Faults
    }

    #[expect(clippy::unused_async, reason = "tests wait here")]
    pub(super) async fn before(&self, _target: &mut Target<'_>) -> Result<(), sqlx::Error> {
        Ok(())
    }

    #[expect(clippy::unused_async, reason = "tests wait here")]
    pub(super) async fn after(&self) -> Result<(), sqlx::Error> {
        Ok(())
    }
}

#[cfg(test)]
pub(crate) use injected::{Fault, Faults};

#[cfg(test)]
mod injected {
    use super::Target;
    use std::sync::{Arc, Mutex, PoisonError};

    /// One kind of fault.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) enum Fault {
        /// The statement fails and was not executed.
        Before,
        /// The statement was executed and its answer is lost.
        After,
        /// The connection breaks before the statement: a server's is closed, a file's transaction is rolled back by SQLite,
        /// as it does when the disk is full.
        Broken,
        /// Nothing happens any more before the statement, until whoever waits is dropped.
        HangBefore,
        /// Nothing happens any more after the statement was executed, until whoever waits is dropped.
        HangAfter,
    }

    /// The faults that a database is to have.
    #[derive(Debug, Clone, Default)]
    pub(crate) struct Faults(Arc<Mutex<Plan>>);

    #[derive(Debug, Default)]
    struct Plan {
        /// Statements to go, and what then happens to one.
        next: Option<(usize, Fault)>,
        /// The fault of the statement that runs.
        now: Option<Fault>,
        hung: Arc<tokio::sync::Notify>,
        /// Statements that were executed so far.
        statements: usize,
    }

    impl Faults {
        /// Returns that there are none, until one is planned.
        pub(crate) fn none() -> Self {
            Faults::default()
        }

        /// Lets `fault` happen to one statement, after `number` others.
        pub(crate) fn plan(&self, number: usize, fault: Fault) {
            self.locked().next = Some((number, fault));
        }

        /// Plans no fault any more; tells whether the last one happened.
        pub(crate) fn clear(&self) -> bool {
            self.locked().next.take().is_none()
        }

        /// Returns how many statements were executed so far.
        pub(crate) fn statements(&self) -> usize {
            self.locked().statements
        }

        /// Waits until a statement hangs.
        pub(crate) async fn hung(&self) {
            let hung = self.locked().hung.clone();
            hung.notified().await;
        }

        fn locked(&self) -> std::sync::MutexGuard<'_, Plan> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }

        fn take(&self) -> Option<Fault> {
            let mut plan = self.locked();
            let (left, fault) = plan.next.take()?;
            if left > 0 {
                plan.next = Some((left - 1, fault));
                return None;
            }
            plan.now = Some(fault);
            Some(fault)
        }

        pub(in crate::sql) async fn before(&self, target: &mut Target<'_>) -> Result<(), sqlx::Error> {
            self.locked().statements += 1;
            match self.take() {
                Some(Fault::Before) => Err(lost()),
                Some(Fault::Broken) => break_connection(target).await,
                Some(Fault::HangBefore) => self.hang().await,
                _ => Ok(()),
            }
        }

        pub(in crate::sql) async fn after(&self) -> Result<(), sqlx::Error> {
            let fault = self.locked().now.take();
            match fault {
                Some(Fault::After) => Err(lost()),
                Some(Fault::HangAfter) => self.hang().await,
                _ => Ok(()),
            }
        }

        async fn hang(&self) -> Result<(), sqlx::Error> {
            self.locked().hung.clone().notify_one();
            std::future::pending().await
        }
    }

    fn lost() -> sqlx::Error {
        sqlx::Error::Io(std::io::Error::other("a fault was injected"))
    }

    async fn break_connection(target: &mut Target<'_>) -> Result<(), sqlx::Error> {
        match target {
            Target::Sqlite(connection) => {
                let _ = sqlx::raw_sql("ROLLBACK").execute(&mut **connection).await;
                Err(lost())
            }
            Target::Postgres(connection) => {
                let end = "SELECT pg_terminate_backend(pg_backend_pid())";
                let _ = sqlx::raw_sql(end).execute(&mut **connection).await;
                Ok(())
            }
            Target::SqlitePool(_) | Target::PostgresPool(_) | Target::Ended => Err(lost()),
        }
    }
}
