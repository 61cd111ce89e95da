//! The form: whatever is accepted holds no parameter twice, none empty, none with a control character.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tokenberg_core::request::{Form, Parameter};

fuzz_target!(|body: &[u8]| {
    let Ok(form) = Form::parse(body) else { return };
    for parameter in Parameter::ALL {
        let values: Vec<&str> = form.values(parameter).collect();
        let may_repeat = matches!(parameter, Parameter::Resource | Parameter::Audience);
        assert!(values.len() <= 1 || may_repeat);
        for value in values {
            assert!(!value.is_empty() && !value.contains('\0'));
            assert!(parameter == Parameter::Scope || !value.bytes().any(|b| b.is_ascii_control()));
        }
    }
});
