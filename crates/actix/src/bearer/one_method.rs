//! Refuses a form with a second token: RFC 6750 §2, for catalogs that accept forms.

use crate::bearer::error::BearerError;
use crate::bearer::names_access_token;
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::header;
use actix_web::middleware::Next;
use actix_web::web::Bytes;
use actix_web::{Error, HttpMessage};

/// Middleware that answers 400 to a form with `access_token` beside an `Authorization` header.
///
/// [`Bearer`](crate::Bearer) never reads a token from a form, and cannot look into one without taking it from the handler.
/// Catalogs whose routes read forms wrap them with `actix_web::middleware::from_fn(one_method_only)`; bodies of other types pass
/// unread.
///
/// # Errors
/// The errors of the wrapped service and of reading a form, and [`BearerError::SeveralMethods`].
pub async fn one_method_only(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let is_form = request.content_type().eq_ignore_ascii_case("application/x-www-form-urlencoded");
    if is_form && request.headers().contains_key(header::AUTHORIZATION) {
        let form = request.extract::<Bytes>().await?;
        if names_access_token(&form) {
            return Err(BearerError::SeveralMethods.into());
        }
        request.set_payload(Payload::from(form));
    }
    Ok(next.call(request).await?.map_into_boxed_body())
}
