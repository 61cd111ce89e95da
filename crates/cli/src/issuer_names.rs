//! Warnings about names that two principals could have, although catalogs decide by `sub` alone: RFC 9068 §5, conformance CC-17.

use tokenberg_core::explanation::quoted;
use tokenberg_core::issuer::{SubjectNames, prefixes_overlap, suggested_prefix};
use tokenberg_core::{ClientId, Issuer, TrustedIssuer};
use tokenberg_store::IssuerRecord;

/// The trusted issuers, in the order in which they were registered.
pub(crate) struct Names<'a>(Vec<Named<'a>>);

/// An issuer, and the prefix that it could have.
struct Named<'a> {
    trusted: &'a TrustedIssuer,
    suggestion: String,
}

/// The maximum number of clients that a warning names.
pub(crate) const MOST_CLIENTS: usize = 3;

impl<'a> Names<'a> {
    /// The names of issuers in the order in which they were registered.
    pub(crate) fn new(issuers: impl IntoIterator<Item = &'a TrustedIssuer>) -> Self {
        let issuers: Vec<&TrustedIssuer> = issuers.into_iter().collect();
        let mut names: Vec<Named<'_>> = Vec::with_capacity(issuers.len());
        for trusted in &issuers {
            let prefixes = issuers.iter().filter_map(|other| other.trust.subject_prefix.as_deref());
            let is_taken = |prefix: &str| {
                let suggested = names.iter().map(|named| named.suggestion.as_str());
                prefixes.clone().chain(suggested).any(|other| prefixes_overlap(prefix, other))
            };
            let suggestion = suggested_prefix(&trusted.issuer, is_taken);
            names.push(Named { trusted, suggestion });
        }
        Self(names)
    }

    /// The names of issuers as the store lists them.
    pub(crate) fn of_records(records: &'a [IssuerRecord]) -> Self {
        let mut records: Vec<&IssuerRecord> = records.iter().collect();
        records.sort_by_key(|record| (record.created_at, record.trusted.issuer.as_str()));
        Self::new(records.into_iter().map(|record| &record.trusted))
    }

    /// A prefix for the issuer that is not among these.
    pub(crate) fn free_prefix(&self, issuer: &Issuer) -> String {
        let taken = |prefix: &str| {
            self.0.iter().any(|named| named.prefix().is_some_and(|other| prefixes_overlap(prefix, other)))
        };
        suggested_prefix(issuer, taken)
    }

