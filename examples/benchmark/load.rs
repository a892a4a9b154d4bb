//! The load: an HTTP/1.1 generator that is cheap enough to share two cores with what it measures.
//!
//! One thread, nonblocking sockets, one `Poll` (epoll on Linux). Every connection is a closed loop with one request in
//! flight: the moment an answer is complete the next request goes out, so a request costs one `write` and one `read`,
//! and `epoll_wait` is shared by all connections that became ready together. A connection owns one preformatted
//! request; between requests only the digits of the account and of the idempotency key change. Of an answer it reads
//! the status and Content-Length. Nothing is allocated per request; what the server did wrong is kept and told.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token, net::TcpStream};

use crate::histogram::Histogram;
use crate::request::{Next, Request, Slots};

/// Longer than any answer to a write; a longer one is reported, not cut.
const ANSWER_BYTES_MAX: usize = 16 * 1024;
/// How long requests in flight may take to come home after the window has closed.
const DRAIN: Duration = Duration::from_secs(10);

pub struct Load<'a> {
    pub address: SocketAddr,
    pub connections: usize,
    pub request: Request<'a>,
    /// Answers with another status are reported, and not counted.
    pub expected: &'a [u16],
    pub warm_up: Duration,
    pub window: Duration,
}

#[derive(Default)]
pub struct Outcome {
    /// Expected answers within the window, and the window's real length.
    pub measured: u64,
    pub window: Duration,
    pub latency: Histogram,
    /// Expected answers in all, the warm-up's and the last ones in flight included.
    pub total: u64,
    pub unexpected: BTreeMap<u16, u64>,
    /// The first unexpected answer, as it came.
    pub sample: Option<String>,
    pub lost_connections: u64,
    /// What the generator itself cost, per answer.
    pub cpu_us_per_request: f64,
}

impl Outcome {
    pub fn rate_per_s(&self) -> f64 {
        self.measured as f64 / self.window.as_secs_f64().max(1e-9)
    }

    /// What went wrong, in words; `None` when nothing did.
    pub fn trouble(&self) -> Option<String> {
        if self.unexpected.is_empty() && self.lost_connections == 0 {
            return None;
        }
        let mut text: Vec<String> = self
            .unexpected
            .iter()
            .map(|(status, n)| format!("{n} answers with status {status}"))
            .collect();
        if self.lost_connections > 0 {
            text.push(format!("{} lost connections", self.lost_connections));
        }
        let sample = self.sample.as_deref().unwrap_or("");
        Some(format!(
            "{} (the good ones: {}). The first: {sample}",
            text.join(", "),
            self.total
        ))
    }
}

struct Connection {
    stream: TcpStream,
    request: Vec<u8>,
    answer: Vec<u8>,
    filled: usize,
    sent_at: Instant,
    in_flight: bool,
}

/// Runs the load to its end: the window's, or the last account's with [`Pick::Each`].
pub fn run(load: &Load<'_>) -> io::Result<Outcome> {
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(1024);
    let (template, slots) = Slots::format(&load.request, load.address);
    let mut next = Next::new(load.request.pick);
    let mut outcome = Outcome::default();

    let mut connections = Vec::with_capacity(load.connections);
    for index in 0..load.connections {
        let mut stream = connect(load.address)?;
        poll.registry()
            .register(&mut stream, Token(index), Interest::READABLE)?;
        let answer = vec![0; ANSWER_BYTES_MAX];
        connections.push(Connection {
            stream,
            request: template.clone(),
            answer,
            filled: 0,
            sent_at: Instant::now(),
            in_flight: false,
        });
    }

    let cpu_before = cpu_ns();
    let started = Instant::now();
    let opens = started + load.warm_up;
    let closes = opens + load.window;
    let mut now = started;
    let mut last_answer = started;
    let mut in_flight = 0_usize;
    for connection in &mut connections {
        in_flight += usize::from(send(connection, &slots, &mut next, now)?);
    }
    while in_flight > 0 {
        poll.poll(&mut events, Some(Duration::from_millis(100)))
            .or_else(ignore_interrupt)?;
        if events.is_empty() && Instant::now() > closes + DRAIN {
            return Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("{in_flight} requests were never answered"),
            ));
        }
        for event in &events {
            let Token(index) = event.token();
            let connection = &mut connections[index];
            if !connection.in_flight {
                continue;
            }
            let Some(status) = receive(connection)? else { continue };
            now = Instant::now();
            in_flight -= 1;
            connection.in_flight = false;
            if load.expected.contains(&status) {
                outcome.total += 1;
                if now >= opens && now < closes {
                    outcome.measured += 1;
                    outcome.latency.record(now - connection.sent_at);
                }
                last_answer = now;
            } else {
                note_trouble(&mut outcome, connection, status);
            }
            if status == LOST {
                connection.stream = connect(load.address)?;
                poll.registry()
                    .register(&mut connection.stream, Token(index), Interest::READABLE)?;
            }
            connection.filled = 0;
            if now < closes {
                in_flight += usize::from(send(connection, &slots, &mut next, now)?);
            }
        }
    }
    let answers = (outcome.total + outcome.unexpected.values().sum::<u64>()).max(1);
    outcome.cpu_us_per_request = (cpu_ns() - cpu_before) as f64 / 1000.0 / answers as f64;
    outcome.window = last_answer.min(closes).saturating_duration_since(opens);
    Ok(outcome)
}

