//! Why a sign-in fails: what `tokenberg login` says, and to whom; conformance LI-07.

use crate::openid_provider::{CLIENT, Setting, Waiting, visit};
use crate::support::{Place, within_a_second};
use serde_json::json;

#[test]
fn li_07_errors_name_the_address_and_what_to_do() {
    let setting = Setting::new(&[]);
    let url = setting.provider.url.clone();
    for (metadata, more, expected) in [
        (json!({"device_authorization_endpoint": null}), &["--device"][..], "does not offer the device flow"),
        (json!({"authorization_endpoint": null}), &[], "--device"),
        (json!({"token_endpoint": null}), &[], "no token_endpoint"),
        (json!({"code_challenge_methods_supported": ["plain"]}), &[], "PKCE"),
        (json!({"issuer": "https://evil.example"}), &[], "has another issuer"),
        // What a browser is never sent to.
        (json!({"authorization_endpoint": "file:///etc/passwd"}), &[], "must begin with https://"),
        (json!({"authorization_endpoint": "javascript:alert(1)"}), &[], "must begin with https://"),
        (json!({"authorization_endpoint": "http://idp.example/authorize"}), &[], "unencrypted"),
        (json!({"authorization_endpoint": "--new-window"}), &[], "not a URL"),
    ] {
        setting.provider.change(|it| it.metadata = metadata.clone());
        let said = setting.login(&[&["--no-browser"][..], more].concat()).said();
        let said = if more.is_empty() { said } else { setting.login(more).said() };
        assert!(said.code == 1 && said.err.contains(expected), "{metadata}: {}", said.err);
        assert!(said.err.contains(&url) || said.err.contains("must"), "{metadata}: {}", said.err);
    }
    setting.provider.change(|it| it.metadata = json!({}));
    // The person does not come back: perhaps the redirect URI is not registered.
    let said = setting.login(&["--no-browser", "--timeout", "1s"]).said();
    assert!(
        said.code == 1 && said.err.contains("register http://127.0.0.1/callback at the provider"),
        "{}",
        said.err
    );
    for (refusal, expected) in [
        ((401, json!({"error": "invalid_client"})), "as a public client"),
        (
            (400, json!({"error": "invalid_grant", "error_description": "redirect_uri mismatch"})),
            "redirect_uri mismatch",
        ),
        ((500, json!({})), "no token response"),
    ] {
        setting.provider.change(|it| it.refusal = Some((refusal.0, refusal.1.to_string())));
        let mut login = setting.login(&["--no-browser"]);
        visit(&setting.provider.redirect(&login.address(), ""));
        let said = login.said();
        assert!(said.err.contains(expected) && said.err.contains(&format!("{url}/token")), "{}", said.err);
    }
    // The token service refuses.
    setting.provider.change(|it| it.refusal = None);
    setting.place.run(&["client", "disable", CLIENT]).done();
    let refused = || {
        let mut login = setting.login(&["--no-browser"]);
        let page = visit(&setting.provider.redirect(&login.address(), ""));
        let said = login.said();
        (said.code == 1 && page.contains("The sign-in failed")).then_some(said.err)
    };
    within_a_second("the client is disabled", || refused().is_some());
    let err = refused().unwrap();
    let pattern = format!("--may-impersonate '{url}|*'");
    for part in
        ["/v1/oauth/tokens refused the request: 401", "tokenberg explain", "ada@example.com", &pattern]
    {
        assert!(err.contains(part), "{part}: {err}");
    }
    // Nothing listens.
    let login = |server: &str, issuer: &str| {
        Waiting::start(&setting.place, &["--server", server, "--client-id", CLIENT, "--issuer", issuer], &[])
            .said()
    };
    let said = login(&setting.server.url, "http://127.0.0.1:9");
    for part in ["--issuer", "http://127.0.0.1:9/.well-known/openid-configuration", "no server listens"] {
        assert!(said.code == 1 && said.err.contains(part), "{part}: {}", said.err);
    }
    for (wrong, expected) in [
        (&[][..], "--server is missing"),
        (&["--server", "https://a.example"], "--client-id is missing"),
        (&["--server", "https://a.example", "--client-id", "x"], "--issuer is missing"),
        (&["--redirect-uri", "https://app.example/cb"], "of this machine"),
        (&["--issuer-scope", "email"], "openid"),
        (&["--device", "--port", "8400"], "cannot be used with"),
        (&["--port", "0"], "0"),
    ] {
        // Where there is no session whose terms could be taken.
        let said = Waiting::start(&Place::new(), wrong, &[]).said();
        assert!(said.code == 2 && said.err.contains(expected), "{wrong:?}: {}", said.err);
    }
}
