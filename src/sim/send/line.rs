//! One connection: a message out, its answer in.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::http::Poster;

/// No connection could be made.
pub(super) const UNREACHABLE: &str = "unreachable";
/// An answer is small.
const MAX_ANSWER: usize = 1024 * 1024;

/// A connection of either kind.
pub(super) enum Line {
    Mllp(Mllp),
    Http(Poster),
}

pub(super) struct Mllp {
    stream: TcpStream,
    frame: Vec<u8>,
    answer: Vec<u8>,
}

impl Line {
    pub(super) async fn mllp(host: &str, port: u16) -> Result<Self, &'static str> {
        let stream = TcpStream::connect((host, port)).await.map_err(|_| UNREACHABLE)?;
        stream.set_nodelay(true).map_err(|_| UNREACHABLE)?;
        Ok(Self::Mllp(Mllp { stream, frame: Vec::new(), answer: Vec::with_capacity(1024) }))
    }

    pub(super) fn http(poster: Poster) -> Self {
        Self::Http(poster)
    }

    /// MSA-1 of the answer, or why there is none.
    pub(super) async fn exchange(
        &mut self,
        message: &[u8],
        control_id: &[u8],
    ) -> Result<&'static str, &'static str> {
        match self {
            Self::Mllp(mllp) => mllp.exchange(message, control_id).await,
            Self::Http(poster) => judge(&poster.post(message).await?, control_id),
        }
    }
}

impl Mllp {
    async fn exchange(&mut self, message: &[u8], control_id: &[u8]) -> Result<&'static str, &'static str> {
        self.frame.clear();
        self.frame.push(0x0B);
        self.frame.extend_from_slice(message);
        self.frame.extend_from_slice(b"\x1C\r");
        self.stream.write_all(&self.frame).await.map_err(|_| "closed")?;
        let end = self.read_to_end_of_block().await?;
        let start = self.answer[..end].iter().position(|byte| *byte == 0x0B).map_or(0, |at| at + 1);
        judge(&self.answer[start..end], control_id)
    }

    /// Only one message is outstanding, so whatever follows its answer is a line end.
    async fn read_to_end_of_block(&mut self) -> Result<usize, &'static str> {
        self.answer.clear();
        loop {
            let before = self.answer.len();
            let count = self.stream.read_buf(&mut self.answer).await.map_err(|_| "closed")?;
            if count == 0 {
                return Err("closed");
            }
            if let Some(at) = self.answer[before..].iter().position(|byte| *byte == 0x1C) {
                return Ok(before + at);
            }
            if self.answer.len() > MAX_ANSWER {
                return Err("unreadable answer");
            }
        }
    }
}

/// The code of an answer, if it is the one to this message.
pub(super) fn judge(answer: &[u8], control_id: &[u8]) -> Result<&'static str, &'static str> {
    let (code, acknowledged) = scan(answer).ok_or("unreadable answer")?;
    if acknowledged != control_id {
        return Err("answer to another message");
    }
    let codes = ["AA", "AE", "AR", "CA", "CE", "CR"];
    codes.into_iter().find(|known| known.as_bytes() == code).ok_or("unreadable answer")
}

/// MSA-1 and MSA-2.
fn scan(answer: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut lines = answer.split(|byte| matches!(byte, b'\r' | b'\n'));
    let msa = lines.find_map(|line| line.strip_prefix(b"MSA"))?;
    let (separator, fields) = msa.split_first()?;
    let mut fields = fields.split(|byte| byte == separator);
    Some((fields.next()?, fields.next().unwrap_or_default()))
}