/// Stands in for the status of an answer that never came whole.
const LOST: u16 = 0;

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = std::net::TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    Ok(TcpStream::from_std(stream))
}

/// Fills in the next request and sends it; false when there is none. A request is far smaller than an idle socket's
/// buffer, so a short write means that the connection is gone: the read that follows finds out.
fn send(connection: &mut Connection, slots: &Slots, next: &mut Next, now: Instant) -> io::Result<bool> {
    if !next.fill(&mut connection.request, slots) {
        return Ok(false);
    }
    connection.sent_at = now;
    connection.in_flight = true;
    match connection.stream.write(&connection.request) {
        Ok(n) if n == connection.request.len() => Ok(true),
        Err(error) if matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) => Ok(true),
        Ok(n) => Err(io::Error::other(format!("only {n} bytes of a request were taken"))),
        Err(error) => Err(error),
    }
}

/// The status, once the answer is complete. Readiness is edge-triggered, but one short read is enough: when an answer
/// is incomplete the rest raises an edge of its own, and after a complete one nothing more is due.
fn receive(connection: &mut Connection) -> io::Result<Option<u16>> {
    loop {
        let room = &mut connection.answer[connection.filled..];
        if room.is_empty() {
            return Err(io::Error::other(format!(
                "an answer is longer than {ANSWER_BYTES_MAX} bytes"
            )));
        }
        let room_len = room.len();
        match connection.stream.read(room) {
            Ok(0) => return Ok(Some(LOST)),
            Ok(n) => {
                connection.filled += n;
                if let Some(status) = parse(&connection.answer[..connection.filled])? {
                    return Ok(Some(status));
                }
                if n < room_len {
                    return Ok(None);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(Some(LOST)),
            Err(error) => return Err(error),
        }
    }
}

/// The status of a complete answer, `None` when more must come. Hyper writes a Content-Length for every body it knows.
fn parse(answer: &[u8]) -> io::Result<Option<u16>> {
    const NAME: &[u8] = b"content-length:";
    let mut at = 0;
    let mut length = None;
    loop {
        let Some(end) = answer[at..].iter().position(|&byte| byte == b'\n') else {
            return Ok(None);
        };
        let line = &answer[at..at + end];
        at += end + 1;
        if line.len() <= 1 {
            break;
        }
        if line.len() > NAME.len() && line[..NAME.len()].eq_ignore_ascii_case(NAME) {
            let digits = line[NAME.len()..].iter().filter(|byte| byte.is_ascii_digit());
            length = Some(digits.fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0')));
        }
    }
    let Some(status) = answer.get(9..12).filter(|digits| digits.iter().all(u8::is_ascii_digit)) else {
        return Err(io::Error::other("an answer without a status line"));
    };
    let status = status.iter().fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'));
    match length {
        Some(length) => Ok((answer.len() >= at + length).then_some(status)),
        None if status == 204 => Ok(Some(status)),
        None => Err(io::Error::other(format!(
            "an answer without Content-Length: {}",
            String::from_utf8_lossy(answer)
        ))),
    }
}

#[cold]
fn note_trouble(outcome: &mut Outcome, connection: &Connection, status: u16) {
    let came = String::from_utf8_lossy(&connection.answer[..connection.filled]);
    outcome
        .sample
        .get_or_insert_with(|| came.split_whitespace().collect::<Vec<_>>().join(" "));
    if status == LOST {
        outcome.lost_connections += 1;
    } else {
        *outcome.unexpected.entry(status).or_default() += 1;
    }
}

/// This thread's CPU time so far; 0 where the kernel does not tell.
fn cpu_ns() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    stat.split_whitespace()
        .next()
        .and_then(|ns| ns.parse().ok())
        .unwrap_or(0)
}

fn ignore_interrupt(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::Interrupted {
        Ok(())
    } else {
        Err(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_complete_when_its_body_is() {
        let whole = b"HTTP/1.1 201 Created\r\nContent-Type: text/plain\r\nContent-Length: 12\r\n\r\n{\"amount\":1}";
        assert_eq!(parse(whole).unwrap(), Some(201));
        for cut in 0..whole.len() {
            assert_eq!(parse(&whole[..cut]).unwrap(), None, "{cut} bytes");
        }
    }

    #[test]
    fn an_answer_without_a_length_is_an_error() {
        assert_eq!(parse(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap(), Some(204));
        assert!(parse(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n").is_err());
        assert!(parse(b"nonsense\r\n\r\n").is_err());
    }
}
