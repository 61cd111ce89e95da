//! Reads the form of a request: its declared type, its size and its deadline. RFC 9110 §8.3 and §8.4, RFC 6749 Appendix B.

use crate::endpoint::fault::Fault;
use actix_web::dev::Payload;
use actix_web::http::header::{self, HeaderMap, HeaderName};
use futures_util::StreamExt;
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;
use tokenberg_core::request::LARGEST_BODY;
use tokio::sync::Semaphore;

/// Reads a form; if this fails, the rest of the payload is unread. `wastes` says when no more of it will come, because too little
/// of it is data.
pub(crate) async fn read(
    headers: &HeaderMap,
    payload: &mut Payload,
    largest: usize,
    timeout: Duration,
    wastes: Option<Rc<Cell<bool>>>,
    large_bodies: &Semaphore,
) -> Result<Vec<u8>, Fault> {
    check_declaration(headers)?;
    let declared = declared_length(headers);
    if declared.is_some_and(|length| length > largest as u64) {
        return Err(Fault::BodyTooLarge);
    }
    let wastes = wastes.filter(|_| declared.is_none());
    let declared = declared.and_then(|length| usize::try_from(length).ok());
    tokio::time::timeout(timeout, collect(payload, declared, largest, wastes, large_bodies))
        .await
        .map_err(|_| Fault::BodyTimeout)?
}

/// The memory that is reserved for a declared length before that much has arrived.
const BELIEVED: usize = 16 * 1024;

async fn collect(
    payload: &mut Payload,
    declared: Option<usize>,
    largest: usize,
    wastes: Option<Rc<Cell<bool>>>,
    large_bodies: &Semaphore,
) -> Result<Vec<u8>, Fault> {
    let mut body = Vec::with_capacity(declared.unwrap_or_default().min(BELIEVED));
    let mut place = None;
    loop {
        let next = match &wastes {
            None => payload.next().await,
            Some(wastes) => {
                let next = tokio::time::timeout(Duration::from_millis(100), payload.next()).await;
                if wastes.get() {
                    return Err(Fault::BrokenBody);
                }
                let Ok(next) = next else { continue };
                next
            }
        };
        let Some(chunk) = next else { break };
        let chunk = chunk.map_err(|_| Fault::BrokenBody)?;
        if body.len() + chunk.len() > largest {
            return Err(Fault::BodyTooLarge);
        }
        // The client is not authenticated yet, and clients rarely send many large bodies at once.
        if body.len() + chunk.len() > LARGEST_BODY && place.is_none() {
            place = Some(large_bodies.try_acquire().map_err(|_| Fault::Overloaded)?);
        }
        if let Some(declared) = declared
            && body.len() + chunk.len() > body.capacity()
        {
            // Reserved at once: the buffers that a growing body leaves behind stay with the process.
            body.reserve_exact(declared.saturating_sub(body.len()));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Frameworks answer 415 in plain text, which Iceberg's clients cannot show; this is an `invalid_request` (D6).
fn check_declaration(headers: &HeaderMap) -> Result<(), Fault> {
    if let Some(coding) = only(headers, &header::CONTENT_ENCODING, Fault::ContentEncoding)?
        && !coding.trim().eq_ignore_ascii_case("identity")
    {
        return Err(Fault::ContentEncoding);
    }
    let declared = only(headers, &header::CONTENT_TYPE, Fault::ContentType)?.ok_or(Fault::ContentType)?;
    let (media_type, parameters) = declared.split_once(';').unwrap_or((declared, ""));
    if !media_type.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(Fault::ContentType);
    }
    // parameters = *( OWS ";" OWS [ parameter ] )      RFC 9110 §5.6.6
    for parameter in parameters.split(';') {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        if name.trim().eq_ignore_ascii_case("charset") && !is_utf_8(value.trim()) {
            return Err(Fault::Charset);
        }
    }
    Ok(())
}

fn is_utf_8(charset: &str) -> bool {
    let bare = charset.strip_prefix('"').and_then(|c| c.strip_suffix('"')).unwrap_or(charset);
    ["utf-8", "utf8"].iter().any(|name| bare.eq_ignore_ascii_case(name))
}

/// The only value of a field; two would be read differently by different recipients.
fn only<'h>(headers: &'h HeaderMap, name: &HeaderName, fault: Fault) -> Result<Option<&'h str>, Fault> {
    let mut values = headers.get_all(name);
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| fault),
        (Some(_), Some(_)) => Err(fault),
    }
}

fn declared_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    #[test]
    fn te_05_te_06_te_07_te_08_how_a_form_may_be_declared() {
        const FORM: &str = "application/x-www-form-urlencoded";
        let check = |fields: &[(&str, &str)]| {
            let request = fields.iter().fold(TestRequest::post(), |r, f| r.append_header(*f));
            check_declaration(request.to_http_request().headers())
        };
        for good in [
            FORM,
            "Application/X-WWW-Form-URLEncoded;charset=UTF-8",
            "application/x-www-form-urlencoded; charset=\"utf-8\"",
            "application/x-www-form-urlencoded ; CharSet=Utf-8 ;",
            "application/x-www-form-urlencoded; boundary=x",
        ] {
            assert_eq!(check(&[("Content-Type", good)]), Ok(()), "{good}");
        }
        for (bad, fault) in [
            ("application/json", Fault::ContentType),
            ("multipart/form-data; boundary=x", Fault::ContentType),
            ("text/plain", Fault::ContentType),
            ("", Fault::ContentType),
            ("application/x-www-form-urlencoded, text/plain", Fault::ContentType),
            ("application/x-www-form-urlencoded; charset=ISO-8859-1", Fault::Charset),
            ("application/x-www-form-urlencoded; charset=utf-16", Fault::Charset),
            ("application/x-www-form-urlencoded; charset=utf-8; charset=utf-7", Fault::Charset),
            ("application/x-www-form-urlencoded; charset", Fault::Charset),
        ] {
            assert_eq!(check(&[("Content-Type", bad)]), Err(fault), "{bad}");
        }
        assert_eq!(check(&[]), Err(Fault::ContentType));
        assert_eq!(check(&[("Content-Type", FORM), ("Content-Type", FORM)]), Err(Fault::ContentType));
        for (coding, expected) in [
            ("identity", Ok(())),
            ("Identity", Ok(())),
            ("gzip", Err(Fault::ContentEncoding)),
            ("identity, gzip", Err(Fault::ContentEncoding)),
            ("", Err(Fault::ContentEncoding)),
        ] {
            let fields = [("Content-Type", FORM), ("Content-Encoding", coding)];
            assert_eq!(check(&fields), expected, "{coding}");
        }
    }
}
