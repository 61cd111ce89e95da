//! The facts about a request's connection: none unless a server of this crate accepted it, or `ClientAuthorities::on_connect`
//! reported its certificate.

#[cfg(feature = "server")]
pub(crate) use accepted::{certificate, is_cut_off, is_secure, thumbprint, wastes};
#[cfg(not(feature = "server"))]
pub(crate) use unknown::{certificate, is_cut_off, is_secure, thumbprint, wastes};

#[cfg(feature = "server")]
mod accepted {
    use crate::connection::Connection;
    use crate::connection::authorities::ConnectionCertificate;
    use actix_web::HttpRequest;
    use actix_web::dev::ServiceRequest;
    use std::borrow::Cow;
    use std::cell::Cell;
    use std::rc::Rc;
    use tokenberg_core::PeerCertificate;
    use tokenberg_core::token::Thumbprint;

    /// Whether a server of this crate accepted the connection, with TLS.
    pub(crate) fn is_secure(request: &ServiceRequest) -> bool {
        request.conn_data::<Connection>().is_some_and(Connection::is_secure)
    }

    /// Whether the head exceeded the limit, and is not whole.
    pub(crate) fn is_cut_off(request: &ServiceRequest) -> bool {
        request.conn_data::<Connection>().is_some_and(Connection::is_cut_off)
    }

    /// Becomes true when the body is not read to its end, because too little of it is data.
    pub(crate) fn wastes(request: &HttpRequest) -> Option<Rc<Cell<bool>>> {
        request.conn_data::<Connection>().map(Connection::wastes)
    }

    /// The certificate of the client, verified by the present authorities.
    pub(crate) fn certificate(request: &HttpRequest) -> Option<Cow<'_, PeerCertificate>> {
        request.conn_data::<ConnectionCertificate>().map(ConnectionCertificate::certificate)
    }

    /// The thumbprint of the client's certificate, trusted or not.
    pub(crate) fn thumbprint(request: &HttpRequest) -> Option<Thumbprint> {
        request
            .conn_data::<ConnectionCertificate>()
            .map(|certificate| Thumbprint::of(certificate.thumbprint()))
    }
}

#[cfg(not(feature = "server"))]
mod unknown {
    use actix_web::HttpRequest;
    use actix_web::dev::ServiceRequest;
    use std::borrow::Cow;
    use std::cell::Cell;
    use std::rc::Rc;
    use tokenberg_core::PeerCertificate;
    use tokenberg_core::token::Thumbprint;

    pub(crate) fn is_secure(_: &ServiceRequest) -> bool {
        false
    }

    pub(crate) fn is_cut_off(_: &ServiceRequest) -> bool {
        false
    }

    pub(crate) fn wastes(_: &HttpRequest) -> Option<Rc<Cell<bool>>> {
        None
    }

    pub(crate) fn certificate(_: &HttpRequest) -> Option<Cow<'_, PeerCertificate>> {
        None
    }

    pub(crate) fn thumbprint(_: &HttpRequest) -> Option<Thumbprint> {
        None
    }
}
