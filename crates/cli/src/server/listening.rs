//! Where the server listens, how TLS protects that, and which issuer follows from it; RFC 6749 §3.2, conformance HT-19.

use crate::configuration::values::{base_path, path, socket_address};
use crate::failure::Mistakes;
use clap::{ArgAction, Args};
use serde::{Serialize, Serializer};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use tokenberg_actix::tls::{self, Tls, TlsFault};
use tokenberg_actix::{Network, TrustedProxies};
use tokenberg_core::Issuer;

/// Addresses, TLS, and the proxies in front.
#[derive(Clone, Debug, Args, Serialize)]
#[serde(rename_all = "kebab-case")]
#[command(next_help_heading = "Addresses and TLS")]
pub(crate) struct Listening {
    /// Address to listen on; port 0 picks a free port
    #[arg(long, value_name = "ADDR:PORT", env = "TOKENBERG_LISTEN", default_value = "127.0.0.1:8183",
          value_parser = socket_address)]
    pub(crate) listen: SocketAddr,

    /// Address for /healthz, /readyz, /metrics and the page /ui, over plain HTTP; if it is not set, they are not served
    #[arg(long, value_name = "ADDR:PORT", env = "TOKENBERG_OPS_LISTEN", value_parser = socket_address)]
    pub(crate) ops_listen: Option<SocketAddr>,

    /// Issuer of every token (`iss`): the URL that clients and catalogs use, including the base path [default: the URL of the listener]
    #[arg(long, value_name = "URL", env = "TOKENBERG_ISSUER")]
    pub(crate) issuer: Option<Issuer>,

    /// Issuer that the servers of a PostgreSQL store had until now; needed to start with another --issuer. Tokens of the old one are
    /// not accepted afterwards
    #[arg(long, value_name = "URL", env = "TOKENBERG_CHANGE_ISSUER_FROM")]
    pub(crate) change_issuer_from: Option<Issuer>,

    /// Prefix of every route, such as /api/catalog
    #[arg(long, value_name = "PATH", env = "TOKENBERG_BASE_PATH", default_value = "", hide_default_value = true,
          value_parser = base_path)]
    pub(crate) base_path: String,

    /// Certificate chain for TLS (PEM), the server's certificate first
    #[arg(long, value_name = "FILE", env = "TOKENBERG_TLS_CERT")]
    #[serde(serialize_with = "path")]
    pub(crate) tls_cert: Option<PathBuf>,

    /// Private key of the certificate (PEM)
    #[arg(long, value_name = "FILE", env = "TOKENBERG_TLS_KEY")]
    #[serde(serialize_with = "path")]
    pub(crate) tls_key: Option<PathBuf>,

    /// CA certificates (PEM) to trust for client certificates. The server requests a client certificate, but does not require one
    #[arg(long, value_name = "FILE", env = "TOKENBERG_TLS_CLIENT_CA")]
    #[serde(serialize_with = "path")]
    pub(crate) tls_client_ca: Option<PathBuf>,

    /// Allow plain HTTP on addresses other than loopback, because a proxy in front terminates TLS
    #[arg(long, value_name = "BOOL", env = "TOKENBERG_BEHIND_TLS_TERMINATOR", action = ArgAction::Set, num_args = 0..=1,
          require_equals = true, default_value = "false", default_missing_value = "true")]
    pub(crate) behind_tls_terminator: bool,

    /// Network of proxies whose X-Forwarded-For, X-Forwarded-Proto and Forwarded headers are trusted, such as 10.0.0.0/8; repeatable
    #[arg(long, value_name = "NETWORK", env = "TOKENBERG_TRUSTED_PROXY", value_delimiter = ',')]
    #[serde(serialize_with = "networks")]
    pub(crate) trusted_proxy: Vec<Network>,
}

impl Listening {
    /// RFC 6749 §3.2: "the authorization server MUST require the use of TLS". Loopback addresses are reached from this machine only.
    pub(super) fn check(&self, mistakes: &mut Mistakes) {
        let (listen, is_tls) = (self.listen, self.tls_cert.is_some() && self.tls_key.is_some());
        match (&self.tls_cert, &self.tls_key) {
            (Some(_), None) => mistakes.add_usage("--tls-cert needs --tls-key, the private key of the certificate"),
            (None, Some(_)) => mistakes.add_usage("--tls-key needs --tls-cert, the certificate of the key"),
            (Some(_), Some(_)) if self.behind_tls_terminator => mistakes.add_usage(
                "--behind-tls-terminator and --tls-cert exclude each other: either a proxy or this server terminates TLS",
            ),
            (Some(_), Some(_)) => {}
            (None, None) if self.tls_client_ca.is_some() => mistakes.add_usage(
                "--tls-client-ca needs --tls-cert and --tls-key: clients present certificates in TLS",
            ),
            (None, None) => {}
        }
        if let Some(operations) = self.ops_listen.filter(|operations| is_same(*operations, listen)) {
            mistakes.add_usage(format!(
                "--ops-listen {operations} and --listen {listen} use the same port: change one of them"
            ));
        }
        let has_tls_files = self.tls_cert.is_some() || self.tls_key.is_some();
        if !listen.ip().is_loopback() && !has_tls_files && !self.behind_tls_terminator {
            mistakes.add(format!(
                "{listen} is reachable from other machines, and secrets would be sent in plain text: give --tls-cert and --tls-key, \
                 or --behind-tls-terminator if a proxy in front terminates TLS"
            ));
        }
        if self.issuer.is_some() {
            return;
        }
        if listen.ip().is_unspecified() {
            mistakes.add(format!(
                "{listen} is not an address that clients can use, so the issuer is unknown: give --issuer https://…"
            ));
        } else if !listen.ip().is_loopback() && !is_tls && self.behind_tls_terminator {
            mistakes.add(
                "behind a TLS terminator, the host name that clients use is unknown: give --issuer https://…",
            );
        }
    }

