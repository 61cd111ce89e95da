//! Compares each answer of the world with its explanation.

use tokenberg_core::explanation::{Explanation, Rule, Verdict};
use tokenberg_core::{Granted, NotGranted, Refusal, Timestamp};

/// # Panics
/// If the explanation differs from the answer, or contains a credential.
pub(crate) fn check(explanation: &Explanation, answer: &Result<Granted, NotGranted>, sent: &[u8]) {
    let is_used_before = |refusal: Option<&Refusal>| {
        let is_it = |rule: &Rule| matches!(rule, Rule::FirstUse { otherwise, .. } if refusal.is_none_or(|r| r == otherwise));
        explanation.rules.iter().any(is_it)
    };
    match (&explanation.verdict, answer) {
        (Verdict::Granted(would), Ok(granted)) => {
            assert_eq!(would.claims, granted.claims, "it is explained with other claims");
            assert_eq!(would.decision, granted.decision);
            let limits = would.limits.as_ref().expect("an explanation has the ceilings of each party");
            let scope = granted.claims.scope.tokens();
            assert!(
                scope.flat_map(|t| limits.scope.iter().map(move |c| c.allows(t))).all(|is| is),
                "{limits:?}"
            );
            let audience = granted.claims.audience.iter();
            assert!(
                audience.flat_map(|a| limits.audience.iter().map(move |c| c.allows(a))).all(|is| is),
                "{limits:?}"
            );
        }
        (Verdict::Refused(why), Err(NotGranted::Refused(refusal))) if why.refusal == *refusal => {
            assert!(!why.remedy.is_empty());
        }
        (_, Err(NotGranted::Refused(refusal))) => {
            assert!(is_used_before(Some(refusal)), "{refusal} is explained as {:?}", explanation.verdict);
        }
        (_, Err(NotGranted::Unwritten(_))) => assert!(is_used_before(None)),
        (Verdict::Undecided(explained), Err(NotGranted::KeysUnavailable(outage))) => {
            assert_eq!(explained, outage)
        }
        (verdict, _) => panic!("explained as {verdict:?}"),
    }
    let text: String =
        explanation.rules.iter().map(|rule| rule.sentence(&|at: Timestamp| at.to_string())).collect();
    let text = format!("{text} {:?}", explanation.verdict);
    // No two of a token's three parts occur together.
    for token in sent.split(|b| b"&=".contains(b)).filter(|part| part.len() > 100) {
        let token = String::from_utf8_lossy(token);
        for part in token.split('.').filter(|part| part.len() > 20) {
            assert!(!text.contains(part), "{part} is in the explanation");
        }
    }
}