    fn enabled(&self) -> impl Iterator<Item = &Named<'a>> {
        self.0.iter().filter(|named| named.trusted.enabled)
    }

    fn find(&self, issuer: &Issuer) -> Option<&Named<'a>> {
        self.0.iter().find(|named| named.issuer() == issuer)
    }

    /// The prefix of the issuer's users, if it has users and a prefix.
    pub(crate) fn prefix_of(&self, issuer: &Issuer) -> Option<&'a str> {
        let trust = &self.find(issuer)?.trusted.trust;
        trust.subject_prefix.as_deref().filter(|_| trust.names_subjects())
    }

    /// Issuers of an earlier version about whose users' names the operator has to decide, each with the open decision: their users may
    /// have the names of others, or receive no token because their prefix overlaps with another one.
    pub(crate) fn open(&self) -> impl Iterator<Item = (&Issuer, String)> {
        let of_prefixes = (0..self.0.len()).flat_map(|at| {
            let issuer = self.0[at].issuer();
            self.overlaps(at, 0..at).into_iter().map(move |sentence| (issuer, sentence))
        });
        self.undecided().chain(of_prefixes)
    }

    fn undecided(&self) -> impl Iterator<Item = (&Issuer, String)> {
        self.enabled().filter(|named| named.is_undecided()).map(|named| (named.issuer(), named.decide()))
    }

    /// The warnings while the issuer is added or changed, about its users and those of all other enabled issuers.
    pub(crate) fn of_issuer(&self, issuer: &Issuer) -> Vec<String> {
        let Some(at) = self.0.iter().position(|named| named.issuer() == issuer) else { return Vec::new() };
        let others = |other: &usize| *other != at && self.0[*other].trusted.enabled;
        let others: Vec<usize> = (0..self.0.len()).filter(others).collect();
        let undecided = Some(&self.0[at]).filter(|named| named.is_undecided()).map(Named::decide);
        let overlaps = self.overlaps(at, (0..self.0.len()).filter(|other| *other != at));
        undecided.into_iter().chain(self.alike(at, &others)).chain(overlaps).collect()
    }

    /// The note about a new issuer without a prefix: which of its users get no token, and what can be decided.
    pub(crate) fn without_prefix(&self, issuer: &Issuer) -> Option<String> {
        let named = self.find(issuer)?;
        let trust = &named.trusted.trust;
        let is_noted = trust.names_subjects()
            && named.prefix().is_none()
            && trust.subject_names == SubjectNames::Separate;
        is_noted.then(|| {
            format!(
                "catalogs authorize by `sub` alone, so a user of {issuer} with the name of a registered client receives no token: \
                 `{}` gives its users separate names ({}alice); `{}` states that equal names are one principal",
                named.command(&named.prefix_option()),
                named.suggestion,
                named.command("--shared-names")
            )
        })
    }

    /// The clients whose names users of the issuer would have by its prefix; of more than three, the first three.
    pub(crate) fn clients_in_prefix<'c>(
        &self,
        issuer: &Issuer,
        clients: impl IntoIterator<Item = &'c ClientId>,
    ) -> Option<String> {
        let named = self.find(issuer)?;
        let prefix = self.prefix_of(issuer)?;
        let mut clients = clients.into_iter().filter(|id| named.trusted.trust.could_name(id.as_str()));
        let shown: Vec<&str> = clients.by_ref().take(MOST_CLIENTS).map(ClientId::as_str).collect();
        let others = if clients.next().is_some() { " and others" } else { "" };
        let what = if named.may_share() {
            "catalogs, which authorize by `sub` alone, treat users with these names as the clients"
        } else {
            "users with these names in catalogs receive no token"
        };
        (!shown.is_empty()).then(|| {
            format!(
                "names of clients begin with {prefix:?}, the prefix of users of {issuer} ({}{others}): {what}; `{}` separates them",
                shown.join(", "),
                named.command(&named.prefix_option())
            )
        })
    }

    /// The warnings while a client is registered under the name: which users could have the same name.
    pub(crate) fn of_client(&self, id: &ClientId) -> Vec<String> {
        let could = |named: &&Named<'_>| named.trusted.trust.could_name(id.as_str());
        self.enabled().filter(could).map(|named| named.and_client(id)).collect()
    }

    /// All warnings about the names as they are now.
    pub(crate) fn all<'c>(&self, clients: impl Iterator<Item = &'c ClientId> + Clone) -> Vec<String> {
        let mut all: Vec<String> = self.open().map(|(_, sentence)| sentence).collect();
        for (at, named) in self.0.iter().enumerate().filter(|(_, named)| named.trusted.enabled) {
            let earlier: Vec<usize> = (0..at).filter(|other| self.0[*other].trusted.enabled).collect();
            all.extend(self.alike(at, &earlier));
            all.extend(self.clients_in_prefix(named.issuer(), clients.clone()));
        }
        all
    }

    /// The warning that users of the issuer at one place and users of those at other places can have the same name.
    fn alike(&self, at: usize, others: &[usize]) -> Option<String> {
        let named = &self.0[at];
        let can_be_alike =
            |named: &Named<'_>| named.trusted.trust.names_subjects() && named.prefix().is_none();
        let is_alike = |other: &&Named<'_>| can_be_alike(other) && !(named.is_shared() && other.is_shared());
        let others: Vec<&Named<'_>> = others.iter().map(|place| &self.0[*place]).filter(is_alike).collect();
        (can_be_alike(named) && !others.is_empty()).then(|| named.alike(&others))
    }

    /// The warnings that the prefix of the issuer at one place overlaps with those at other places. A prefix is reserved while its
    /// issuer is disabled, too.
    fn overlaps(&self, at: usize, others: impl Iterator<Item = usize>) -> Vec<String> {
        let named = &self.0[at];
        let Some(mine) = named.prefix() else { return Vec::new() };
        let has_users = |named: &Named<'_>| named.trusted.enabled && named.trusted.trust.names_subjects();
        let others = others.map(|other| &self.0[other]).filter(|other| {
            let does_overlap = other.prefix().is_some_and(|theirs| prefixes_overlap(mine, theirs));
            does_overlap && (has_users(named) || has_users(other))
        });
        let ends = format!("`{}` separates them", named.command(&named.prefix_option()));
        others.map(|other| format!("{}; {ends}", overlapping(named, other))).collect()
    }
}

