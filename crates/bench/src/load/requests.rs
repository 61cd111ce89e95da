//! The requests of a grant, built before the load begins so that building them is not measured.

use super::proof::ProofKey;
use super::target::Target;
use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::ValueEnum;
use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};

/// The grant and the clients of the requests.
#[derive(clap::Args)]
pub(crate) struct Plan {
    /// The kind of request.
    #[arg(long, value_enum, default_value_t = Grant::ClientCredentials)]
    grant: Grant,
    /// The requesting client.
    #[arg(long, default_value = "")]
    client: String,
    /// A file with its secret.
    #[arg(long)]
    secret_file: Option<PathBuf>,
    /// The client whose tokens are the subjects of an exchange; by default the requesting client.
    #[arg(long)]
    subject: Option<String>,
    /// A file with the secret of the subject.
    #[arg(long)]
    subject_secret_file: Option<PathBuf>,
    /// The number of subject tokens that take turns.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    subjects: u32,
    /// The requested scope; none, if it is empty.
    #[arg(long, default_value = "catalog")]
    scope: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Grant {
    /// A token for the client itself.
    ClientCredentials,
    /// The same with a DPoP proof, which is used once: each request waits for the store.
    Dpop,
    /// A token in exchange for a token.
    Exchange,
    /// The same, with the client's own token as the actor.
    Delegation,
    /// Each token in exchange for the next one, as by a client that renews.
    Refresh,
    /// An empty POST: the ceiling of the transport.
    Static,
}

impl Plan {
    pub(super) fn name(&self) -> String {
        self.grant.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

const EXCHANGE: &str = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange";
const ACCESS_TOKEN: &str = "urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token";

/// The requests, byte for byte.
pub(super) struct Requests {
    shape: Shape,
    scope: String,
    fixed: Vec<Vec<u8>>,
    /// The body of requests that each need a proof, and the key for these.
    proven: Option<(String, ProofKey)>,
    turn: Cell<usize>,
    /// The requests of renewing connections, one each.
    renewals: RefCell<Vec<Vec<u8>>>,
}

struct Shape {
    head: String,
    refreshes: bool,
}

impl Requests {
    /// Obtains the tokens that the requests need.
    pub(super) async fn prepare(plan: &Plan, target: &Target) -> Result<Self> {
        let scope =
            if plan.scope.is_empty() { String::new() } else { format!("&scope={}", encoded(&plan.scope)) };
        if plan.grant == Grant::Static {
            let shape = Shape { head: head(target, None), refreshes: false };
            let body = format!("grant_type=client_credentials{scope}");
            return Ok(Self::of(shape, scope, vec![body]));
        }
        let authorization = basic(&plan.client, plan.secret_file.as_deref())?;
        let shape =
            Shape { head: head(target, Some(&authorization)), refreshes: plan.grant == Grant::Refresh };
        let credentials = format!("grant_type=client_credentials{scope}");
        let own = shape.request(&credentials);
        if plan.grant == Grant::Dpop {
            let proven = Some((credentials, ProofKey::new(target.url())?));
            return Ok(Self { proven, ..Self::of(shape, scope, Vec::new()) });
        }
        let bodies = match plan.grant {
            Grant::ClientCredentials | Grant::Dpop | Grant::Static => vec![credentials],
            Grant::Refresh => vec![refresh(&token(target, &own).await?, &scope)],
            Grant::Exchange | Grant::Delegation => {
                let actor = match plan.grant {
                    Grant::Delegation => {
                        let token = token(target, &own).await?;
                        format!("&actor_token={token}&actor_token_type={ACCESS_TOKEN}")
                    }
                    Grant::ClientCredentials
                    | Grant::Dpop
                    | Grant::Exchange
                    | Grant::Refresh
                    | Grant::Static => String::new(),
                };
                let subject = match &plan.subject {
                    None => own,
                    Some(subject) => {
                        let authorization = basic(subject, plan.subject_secret_file.as_deref())?;
                        let head = head(target, Some(&authorization));
                        Shape { head, refreshes: false }.request(&credentials)
                    }
                };
                let mut bodies = Vec::new();
                for _ in 0..plan.subjects {
                    let token = token(target, &subject).await?;
                    bodies.push(format!("{}{actor}", refresh(&token, &scope)));
                }
                bodies
            }
        };
        Ok(Self::of(shape, scope, bodies))
    }

    fn of(shape: Shape, scope: String, bodies: Vec<String>) -> Self {
        let fixed = bodies.iter().map(|body| shape.request(body)).collect();
        Self { shape, scope, fixed, proven: None, turn: Cell::new(0), renewals: RefCell::default() }
    }

    /// Where a connection begins.
    pub(super) fn first(&self) -> Option<usize> {
        self.shape.refreshes.then(|| {
            let mut renewals = self.renewals.borrow_mut();
            renewals.push(self.fixed[0].clone());
            renewals.len() - 1
        })
    }

    /// The next request of a connection.
    pub(super) fn next(&self, own: Option<usize>) -> Result<Cow<'_, [u8]>> {
        if let Some((body, key)) = &self.proven {
            let head = format!("{}DPoP: {}\r\n", self.shape.head, key.proof()?);
            return Ok(Cow::Owned(Shape { head, refreshes: false }.request(body)));
        }
        if let Some(own) = own {
            return Ok(Cow::Owned(self.renewals.borrow()[own].clone()));
        }
        let turn = self.turn.get();
        self.turn.set((turn + 1) % self.fixed.len());
        Ok(Cow::Borrowed(&self.fixed[turn]))
    }

    /// Uses the token of an answer for the next request, if the connection renews.
    pub(super) fn answered(&self, own: Option<usize>, body: &[u8]) -> Option<usize> {
        if let (Some(own), Some(token)) = (own, access_token(body)) {
            self.renewals.borrow_mut()[own] = self.shape.request(&refresh(token, &self.scope));
        }
        own
    }
}

impl Shape {
    fn request(&self, body: &str) -> Vec<u8> {
        format!("{}Content-Length: {}\r\n\r\n{body}", self.head, body.len()).into_bytes()
    }
}

fn refresh(token: &str, scope: &str) -> String {
    format!("{EXCHANGE}&subject_token={token}&subject_token_type={ACCESS_TOKEN}{scope}")
}

fn head(target: &Target, authorization: Option<&str>) -> String {
    let authorization = authorization.map(|value| format!("Authorization: {value}\r\n")).unwrap_or_default();
    format!(
        "POST {} HTTP/1.1\r\nHost: {}\r\n{authorization}Accept: */*\r\nContent-Type: application/x-www-form-urlencoded\r\n",
        target.path, target.authority
    )
}

fn basic(client: &str, secret_file: Option<&Path>) -> Result<String> {
    ensure!(!client.is_empty(), "--client is required");
    let path = secret_file.with_context(|| format!("the secret of {client} is read from a file"))?;
    let secret =
        std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
    Ok(format!("Basic {}", STANDARD.encode(format!("{client}:{}", secret.trim_end_matches('\n')))))
}

async fn token(target: &Target, request: &[u8]) -> Result<String> {
    let mut connection = target.connect().await?;
    let answer = connection.exchange(request).await?;
    let body = String::from_utf8_lossy(connection.body()).into_owned();
    ensure!(answer.status == 200, "no token: {} {body}", answer.status);
    access_token(body.as_bytes()).map(str::to_owned).context("the answer has no access_token")
}

fn access_token(body: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(body).ok()?;
    let (_, rest) = text.split_once("\"access_token\":")?;
    rest.trim_start().strip_prefix('"')?.split('"').next()
}

fn encoded(text: &str) -> String {
    text.bytes()
        .map(|b| match b {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(b).to_string(),
            b' ' => "+".to_owned(),
            other => format!("%{other:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_of_an_answer_is_found_and_texts_are_encoded() {
        assert_eq!(access_token(br#"{"access_token": "a.b.c","scope":"x"}"#), Some("a.b.c"));
        assert_eq!(access_token(br#"{"error":"invalid_client"}"#), None);
        assert_eq!(encoded("catalog ns:read"), "catalog+ns%3Aread");
    }
}
