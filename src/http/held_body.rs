//! Bodies between the handlers and the connection: what a client sends too much of is not read, and what a client takes slowly
//! is not copied as a whole.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use actix_web::HttpMessage as _;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest};
use actix_web::http::header::TRANSFER_ENCODING;
use actix_web::web::Bytes;
use futures_util::Stream as _;
use futures_util::stream::unfold;

/// How much of a body is copied into the buffer of its connection at a time.
const PIECE: usize = 16 * 1024;

/// The chunked body of a request, which may not have been read to its end when the answer is ready.
pub struct RequestBody {
    _held: Rc<RefCell<Payload>>,
}

impl RequestBody {
    /// Puts a reader in its place. The server would read a chunked body that a handler has let go of to its end, however long
    /// that is; while it is held, the connection is closed after the answer instead. Of a body of known length it knows.
    pub fn hold(request: &mut ServiceRequest) -> Option<Self> {
        request.headers().get(TRANSFER_ENCODING)?;
        let held = Rc::new(RefCell::new(request.take_payload()));
        let read = held.clone();
        let reader = unfold(read, async |read| {
            let piece = poll_fn(|context| Pin::new(&mut *read.borrow_mut()).poll_next(context)).await?;
            Some((piece, read))
        });
        request.set_payload(Payload::Stream { payload: Box::pin(reader) });
        Some(Self { _held: held })
    }
}

/// The body of an answer, as it goes to the connection.
struct ResponseBody {
    body: BoxBody,
    /// What has come of the body and was not taken yet.
    piece: Bytes,
    /// Held until the answer has been sent.
    _request: Option<RequestBody>,
}

/// The same body, in pieces where it is long, and holding that of the request.
pub fn response_body(body: BoxBody, request: Option<RequestBody>) -> BoxBody {
    let is_long = matches!(body.size(), BodySize::Sized(length) if length > PIECE as u64);
    if !is_long && request.is_none() {
        return body;
    }
    BoxBody::new(ResponseBody { body, piece: Bytes::new(), _request: request })
}

impl MessageBody for ResponseBody {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        if self.piece.is_empty() {
            match Pin::new(&mut self.body).poll_next(context) {
                Poll::Ready(Some(Ok(piece))) => self.piece = piece,
                other @ (Poll::Ready(_) | Poll::Pending) => return other,
            }
        }
        let length = self.piece.len().min(PIECE);
        Poll::Ready(Some(Ok(self.piece.split_to(length))))
    }
}
