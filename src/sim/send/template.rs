//! A message cut at the places that must be new each time it is sent: MSH-10, ORC-3 and OBR-3. Rendering it copies
//! bytes and parses nothing.

use super::base36;

enum Piece {
    /// As in the file.
    Same(Vec<u8>),
    /// MSH-10.
    ControlId,
    /// The filler number with this position among those of the message; ORC-3 and OBR-3 of one order share theirs.
    Filler(usize),
}

/// A message to be sent many times.
pub(super) struct Template {
    pieces: Vec<Piece>,
    original: Vec<u8>,
    control_id: Vec<u8>,
}

impl Template {
    pub(super) fn new(message: &[u8]) -> Self {
        let mut cutter = Cutter::new(message);
        for segment in message.split_inclusive(|byte| matches!(byte, b'\r' | b'\n')) {
            cutter.segment(segment);
        }
        cutter.keep(b"");
        Self { pieces: cutter.pieces, original: message.to_vec(), control_id: cutter.control_id }
    }

    /// The message as it was read, and its control id.
    pub(super) fn as_it_stands(&self, buffer: &mut Vec<u8>, control_id: &mut Vec<u8>) {
        buffer.clear();
        buffer.extend_from_slice(&self.original);
        control_id.clear();
        control_id.extend_from_slice(&self.control_id);
    }

    /// The message as the `n`th of a run, and its control id.
    pub(super) fn render(&self, mark: &str, n: u64, buffer: &mut Vec<u8>, control_id: &mut Vec<u8>) {
        let number = base36(n);
        control_id.clear();
        for part in ["L", mark, "-", &number] {
            control_id.extend_from_slice(part.as_bytes());
        }
        buffer.clear();
        for piece in &self.pieces {
            match piece {
                Piece::Same(bytes) => buffer.extend_from_slice(bytes),
                Piece::ControlId => buffer.extend_from_slice(control_id),
                Piece::Filler(position) => {
                    buffer.extend_from_slice(control_id);
                    buffer.push(b'.');
                    buffer.extend_from_slice(base36(*position as u64).as_bytes());
                }
            }
        }
    }
}

struct Cutter<'m> {
    pieces: Vec<Piece>,
    same: Vec<u8>,
    control_id: Vec<u8>,
    field: u8,
    component: u8,
    is_result: bool,
    fillers: Vec<&'m [u8]>,
}

impl<'m> Cutter<'m> {
    fn new(message: &[u8]) -> Self {
        let at = |index: usize, default| message.get(index).copied().unwrap_or(default);
        Self {
            pieces: Vec::new(),
            same: Vec::new(),
            control_id: Vec::new(),
            field: at(3, b'|'),
            component: at(4, b'^'),
            is_result: false,
            fillers: Vec::new(),
        }
    }

    /// Appends bytes that stay, or ends a run of them with an empty one.
    fn keep(&mut self, bytes: &[u8]) {
        self.same.extend_from_slice(bytes);
        if bytes.is_empty() && !self.same.is_empty() {
            self.pieces.push(Piece::Same(std::mem::take(&mut self.same)));
        }
    }

    fn put(&mut self, piece: Piece) {
        self.keep(b"");
        self.pieces.push(piece);
    }

    fn segment(&mut self, segment: &'m [u8]) {
        let end = segment.iter().position(|byte| matches!(byte, b'\r' | b'\n')).unwrap_or(segment.len());
        let (body, line_end) = segment.split_at(end);
        match body.get(..3) {
            // The separator itself is MSH-1, so the split is one field behind.
            Some(b"MSH") => self.header(body),
            Some(b"ORC" | b"OBR") => self.order(body),
            _ => self.keep(body),
        }
        if !line_end.is_empty() {
            self.keep(line_end);
        }
    }

    fn header(&mut self, body: &'m [u8]) {
        let separator = self.field;
        for (index, field) in body.split(|byte| *byte == separator).enumerate() {
            self.separate(index);
            if index == 9 {
                self.control_id = field.to_vec();
                self.put(Piece::ControlId);
                continue;
            }
            self.is_result |= index == 8 && field.starts_with(b"ORU");
            if !field.is_empty() {
                self.keep(field);
            }
        }
    }

    fn order(&mut self, body: &'m [u8]) {
        let separator = self.field;
        let is_request = body.starts_with(b"OBR");
        for (index, field) in body.split(|byte| *byte == separator).enumerate() {
            self.separate(index);
            // A result without any filler number gets one: without it, the next one would be a new version of it.
            if index == 3 && (!field.is_empty() || (is_request && self.is_result)) {
                self.filler(field);
            } else if !field.is_empty() {
                self.keep(field);
            }
        }
    }

    /// Replaces the number and keeps who gave it.
    fn filler(&mut self, field: &'m [u8]) {
        let end = field.iter().position(|byte| *byte == self.component).unwrap_or(field.len());
        let (number, namespace) = field.split_at(end);
        let known = self.fillers.iter().position(|known| *known == number && !number.is_empty());
        let position = known.unwrap_or(self.fillers.len());
        if known.is_none() {
            self.fillers.push(number);
        }
        self.put(Piece::Filler(position));
        if !namespace.is_empty() {
            self.keep(namespace);
        }
    }

    fn separate(&mut self, index: usize) {
        if index > 0 {
            self.same.push(self.field);
        }
    }
}
