//! What does the configuration file say? TOML: every flag of `serve` is a key; conformance OP-12: an unknown key is an error.

use crate::commands::serve::AuditWhenFull;
use crate::duration;
use crate::logging::LogFormat;
use anyhow::Context;
use serde::{Deserialize, Deserializer};
use std::net::SocketAddr;
use std::num::{NonZeroU16, NonZeroU32};
use std::path::{Path, PathBuf};
use tokenberg_actix::Network;
use tokenberg_core::{Algorithm, Lifetime};

/// The file. Keys are called as the flags; `_` may stand for `-`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct ConfigFile {
    /// `--store`
    pub(crate) store: Option<String>,
    /// `--key-file`
    #[serde(alias = "key_file")]
    pub(crate) key_file: Option<PathBuf>,
    /// `--listen`
    pub(crate) listen: Option<SocketAddr>,
    /// `--ops-listen`
    #[serde(alias = "ops_listen")]
    pub(crate) ops_listen: Option<SocketAddr>,
    /// `--issuer`
    pub(crate) issuer: Option<String>,
    /// `--base-path`
    #[serde(alias = "base_path")]
    pub(crate) base_path: Option<String>,
    /// `--tls-cert`
    #[serde(alias = "tls_cert")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// `--tls-key`
    #[serde(alias = "tls_key")]
    pub(crate) tls_key: Option<PathBuf>,
    /// `--tls-client-ca`
    #[serde(alias = "tls_client_ca")]
    pub(crate) tls_client_ca: Option<PathBuf>,
    /// `--behind-tls-terminator`
    #[serde(alias = "behind_tls_terminator")]
    pub(crate) behind_tls_terminator: Option<bool>,
    /// `--trusted-proxy`
    #[serde(alias = "trusted_proxy", deserialize_with = "networks", default)]
    pub(crate) trusted_proxy: Option<Vec<Network>>,
    /// `--failures-per-client`
    #[serde(alias = "failures_per_client")]
    pub(crate) failures_per_client: Option<NonZeroU32>,
    /// `--failures-per-source`
    #[serde(alias = "failures_per_source")]
    pub(crate) failures_per_source: Option<NonZeroU32>,
    /// `--strict-iceberg-errors`
    #[serde(alias = "strict_iceberg_errors")]
    pub(crate) strict_iceberg_errors: Option<bool>,
    /// `--require-dpop-nonce`
    #[serde(alias = "require_dpop_nonce")]
    pub(crate) require_dpop_nonce: Option<bool>,
    /// `--alg`
    #[serde(deserialize_with = "signing_algorithm", default)]
    pub(crate) alg: Option<Algorithm>,
    /// `--log`
    pub(crate) log: Option<String>,
    /// `--log-format`
    #[serde(alias = "log_format")]
    pub(crate) log_format: Option<LogFormat>,
    /// `--issuer-ca`
    #[serde(alias = "issuer_ca")]
    pub(crate) issuer_ca: Option<PathBuf>,
    /// `--allow-private-issuers`
    #[serde(alias = "allow_private_issuers")]
    pub(crate) allow_private_issuers: Option<bool>,
    /// `--jwks-refetch-after`
    #[serde(alias = "jwks_refetch_after", deserialize_with = "length_of_time", default)]
    pub(crate) jwks_refetch_after: Option<Lifetime>,
    /// `--rotate-keys-every`
    #[serde(alias = "rotate_keys_every", deserialize_with = "length_of_time", default)]
    pub(crate) rotate_keys_every: Option<Lifetime>,
    /// `--workers`
    pub(crate) workers: Option<NonZeroU16>,
    /// `--drain-delay`
    #[serde(alias = "drain_delay", deserialize_with = "length_of_time", default)]
    pub(crate) drain_delay: Option<Lifetime>,
    /// `--max-staleness`
    #[serde(alias = "max_staleness", deserialize_with = "length_of_time", default)]
    pub(crate) max_staleness: Option<Lifetime>,
    /// `--audit-retention`
    #[serde(alias = "audit_retention", deserialize_with = "length_of_time", default)]
    pub(crate) audit_retention: Option<Lifetime>,
    /// `--audit-when-full`
    #[serde(alias = "audit_when_full")]
    pub(crate) audit_when_full: Option<AuditWhenFull>,
    /// `--audit-queue`
    #[serde(alias = "audit_queue")]
    pub(crate) audit_queue: Option<NonZeroU32>,
    /// `--audit-unauthenticated-bytes`
    #[serde(alias = "audit_unauthenticated_bytes")]
    pub(crate) audit_unauthenticated_bytes: Option<u32>,
}

