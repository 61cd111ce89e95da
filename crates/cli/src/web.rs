//! Blocking HTTP to a server, which follows no redirect and sends no secret over plain http: conformance HT-21.

use crate::roots;
use anyhow::Context;
use std::borrow::Cow;
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;
use tokenberg_core::Secret;
use tokenberg_core::client::Outgoing;
use ureq::tls::{ClientCert, TlsConfig};
use url::{Host, Url};
use zeroize::Zeroizing;

/// How long a server may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server to send requests to.
pub(crate) struct Web {
    agent: ureq::Agent,
    insecure_http: bool,
    ca_option: &'static str,
}

/// What a server answered.
pub(crate) struct Answer {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The body.
    pub(crate) body: Zeroizing<Vec<u8>>,
    /// The nonce that the server wants in the next DPoP proof (RFC 9449 §8.2).
    pub(crate) dpop_nonce: Option<String>,
    /// The identifier under which the server logs the request, if it gives one.
    pub(crate) request_id: Option<String>,
}

impl Web {
    /// Trusts the public roots, or only the certificates of the file `ca`; plain http is for this machine only unless
    /// `insecure_http` allows more.
    ///
    /// # Errors
    /// If the file holds no certificate.
    pub(crate) fn new(ca: Option<&Path>, insecure_http: bool) -> anyhow::Result<Self> {
        Self::with(ca, None, insecure_http)
    }

    /// The same, with a certificate that is presented to servers that ask for one.
    ///
    /// # Errors
    /// If a file holds no certificate.
    pub(crate) fn with(
        ca: Option<&Path>,
        certificate: Option<ClientCert>,
        insecure_http: bool,
    ) -> anyhow::Result<Self> {
        let tls = TlsConfig::builder().root_certs(roots::of(ca)?).client_cert(certificate).build();
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(PATIENCE))
            .user_agent(concat!("tokenberg/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls)
            .build();
        Ok(Self { agent: config.new_agent(), insecure_http, ca_option: "--ca-file" })
    }

    /// The same, with the name of the option that gave the file `ca`, for messages.
    #[must_use]
    pub(crate) fn with_ca_option(self, ca_option: &'static str) -> Self {
        Self { ca_option, ..self }
    }

    /// Posts a form, with a DPoP proof if there is one.
    ///
    /// # Errors
    /// If the address is not to be trusted with it, or the server cannot be reached or redirects.
    pub(crate) fn post(
        &self,
        url: &Url,
        outgoing: &Outgoing,
        proof: Option<&Secret>,
    ) -> anyhow::Result<Answer> {
        self.check(url)?;
        let mut request = self
            .agent
            .post(url.as_str())
            .header("Content-Type", Outgoing::CONTENT_TYPE)
            .header("Accept", Outgoing::ACCEPT);
        if let Some(authorization) = &outgoing.authorization {
            request = request.header("Authorization", authorization.expose());
        }
        if let Some(proof) = proof {
            request = request.header("DPoP", proof.expose());
        }
        let request = if is_local(url) { request.config().proxy(None).build() } else { request };
        self.read(url, request.send(outgoing.form.expose()), 1024 * 1024)
    }

    /// Gets a document of at most `largest` bytes.
    ///
    /// # Errors
    /// If the address is not to be trusted, or the server cannot be reached or redirects.
    pub(crate) fn get(&self, url: &Url, largest: u64) -> anyhow::Result<Answer> {
        self.get_within(url, largest, PATIENCE)
    }

    /// The same, if the server takes no longer than this.
    ///
    /// # Errors
    /// As [`Web::get`].
    pub(crate) fn get_within(&self, url: &Url, largest: u64, patience: Duration) -> anyhow::Result<Answer> {
        self.check(url)?;
        let request = self.agent.get(url.as_str()).header("Accept", "application/json");
        let request = request.config().timeout_global(Some(patience));
        let request = if is_local(url) { request.proxy(None) } else { request };
        self.read(url, request.build().call(), largest)
    }

    /// Refuses an address that secrets must not be sent to.
    ///
    /// # Errors
    /// A sentence about the address.
    pub(crate) fn check(&self, url: &Url) -> anyhow::Result<()> {
        anyhow::ensure!(
            url.username().is_empty() && url.password().is_none(),
            "the URL of a server must not contain a user name or a password"
        );
        match url.scheme() {
            "https" => Ok(()),
            "http" if is_local(url) || self.insecure_http => Ok(()),
            "http" => anyhow::bail!(
                "{} would receive secrets over an unencrypted connection; use https or, to request tokens, --insecure-http if the \
                 connection is protected by other means",
                shown(url)
            ),
            other => anyhow::bail!("the URL of a server must begin with https://, not with {other}:"),
        }
    }

    fn read(
        &self,
        url: &Url,
        answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
        largest: u64,
    ) -> anyhow::Result<Answer> {
        let mut answer = answer.map_err(|fault| {
            let advice = advice(url, &fault, self.ca_option);
            anyhow::Error::from(fault).context(format!("cannot send a request to {}{advice}", shown(url)))
        })?;
        let status = answer.status().as_u16();
        // RFC 6749 §3.2: credentials that are posted once must not be posted elsewhere.
        anyhow::ensure!(
            !(300..400).contains(&status),
            "{} redirects (status {status}); redirects are not followed, because they would forward secrets",
            shown(url)
        );
        let field =
            |name: &str| answer.headers().get(name).and_then(|field| field.to_str().ok()).map(str::to_owned);
        let (dpop_nonce, request_id) = (field("DPoP-Nonce"), field("X-Request-Id"));
        let body = answer.body_mut().with_config().limit(largest).read_to_vec();
        Ok(Answer {
            status,
            dpop_nonce,
            request_id,
            body: Zeroizing::new(
                body.with_context(|| format!("cannot read the response of {}", shown(url)))?,
            ),
        })
    }
}

/// What a fault suggests, to follow the address.
fn advice(url: &Url, fault: &ureq::Error, ca_option: &str) -> Cow<'static, str> {
    let text = fault.to_string();
    let says = |part: &str| text.contains(part);
    let is_refused =
        matches!(fault, ureq::Error::Io(fault) if fault.kind() == io::ErrorKind::ConnectionRefused);
    let fixed = if is_refused {
        NO_SERVER
    } else if url.scheme() == "http" && matches!(fault, ureq::Error::Protocol(_)) {
        // What answers is no HTTP: an alert of TLS.
        ", which may speak TLS on this port: try https://"
    } else if url.scheme() == "https" && (says("InvalidContentType") || says("unexpected end of file")) {
        ", which does not speak TLS on this port: check the port, or use http:// if the server is on this machine"
    } else if says("UnknownIssuer") {
        return Cow::Owned(format!(
            ", whose certificate is not of a trusted authority: {ca_option} gives the certificate of the authority"
        ));
    } else if says("CertificateRequired") {
        ", which requires a client certificate"
    } else {
        ""
    };
    Cow::Borrowed(fixed)
}

