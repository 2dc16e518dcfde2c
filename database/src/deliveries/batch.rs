//! Deliveries that arrive together are stored together: one transaction, one wait for the disk.

use crate::database::Database;
use crate::deliveries::accept::insert_deliveries;
use crate::deliveries::batches::{Delivered, Waiting};
use crate::error::Error;
use crate::model::delivery::Accepted;
use crate::outbox::commit_status;
use crate::queue::enqueue::NewBuilds;
use std::sync::Arc;
use tokio::sync::oneshot;

impl Database {
    /// Stores a delivery, together with all that wait now.
    pub(crate) async fn store_together(&self, delivered: Delivered) -> Result<Accepted, Error> {
        let (answer, answered) = oneshot::channel();
        self.batches.push(Waiting { delivered, answer });
        // In a task of its own: that the sender of one delivery hangs up must not undo the others'.
        let database = self.clone();
        tokio::spawn(async move { database.store_waiting().await });
        answered.await.unwrap_or_else(|_| Err(Error::unavailable("storing a delivery")(sqlx::Error::WorkerCrashed)))
    }

    async fn store_waiting(&self) {
        let _turn = self.batches.turn.lock().await;
        let waiting = self.batches.take();
        if waiting.is_empty() {
            return;
        }
        let (delivered, answers): (Vec<_>, Vec<_>) =
            waiting.into_iter().map(|waiting| (waiting.delivered, waiting.answer)).unzip();
        match self.store_all(&delivered).await {
            Ok(accepted) => {
                for (answer, accepted) in answers.into_iter().zip(accepted) {
                    let _ = answer.send(Ok(accepted));
                }
            }
            Err(error) => {
                let error = Arc::new(error);
                for answer in answers {
                    let _ = answer.send(Err(Error::Together(error.clone())));
                }
            }
        }
    }

    pub(crate) async fn store_all(&self, delivered: &[Delivered]) -> Result<Vec<Accepted>, Error> {
        let mut transaction = self.begin_accepting().await?;
        let mut accepted = Vec::with_capacity(delivered.len());
        let rows = insert_deliveries(&mut transaction, delivered).await?;
        let (mut queued, mut builds) = (Vec::new(), NewBuilds::new(self));
        for (one, row) in delivered.iter().zip(rows) {
            let stored = self.store_one(&mut transaction, &mut builds, one, row).await?;
            if let Accepted::New(builds) = &stored {
                queued.extend_from_slice(builds);
            }
            accepted.push(stored);
        }
        builds.write(&mut transaction).await?;
        commit_status::write_queued(&mut transaction, &queued).await?;
        transaction.commit("storing a delivery").await?;
        Ok(accepted)
    }
}
