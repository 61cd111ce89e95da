//! The facts about a request's connection: none unless a server of this crate accepted it, or the host's server passed on the
//! certificate of the client.

#[cfg(feature = "server")]
pub(crate) use accepted::{is_cut_off, is_secure, wastes};
#[cfg(feature = "server")]
use accepted::{present_thumbprint, verified_certificate};
use actix_web::HttpRequest;
use std::borrow::Cow;
use tokenberg_core::PeerCertificate;
use tokenberg_core::token::Thumbprint;
#[cfg(not(feature = "server"))]
pub(crate) use unknown::{is_cut_off, is_secure, wastes};
#[cfg(not(feature = "server"))]
use unknown::{present_thumbprint, verified_certificate};

/// The certificate of the client.
pub(crate) fn certificate(request: &HttpRequest) -> Option<Cow<'_, PeerCertificate>> {
    verified_certificate(request).or_else(|| request.conn_data().map(Cow::Borrowed))
}

/// The thumbprint that a token can be bound to: that of the client's certificate, trusted or not.
pub(crate) fn thumbprint(request: &HttpRequest) -> Option<Thumbprint> {
    let of_host = || request.conn_data().map(|certificate: &PeerCertificate| certificate.thumbprint);
    present_thumbprint(request).or_else(of_host).map(Thumbprint::of)
}

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
    pub(crate) fn verified_certificate(request: &HttpRequest) -> Option<Cow<'_, PeerCertificate>> {
        request.conn_data::<ConnectionCertificate>().map(ConnectionCertificate::certificate)
    }

    /// The thumbprint of the client's certificate, trusted or not.
    pub(crate) fn present_thumbprint(request: &HttpRequest) -> Option<[u8; 32]> {
        request.conn_data::<ConnectionCertificate>().map(ConnectionCertificate::thumbprint)
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

    pub(crate) fn is_secure(_: &ServiceRequest) -> bool {
        false
    }

    pub(crate) fn is_cut_off(_: &ServiceRequest) -> bool {
        false
    }

    pub(crate) fn wastes(_: &HttpRequest) -> Option<Rc<Cell<bool>>> {
        None
    }

    pub(crate) fn verified_certificate(_: &HttpRequest) -> Option<Cow<'_, PeerCertificate>> {
        None
    }

    pub(crate) fn present_thumbprint(_: &HttpRequest) -> Option<[u8; 32]> {
        None
    }
}
