//! Calls of any method with any bytes: what a test needs that goes through all of the contract.

use std::time::Duration;
use tokio_stream::StreamExt as _;
use tonic::{
    Request, Status,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    metadata::MetadataValue,
    transport::Channel,
};

use http::uri::PathAndQuery;
use prost::bytes::{Buf as _, BufMut as _};

/// How long a stream may be silent before it counts as open: longer than a call may have to wait.
const PATIENCE: Duration = Duration::from_secs(15);

/// Bytes as they are.
#[derive(Clone, Copy, Debug, Default)]
struct Bytes;

impl Codec for Bytes {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining()).to_vec()))
    }
}

/// Calls a method (`service/Method`) with these messages and this bearer token; its first answer. A
/// stream that is open and says nothing answered nothing.
///
/// # Errors
/// What the service says.
///
/// # Panics
/// If the method can't be a path, or the token a header.
pub async fn call(
    channel: &Channel,
    method: &str,
    messages: Vec<Vec<u8>>,
    token: Option<&str>,
) -> Result<Vec<u8>, Status> {
    let mut request = Request::new(tokio_stream::iter(messages));
    if let Some(token) = token {
        let value = MetadataValue::try_from(format!("Bearer {token}")).expect("a header");
        request.metadata_mut().insert("authorization", value);
    }
    let path = PathAndQuery::try_from(format!("/{method}")).expect("a path");
    let mut client = Grpc::new(channel.clone());
    client.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
    let answer = tokio::time::timeout(PATIENCE, async {
        let answer = client.streaming(request, path, Bytes).await?;
        answer.into_inner().next().await.unwrap_or(Ok(Vec::new()))
    });
    answer.await.unwrap_or(Ok(Vec::new()))
}
