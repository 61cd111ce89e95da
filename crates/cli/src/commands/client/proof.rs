//! How a new client authenticates: by a secret, its own signature, a certificate, or a foreign identity; RFC 6749 §2.3,
//! RFC 7523 §2.2, RFC 8705 §2.1.

use super::certificate_name::alternative_name;
use super::new_key::NewKey;
use super::terms::check_public;
use crate::commands::jwks_file;
use crate::duration;
use crate::failure::wrong_usage;
use clap::{Args, ValueEnum};
use std::path::PathBuf;
use tokenberg_core::jws::Algorithm;
use tokenberg_core::registration::{CertificateName, DistinguishedName, LONGEST_ASSERTION_LIFETIME};
use tokenberg_core::{AuthMethod, ClientId, GrantType, Lifetime, Rights};

/// How the client authenticates.
#[derive(Debug, Args)]
pub(crate) struct Proof {
    /// How the client authenticates
    #[arg(long, value_name = "METHOD", default_value = "client_secret")]
    auth_method: Method,

    /// Read the secret from this file (`-`: standard input) instead of generating one; one trailing newline is ignored
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,

    /// Let the secret expire after this time, such as 90d
    #[arg(long, value_name = "DURATION", value_parser = duration::at_least(1))]
    pub(super) secret_expires: Option<Lifetime>,

    /// For private_key_jwt: file with the client's public keys, as a JWK Set, a JWK or PEM (`-`: standard input)
    #[arg(long, value_name = "FILE")]
    jwks: Option<PathBuf>,

    /// For private_key_jwt: create a key pair, and write the private key to this new file (PKCS#8, PEM, mode 0600)
    #[arg(long, value_name = "FILE", conflicts_with = "jwks")]
    pub(super) new_key: Option<PathBuf>,

    /// For tls_client_auth: complete subject of the certificate in RFC 4514 form, such as 'CN=spark,O=Example'
    #[arg(long, value_name = "DN", conflicts_with = "tls_san")]
    tls_subject: Option<DistinguishedName>,

    /// For tls_client_auth: a subject alternative name of the certificate: DNS:host, URI:spiffe://td/path, IP:10.0.0.1 or
    /// email:a@b. Without a prefix, the type is inferred from the form
    #[arg(long, value_name = "NAME", value_parser = alternative_name)]
    tls_san: Option<CertificateName>,

    /// For private_key_jwt: also accept the URL of the token endpoint as `aud` of assertions, as older libraries send it. By
    /// default only the server's issuer is accepted, which prevents other authorization servers from replaying an assertion
    #[arg(long)]
    endpoint_as_audience: bool,

    /// For private_key_jwt: maximum age of an assertion (`iat`), and maximum time until it expires (`exp`); at most 1h, the
    /// default of some libraries (Authlib) [default: 5m]
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    assertion_lifetime: Option<Lifetime>,

    /// Issue tokens to this client only with a DPoP proof, so that a stolen token is useless without the client's key
    #[arg(long)]
    dpop_bound: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Method {
    /// A secret, in HTTP Basic or in the request body
    ClientSecret,
    /// A JWT that the client signs with its private key; --jwks has its public keys
    PrivateKeyJwt,
    /// A certificate from a CA in `serve --tls-client-ca`; --tls-subject or --tls-san names it
    TlsClientAuth,
    /// A token of another issuer, for an identity that `client federate` maps to the client
    Federated,
    /// No credential: it exchanges ID tokens that were issued to it, for users of --may-impersonate, and does nothing else
    None,
}

impl Method {
    fn is(self) -> AuthMethod {
        match self {
            Self::ClientSecret => AuthMethod::ClientSecret,
            Self::PrivateKeyJwt => AuthMethod::PrivateKeyJwt,
            Self::TlsClientAuth => AuthMethod::TlsClientAuth,
            Self::Federated => AuthMethod::Federated,
            Self::None => AuthMethod::Public,
        }
    }
}

impl Proof {
    /// The grants of a client that authenticates like this, unless the operator names others.
    pub(super) fn default_grants(&self) -> &'static [GrantType] {
        match self.auth_method {
            // It gets no token for itself.
            Method::None => &[GrantType::TokenExchange],
            Method::ClientSecret | Method::PrivateKeyJwt | Method::TlsClientAuth | Method::Federated => {
                &[GrantType::ClientCredentials, GrantType::TokenExchange]
            }
        }
    }

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
                    "{flag} is for clients that authenticate with {needed}, but this client uses {name}: add \
                     --auth-method {needed}, or omit {flag}"
                )));
            }
            Ok(())
        };
        only_for(self.secret_file.is_some(), "--secret-file", Method::ClientSecret)?;
        only_for(self.secret_expires.is_some(), "--secret-expires", Method::ClientSecret)?;
        only_for(self.jwks.is_some(), "--jwks", Method::PrivateKeyJwt)?;
        only_for(self.new_key.is_some(), "--new-key", Method::PrivateKeyJwt)?;
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
                        "the ID of a client with a secret must not contain a colon; if you meant ID:SECRET, give the secret in a \
                         file (--secret-file). With another --auth-method, an ID may contain a colon",
                    ));
                }
                return Ok(Some(SecretSource(self.secret_file)));
            }
            Method::PrivateKeyJwt => {
                rights.jwks = Some(match (self.jwks, self.new_key) {
                    (Some(file), _) => jwks_file::read(&file)?,
                    (None, Some(file)) => NewKey::create(&file, Algorithm::ES256)?.added_to(None)?,
                    (None, None) => {
                        return Err(wrong_usage(
                            "private_key_jwt needs --jwks FILE, the client's public keys, or --new-key FILE, which creates a key pair",
                        ));
                    }
                });
            }
            Method::TlsClientAuth => {
                let subject = self.tls_subject.map(|name| CertificateName::Subject(name.as_str().into()));
                let certificate = subject.or(self.tls_san).ok_or_else(|| {
                    wrong_usage(
                        "tls_client_auth needs --tls-subject DN or --tls-san NAME, which identifies the client's certificate among \
                         those of the CA",
                    )
                })?;
                rights.certificate = Some(certificate);
            }
            Method::Federated => {}
            Method::None => {
                check_public(rights)?;
            }
        }
        Ok(None)
    }
}

/// The source of a secret: a file, or none yet.
pub(super) struct SecretSource(pub(super) Option<PathBuf>);
