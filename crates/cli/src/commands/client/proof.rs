//! How a new client authenticates: by a secret, its own signature, a certificate, or a foreign identity; RFC 6749 §2.3,
//! RFC 7523 §2.2, RFC 8705 §2.1.

use super::certificate_name::alternative_name;
use crate::commands::jwks_file;
use crate::duration;
use crate::failure::wrong_usage;
use clap::{Args, ValueEnum};
use std::path::PathBuf;
use tokenberg_core::registration::{CertificateName, DistinguishedName, LONGEST_ASSERTION_LIFETIME};
use tokenberg_core::{AuthMethod, ClientId, Lifetime, Rights};

/// How it proves who it is.
#[derive(Debug, Args)]
pub(crate) struct Proof {
    /// How it proves who it is
    #[arg(long, value_name = "METHOD", default_value = "client_secret")]
    auth_method: Method,

    /// Take the secret from this file, or from standard input for `-`, instead of generating one; a newline at its end is
    /// no part of it
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,

    /// For private_key_jwt: the client's public keys, a JWK Set, in this file or on standard input for `-`
    #[arg(long, value_name = "FILE")]
    jwks: Option<PathBuf>,

    /// For tls_client_auth: the whole subject of its certificate, as RFC 4514 writes it: 'CN=spark,O=Example'
    #[arg(long, value_name = "DN", conflicts_with = "tls_san")]
    tls_subject: Option<DistinguishedName>,

    /// For tls_client_auth: one alternative name of its certificate: DNS:host, URI:spiffe://td/path, IP:10.0.0.1 or
    /// email:a@b; without a prefix the form tells which
    #[arg(long, value_name = "NAME", value_parser = alternative_name)]
    tls_san: Option<CertificateName>,

    /// For private_key_jwt: take the address of the token endpoint as `aud` of its assertions, as older libraries send it;
    /// without, only our issuer is taken, which nobody can pass on to another server
    #[arg(long)]
    endpoint_as_audience: bool,

    /// For private_key_jwt: how far ahead `exp` of its assertions may be, and how old they may be; 1h at most, as libraries make
    /// them that say nothing (Authlib) [default: 5m]
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    assertion_lifetime: Option<Lifetime>,

    /// Give it tokens only with a DPoP proof, so that what is stolen is of no use without its key
    #[arg(long)]
    dpop_bound: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Method {
    /// A secret, with HTTP Basic or in the body
    ClientSecret,
    /// A JWT that it signs with a private key of its own: --jwks has the public one
    PrivateKeyJwt,
    /// A certificate of an authority that `serve` trusts for clients: --tls-subject or --tls-san says which
    TlsClientAuth,
    /// Nothing of its own: a foreign identity, which `client federate` names
    Federated,
}

impl Method {
    fn is(self) -> AuthMethod {
        match self {
            Self::ClientSecret => AuthMethod::ClientSecret,
            Self::PrivateKeyJwt => AuthMethod::PrivateKeyJwt,
            Self::TlsClientAuth => AuthMethod::TlsClientAuth,
            Self::Federated => AuthMethod::Federated,
        }
    }
}

impl Proof {
    /// Writes the method into the rights, and returns the source of the secret, if the client has one.
    ///
    /// # Errors
    /// If an option contradicts the method, or the file of keys is invalid.
    pub(super) fn settle(self, id: &ClientId, rights: &mut Rights) -> anyhow::Result<Option<SecretSource>> {
        let method = self.auth_method;
        let name = method.is().as_str();
        let only_for = |is_given: bool, flag: &str, needed: Method| {
            if is_given && method != needed {
                let needed = needed.is().as_str();
                return Err(wrong_usage(format!(
                    "{flag} is for clients that authenticate with {needed}, and this one is to use {name}: add \
                     --auth-method {needed}, or leave {flag} out"
                )));
            }
            Ok(())
        };
        only_for(self.secret_file.is_some(), "--secret-file", Method::ClientSecret)?;
        only_for(self.jwks.is_some(), "--jwks", Method::PrivateKeyJwt)?;
        only_for(self.assertion_lifetime.is_some(), "--assertion-lifetime", Method::PrivateKeyJwt)?;
        only_for(self.endpoint_as_audience, "--endpoint-as-audience", Method::PrivateKeyJwt)?;
        only_for(self.tls_subject.is_some(), "--tls-subject", Method::TlsClientAuth)?;
        only_for(self.tls_san.is_some(), "--tls-san", Method::TlsClientAuth)?;
        rights.auth_method = method.is();
        rights.dpop_bound = self.dpop_bound;
        rights.endpoint_as_audience = self.endpoint_as_audience;
        if let Some(lifetime) = self.assertion_lifetime {
            duration::within("--assertion-lifetime", lifetime, LONGEST_ASSERTION_LIFETIME)?;
            rights.assertion_lifetime = lifetime;
        }
        match method {
            Method::ClientSecret => {
                // RFC 7617 §2 and Iceberg's `credential=ID:SECRET` both split at the first colon.
                if id.as_str().contains(':') {
                    return Err(wrong_usage(
                        "the identifier of a client with a secret has no colon, and the secret does not belong here but into a \
                         file (--secret-file); a client without a secret may have one, with another --auth-method",
                    ));
                }
                return Ok(Some(SecretSource(self.secret_file)));
            }
            Method::PrivateKeyJwt => {
                let file = self.jwks.ok_or_else(|| {
                    wrong_usage("private_key_jwt needs --jwks FILE: the public keys, so that its signature can be verified")
                })?;
                rights.jwks = Some(jwks_file::read(&file)?);
            }
            Method::TlsClientAuth => {
                let subject = self.tls_subject.map(|name| CertificateName::Subject(name.as_str().into()));
                let certificate = subject.or(self.tls_san).ok_or_else(|| {
                    wrong_usage(
                        "tls_client_auth needs --tls-subject DN or --tls-san NAME: an authority vouches for many certificates, and \
                         one of them is this client's",
                    )
                })?;
                rights.certificate = Some(certificate);
            }
            Method::Federated => {}
        }
        Ok(None)
    }
}

/// The source of a secret: a file, or none yet.
pub(super) struct SecretSource(pub(super) Option<PathBuf>);
