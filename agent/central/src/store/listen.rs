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
    heard: mpsc::Receiver<()>,
    task: JoinHandle<()>,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Listener {
    pub(super) async fn open(dial: &Dial, channel: &str) -> Result<Self, StoreError> {
        // One that waits stands for all: they say no more than "look".
        let (tell, heard) = mpsc::channel(1);
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

    /// Something was notified since the last call. `false`: the connection has ended. May be
    /// cancelled.
    pub async fn hear(&mut self) -> bool {
        self.heard.recv().await.is_some()
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
    tell: mpsc::Sender<()>,
) {
    while let Some(Ok(message)) = messages.next().await {
        if matches!(message, AsyncMessage::Notification(_)) {
            // Full: the one that waits stands for this one too.
            let _ = tell.try_send(());
        }
    }
}
