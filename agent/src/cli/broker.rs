//! `--broker URL`, as every subcommand that speaks MQTT has it.

use std::convert::Infallible;
use std::str::FromStr;

use kakou_uplink::{AddressError, BrokerAddress};

/// A broker's URL as given, right or not. clap repeats a value that it cannot parse, and there is a
/// password in this one: so parsing never fails, and `address` tells the fault without it.
#[derive(Debug, Clone)]
pub struct BrokerUrl(Result<BrokerAddress, AddressError>);

impl BrokerUrl {
    pub fn address(&self) -> Result<BrokerAddress, AddressError> {
        self.0.clone()
    }
}

impl FromStr for BrokerUrl {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.parse()))
    }
}