    /// A sentence if the issuer does not end with the base path. A proxy that rewrites paths can make both right.
    pub(crate) fn odd_issuer(&self) -> Option<String> {
        let issuer = self.issuer.as_ref()?;
        let path = issuer.as_str().splitn(4, '/').nth(3).map_or_else(String::new, |path| format!("/{path}"));
        (path != self.base_path).then(|| {
            let base_path = if self.base_path.is_empty() { "not set" } else { &self.base_path };
            format!(
                "the path of the issuer {issuer} differs from --base-path, which is {base_path}: clients find the metadata of the issuer \
                 only if a proxy in front rewrites paths"
            )
        })
    }

    /// Whether the source of every connection is known: clients connect directly, each from its own address, or through trusted
    /// proxies.
    pub(crate) fn faces_clients(&self) -> bool {
        !self.trusted_proxy.is_empty() || self.tls_files().is_some() && !self.listen.ip().is_loopback()
    }

    /// The proxies whose headers are trusted.
    pub(crate) fn trusted_proxies(&self) -> TrustedProxies {
        self.trusted_proxy.iter().copied().collect()
    }

    /// Certificate and key.
    pub(crate) fn tls_files(&self) -> Option<(&PathBuf, &PathBuf)> {
        self.tls_cert.as_ref().zip(self.tls_key.as_ref())
    }

    /// Certificate, key and client authorities, read.
    ///
    /// # Errors
    /// If a file is invalid.
    pub(crate) fn loaded_tls(&self) -> Result<Option<Tls>, TlsFault> {
        let Some((cert, key)) = self.tls_files() else { return Ok(None) };
        let tls = tls::load(cert, key)?;
        Ok(Some(match &self.tls_client_ca {
            Some(authorities) => tls.with_client_authorities(authorities)?,
            None => tls,
        }))
    }

    /// The URL of the listener at `port`, without the base path.
    pub(crate) fn address(&self, port: u16) -> String {
        self.address_of(self.listen.ip(), port)
    }

    /// The same for programs on this machine.
    pub(crate) fn reachable(&self, port: u16) -> String {
        let ip = match self.listen.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
        };
        self.address_of(ip, port)
    }

    fn address_of(&self, ip: IpAddr, port: u16) -> String {
        let scheme = if self.tls_files().is_some() { "https" } else { "http" };
        format!("{scheme}://{}", SocketAddr::new(ip, port))
    }

    /// The issuer of a server that listens at `port`.
    ///
    /// # Errors
    /// If its address is not a valid issuer.
    pub(crate) fn issuer_at(&self, port: u16) -> anyhow::Result<Issuer> {
        match &self.issuer {
            Some(issuer) => Ok(issuer.clone()),
            None => Ok(format!("{}{}", self.address(port), self.base_path).parse()?),
        }
    }
}

/// Whether both listeners would need the same port of the same address. `[::]` has the addresses of IPv4, too.
fn is_same(one: SocketAddr, other: SocketAddr) -> bool {
    let holds = |all: IpAddr, ip: IpAddr| all.is_unspecified() && (all.is_ipv6() || ip.is_ipv4());
    let (ip, other_ip) = (one.ip().to_canonical(), other.ip().to_canonical());
    one.port() == other.port()
        && one.port() != 0
        && (ip == other_ip || holds(ip, other_ip) || holds(other_ip, ip))
}

fn networks<S: Serializer>(networks: &[Network], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(networks.iter().map(ToString::to_string))
}

#[cfg(test)]
mod tests {
    use crate::server::settings::tests::settings;

    #[test]
    fn ht_19_plain_http_beyond_loopback_is_refused_with_both_solutions() {
        let open = ["--listen", "0.0.0.0:1", "--issuer", "https://a.example"];
        let error = settings(&open, "").unwrap_err().to_string();
        assert!(error.contains("--tls-cert") && error.contains("--behind-tls-terminator"), "{error}");
        settings(&[&open[..], &["--behind-tls-terminator"]].concat(), "").unwrap();
        settings(&[&open[..], &["--tls-cert", "c", "--tls-key", "k"]].concat(), "").unwrap();
        settings(&open, "behind-tls-terminator = true").unwrap();
        let flags = [&open[..], &["--behind-tls-terminator=false"]].concat();
        assert!(settings(&flags, "behind-tls-terminator = true").is_err());
        assert!(settings(&["--behind-tls-terminator", "--tls-cert", "c", "--tls-key", "k"], "").is_err());
        assert!(settings(&["--tls-cert", "c"], "").is_err());
        assert!(settings(&["--tls-client-ca", "a"], "").unwrap_err().to_string().contains("--tls-cert"));
    }

