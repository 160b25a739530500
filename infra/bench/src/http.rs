//! As much of HTTP/1.1 (RFC 9112) as functions need to speak with the Runtime API and with AWS, and no more: whatever is done here
//! is in each figure.

use anyhow::{Context as _, Result, bail};
use httparse::{Status, parse_chunk_size};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The header fields that a request may have.
const MAX_HEADERS: usize = 64;

/// A connection of a client.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    /// What was read and is of no request yet.
    buffer: Vec<u8>,
}

/// A request.
#[derive(Debug, Default)]
pub struct Request {
    /// Its method.
    pub method: String,
    /// Its path and query.
    pub target: String,
    /// Its header fields, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Its content.
    pub body: Vec<u8>,
}

impl Request {
    /// The value of a header field, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

impl Connection {
    /// Answers at once: nothing is held back to be sent with more.
    pub fn new(stream: TcpStream) -> Result<Self> {
        stream.set_nodelay(true).context("cannot set TCP_NODELAY")?;
        Ok(Self { stream, buffer: Vec::with_capacity(16 * 1024) })
    }

    /// The next request; none when the client is gone.
    pub async fn read(&mut self) -> Result<Option<Request>> {
        let mut request = loop {
            if let Some((request, length)) = head(&self.buffer)? {
                self.buffer.drain(..length);
                break request;
            }
            if !self.fill().await? {
                return Ok(None);
            }
        };
        if request.header("expect").is_some() {
            self.stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.context("cannot write")?;
        }
        request.body = match request.header("content-length") {
            Some(length) => self.take(length.parse().context("Content-Length is no number")?).await?,
            None if request.header("transfer-encoding").is_some() => self.chunks().await?,
            None => Vec::new(),
        };
        Ok(Some(request))
    }

    /// Answers the request that was read last.
    pub async fn write(&mut self, status: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<()> {
        let mut answer = Vec::with_capacity(512 + body.len());
        answer.extend_from_slice(format!("HTTP/1.1 {status}\r\n").as_bytes());
        for (name, value) in headers {
            answer.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        answer.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
        answer.extend_from_slice(body);
        self.stream.write_all(&answer).await.context("cannot write")
    }

    /// A body in chunks (RFC 9112 §7.1). Trailers are not expected.
    async fn chunks(&mut self) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            match parse_chunk_size(&self.buffer) {
                Ok(Status::Complete((head, size))) => {
                    self.buffer.drain(..head);
                    let size = usize::try_from(size)?;
                    let mut chunk = self.take(size + 2).await?;
                    chunk.truncate(size);
                    if chunk.is_empty() {
                        return Ok(body);
                    }
                    body.append(&mut chunk);
                }
                Ok(Status::Partial) => self.expect_more().await?,
                Err(_) => bail!("a chunk has no size"),
            }
        }
    }

    async fn take(&mut self, length: usize) -> Result<Vec<u8>> {
        while self.buffer.len() < length {
            self.expect_more().await?;
        }
        Ok(self.buffer.drain(..length).collect())
    }

    async fn expect_more(&mut self) -> Result<()> {
        if self.fill().await? { Ok(()) } else { bail!("the connection ended within a request") }
    }

    async fn fill(&mut self) -> Result<bool> {
        Ok(self.stream.read_buf(&mut self.buffer).await.context("cannot read")? > 0)
    }
}

/// The request without its body, and how long its head is.
fn head(buffer: &[u8]) -> Result<Option<(Request, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    let Status::Complete(length) = parsed.parse(buffer).context("not HTTP")? else { return Ok(None) };
    let field = |header: &httparse::Header<'_>| {
        (header.name.to_ascii_lowercase(), String::from_utf8_lossy(header.value).into_owned())
    };
    let request = Request {
        method: parsed.method.unwrap_or_default().to_owned(),
        target: parsed.path.unwrap_or_default().to_owned(),
        headers: parsed.headers.iter().map(field).collect(),
        body: Vec::new(),
    };
    Ok(Some((request, length)))
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// What is read where a client sends `parts`, each in a segment of its own.
    async fn received(parts: &[&str]) -> Vec<Request> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        client.set_nodelay(true).unwrap();
        let mut connection = Connection::new(listener.accept().await.unwrap().0).unwrap();
        let send = async move {
            for part in parts {
                client.write_all(part.as_bytes()).await.unwrap();
                tokio::task::yield_now().await;
            }
        };
        let read = async {
            let mut requests = Vec::new();
            while let Some(request) = connection.read().await.unwrap() {
                requests.push(request);
            }
            requests
        };
        tokio::join!(send, read).1
    }

    #[tokio::test]
    async fn bodies_are_read_by_length_and_by_chunks_wherever_they_are_cut() {
        let text = "GET /next HTTP/1.1\r\nHost: a\r\n\r\nPOST /r HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello\
                    POST /r HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nwor\r\n2\r\nld\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n";
        for cut in 0..text.len() {
            let (before, after) = text.split_at(cut);
            let requests = received(&[before, after]).await;
            let bodies: Vec<_> =
                requests.iter().map(|request| String::from_utf8_lossy(&request.body)).collect();
            assert_eq!(bodies, ["", "hello", "world", ""], "cut at {cut}");
            assert_eq!(requests[0].header("host"), Some("a"));
            assert_eq!((requests[0].method.as_str(), requests[0].target.as_str()), ("GET", "/next"));
        }
    }
}
