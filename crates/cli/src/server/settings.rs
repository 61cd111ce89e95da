//! With which settings does the server run? Flag before variable before file, and nothing that contradicts itself.

use super::audit_settings::AuditSettings;
use crate::commands::serve::Serve;
use crate::common::Common;
use crate::config_file::{self, ConfigFile};
use crate::failure::wrong_usage;
use crate::issuer_keys::Fetching;
use crate::logging::LogFormat;
use crate::store_access::StoreLocation;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;
use tokenberg_actix::TrustedProxies;
use tokenberg_actix::tls::{self, Tls, TlsFault};
use tokenberg_core::{Algorithm, Issuer, Lifetime};

/// Where we listen unless somebody says otherwise.
const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8183);

/// Long enough for a database to fail over, and for somebody to be woken.
const DEFAULT_MAX_STALENESS: Lifetime = Lifetime::from_seconds(300);

/// Everything that a server has to know before it starts.
#[derive(Clone)]
pub(crate) struct Settings {
    /// Its store.
    pub(crate) store: StoreLocation,
    /// Where it listens.
    pub(crate) listen: SocketAddr,
    /// Where it answers about itself.
    pub(crate) ops_listen: Option<SocketAddr>,
    /// Who it is, if that is not to be made of its address.
    pub(crate) issuer: Option<Issuer>,
    /// What all its paths begin with; empty, or `/` and more.
    pub(crate) base_path: String,
    /// Certificate and key.
    pub(crate) tls: Option<(PathBuf, PathBuf)>,
    /// Whose word on where requests come from is believed.
    pub(crate) trusted_proxies: TrustedProxies,
    /// How many failed authentications a minute one source may have for one client.
    pub(crate) failures_per_client: u32,
    /// How many for all.
    pub(crate) failures_per_source: u32,
    /// The authorities whose certificates authenticate clients.
    pub(crate) tls_client_ca: Option<PathBuf>,
    /// Whether only Iceberg's six error codes are sent.
    pub(crate) strict_iceberg_errors: bool,
    /// Whether DPoP proofs need a nonce.
    pub(crate) require_dpop_nonce: bool,
    /// The algorithm of the first key.
    pub(crate) alg: Algorithm,
    /// What is logged, if somebody says so.
    pub(crate) log: Option<String>,
    /// How it is logged.
    pub(crate) log_format: LogFormat,
    /// How the keys of issuers are fetched.
    pub(crate) fetching: Fetching,
    /// After how long a key that signs is replaced, if at all.
    pub(crate) rotate_keys_every: Option<Lifetime>,
    /// How many threads serve.
    pub(crate) workers: Option<usize>,
    /// How long it goes on accepting after it is told to end.
    pub(crate) drain_delay: Duration,
    /// How long after it has last seen the store it is still ready.
    pub(crate) max_staleness: Duration,
    /// How the audit is kept.
    pub(crate) audit: AuditSettings,
}

impl Settings {
    /// Puts together flags, variables and the file.
    ///
    /// # Errors
    /// A sentence about what is wrong, and where there is one, about the ways out.
    pub(crate) fn resolve(common: &Common, asked: &Serve) -> anyhow::Result<Self> {
        let file = common.config.as_deref().map(config_file::read).transpose()?.unwrap_or_default();
        let settings = Self::with_file(common, asked, &file)?;
        let behind = asked.behind_tls_terminator.or(file.behind_tls_terminator).unwrap_or(false);
        settings.check_transport(behind)?;
        Ok(settings)
    }

    /// Whether we know of every connection from where it comes: clients connect by themselves, each from its own address, and
    /// what ends TLS for others is known.
    pub(crate) fn faces_clients(&self) -> bool {
        !self.trusted_proxies.is_empty() || self.tls.is_some() && !self.listen.ip().is_loopback()
    }

