//! Serves a key set by HTTP, as an issuer of tokens does.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// A server whose answer can be changed; without one it answers 503.
#[derive(Debug)]
pub struct KeyServer {
    url: String,
    answer: Arc<Mutex<Option<String>>>,
    asked: Arc<AtomicUsize>,
    _task: JoinSet<()>,
}

impl KeyServer {
    /// Starts one.
    ///
    /// # Panics
    /// If there is no port to be had.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/jwks.json", listener.local_addr().expect("an address"));
        let answer = Arc::new(Mutex::new(None));
        let asked = Arc::new(AtomicUsize::new(0));
        let mut task = JoinSet::new();
        let (answers, count) = (Arc::clone(&answer), Arc::clone(&asked));
        task.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let answer = answers.lock().expect("nobody panicked").clone();
                serve(stream, answer).await;
            }
        });
        Self { url, answer, asked, _task: task }
    }

    /// Where it answers.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What it answers from now on.
    ///
    /// # Panics
    /// Never.
    pub fn answer(&self, keys: Option<String>) {
        *self.answer.lock().expect("nobody panicked") = keys;
    }

    /// How often it was asked.
    #[must_use]
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

/// One question, one answer.
async fn serve(mut stream: TcpStream, answer: Option<String>) {
    let mut question = Vec::new();
    while !question.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => question.push(byte),
            Err(_) => return,
        }
    }
    let (status, body) = match answer {
        None => ("503 Service Unavailable", String::new()),
        Some(keys) => ("200 OK", keys),
    };
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
    // Whoever has gone away needs no answer.
    stream.write_all(format!("{head}{body}").as_bytes()).await.ok();
}
