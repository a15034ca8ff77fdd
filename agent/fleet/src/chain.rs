//! Numbers and seals one agent's messages, as its outbox does.

use ed25519_dalek::SigningKey;
use kakou_contract::Envelope;
use kakou_contract::seal::{self, GENESIS, Sealed};

/// A message with its number in it and its seal beside it.
#[derive(Debug, Clone)]
pub(crate) struct SealedMessage {
    pub(crate) sequence: u64,
    /// The SHA-256 of the payload that was sealed: without its number, and not late.
    pub(crate) digest: [u8; 32],
    pub(crate) envelope: Envelope,
}

#[derive(Debug, Clone)]
pub(crate) struct Chain {
    key: SigningKey,
    sequence: u64,
    previous: [u8; 32],
}

impl Chain {
    pub(crate) fn new(key: SigningKey) -> Self {
        Self {
            key,
            sequence: 0,
            previous: GENESIS,
        }
    }

    /// The number of the last message.
    pub(crate) fn sequence(&self) -> u64 {
        self.sequence
    }

    /// As if it went on from here with another key.
    pub(crate) fn with_key(&self, key: SigningKey) -> Self {
        Self {
            key,
            ..self.clone()
        }
    }

    /// The next message will not follow the one before it.
    pub(crate) fn tear(&mut self) {
        self.previous[0] ^= 1;
    }

    /// `digest` is that of the payload, where it is known.
    pub(crate) fn seal(
        &mut self,
        mut envelope: Envelope,
        digest: Option<[u8; 32]>,
    ) -> SealedMessage {
        let digest = digest.unwrap_or_else(|| seal::digest(&envelope.payload));
        let sequence = self.sequence + 1;
        let mut sealed_digest = digest;
        if envelope.numbered {
            let payload = std::mem::take(&mut envelope.payload);
            envelope.payload = seal::numbered(payload.into(), sequence).into();
        } else if seal::without_number(&envelope.payload, sequence).is_some() {
            sealed_digest = seal::digest_numbered(&envelope.payload, sequence);
        }
        let sealed = Sealed {
            previous: &self.previous,
            sequence,
            id: &envelope.id,
            topic: &envelope.topic,
            content_type: envelope.content_type.as_deref(),
            payload: &envelope.payload,
        };
        let hash = sealed.hash_of(&sealed_digest);
        let seal = sealed.seal_of(&self.key, hash);
        envelope.user_properties.extend(seal.to_properties());
        (self.sequence, self.previous) = (sequence, hash);
        SealedMessage {
            sequence,
            digest,
            envelope,
        }
    }
}
