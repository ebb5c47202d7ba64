//! Stripe's own OpenAPI as a judge between the gateway and the simulator, if one is named:
//!
//! `STRIPE_SPEC_PROXY='python tests/stripe/judges/spec_proxy.py SPEC.json' STRIPE_SPEC_PROXY_LOG=FILE`
//!
//! The port, whom it stands before, and `--log FILE` are added to the command. What it found is in the file.

use super::wait::until;
use std::{env, process::Stdio};
use tests::{gateway::free_port, http::Http};
use tokio::process::{Child, Command};

/// A proxy that holds every request and every answer against the OpenAPI.
#[derive(Debug)]
pub struct Judge {
    pub url: String,
    child: Child,
}

impl Judge {
    /// Stands before the simulator at this URL, if anybody wants it to.
    pub async fn start(stripe: &str) -> Option<Self> {
        let command = named("STRIPE_SPEC_PROXY")?;
        let http = Http::default();
        let judge = until("a judge", async || {
            let mut judge = Self::spawn(&command, stripe);
            let report = format!("{}/__spec_report", judge.url);
            until("the judge to answer, or to give up", async || {
                if judge.child.try_wait().expect("its state can be told").is_some() {
                    return Ok(false);
                }
                http.get(&report).try_send().await.map(|_| true)
            })
            .await
            // Somebody else may have had the port by then.
            .then_some(judge)
            .ok_or_else(|| "it gave up".to_owned())
        })
        .await;
        Some(judge)
    }

    fn spawn(command: &str, stripe: &str) -> Self {
        let mut words = command.split_whitespace();
        let port = free_port();
        let mut child = Command::new(words.next().expect("a command"));
        child.args(words).args([&port.to_string(), stripe]);
        if let Some(log) = named("STRIPE_SPEC_PROXY_LOG") {
            child.args(["--log", &log]);
        }
        let child = child
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("the judge starts");
        Self { url: format!("http://127.0.0.1:{port}"), child }
    }
}

/// A variable of the environment that isn't empty.
fn named(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}
