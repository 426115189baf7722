//! Where orders are handed in. A customer who sends nonsense is told so and may go on.

use std::{
    collections::{HashMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc::UnboundedSender,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    ReplyStyle,
    answer::{self, Decision},
    worksheet::Order,
};
use crate::{
    clock::Clock,
    hl7::frame::{Frame, Framer, wrap},
    sim::numbering::Numbering,
};

/// An order is small.
const MAX_ORDER: usize = 1024 * 1024;
/// The book is begun anew after so many entries; a simulator need not remember longer.
const MAX_BOOK: usize = 100_000;

/// Where a test is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// Being worked on.
    Open,
    /// Reported as final.
    Final,
    /// Called off.
    Cancelled,
}

/// What the laboratory knows of its orders.
#[derive(Default)]
pub(super) struct Book {
    /// By placer number.
    tests: HashMap<String, Progress>,
    /// Hashes of the orders taken.
    orders: HashSet<u64>,
}

/// The book, shared by the counter and the courier.
#[derive(Clone, Default)]
pub(super) struct SharedBook(Arc<Mutex<Book>>);

impl SharedBook {
    fn with<T>(&self, act: impl FnOnce(&mut Book) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Writes an order down. False: it was taken before, to the byte; the sender missed our answer.
    pub(super) fn take(&self, bytes: &[u8]) -> bool {
        let mut hasher = DefaultHasher::new();
        bytes.hash(&mut hasher);
        self.with(|book| {
            if book.orders.len() >= MAX_BOOK {
                *book = Book::default();
            }
            book.orders.insert(hasher.finish())
        })
    }

    pub(super) fn open(&self, placer: &str) {
        self.with(|book| book.tests.insert(placer.to_owned(), Progress::Open));
    }

    /// Calls a test off. False: it is not being worked on.
    pub(super) fn cancel(&self, placer: &str) -> bool {
        self.with(|book| match book.tests.get_mut(placer) {
            Some(progress @ (Progress::Open | Progress::Cancelled)) => {
                *progress = Progress::Cancelled;
                true
            }
            _ => false,
        })
    }

    pub(super) fn finish(&self, placer: &str) {
        self.with(|book| book.tests.insert(placer.to_owned(), Progress::Final));
    }

    pub(super) fn is_cancelled(&self, placer: &str) -> bool {
        self.with(|book| book.tests.get(placer) == Some(&Progress::Cancelled))
    }
}

/// The counter.
pub(super) struct Counter(Arc<Desk>);

struct Desk {
    reply: ReplyStyle,
    numbering: Arc<Numbering>,
    book: SharedBook,
    orders: UnboundedSender<Order>,
}

impl Counter {
    pub(super) fn new(reply: ReplyStyle, numbering: Arc<Numbering>, orders: UnboundedSender<Order>) -> Self {
        Self(Arc::new(Desk { reply, numbering, book: SharedBook::default(), orders }))
    }

    pub(super) fn book(&self) -> SharedBook {
        self.0.book.clone()
    }

    /// Serves customers until told to stop.
    pub(super) async fn serve(
        &self,
        listener: TcpListener,
        customers: &TaskTracker,
        stop: &CancellationToken,
    ) {
        while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
            let Ok((stream, _)) = accepted else {
                // Out of file descriptors, most likely; one may be free in a moment.
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                continue;
            };
            let (desk, stop) = (self.0.clone(), stop.clone());
            customers.spawn(async move {
                // A customer who leaves is no trouble.
                let _ = stop.run_until_cancelled(desk.attend(stream)).await;
            });
        }
    }
}

impl Desk {
    async fn attend(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let _ = stream.set_nodelay(true);
        let (mut framer, mut frames, mut buffer) = (Framer::new(MAX_ORDER), Vec::new(), vec![0; 8 * 1024]);
        loop {
            let count = stream.read(&mut buffer).await?;
            if count == 0 {
                return Ok(());
            }
            framer.push(&buffer[..count], &mut frames);
            for frame in frames.drain(..) {
                if let Some(reply) = self.handle(&frame) {
                    stream.write_all(&wrap(&reply)).await?;
                }
            }
        }
    }

    /// The answer; `None` to a message that asks for none.
    fn handle(&self, frame: &Frame) -> Option<Vec<u8>> {
        let now = Clock::System.now().fixed_offset();
        let (bytes, read) = match frame {
            Frame::Message(bytes) => (bytes, answer::read(bytes)),
            Frame::Oversize { head, .. } => (head, Err(answer::oversize())),
        };
        let decision = match read {
            Ok(None) => return None,
            Ok(Some(request)) => {
                let again = !self.book.take(bytes);
                let decision = answer::decide(&request, again, &self.book, &self.numbering);
                if let Some(order) = request.into_order(&decision, now).filter(|_| !again) {
                    // The courier ends only together with the counter.
                    let _ = self.orders.send(order);
                }
                decision
            }
            Err(fault) => Decision::refuse(fault),
        };
        Some(answer::write(bytes, &decision, self.reply, &self.numbering.next('A'), now))
    }
}
