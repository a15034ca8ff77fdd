//! What reaches an agent by its broker.

use kakou_contract::{Command, CommandName, Id};

/// A request. The first byte chooses the command, the rest is the payload.
pub fn commands(data: &[u8]) {
    let Some((first, payload)) = data.split_first() else {
        return;
    };
    let known = CommandName::ALL;
    let at = usize::from(*first) % (known.len() + 1);
    let name = known.get(at).map_or("reboot", |name| name.as_str());
    let Ok(name) = Id::new("command", name) else {
        return;
    };
    match Command::parse(&name, payload) {
        Ok(request) => {
            assert_eq!(request.command.name().as_str(), name.as_str());
            // Times are written in milliseconds.
            let written = request.to_json();
            let again = Command::parse(&name, &written).map(|again| again.to_json());
            assert_eq!(again, Ok(written), "what was written is not read again");
        }
        Err(error) => {
            let _ = (error.to_string(), error.code());
            assert!(error.by.is_none_or(|by| by.chars().count() <= 200));
        }
    }
}

/// Packets of a broker; what they carry is read as a subscriber reads it.
pub fn packets(data: &[u8]) {
    for message in kakou_uplink::doors::packets(data) {
        if let Err(error) = message.read() {
            let _ = error.to_string();
        }
    }
}
