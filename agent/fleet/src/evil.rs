//! What somebody else says in an agent's place, or an agent says that it must not.
//!
//! Each is sent beside the true messages, over the agent's own connection, and takes nothing from
//! them: every true message stays true and comes too. Only a chain that breaks is in the true
//! messages themselves.

use kakou_contract::{Envelope, Keep, MessageError, Priority, PublicKey};

use super::{Line, Outgoing, What};
use crate::chain::Chain;
use crate::checkpoint::key;
use crate::options::Evil;
use crate::pictures::Picture;
use crate::random::Random;
use crate::scene::{Scene, id};
use crate::telling::misread;

impl Line {
    /// `before` is the chain before the passage of this scene was sealed.
    pub(super) fn speak_evil(
        &mut self,
        kind: Evil,
        scene: &Scene,
        before: &Chain,
        picture: Option<&Picture>,
        random: &mut Random,
        out: &mut Vec<Outgoing>,
    ) -> Result<(), MessageError> {
        let (seed, number) = (self.shared.traffic.seed, self.checkpoint.number);
        let what = What::Evil(kind);
        let mut put = |chain: &mut Chain, envelope| {
            let message = chain.seal(envelope, None);
            out.push(Outgoing { message, what });
        };
        // Another passage, so that it shows whether a platform took it.
        let mut other = scene.passage.clone();
        other.id = id(other.first_seen, random);
        other.evidence.clear();
        other.plate = other.plate.as_ref().map(misread);
        let passage = |other| Envelope::live(other, Priority::Passage, Keep::Passage);
        match kind {
            Evil::BrokenChain => {}
            Evil::ForgedSignature => {
                put(
                    &mut before.with_key(key(seed, "forger", number)),
                    passage(&other)?,
                );
            }
            Evil::ChangedKey => {
                let new = key(seed, "other", number);
                let mut birth = self.online(scene.passage.last_seen, super::Waiting::default());
                birth.id = id(birth.time, random);
                birth.public_key = Some(PublicKey::of(&new.verifying_key()));
                let mut chain = self.chain.with_key(new);
                put(
                    &mut chain,
                    Envelope::of(&birth, Priority::Control, Keep::Control)?,
                );
                put(&mut chain, passage(&other)?);
            }
            Evil::ForeignTopic => {
                let site = (number + 1) % self.shared.options.agents.max(1);
                let mut envelope = passage(&other)?;
                let theirs = self
                    .shared
                    .options
                    .site(site)
                    .map_err(|e| MessageError::Invalid {
                        field: "site".to_owned(),
                        reason: e.to_string(),
                    })?;
                let (ours, theirs) = (format!("/{}/", other.site), format!("/{theirs}/"));
                envelope.topic = envelope.topic.replacen(&ours, &theirs, 1);
                put(&mut before.clone(), envelope);
            }
            Evil::AlteredPicture => {
                let Some((picture, evidence)) = picture.zip(scene.passage.evidence.first()) else {
                    return Ok(());
                };
                let passage = &scene.passage;
                let bytes = picture.bytes.clone();
                let envelope =
                    Envelope::picture(passage.id, passage, evidence, Keep::Passage, bytes);
                // As the true one is sealed just after this.
                let mut message = self.chain.clone().seal(envelope, Some(picture.sha256));
                let mut bytes = message.envelope.payload.to_vec();
                let end = bytes.len().saturating_sub(3);
                if let Some(byte) = bytes.get_mut(end) {
                    *byte ^= 1;
                }
                message.digest = kakou_contract::seal::digest(&bytes);
                message.envelope.payload = bytes.into();
                out.push(Outgoing { message, what });
            }
        }
        Ok(())
    }
}
