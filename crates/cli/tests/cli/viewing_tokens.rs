//! The page that explains a pasted token: ours and those of other issuers, of which it leaves nothing behind.

use crate::foreign::claims;
use crate::support::within_a_second;
use crate::viewing::viewed;
use serde_json::json;
use tokenberg_testkit::ForeignKey;

#[test]
fn a_token_is_explained_and_left_nowhere() {
    let viewed = viewed();
    let secret = viewed.place.add("web", &["--scope", "catalog tokenberg:audit"]);
    within_a_second("the client", || viewed.server.ask("web", &secret).status == 200);
    let token = viewed.server.ask("web", &secret).token();
    let own = format!("{}Sec-Fetch-Site: same-origin\r\n", viewed.session());
    let answer = viewed.send("POST", "/ui/token", &own, &format!("token=Bearer+{token}"));
    assert!(answer.body.contains("its signature verifies") && answer.body.contains("web"), "{}", answer.body);
    let altered = format!("{}{}", &token[..token.len() - 4], "AAAA");
    let answer = viewed.send("POST", "/ui/token", &own, &format!("token={altered}"));
    assert!(answer.body.contains("not accepted as an access token"), "{}", answer.body);
    assert!(!viewed.server.log().contains(&token[token.len() - 20..]));
    assert!(!viewed.place.run(&["audit"]).done().out.contains(&token[token.len() - 20..]));
    // A program may look with a token of that scope, and only with that.
    let bearer = |token: &str| {
        viewed.send("GET", "/ui/clients", &format!("Authorization: Bearer {token}\r\n"), "").status
    };
    assert_eq!(bearer(&token), 403, "the scope was not granted");
    let form =
        format!("grant_type=client_credentials&client_id=web&client_secret={secret}&scope=tokenberg%3Aaudit");
    let auditor = viewed.server.tokens(&form).token();
    assert_eq!(bearer(&auditor), 200);
    assert_eq!(viewed.send("GET", &format!("/ui/clients?access_token={auditor}"), "", "").status, 401);
}

#[test]
fn a_token_of_another_issuer_is_verified_and_its_use_explained_and_it_is_left_nowhere() {
    let viewed = viewed();
    let (key, idp) = (ForeignKey::new(Some("k1")), "https://idp.example");
    viewed.place.file("idp.json", &key.jwks());
    let own = format!("{}Sec-Fetch-Site: same-origin\r\n", viewed.session());
    let inspect = |token: &str, client: &str| {
        let answer = viewed.send("POST", "/ui/token", &own, &format!("token={token}&client={client}"));
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.body
    };
    let token = key.sign(&claims(idp, "alice", "etl", &json!({})));
    assert!(inspect(&token, "").contains("Its issuer is not trusted here"));
    viewed.place.add("other", &[]);
    viewed.place.run(&["issuer", "add", idp, "--jwks", "idp.json", "--accept", "id_token"]).done();
    within_a_second("the issuer", || inspect(&token, "other").contains("Its issuer is trusted"));
    let has = |body: &str, texts: &[&str]| {
        texts.iter().for_each(|text| assert!(body.contains(text), "{text}: {body}"))
    };
    let verified = "Its signature verifies with the key k1 (ES256) of the issuer.";
    // The audience is the client that would present it, unless another one is named.
    let subject = "As subject, presented by etl as id_token: granted, for the subject alice";
    has(
        &inspect(&token, ""),
        &[verified, subject, "As actor, presented by etl as id_token", "As Bearer: refused"],
    );
    has(
        &inspect(&token, "other"),
        &[verified, "As subject, presented by other as id_token: refused, ", "To allow it: "],
    );
    has(&inspect(&token, "%3Cb%3E"), &[verified, "The client &lt;b&gt; is not registered."]);
    let forged = ForeignKey::new(Some("k1")).sign(&claims(idp, "alice", "etl", &json!({})));
    has(
        &inspect(&forged, ""),
        &["Its signature does not verify", "As subject, presented by etl as id_token: refused, "],
    );
    let ended = key.sign(&claims(idp, "alice", "etl", &json!({"iat": 1_700_000_000, "exp": 1_700_000_300})));
    has(&inspect(&ended, ""), &[verified, "As subject, presented by etl as id_token: refused, "]);
    let nameless = key.sign(&claims(idp, "alice", "urn:elsewhere", &json!({})));
    has(&inspect(&nameless, ""), &[verified, "name one below"]);
    // Keys are fetched for registered issuers within the limits of the server: here, not from a private address.
    let private = "https://127.0.0.1:1";
    let uri = format!("{private}/jwks");
    let unfetched = key.sign(&claims(private, "alice", "etl", &json!({})));
    has(&inspect(&unfetched, ""), &["Its issuer is not trusted here"]);
    viewed.place.run(&["issuer", "add", private, "--jwks-uri", &uri, "--accept", "id_token"]).done();
    within_a_second("the issuer", || {
        inspect(&unfetched, "").contains("Its signature was not checked: cannot obtain the keys")
    });
    viewed.place.run(&["issuer", "disable", idp]).done();
    within_a_second("the issuer is disabled", || inspect(&token, "").contains("registered, but disabled"));
    let signature = &token[token.len() - 40..];
    assert!(!viewed.server.log().contains(signature));
    assert!(!viewed.place.run(&["audit"]).done().out.contains(signature));
}
