//! The request: what was parsed prints, and what was printed parses to the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tokenberg_core::TokenRequest;
use tokenberg_core::client::ClientAuthentication;
use tokenberg_core::request::Form;

fuzz_target!(|body: &[u8]| {
    let Ok(form) = Form::parse(body) else { return };
    let Ok(request) = TokenRequest::from_form(&form) else { return };
    let printed = request.to_http(&ClientAuthentication::None);
    let form = Form::parse(printed.form.expose().as_bytes()).expect("what was printed is a form");
    let again = TokenRequest::from_form(&form).expect("what was printed is a request");
    assert_eq!(again.to_http(&ClientAuthentication::None).form.expose(), printed.form.expose());
    assert_eq!(again.grant_type(), request.grant_type());
    assert_eq!(again.scope(), request.scope());
});
