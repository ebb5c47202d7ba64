//! Ways to Stripe and to the ledger on which a chosen exchange is the last that the gateway sees, or
//! on which what Stripe says is changed.

mod messages;

use crate::gateway::Killer;
use messages::{ended, frame, message};
use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::sleep,
};

/// What a connection of HTTP/2 begins with.
const PREFACE_BYTES: usize = 24;

/// When the gateway is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// It has asked, and nobody has heard it.
    Asked,
    /// What it asked for is done, and it isn't told.
    Done,
    /// It has been told, so long ago.
    Told(Duration),
}

/// Changes what Stripe says.
#[derive(Clone, Debug)]
struct Change {
    path: &'static str,
    from: &'static str,
    to: &'static str,
}

#[derive(Debug, Default)]
struct Plan {
    /// So many exchanges are left alone first.
    armed: Option<(usize, Moment, Killer)>,
    hit: Option<String>,
    changes: Vec<Change>,
}

/// Both ways, until it is dropped.
#[derive(Debug, Default)]
pub struct Interceptor {
    plan: Arc<Mutex<Plan>>,
    tasks: JoinSet<()>,
}

/// What is to happen to an exchange.
#[derive(Debug)]
struct Met {
    moment: Moment,
    killer: Killer,
}

impl Met {
    /// The end, some time after the answer was passed on.
    async fn told(&self) {
        if let Moment::Told(after) = self.moment {
            sleep(after).await;
            self.killer.kill();
        }
    }
}

impl Interceptor {
    fn plan(&self) -> MutexGuard<'_, Plan> {
        lock(&self.plan)
    }

    /// Kills at the exchange with this number, from 0, counted over both ways from now on.
    pub fn arm(&self, number: usize, moment: Moment, killer: Killer) {
        let mut plan = self.plan();
        plan.armed = Some((number, moment, killer));
        plan.hit = None;
    }

    /// Kills nobody any more; at what somebody was killed.
    #[must_use]
    pub fn disarm(&self) -> Option<String> {
        let mut plan = self.plan();
        plan.armed = None;
        plan.hit.take()
    }

    /// At what somebody was killed, if so.
    #[must_use]
    pub fn hit(&self) -> Option<String> {
        self.plan().hit.clone()
    }

    /// In what Stripe answers to requests with this in their path, something else stands from now
    /// on: as long as what it replaces.
    ///
    /// # Panics
    /// If it is shorter or longer.
    pub fn change(&self, path: &'static str, from: &'static str, to: &'static str) {
        assert_eq!(from.len(), to.len(), "{from} and {to}");
        self.plan().changes.push(Change { path, from, to });
    }

    /// Stripe is heard as it speaks.
    pub fn change_nothing(&self) {
        self.plan().changes.clear();
    }

    /// A way to the HTTP server at this URL.
    ///
    /// # Panics
    /// If there is no port to be had.
    pub async fn http(&mut self, url: &str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let way = format!("http://{}", listener.local_addr().expect("an address"));
        let server = url.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let plan = Arc::clone(&self.plan);
        self.tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                while connections.try_join_next().is_some() {}
                let (server, plan) = (server.clone(), Arc::clone(&plan));
                // Either side may hang up.
                connections.spawn(async move { drop(exchanges(client, &server, &plan).await) });
            }
        });
        way
    }

    /// A way to the gRPC server at this address.
    ///
    /// # Panics
    /// If there is no port to be had.
    pub async fn grpc(&mut self, server: &str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let way = listener.local_addr().expect("an address").to_string();
        let (server, plan) = (server.to_owned(), Arc::clone(&self.plan));
        self.tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                while connections.try_join_next().is_some() {}
                let (server, plan) = (server.clone(), Arc::clone(&plan));
                connections.spawn(async move { drop(calls(client, &server, &plan).await) });
            }
        });
        way
    }
}

fn lock(plan: &Mutex<Plan>) -> MutexGuard<'_, Plan> {
    plan.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Counts an exchange; whether it is the one.
fn meet(plan: &Mutex<Plan>, what: &str) -> Option<Met> {
    let mut plan = lock(plan);
    let (number, moment, killer) = plan.armed.take()?;
    if let Some(less) = number.checked_sub(1) {
        plan.armed = Some((less, moment, killer));
        return None;
    }
    plan.hit = Some(what.to_owned());
    Some(Met { moment, killer })
}

/// One request after another, each passed on by a connection of its own.
async fn exchanges(client: TcpStream, server: &str, plan: &Mutex<Plan>) -> io::Result<()> {
    client.set_nodelay(true)?;
    let mut client = BufReader::new(client);
    while let Some(asked) = message(&mut client).await? {
        let line = String::from_utf8_lossy(&asked).lines().next().unwrap_or_default().to_owned();
        let met = meet(plan, &line);
        if let Some(met) = met.as_ref().filter(|met| met.moment == Moment::Asked) {
            met.killer.kill();
            return Ok(());
        }
        let mut upstream = BufReader::new(TcpStream::connect(server).await?);
        upstream.write_all(&asked).await?;
        let answered = message(&mut upstream).await?;
        if let Some(met) = met.as_ref().filter(|met| met.moment == Moment::Done) {
            met.killer.kill();
            return Ok(());
        }
        // Whoever gives no answer is passed on as well.
        let Some(mut answered) = answered else { return Ok(()) };
        change(plan, &line, &mut answered);
        client.write_all(&answered).await?;
        if let Some(met) = met {
            met.told().await;
        }
    }
    Ok(())
}

fn change(plan: &Mutex<Plan>, line: &str, answered: &mut [u8]) {
    let changes = lock(plan).changes.clone();
    for change in changes.iter().filter(|change| line.contains(change.path)) {
        let (from, to) = (change.from.as_bytes(), change.to.as_bytes());
        let mut at = 0;
        while let Some(found) = answered.get_mut(at..at + from.len()) {
            if found == from {
                found.copy_from_slice(to);
            }
            at += 1;
        }
    }
}

/// Frames of HTTP/2, both ways at once.
async fn calls(client: TcpStream, server: &str, plan: &Mutex<Plan>) -> io::Result<()> {
    let server = TcpStream::connect(server).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let watched: Mutex<HashMap<u32, Met>> = Mutex::default();
    let asking = async {
        let mut preface = [0; PREFACE_BYTES];
        from_client.read_exact(&mut preface).await?;
        to_server.write_all(&preface).await?;
        loop {
            let frame = frame(&mut from_client).await?;
            if let Some(stream) = ended(&frame) {
                match meet(plan, "a call of the ledger") {
                    Some(met) if met.moment == Moment::Asked => {
                        met.killer.kill();
                        return io::Result::Ok(());
                    }
                    Some(met) => {
                        watched.lock().unwrap_or_else(PoisonError::into_inner).insert(stream, met);
                    }
                    None => {}
                }
            }
            to_server.write_all(&frame).await?;
        }
    };
    let answering = async {
        loop {
            let frame = frame(&mut from_server).await?;
            let met = ended(&frame).and_then(|stream| {
                watched.lock().unwrap_or_else(PoisonError::into_inner).remove(&stream)
            });
            if let Some(met) = met.as_ref().filter(|met| met.moment == Moment::Done) {
                met.killer.kill();
                return Ok(());
            }
            to_client.write_all(&frame).await?;
            if let Some(met) = met {
                met.told().await;
            }
        }
    };
    tokio::select! {
        asked = asking => asked,
        answered = answering => answered,
    }
}
