//! The ledger that gateways credit, as a process that can go away and come back.

use proto::v1::token_service_client::TokenServiceClient;
use tests::{
    gateway::free_port,
    process::{Home, Process},
};
use tonic::transport::Channel;

/// The ledger that gateways credit: it can go away, and come back to where it was.
#[derive(Debug)]
pub struct Ledger {
    pub address: String,
    // In this order: it has stopped before its home is gone.
    process: Option<Process>,
    arguments: [String; 2],
    home: Home,
}

impl Ledger {
    pub async fn with(catalog: &str) -> Self {
        let address = format!("127.0.0.1:{}", free_port());
        let arguments = [format!("--listen={address}"), format!("--catalog={catalog}")];
        let mut ledger = Self { address, process: None, arguments, home: Home::sqlite() };
        ledger.start().await;
        ledger
    }

    /// It goes away, between any two instructions.
    pub async fn stop(&mut self) {
        if let Some(process) = self.process.take() {
            process.kill().await;
        }
    }

    /// It comes back.
    pub async fn start(&mut self) {
        let arguments = self.arguments.each_ref().map(String::as_str);
        self.process = Some(self.home.start(&arguments).await);
    }

    /// All that it knew is gone, while it is away; its keys aren't.
    pub fn lose(&self) {
        assert!(self.process.is_none(), "it is away");
        for ending in ["", "-wal", "-shm"] {
            let file = self.home.folder().join(format!("ledger.db{ending}"));
            // Where it has no such file there is nothing to lose.
            std::fs::remove_file(file).ok();
        }
    }

    pub async fn client(&self) -> TokenServiceClient<Channel> {
        self.process.as_ref().expect("it runs").client().await
    }
}