    fn with_file(common: &Common, asked: &Serve, file: &ConfigFile) -> anyhow::Result<Self> {
        let issuer = asked.issuer.as_deref().or(file.issuer.as_deref()).map(str::parse::<Issuer>).transpose();
        let base_path = asked.base_path.as_deref().or(file.base_path.as_deref()).unwrap_or_default();
        let cert = asked.tls_cert.as_ref().or(file.tls_cert.as_ref()).cloned();
        let key = asked.tls_key.as_ref().or(file.tls_key.as_ref()).cloned();
        let tls = match (cert, key) {
            (Some(cert), Some(key)) => Some((cert, key)),
            (None, None) => None,
            (Some(_), None) => {
                return Err(wrong_usage("--tls-cert needs --tls-key, the key of the certificate"));
            }
            (None, Some(_)) => {
                return Err(wrong_usage("--tls-key needs --tls-cert, the certificate of the key"));
            }
        };
        let trusted_proxies = match asked.trusted_proxy.as_slice() {
            [] => file.trusted_proxy.clone().unwrap_or_default(),
            networks => networks.to_vec(),
        };
        let tls_client_ca = asked.tls_client_ca.as_ref().or(file.tls_client_ca.as_ref()).cloned();
        anyhow::ensure!(
            tls_client_ca.is_none() || tls.is_some(),
            wrong_usage(
                "--tls-client-ca needs --tls-cert and --tls-key: certificates are shown to whoever speaks TLS"
            )
        );
        Ok(Self {
            store: StoreLocation::with_file(common, file)?,
            listen: asked.listen.or(file.listen).unwrap_or(DEFAULT_LISTEN),
            ops_listen: asked.ops_listen.or(file.ops_listen),
            issuer: issuer.map_err(|fault| wrong_usage(format!("--issuer: {fault}")))?,
            base_path: checked_base_path(base_path)?,
            tls,
            trusted_proxies: trusted_proxies.into_iter().collect(),
            failures_per_client: per_minute(asked.failures_per_client, file.failures_per_client, 30),
            failures_per_source: per_minute(asked.failures_per_source, file.failures_per_source, 600),
            tls_client_ca,
            require_dpop_nonce: asked.require_dpop_nonce.or(file.require_dpop_nonce).unwrap_or(false),
            strict_iceberg_errors: asked
                .strict_iceberg_errors
                .or(file.strict_iceberg_errors)
                .unwrap_or(false),
            alg: asked.alg.or(file.alg).unwrap_or(Algorithm::ES256),
            log: asked.log.clone().or_else(|| file.log.clone()),
            log_format: asked.log_format.or(file.log_format).unwrap_or(LogFormat::Text),
            fetching: fetching(asked, file)?,
            rotate_keys_every: rotation(asked.rotate_keys_every.or(file.rotate_keys_every))?,
            workers: asked.workers.or(file.workers.map(std::num::NonZeroU16::get)).map(usize::from),
            drain_delay: seconds(asked.drain_delay.or(file.drain_delay).unwrap_or(Lifetime::ZERO)),
            max_staleness: seconds(
                asked.max_staleness.or(file.max_staleness).unwrap_or(DEFAULT_MAX_STALENESS),
            ),
            audit: AuditSettings::of(asked, file),
        })
    }

    /// RFC 6749 §3.2: "the authorization server MUST require the use of TLS" (conformance HT-19). Nobody else hears what is
    /// said on a loopback address.
    fn check_transport(&self, behind_tls_terminator: bool) -> anyhow::Result<()> {
        anyhow::ensure!(
            !(behind_tls_terminator && self.tls.is_some()),
            wrong_usage(
                "--behind-tls-terminator and --tls-cert exclude each other: either a proxy speaks TLS, or we do"
            )
        );
        anyhow::ensure!(
            self.listen.ip().is_loopback() || self.tls.is_some() || behind_tls_terminator,
            "{} can be reached from other machines, and secrets would travel in the clear: give --tls-cert and --tls-key, or \
             --behind-tls-terminator if a proxy in front speaks TLS with the clients",
            self.listen
        );
        if self.issuer.is_some() {
            return Ok(());
        }
        anyhow::ensure!(
            !self.listen.ip().is_unspecified(),
            "{} is no address that clients can use, so the issuer cannot be made of it: say --issuer https://…",
            self.listen
        );
        anyhow::ensure!(
            self.listen.ip().is_loopback() || self.tls.is_some(),
            "behind a TLS terminator we do not know under which name clients reach us: say --issuer https://…"
        );
        Ok(())
    }

    /// Certificate, key and authorities, read.
    ///
    /// # Errors
    /// If a file is not what it should be.
    pub(crate) fn loaded_tls(&self) -> Result<Option<Tls>, TlsFault> {
        let Some((cert, key)) = &self.tls else { return Ok(None) };
        let tls = tls::load(cert, key)?;
        Ok(Some(match &self.tls_client_ca {
            Some(authorities) => tls.with_client_authorities(authorities)?,
            None => tls,
        }))
    }

    /// Whether the first key would be one that cannot be generated.
    pub(crate) fn is_first_key_impossible(&self) -> bool {
        !matches!(self.alg, Algorithm::ES256 | Algorithm::ES384 | Algorithm::EdDSA)
    }

