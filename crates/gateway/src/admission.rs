//! The way of a message from its receipt to the dispatcher.

use crate::dispatch::{Admitted, Order};
use tokio::sync::mpsc;

/// A message that is durable and that the dispatcher must hear of.
///
/// Whoever waited for the receipt passes it on, so that the keeper waits for nobody and wakes one thread
/// for a message, not two. But a session may end at any moment, and the message must not wait for a
/// restart: an admission that is dropped goes to the dispatcher all the same.
#[derive(Debug)]
pub(crate) struct Admission {
    admitted: Option<Box<Admitted>>,
    orders: mpsc::Sender<Order>,
}

impl Admission {
    /// The admission of a message.
    pub(crate) fn new(admitted: Admitted, orders: mpsc::Sender<Order>) -> Admission {
        Admission { admitted: Some(Box::new(admitted)), orders }
    }

    /// Tells the dispatcher, as soon as it has room for it.
    pub(crate) async fn enter(mut self) {
        // Fails only when everything stops; then the message is found at the next start.
        if let Ok(permit) = self.orders.reserve().await
            && let Some(admitted) = self.admitted.take()
        {
            permit.send(Order::Admit(admitted));
        }
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let Some(admitted) = self.admitted.take() else { return };
        if let Err(mpsc::error::TrySendError::Full(order)) = self.orders.try_send(Order::Admit(admitted)) {
            let orders = self.orders.clone();
            // As in `enter`.
            tokio::spawn(async move { orders.send(order).await });
        }
    }
}
