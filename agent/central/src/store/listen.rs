//! A connection that hears `NOTIFY`.
//!
//! It is none of the pool: what is notified is heard by the connection that listens alone. When it
//! ends, whoever listens hears that, looks into the tables, and listens anew.

use futures_util::stream::poll_fn;
use futures_util::{Stream, StreamExt as _};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_postgres::{AsyncMessage, Connection};

use super::StoreError;
use super::pool::Dial;

/// Dropping it ends the connection.
#[derive(Debug)]
pub struct Listener {
    // Kept: without its client a connection ends.
    _client: tokio_postgres::Client,
    heard: mpsc::Receiver<Option<String>>,
    task: JoinHandle<()>,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Listener {
    pub(super) async fn open(dial: &Dial, channel: &str, most: usize) -> Result<Self, StoreError> {
        let (tell, heard) = mpsc::channel(most.max(1));
        let (client, task) = match &dial.tls {
            None => {
                let (client, connection) = dial.config.connect(tokio_postgres::NoTls).await?;
                (client, tokio::spawn(drive(messages(connection), tell)))
            }
            Some(tls) => {
                let (client, connection) = dial.config.connect(tls.clone()).await?;
                (client, tokio::spawn(drive(messages(connection), tell)))
            }
        };
        let listener = Self {
            _client: client,
            heard,
            task,
        };
        let quoted = channel.replace('"', "\"\"");
        let listen = format!("LISTEN \"{quoted}\"");
        listener._client.batch_execute(&listen).await?;
        Ok(listener)
    }

    /// What was notified; `Some(None)` where some were too many to be kept. `None`: the connection
    /// has ended. May be cancelled.
    pub async fn recv(&mut self) -> Option<Option<String>> {
        self.heard.recv().await
    }

    /// Something was notified since the last call. `false`: the connection has ended. May be
    /// cancelled.
    pub async fn hear(&mut self) -> bool {
        let heard = self.recv().await.is_some();
        while self.heard.try_recv().is_ok() {}
        heard
    }
}

fn messages<S, T>(
    mut connection: Connection<S, T>,
) -> impl Stream<Item = Result<AsyncMessage, tokio_postgres::Error>> + Unpin
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    poll_fn(move |cx| connection.poll_message(cx))
}

async fn drive(
    mut messages: impl Stream<Item = Result<AsyncMessage, tokio_postgres::Error>> + Unpin,
    tell: mpsc::Sender<Option<String>>,
) {
    let mut is_lost = false;
    while let Some(Ok(message)) = messages.next().await {
        let AsyncMessage::Notification(told) = message else {
            continue;
        };
        if is_lost && tell.try_send(None).is_ok() {
            is_lost = false;
        }
        is_lost |= tell.try_send(Some(told.payload().to_owned())).is_err();
    }
}