impl Named<'_> {
    fn issuer(&self) -> &Issuer {
        &self.trusted.issuer
    }

    fn prefix(&self) -> Option<&str> {
        self.trusted.trust.subject_prefix.as_deref()
    }

    fn is_shared(&self) -> bool {
        self.trusted.trust.subject_names == SubjectNames::Shared
    }

    fn is_undecided(&self) -> bool {
        self.trusted.trust.names_subjects() && self.trusted.trust.subject_names == SubjectNames::Undecided
    }

    fn may_share(&self) -> bool {
        match self.trusted.trust.subject_names {
            SubjectNames::Undecided | SubjectNames::Shared => true,
            SubjectNames::Separate => false,
        }
    }

    /// The command that changes the issuer with these options.
    fn command(&self, options: &str) -> String {
        format!("tokenberg issuer change {} {options}", quoted(self.issuer().as_str()))
    }

    fn prefix_option(&self) -> String {
        format!("--subject-prefix={}", quoted(&self.suggestion))
    }

    fn decide(&self) -> String {
        format!(
            "{} was registered by an earlier version: its users may have the names of clients and of other issuers' users, and catalogs, \
             which authorize by `sub` alone, treat them as these. Decide: with `{}`, a user with the name of a client receives no token; \
             with `{}`, its users have that prefix in catalogs; with `{}`, equal names are one principal, as now",
            self.issuer(),
            self.command("--separate-names"),
            self.command(&self.prefix_option()),
            self.command("--shared-names")
        )
    }

    fn alike(&self, others: &[&Named<'_>]) -> String {
        let names: Vec<&str> = others.iter().map(|other| other.issuer().as_str()).collect();
        let undeclared =
            std::iter::once(self).chain(others.iter().copied()).filter(|named| !named.is_shared());
        let shared: Vec<String> =
            undeclared.map(|named| format!("`{}`", named.command("--shared-names"))).collect();
        format!(
            "a user of {} and a user of {} can have the same name, and catalogs, which authorize by `sub` alone, treat them as one: \
             `{}` separates them; if equal names are one principal, {} states that",
            self.issuer(),
            names.join(" or "),
            self.command(&self.prefix_option()),
            shared.join(" with ")
        )
    }

    fn and_client(&self, id: &ClientId) -> String {
        let issuer = self.issuer();
        let user = match self.prefix() {
            None => format!("a user {id} of {issuer}"),
            Some(prefix) => format!(
                "the user {} of {issuer}, by its prefix {prefix:?},",
                id.as_str().strip_prefix(prefix).unwrap_or(id.as_str())
            ),
        };
        let apart = format!("`{}` gives its users separate names", self.command(&self.prefix_option()));
        if !self.may_share() {
            return format!(
                "{user} receives no token from now on, and its present tokens are inactive, because catalogs, which authorize by `sub` \
                 alone, would treat it as this client; `tokenberg audit | jq {}` lists those tokens; {apart}",
                quoted(&format!("select(.outcome == \"granted\" and .subject == {})", serde_json::json!(id)))
            );
        }
        format!(
            "catalogs, which authorize by `sub` alone, treat {user} as this client; {apart}; with `{}`, such a user receives no token",
            self.command("--separate-names")
        )
    }
}

/// The effect of two overlapping prefixes, which only an earlier version registered: a name that both could give is given by neither.
fn overlapping(named: &Named<'_>, other: &Named<'_>) -> String {
    let (mine, theirs) = (named.prefix().unwrap_or_default(), other.prefix().unwrap_or_default());
    if mine == theirs {
        return format!(
            "{} and {} have the same prefix {mine:?}, and catalogs, which authorize by `sub` alone, cannot distinguish their users: \
             users of both receive no token",
            other.issuer(),
            named.issuer(),
        );
    }
    let (short, long) = if mine.len() < theirs.len() { (named, other) } else { (other, named) };
    let (prefix, whole) = (short.prefix().unwrap_or_default(), long.prefix().unwrap_or_default());
    format!(
        "the prefix {whole:?} of {} begins with {prefix:?}, the prefix of {}, and catalogs, which authorize by `sub` alone, cannot \
         distinguish their users: users of {} receive no token, and neither does a user of {} whose name begins with {:?}",
        long.issuer(),
        short.issuer(),
        long.issuer(),
        short.issuer(),
        whole.get(prefix.len()..).unwrap_or_default(),
    )
}