const NO_SERVER: &str = ", where no server listens";

/// The address without its query, which may hold anything.
fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    url.to_string()
}

/// Whether the address is on this machine.
pub(crate) fn is_local(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => IpAddr::from(ip).is_loopback(),
        Some(Host::Ipv6(ip)) => IpAddr::from(ip).is_loopback(),
        None => false,
    }
}

/// Reads the address of a server.
///
/// # Errors
/// A sentence that shows how it is written.
pub(crate) fn address(text: &str) -> Result<Url, String> {
    let url: Url = text.parse().map_err(|_| "expected a URL such as https://host/path".to_owned())?;
    if url.host().is_none() || url.query().is_some() || url.fragment().is_some() {
        return Err("expected a URL such as https://host/path, without ? and #".to_owned());
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ht_19_plain_http_is_for_this_machine_only() {
        let check =
            |text: &str, insecure| Web::new(None, insecure).unwrap().check(&address(text).unwrap()).is_ok();
        for local in ["http://127.0.0.1:1", "http://[::1]/x", "http://localhost:8183", "https://a.example"] {
            assert!(check(local, false), "{local}");
        }
        for open in ["http://a.example", "http://10.0.0.1", "http://localhost.example", "http://0.0.0.0"] {
            assert!(!check(open, false) && check(open, true), "{open}");
        }
        assert!(!check("https://user:hush@a.example", true));
        assert!(!check("ftp://a.example", true));
    }
}
