//! Asks Postgres over its socket whether it takes connections, with a real startup handshake.

use std::path::Path;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Readiness {
    /// A session was opened, or refused for a reason that waiting does not change (such as too many clients).
    Ready,
    /// It answers that it is starting up, recovering or shutting down (SQLSTATE 57P03).
    Busy,
    /// Nobody listens, or the answer broke off.
    Silent,
}

const CANNOT_CONNECT_NOW: &[u8] = b"C57P03\0";
/// An answer to the startup is far smaller; the bound keeps a stranger on the socket from making us allocate.
const MESSAGE_BYTES_MAX: usize = 64 * 1024;

pub(super) async fn probe(socket: &Path) -> Readiness {
    match handshake(socket).await {
        Ok(readiness) => readiness,
        Err(_) => Readiness::Silent,
    }
}

/// Reads up to ReadyForQuery instead of hanging up at the first byte, so that Postgres logs no broken connection.
async fn handshake(socket: &Path) -> std::io::Result<Readiness> {
    let mut stream = UnixStream::connect(socket).await?;
    stream.write_all(&startup_message()).await?;
    loop {
        let kind = stream.read_u8().await?;
        let length = stream.read_u32().await? as usize;
        let body_bytes = length.saturating_sub(4).min(MESSAGE_BYTES_MAX);
        let mut body = vec![0; body_bytes];
        stream.read_exact(&mut body).await?;
        match kind {
            b'E' => return Ok(judge_error(&body)),
            b'Z' => break,
            _ => {}
        }
    }
    let terminate = [b'X', 0, 0, 0, 4];
    stream.write_all(&terminate).await?;
    Ok(Readiness::Ready)
}

/// Length, protocol 3.0, then pairs of names and values, then an empty name.
fn startup_message() -> Vec<u8> {
    let body = b"\0\x03\0\0user\0postgres\0database\0postgres\0application_name\0scrip readiness\0\0";
    let length = (body.len() + 4) as u32;
    [&length.to_be_bytes()[..], body].concat()
}

/// The fields of an ErrorResponse are a letter, a text and a NUL each; the SQLSTATE has the letter C.
fn judge_error(body: &[u8]) -> Readiness {
    let is_busy = body
        .windows(CANNOT_CONNECT_NOW.len())
        .any(|window| window == CANNOT_CONNECT_NOW);
    if is_busy { Readiness::Busy } else { Readiness::Ready }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_starting_up_from_a_lasting_refusal() {
        let starting = b"SFATAL\0VFATAL\0C57P03\0Mthe database system is starting up\0\0".as_slice();
        let full = b"SFATAL\0VFATAL\0C53300\0Msorry, too many clients already\0\0".as_slice();
        assert_eq!(judge_error(starting), Readiness::Busy);
        assert_eq!(judge_error(full), Readiness::Ready);
    }

    #[test]
    fn the_startup_message_states_its_own_length() {
        let message = startup_message();
        let stated = u32::from_be_bytes(message[..4].try_into().unwrap());
        assert_eq!(stated as usize, message.len());
    }
}
