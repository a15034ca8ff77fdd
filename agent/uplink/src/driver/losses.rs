//! After a connection has ended: what its end says about messages, and what the status shows of it.

use std::collections::BTreeMap;

use kakou_contract::Held;
use tokio::time::Instant;

use super::{Driver, PROBE_EVERY, SETTLED_WITHIN, Up};
use crate::in_flight::family;
use crate::link::{Loss, LossKind};
use crate::session::Culprit;
use crate::status::LinkState;
use crate::store::Store;
use crate::suspicion::Finding;

impl<S: Store> Driver<S> {
    pub(super) async fn down(&mut self, index: usize, loss: &Loss, up: Up) {
        self.judge(index, loss, up);
        // What was said has to be in the database before it is read again. Where the store is away,
        // reading waits for it anyway, and whoever reads too early sends a message twice, which is
        // allowed.
        let settled = async {
            self.recorder.flush(SETTLED_WITHIN).await;
            tokio::time::timeout(SETTLED_WITHIN, self.store.settle()).await
        };
        match settled.await {
            Ok(Ok(())) => {}
            Ok(Err(e)) => tracing::warn!("{e}"),
            Err(_) => tracing::warn!("the outbox did not settle within {SETTLED_WITHIN:?}"),
        }
        self.read_anew();
        self.status.send_modify(|s| {
            s.connected = false;
            s.listening = false;
            s.connected_since = None;
            s.last_loss = Some(loss.why.clone());
        });
    }

    /// Whether a message, a topic or the subscription is to blame for the loss. Forgets the window:
    /// what is not acknowledged is read again.
    fn judge(&mut self, index: usize, loss: &Loss, up: Up) {
        let finding = match self.suspicions.get_mut(index) {
            Some(suspicion) if up.up => {
                let open: BTreeMap<_, _> = self
                    .session
                    .open()
                    .map(|(place, message)| (place, family(&message.envelope.topic)))
                    .collect();
                suspicion.lost(loss.blame, up.subscribing, &open)
            }
            _ => Finding::Nothing,
        };
        let broker = self.broker_name(index);
        let culprit = match &finding {
            Finding::OneAtATime => Culprit::OneOfThem,
            Finding::Message => Culprit::TheOnlyOne,
            _ => Culprit::None,
        };
        let given_up = self.session.lost(culprit);
        self.answers.start();
        match finding {
            Finding::Nothing | Finding::OneAtATime => {}
            Finding::Message => {
                if let Some((_, message)) = given_up {
                    let why = format!("the broker closed the connection over it: {}", loss.why);
                    self.hold(message, Held::Refused, why);
                }
            }
            Finding::Convicted(topic) => {
                self.session.end_search();
                self.forbidden(&broker, topic);
            }
            Finding::Broker => {
                tracing::warn!(broker, "the broker closes the connection over any message");
                self.session.end_search();
            }
            Finding::Subscription => {
                tracing::error!(
                    broker,
                    "the broker closes the connection over the subscription to commands; \
                     going on without commands for {PROBE_EVERY:?}"
                );
                self.subscribe_after = Some(Instant::now() + PROBE_EVERY);
            }
        }
    }

    /// ERROR once per change where an operator is needed, WARN where it will heal by itself.
    pub(super) fn show_state(&self, loss: &Loss, broker: &str) {
        let why = loss.why.clone();
        let state = match loss.kind {
            LossKind::Network => LinkState::Unreachable(why),
            LossKind::NoRetain | LossKind::NoQos => LinkState::Connecting,
            LossKind::Refused | LossKind::TakenOver => LinkState::Refused(why),
            LossKind::Tls => LinkState::Tls(why),
        };
        if self.status.borrow().state == state {
            return;
        }
        match &state {
            LinkState::Refused(why) | LinkState::Tls(why) => tracing::error!(broker, "{why}"),
            LinkState::Unreachable(why) => tracing::warn!(broker, "no connection: {why}"),
            _ => {}
        }
        self.status.send_modify(|s| s.state = state);
    }
}
