//! Where everything answers.

use std::{
    net::{Ipv4Addr, SocketAddr},
    str::FromStr,
};

/// Four ports of this machine; 0 takes a free one.
#[derive(Clone, Copy, Debug)]
pub struct Ports {
    /// payments-gateway: pages and API.
    pub pages: u16,
    /// token-service.
    pub tokens: u16,
    /// payments-gateway: operators.
    pub operators: u16,
    /// The simulator.
    pub stripe: u16,
}

impl FromStr for Ports {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || "give four ports such as 8080,50051,50052,12111, or 0 for free ones".to_owned();
        let ports: Vec<u16> = text
            .split(',')
            .map(|port| port.trim().parse().map_err(|_| wrong()))
            .collect::<Result<_, _>>()?;
        match *ports {
            [0] => Ok(Self { pages: 0, tokens: 0, operators: 0, stripe: 0 }),
            [pages, tokens, operators, stripe] => Ok(Self { pages, tokens, operators, stripe }),
            _ => Err(wrong()),
        }
    }
}

/// A port of this machine, which only this machine reaches.
pub fn here(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}
