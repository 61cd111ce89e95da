//! Marks on each connection when a request is being answered and when its answer is complete: RFC 9112 §9.6.

use crate::connection::{Connection, Exchange};
use actix_http::{ConnectionType, Request, Response, Version};
use actix_service::{ServiceFactory, apply_fn_factory};
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::ServiceResponse;
use actix_web::web::Bytes;
use actix_web::{Error, HttpResponse};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// The size of the parts in which a body is put into actix's buffer, so that a large body does not make it grow.
const PIECE: usize = 4 * 1024;

/// Wraps an app. A request with `Connection: close` is its last, and so is one that is answered before its body
/// has arrived, or while the permit of the connection is needed.
pub(crate) fn answered<F>(
    app: F,
) -> impl ServiceFactory<
    Request,
    Config = F::Config,
    Response = Response<Answered>,
    Error = Error,
    InitError = F::InitError,
>
where
    F: ServiceFactory<Request, Response = ServiceResponse, Error = Error>,
    F::Future: 'static,
{
    apply_fn_factory(app, |request: Request, app: &F::Service| {
        let exchange = request.conn_data::<Connection>().map(Connection::begin);
        let is_last = request.head().connection_type() == ConnectionType::Close;
        let answer = actix_service::Service::call(app, request);
        async move {
            let response = match answer.await {
                Ok(response) => HttpResponse::from(response),
                Err(error) => error.error_response(),
            };
            let mut response: Response<BoxBody> = response.into();
            // actix reuses heads, and the version of an earlier answer is still there until this one is encoded. With HTTP/1.0 it
            // would mean that the connection ends.
            response.head_mut().version = Version::HTTP_11;
            let has_to_end = exchange.as_ref().is_some_and(|e| e.is_incomplete() || e.is_last());
            if is_last || has_to_end || response.head().connection_type() == ConnectionType::Close {
                response.head_mut().set_connection_type(ConnectionType::Close);
                exchange.iter().for_each(Exchange::ends_connection);
            }
            Ok(response.map_body(|_, body| Answered { body, rest: Bytes::new(), _exchange: exchange }))
        }
    })
}

/// The body of an answer. The request counts as answered when it is dropped.
pub(crate) struct Answered {
    body: BoxBody,
    rest: Bytes,
    _exchange: Option<Exchange>,
}

impl MessageBody for Answered {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let this = self.get_mut();
        if this.rest.is_empty() {
            match ready!(Pin::new(&mut this.body).poll_next(cx)) {
                Some(Ok(bytes)) if bytes.len() > PIECE => this.rest = bytes,
                next => return Poll::Ready(next),
            }
        }
        let length = this.rest.len().min(PIECE);
        Poll::Ready(Some(Ok(this.rest.split_to(length))))
    }
}