    /// Where it can be reached once it listens at `port`, without the base path.
    pub(crate) fn address(&self, port: u16) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", SocketAddr::new(self.listen.ip(), port))
    }

    /// The same, as a program on this machine reaches it.
    pub(crate) fn reachable(&self, port: u16) -> String {
        let mut here = self.clone();
        match self.listen.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => here.listen.set_ip(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(ip) if ip.is_unspecified() => here.listen.set_ip(Ipv6Addr::LOCALHOST.into()),
            IpAddr::V4(_) | IpAddr::V6(_) => {}
        }
        here.address(port)
    }

    /// Who it is once it listens at `port`.
    ///
    /// # Errors
    /// If its address makes no issuer.
    pub(crate) fn issuer_at(&self, port: u16) -> anyhow::Result<Issuer> {
        match &self.issuer {
            Some(issuer) => Ok(issuer.clone()),
            None => Ok(format!("{}{}", self.address(port), self.base_path).parse()?),
        }
    }
}

fn fetching(asked: &Serve, file: &ConfigFile) -> anyhow::Result<Fetching> {
    let usual = Fetching::default();
    let allow_private = asked.allow_private_issuers.or(file.allow_private_issuers);
    let refetch_after = asked.jwks_refetch_after.or(file.jwks_refetch_after).unwrap_or(usual.refetch_after);
    anyhow::ensure!(
        refetch_after != Lifetime::ZERO,
        wrong_usage(
            "--jwks-refetch-after is a second at least, or strangers could make us ask as often as they like"
        )
    );
    Ok(Fetching {
        ca: asked.issuer_ca.as_ref().or(file.issuer_ca.as_ref()).cloned(),
        allow_private: allow_private.unwrap_or(usual.allow_private),
        refetch_after,
    })
}

/// Every key that was replaced is published for a week more, so that they would become too many.
fn rotation(every: Option<Lifetime>) -> anyhow::Result<Option<Lifetime>> {
    anyhow::ensure!(
        every.is_none_or(|every| every >= Lifetime::from_hours(24)),
        wrong_usage("--rotate-keys-every is a day at least")
    );
    Ok(every)
}

fn per_minute(asked: Option<u32>, of_file: Option<NonZeroU32>, default: u32) -> u32 {
    asked.or(of_file.map(NonZeroU32::get)).unwrap_or(default)
}

fn seconds(lifetime: Lifetime) -> Duration {
    Duration::from_secs(lifetime.as_seconds().into())
}

