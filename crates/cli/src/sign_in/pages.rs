//! The pages that the browser shows at the redirect URI. They hold nothing of the request, no link and no script.

/// The status and the body of an answer.
pub(super) type Page = (&'static str, &'static str);

/// The end of a sign-in that succeeded.
pub(super) const SIGNED_IN: Page = (
    "200 OK",
    concat!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">",
        "<meta name=\"color-scheme\" content=\"light dark\"><title>Signed in</title><main><h1>You are signed in</h1>",
        "<p>Close this page and return to the terminal. The commands <code>tokenberg token</code> and ",
        "<code>tokenberg exec</code> now have a token.</p></main></html>\n"
    ),
);

/// The end of a sign-in that failed.
pub(super) const FAILED: Page = (
    "400 Bad Request",
    concat!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">",
        "<meta name=\"color-scheme\" content=\"light dark\"><title>Sign-in failed</title><main><h1>The sign-in failed</h1>",
        "<p>Close this page and return to the terminal, which shows the reason.</p></main></html>\n"
    ),
);

/// The answer to a request that does not belong to the sign-in.
pub(super) const NOT_OURS: Page = (
    "400 Bad Request",
    concat!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">",
        "<meta name=\"color-scheme\" content=\"light dark\"><title>Not this sign-in</title><main>",
        "<h1>This page does not belong to the sign-in that is in progress</h1>",
        "<p>Nothing has happened. Close this page, and use the one that <code>tokenberg login</code> opened or printed. ",
        "If you followed a link from elsewhere to get here, do not trust it.</p></main></html>\n"
    ),
);

/// The answer at another address.
pub(super) const NOT_FOUND: Page = ("404 Not Found", "not found\n");
