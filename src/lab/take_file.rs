//! A file goes through the intake: a message, several, or a batch, of whatever length. Promise: no more of it is in memory
//! than its longest message; the acknowledgments are those of every other door; the same file again changes nothing and is
//! answered with the same bytes.

use std::{
    io::{self, SeekFrom},
    path::{Path, PathBuf},
};

use tokio::{
    fs::File,
    io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt},
};
use tokio_util::sync::CancellationToken;

use super::{
    LabError,
    reception::{Bearer, Course, Reception, Survey},
};
use crate::{
    domain::ids::EndpointId,
    hl7::{batch::unframe, frame::Frame},
};

/// Bytes of one read.
const READ: usize = 64 * 1024;
/// What is read of a message over the cap: enough to refuse it by its control id.
const HEAD: u64 = 4096;

/// How a file ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Every message in it was taken.
    Accepted,
    /// Something in it was refused, or there is no message in it.
    Refused,
    /// The intake takes nothing now; all of it is to be handed in again.
    NotNow,
    /// Somebody still writes to it; it is to be handed in when it rests.
    Changing,
}

/// Why a file could not be handed in.
#[derive(Debug, thiserror::Error)]
pub enum FileTrouble {
    /// It cannot be read, or its answer not be written.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The intake cannot be used.
    #[error("{0}")]
    Lab(#[from] LabError),
}

/// Hands in a file of an endpoint. Its acknowledgments are written to `answer`, which is made when the first is due and holds
/// all of them only when the file was settled; `None`: nobody reads them. Errors: [`FileTrouble`]; the file is to be handed in again.
pub async fn take_file(
    reception: &Reception,
    endpoint: EndpointId,
    file: std::fs::File,
    answer: Option<PathBuf>,
    stop: &CancellationToken,
) -> Result<Ended, FileTrouble> {
    // Its messages would be refused as a stranger's when the list of endpoints is older than this endpoint.
    if !reception.directory.hears(&reception.ctx, endpoint).await? {
        return Ok(Ended::NotNow);
    }
    answer.as_deref().map_or(Ok(()), remove)?;
    let mut hand = Hand {
        reception,
        bearer: Bearer::Endpoint(endpoint, None),
        file: File::from_std(file),
        answer: Answer { path: answer, file: None },
        stop,
    };
    let Some(survey) = hand.survey().await? else { return Ok(Ended::NotNow) };
    // The last message may be half of one.
    if hand.file.metadata().await?.len() != survey.size() {
        return Ok(Ended::Changing);
    }
    let ended =
        if survey.is_plain() { hand.whole(survey.size()).await? } else { hand.course(survey).await? };
    hand.answer.finish().await?;
    Ok(ended)
}

struct Hand<'a> {
    reception: &'a Reception,
    bearer: Bearer,
    file: File,
    answer: Answer,
    stop: &'a CancellationToken,
}

impl Hand<'_> {
    /// The first reading. None: the service stops.
    async fn survey(&mut self) -> Result<Option<Survey>, FileTrouble> {
        let mut survey = Survey::new(self.reception.ctx.config.max_message_size);
        let mut buffer = vec![0; READ];
        self.file.seek(SeekFrom::Start(0)).await?;
        while let count @ 1.. = self.file.read(&mut buffer).await? {
            survey.push(&buffer[..count]);
            if self.stop.is_cancelled() {
                return Ok(None);
            }
        }
        survey.finish();
        Ok(Some(survey))
    }

    /// One message at most: it goes in as it does by every other door.
    async fn whole(&mut self, size: u64) -> Result<Ended, FileTrouble> {
        let over = size > self.reception.ctx.config.max_message_size as u64;
        let mut bytes = Vec::new();
        self.file.seek(SeekFrom::Start(0)).await?;
        let limit = if over { HEAD } else { size };
        (&mut self.file).take(limit).read_to_end(&mut bytes).await?;
        let frame = if over {
            Frame::Oversize { head: bytes, size }
        } else {
            let message = unframe(&bytes);
            if message.trim_ascii().is_empty() {
                return Ok(Ended::Refused);
            }
            Frame::Message(message.to_vec())
        };
        let answer = self.reception.hand_in(self.bearer, frame).await?.answer().await?;
        if !answer.is_settled {
            return Ok(Ended::NotNow);
        }
        self.answer.write(&answer.messages.concat()).await?;
        Ok(ended(answer.is_accepted))
    }

    /// The second reading.
    async fn course(&mut self, survey: Survey) -> Result<Ended, FileTrouble> {
        let mut left = survey.size();
        let mut course = Course::new(self.reception, self.bearer, survey);
        let mut buffer = vec![0; READ];
        self.file.seek(SeekFrom::Start(0)).await?;
        while left > 0 {
            let count = self.file.read(&mut buffer[..READ.min(left as usize)]).await?;
            if count == 0 {
                return Ok(Ended::Changing);
            }
            if self.stop.is_cancelled() {
                return Ok(Ended::NotNow);
            }
            left -= count as u64;
            let Some(answer) = course.push(&buffer[..count]).await? else { return Ok(Ended::NotNow) };
            self.answer.write(&answer).await?;
        }
        let Some((rest, is_accepted)) = course.finish().await? else { return Ok(Ended::NotNow) };
        self.answer.write(&rest).await?;
        Ok(ended(is_accepted))
    }
}

/// An answer that an earlier try has left.
fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn ended(is_accepted: bool) -> Ended {
    if is_accepted { Ended::Accepted } else { Ended::Refused }
}

/// The file with the acknowledgments.
struct Answer {
    path: Option<PathBuf>,
    file: Option<File>,
}

impl Answer {
    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(path) = self.path.as_deref().filter(|_| !bytes.is_empty()) else { return Ok(()) };
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(File::create(path).await?),
        };
        file.write_all(bytes).await
    }

    /// Puts it on disk: where there is an acknowledgment after a power cut, there is all of it.
    async fn finish(&mut self) -> io::Result<()> {
        match &mut self.file {
            Some(file) => {
                file.flush().await?;
                file.sync_all().await
            }
            None => Ok(()),
        }
    }
}