/// As the server wants it; a single slash is no path at all.
fn checked_base_path(text: &str) -> anyhow::Result<String> {
    let text = if text == "/" { "" } else { text };
    tokenberg_actix::check_base_path(text).map_err(|fault| wrong_usage(format!("--base-path: {fault}")))?;
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        serve: Serve,
    }

    fn settings(flags: &[&str], file: &str) -> anyhow::Result<Settings> {
        let flags = Flags::parse_from(std::iter::once(&"serve").chain(flags));
        let file: ConfigFile = toml::from_str(file)?;
        let settings = Settings::with_file(&flags.common, &flags.serve, &file)?;
        settings.check_transport(
            flags.serve.behind_tls_terminator.or(file.behind_tls_terminator).unwrap_or(false),
        )?;
        Ok(settings)
    }

    #[test]
    fn ht_19_open_lines_are_refused_with_both_ways_out() {
        let open = ["--listen", "0.0.0.0:1", "--issuer", "https://a.example"];
        let fault = settings(&open, "").err().unwrap().to_string();
        assert!(fault.contains("--tls-cert") && fault.contains("--behind-tls-terminator"), "{fault}");
        settings(&[&open[..], &["--behind-tls-terminator"]].concat(), "").unwrap();
        settings(&[&open[..], &["--tls-cert", "c", "--tls-key", "k"]].concat(), "").unwrap();
        settings(&open, "behind-tls-terminator = true").unwrap();
        assert!(
            settings(
                &[&open[..], &["--behind-tls-terminator=false"]].concat(),
                "behind-tls-terminator = true"
            )
            .is_err()
        );
        assert!(settings(&["--behind-tls-terminator", "--tls-cert", "c", "--tls-key", "k"], "").is_err());
        assert!(settings(&["--tls-cert", "c"], "").is_err());
        assert!(settings(&["--tls-client-ca", "a"], "").err().unwrap().to_string().contains("--tls-cert"));
    }

    #[test]
    fn op_12_the_issuer_is_demanded_where_the_address_makes_none() {
        for flags in [
            &["--listen", "0.0.0.0:1", "--tls-cert", "c", "--tls-key", "k"][..],
            &["--listen", "10.0.0.1:1", "--behind-tls-terminator"],
        ] {
            assert!(settings(flags, "").err().unwrap().to_string().contains("--issuer"));
        }
        assert!(settings(&["--issuer", "http://a.example"], "").is_err());
        let issuer = |flags: &[&str]| settings(flags, "").unwrap().issuer_at(7).unwrap().to_string();
        assert_eq!(issuer(&[]), "http://127.0.0.1:7");
        assert_eq!(issuer(&["--listen", "[::1]:0", "--base-path", "/a/b"]), "http://[::1]:7/a/b");
        assert_eq!(issuer(&["--tls-cert", "c", "--tls-key", "k", "--base-path", "/"]), "https://127.0.0.1:7");
        assert_eq!(issuer(&["--issuer", "https://a.example", "--base-path", "/a"]), "https://a.example");
    }

    #[test]
    fn a_flag_beats_the_file() {
        let file = "listen = \"127.0.0.1:5\"\nissuer = \"https://f.example\"\nworkers = 3\nalg = \"EdDSA\"\nlog-format = \"json\"";
        let of_file = settings(&[], file).unwrap();
        assert_eq!((of_file.listen.port(), of_file.workers, of_file.alg), (5, Some(3), Algorithm::EdDSA));
        assert_eq!(of_file.log_format, LogFormat::Json);
        let of_flags =
            settings(&["--listen", "127.0.0.1:6", "--workers", "1", "--alg", "ES384"], file).unwrap();
        assert_eq!((of_flags.listen.port(), of_flags.workers, of_flags.alg), (6, Some(1), Algorithm::ES384));
        assert_eq!(of_flags.issuer.unwrap().as_str(), "https://f.example");
    }

    #[test]
    fn ks_06_issuers_are_public_and_asked_once_a_minute_unless_somebody_says_otherwise() {
        let fetching = |flags: &[&str], file: &str| settings(flags, file).unwrap().fetching;
        assert_eq!(fetching(&[], ""), Fetching::default());
        let file = "issuer-ca = \"ca.pem\"\nallow-private-issuers = true\njwks-refetch-after = \"2m\"";
        let of_file = Fetching {
            ca: Some("ca.pem".into()),
            allow_private: true,
            refetch_after: Lifetime::from_seconds(120),
        };
        assert_eq!(fetching(&[], file), of_file);
        let flags = ["--issuer-ca", "b.pem", "--allow-private-issuers=false", "--jwks-refetch-after", "5s"];
        let of_flags = Fetching {
            ca: Some("b.pem".into()),
            allow_private: false,
            refetch_after: Lifetime::from_seconds(5),
        };
        assert_eq!(fetching(&flags, file), of_flags);
        assert!(settings(&["--jwks-refetch-after", "0s"], "").is_err());
    }

    #[test]
    fn ht_22_op_12_proxies_and_limits_come_from_flag_or_file() {
        let file = "trusted-proxy = [\"10.0.0.0/8\", \"2001:db8::/32\"]\nfailures-per-client = 7\nfailures_per_source = 70";
        let of_file = settings(&[], file).unwrap();
        assert!(of_file.trusted_proxies.contains("10.1.2.3".parse().unwrap()) && of_file.faces_clients());
        assert_eq!((of_file.failures_per_client, of_file.failures_per_source), (7, 70));
        let flags = ["--trusted-proxy", "192.0.2.0/24,198.51.100.1", "--failures-per-client", "8"];
        let of_flags = settings(&flags, file).unwrap();
        for (address, trusted) in [("192.0.2.9", true), ("198.51.100.1", true), ("10.1.2.3", false)] {
            assert_eq!(of_flags.trusted_proxies.contains(address.parse().unwrap()), trusted, "{address}");
        }
        assert_eq!((of_flags.failures_per_client, of_flags.failures_per_source), (8, 70));
        let plain = settings(&[], "").unwrap();
        assert_eq!((plain.failures_per_client, plain.failures_per_source), (30, 600));
        assert!(plain.trusted_proxies.is_empty() && !plain.faces_clients());
        for wrong in ["trusted-proxy = [\"10.0.0.1/8\"]", "trusted-proxy = \"x\"", "failures-per-client = 0"]
        {
            assert!(settings(&[], wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn base_paths_are_paths() {
        for wrong in ["a", "/a/", "/a//b", "/a b", "/ä", "//"] {
            assert!(settings(&["--base-path", wrong], "").is_err(), "{wrong}");
        }
    }
}