    #[test]
    fn op_12_the_issuer_is_required_if_the_address_determines_none() {
        for flags in [
            &["--listen", "0.0.0.0:1", "--tls-cert", "c", "--tls-key", "k"][..],
            &["--listen", "10.0.0.1:1", "--behind-tls-terminator"],
        ] {
            assert!(settings(flags, "").unwrap_err().to_string().contains("--issuer"));
        }
        assert!(settings(&["--issuer", "http://a.example"], "").is_err());
        let issuer =
            |flags: &[&str]| settings(flags, "").unwrap().listening.issuer_at(7).unwrap().to_string();
        assert_eq!(issuer(&[]), "http://127.0.0.1:7");
        assert_eq!(issuer(&["--listen", "[::1]:0", "--base-path", "/a/b"]), "http://[::1]:7/a/b");
        assert_eq!(issuer(&["--tls-cert", "c", "--tls-key", "k", "--base-path", "/"]), "https://127.0.0.1:7");
        assert_eq!(issuer(&["--issuer", "https://a.example", "--base-path", "/a"]), "https://a.example");
    }

    #[test]
    fn ht_22_op_12_proxies_and_limits_come_from_flag_or_file() {
        let file = "trusted-proxy = [\"10.0.0.0/8\", \"2001:db8::/32\"]\nfailures-per-client = 7\nfailures_per_source = 70";
        let of_file = settings(&[], file).unwrap();
        assert!(of_file.listening.trusted_proxies().contains("10.1.2.3".parse().unwrap()));
        assert!(of_file.listening.faces_clients());
        assert_eq!((of_file.failures_per_client, of_file.failures_per_source), (7, 70));
        let flags = ["--trusted-proxy", "192.0.2.0/24,198.51.100.1", "--failures-per-client", "8"];
        let of_flags = settings(&flags, file).unwrap();
        for (address, trusted) in [("192.0.2.9", true), ("198.51.100.1", true), ("10.1.2.3", false)] {
            let proxies = of_flags.listening.trusted_proxies();
            assert_eq!(proxies.contains(address.parse().unwrap()), trusted, "{address}");
        }
        assert_eq!((of_flags.failures_per_client, of_flags.failures_per_source), (8, 70));
        let plain = settings(&[], "").unwrap();
        assert_eq!((plain.failures_per_client, plain.failures_per_source), (30, 600));
        assert!(plain.listening.trusted_proxy.is_empty() && !plain.listening.faces_clients());
        for wrong in ["trusted-proxy = [\"10.0.0.1/8\"]", "trusted-proxy = \"x\"", "failures-per-client = 0"]
        {
            assert!(settings(&[], wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn op_12_two_listeners_have_two_ports() {
        for (listen, operations, is_refused) in [
            ("127.0.0.1:8183", "127.0.0.1:8183", true),
            ("127.0.0.1:8183", "0.0.0.0:8183", true),
            ("127.0.0.1:8183", "[::]:8183", true),
            ("[::1]:8183", "[::]:8183", true),
            ("127.0.0.1:8183", "[::ffff:127.0.0.1]:8183", true),
            ("[::1]:8183", "0.0.0.0:8183", false),
            ("127.0.0.1:8183", "127.0.0.2:8183", false),
            ("127.0.0.1:8183", "[::1]:8183", false),
            ("127.0.0.1:8183", "127.0.0.1:8184", false),
            ("127.0.0.1:0", "127.0.0.1:0", false),
        ] {
            let read = settings(&["--listen", listen, "--ops-listen", operations], "");
            assert_eq!(read.is_err(), is_refused, "{listen} {operations}");
        }
    }

    #[test]
    fn op_12_an_issuer_that_does_not_fit_the_base_path_is_noted() {
        for (issuer, base_path, is_noted) in [
            ("https://a.example", "", false),
            ("https://a.example/b/c", "/b/c", false),
            ("https://a.example", "/b", true),
            ("https://a.example/b", "", true),
            ("https://a.example/b/c", "/c", true),
        ] {
            let read = settings(&["--issuer", issuer, "--base-path", base_path], "").unwrap();
            assert_eq!(read.listening.odd_issuer().is_some(), is_noted, "{issuer} {base_path}");
        }
        assert_eq!(settings(&["--base-path", "/b"], "").unwrap().listening.odd_issuer(), None);
    }

    #[test]
    fn base_paths_are_paths() {
        for wrong in ["a", "/a/", "/a//b", "/a b", "/ä", "//"] {
            assert!(settings(&["--base-path", wrong], "").is_err(), "{wrong}");
        }
    }
}
