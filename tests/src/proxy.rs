//! A way to PostgreSQL on which the answers to what commits get lost: to COMMIT, and to statements that
//! are transactions by themselves.

use std::{
    collections::HashSet,
    io,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::sleep,
};

/// The message `COMMIT` of the simple query protocol: its kind, its length without the kind, its text.
const COMMIT: &[u8] = b"Q\0\0\0\x0bCOMMIT\0";

/// What such a statement is answered with, at its beginning (`INSERT 0 …` completes), and at its end:
/// no transaction is open.
const INSERTED: &[u8] = b"INSERT 0 ";
const IDLE: &[u8] = b"Z\0\0\0\x05I";

/// A statement that is on its way when the connection breaks arrives at most so much later.
const LATE_MILLIS_MAX: u64 = 500;

/// One in so many is hit: whoever asks again has to get through some time.
const LOST_ONE_IN: u32 = 3;

/// Bytes passed on at once.
const PIECE_BYTES: usize = 64 * 1024;

/// Passes connections on to a server, until it is dropped.
#[derive(Debug)]
pub struct Proxy {
    url: String,
    to_lose: Arc<AtomicU32>,
    lost: watch::Receiver<u32>,
    _connections: JoinSet<()>,
}

/// What its connections share.
#[derive(Clone, Debug)]
struct Losses {
    to_lose: Arc<AtomicU32>,
    lost: watch::Sender<u32>,
    commits: Arc<AtomicU32>,
}

impl Losses {
    /// Whether the answer to this one gets lost.
    fn hit(&self) -> bool {
        let number = self.commits.fetch_add(1, Ordering::Relaxed);
        let less = |left: u32| left.checked_sub(1);
        number.is_multiple_of(LOST_ONE_IN)
            && self.to_lose.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }
}

impl Proxy {
    /// A way to the server at this URL; nothing gets lost yet.
    ///
    /// # Panics
    /// If there is no port to be had.
    pub async fn start(url: &str) -> Self {
        let server = url.split(['@', '/']).nth(3).expect("a host and a port").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("it has an address");
        let to_lose = Arc::new(AtomicU32::new(0));
        let (tell, lost) = watch::channel(0);
        let commits = Arc::new(AtomicU32::new(0));
        let losses = Losses { to_lose: Arc::clone(&to_lose), lost: tell, commits };
        let mut connections = JoinSet::new();
        let url = url.replacen(&server, &address.to_string(), 1);
        connections.spawn(accept(listener, server, losses));
        Self { url, to_lose, lost, _connections: connections }
    }

    /// The server's URL by this way.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Loses so many answers, under load, and waits until they are lost.
    ///
    /// # Panics
    /// If the proxy is gone.
    pub async fn lose(&mut self, answers: u32) {
        let goal = *self.lost.borrow() + answers;
        self.to_lose.fetch_add(answers, Ordering::Relaxed);
        self.lost.wait_for(|lost| *lost >= goal).await.expect("it runs");
    }
}

async fn accept(listener: TcpListener, server: String, losses: Losses) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        let (server, losses) = (server.clone(), losses.clone());
        connections.spawn(async move {
            // Either side may hang up.
            drop(pass(client, &server, losses).await);
        });
    }
}

async fn pass(mut client: TcpStream, server: &str, losses: Losses) -> io::Result<()> {
    let mut server = TcpStream::connect(server).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut asked, mut answered) = (vec![0; PIECE_BYTES], vec![0; PIECE_BYTES]);
    // The prepared statements that commit, and the one that was asked for last.
    let mut committing: HashSet<Vec<u8>> = HashSet::new();
    let mut statement: Option<Vec<u8>> = None;
    loop {
        tokio::select! {
            length = client.read(&mut asked) => {
                let asked = &asked[..length?];
                if asked.is_empty() {
                    return Ok(());
                }
                statement = bound(asked).map(<[u8]>::to_vec).or(statement);
                let alone = bound(asked).is_some_and(|name| committing.contains(name));
                // It comes alone: the answer to what was sent before it has come.
                if !((alone || asked == COMMIT) && losses.hit()) {
                    server.write_all(asked).await?;
                    continue;
                }
                losses.lost.send_modify(|lost| *lost += 1);
                match fastrand::u8(..3) {
                    // It is still being done when the connection breaks,
                    0 => server.write_all(asked).await?,
                    // or hasn't arrived, as happens to whatever isn't locked,
                    1 if alone => {
                        drop(client);
                        sleep(Duration::from_millis(fastrand::u64(..LATE_MILLIS_MAX))).await;
                        server.write_all(asked).await?;
                        server.readable().await?;
                    }
                    // or is done already.
                    _ => {
                        server.write_all(asked).await?;
                        server.readable().await?;
                    }
                }
                return Ok(());
            }
            length = server.read(&mut answered) => {
                let answered = &answered[..length?];
                if answered.is_empty() {
                    return Ok(());
                }
                let inserted = answered.windows(INSERTED.len()).any(|it| it == INSERTED);
                if inserted && answered.ends_with(IDLE) {
                    committing.extend(statement.take());
                }
                client.write_all(answered).await?;
            }
        }
    }
}

/// The prepared statement that a message executes: of a Bind, the text after its portal's.
fn bound(asked: &[u8]) -> Option<&[u8]> {
    let names = asked.strip_prefix(b"B")?.get(4..)?;
    names.split(|byte| *byte == 0).nth(1)
}