fn length_of_time<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Lifetime>, D::Error> {
    let text = String::deserialize(from)?;
    duration::parse(&text).map(Some).map_err(serde::de::Error::custom)
}

fn signing_algorithm<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Algorithm>, D::Error> {
    let text = String::deserialize(from)?;
    Algorithm::for_signing(&text).map(Some).map_err(serde::de::Error::custom)
}

fn networks<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<Network>>, D::Error> {
    let texts = Vec::<String>::deserialize(from)?;
    let networks = texts.iter().map(|text| text.parse()).collect::<Result<_, _>>();
    networks.map(Some).map_err(serde::de::Error::custom)
}

/// Reads the file. Paths in it are relative to the working directory, as in arguments.
///
/// # Errors
/// If it cannot be read, is no TOML, or has a key that does not exist; the sentence names file and key.
pub(crate) fn read(path: &Path) -> anyhow::Result<ConfigFile> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("the configuration file {} cannot be read", path.display()))?;
    parse(&text, path)
}

pub(crate) fn parse(text: &str, path: &Path) -> anyhow::Result<ConfigFile> {
    toml::from_str(text).map_err(|fault| {
        let line =
            fault.span().map_or(0, |span| text.bytes().take(span.start).filter(|b| *b == b'\n').count() + 1);
        // Only key and message: the excerpt that goes with it may show a value that is nobody's business.
        let key = text.lines().nth(line.saturating_sub(1)).and_then(|line| line.split_once('='));
        let is_plain = |key: &&str| key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        let key = key.map(|(key, _)| key.trim()).filter(is_plain).map(|key| format!(", {key}"));
        let (path, key) = (path.display(), key.unwrap_or_default());
        anyhow::anyhow!("the configuration file {path}, line {line}{key}: {}", fault.message())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn op_12_an_unknown_key_is_named_with_its_file() {
        let fault =
            parse("listen = \"127.0.0.1:1\"\nlisen = 1\n", Path::new("a/b.toml")).unwrap_err().to_string();
        assert!(
            fault.contains("a/b.toml") && fault.contains("line 2") && fault.contains("`lisen`"),
            "{fault}"
        );
        let wrong = parse("workers = \"hush\"", Path::new("b.toml")).unwrap_err().to_string();
        assert!(wrong.contains("line 1, workers:"), "{wrong}");
    }

    #[test]
    fn at_01_a_key_of_ours_is_for_an_algorithm_that_we_sign_with() {
        let read = |alg: &str| parse(&format!("alg = \"{alg}\""), Path::new("t.toml"));
        assert_eq!(read("PS256").unwrap().alg, Some(Algorithm::PS256));
        for alg in ["RS384", "RS512", "PS384", "PS512", "HS256"] {
            let fault = read(alg).unwrap_err().to_string();
            assert!(fault.contains("line 1, alg: our keys sign with"), "{fault}");
        }
    }

    #[test]
    fn keys_are_called_as_the_flags() {
        for text in
            ["tls-cert = \"c.pem\"\ntls-key = \"/k.pem\"", "tls_cert = \"c.pem\"\ntls_key = \"/k.pem\""]
        {
            let file = parse(text, Path::new("etc/t.toml")).unwrap();
            assert_eq!(file.tls_cert, Some("c.pem".into()));
            assert_eq!(file.tls_key, Some("/k.pem".into()));
        }
    }
}
