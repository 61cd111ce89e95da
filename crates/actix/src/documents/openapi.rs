//! An OpenAPI 3.1 description of the routes, written by hand.

use crate::paths::{
    AUTHORIZATION_SERVER, INTROSPECTION, JWKS, OPENAPI, OPENID_CONFIGURATION, REVOCATION, TOKENS,
    VERIFICATION,
};
use serde_json::{Map, Value, json};
use tokenberg_core::metadata::Abilities;
use tokenberg_core::request::AssertionKind;
use tokenberg_core::{Issuer, TokenType};

/// The document.
pub(crate) fn document(issuer: &Issuer, can: Abilities) -> Value {
    let mut paths = Map::new();
    paths.insert(TOKENS.to_owned(), json!({ "post": token_operation(can) }));
    paths.insert(INTROSPECTION.to_owned(), json!({ "post": introspection_operation() }));
    if can.revokes {
        paths.insert(REVOCATION.to_owned(), json!({ "post": revocation_operation() }));
    }
    paths.insert(VERIFICATION.to_owned(), json!({ "get": verification_operation() }));
    for (path, id, summary) in [
        (JWKS, "getKeys", "The public keys that tokens are signed with (RFC 7517)"),
        (AUTHORIZATION_SERVER, "getMetadata", "Authorization server metadata (RFC 8414)"),
        (OPENID_CONFIGURATION, "getOpenidConfiguration", "The same content for OIDC discovery"),
    ] {
        paths.insert(path.to_owned(), json!({ "get": document_operation(id, summary, true) }));
    }
    let openapi = document_operation("getOpenapi", "This document", false);
    paths.insert(OPENAPI.to_owned(), json!({ "get": openapi }));
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Tokenberg",
            "summary": "The OAuth 2.0 token service for Apache Iceberg REST catalogs",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": issuer.as_str() }],
        "paths": paths,
        "components": {
            "schemas": {
                "TokenRequest": token_request(can),
                "TokenResponse": token_response(),
                "PresentedToken": presented_token(),
                "Introspection": introspection(),
                "Nothing": { "type": "object", "maxProperties": 0 },
                "OAuthError": oauth_error(),
                "CatalogError": catalog_error(),
            },
            "securitySchemes": {
                "Basic": { "type": "http", "scheme": "basic" },
                "Bearer": { "type": "http", "scheme": "bearer" },
            },
        },
    })
}

fn token_operation(can: Abilities) -> Value {
    let mut operation = form_operation(
        "getToken",
        "Obtain a token with client credentials, by token exchange or with an assertion (RFC 6749, RFC 8693, RFC 7523)",
        "The client authenticates with client_id and client_secret in the form, with Basic, with a client_assertion or a \
        certificate as the metadata say, or, for token exchange, with a Bearer that is also the subject_token or the actor_token.",
        "TokenRequest",
        response("The token", "TokenResponse", &["Cache-Control", "DPoP-Nonce"]),
    );
    operation["responses"]["400"] = error("The request is invalid", &["DPoP-Nonce"]);
    if can.records_uses {
        operation["parameters"] = json!([{
            "name": "DPoP",
            "in": "header",
            "description": "A proof of possession; the token is then bound to its key (RFC 9449)",
            "schema": { "type": "string" },
        }]);
    }
    operation
}

fn introspection_operation() -> Value {
    form_operation(
        "introspectToken",
        "Introspect a token: whether it is active, and its claims (RFC 7662)",
        "Available to clients that serve an audience of the token, and to the client that it was issued to. \
        The client authenticates as at the token endpoint, but not with a Bearer.",
        "PresentedToken",
        response("The state and the claims of the token", "Introspection", &["Cache-Control"]),
    )
}

fn revocation_operation() -> Value {
    form_operation(
        "revokeToken",
        "Revoke a token and all tokens of the same authentication (RFC 7009)",
        "Only the client that the token was issued to may. It authenticates as at the token endpoint, but not with a \
        Bearer.",
        "PresentedToken",
        response("The token is no longer valid", "Nothing", &["Cache-Control"]),
    )
}

fn verification_operation() -> Value {
    let parameter = |name: &str, place: &str, description: &str| {
        let schema = json!({ "type": "array", "items": { "type": "string" } });
        json!({ "name": name, "in": place, "description": description, "schema": schema, "explode": true })
    };
    const AUDIENCES: &str = "Audiences that the token must have; without it, the issuer";
    const SCOPE: &str = "Scope that the token must have";
    let identity =
        ["Subject", "Issuer", "Client", "Scope", "Actors"].map(|of| format!("X-Auth-Request-{of}"));
    let identity: Vec<&str> = identity.iter().map(String::as_str).collect();
    json!({
        "operationId": "verifyRequest",
        "summary": "Whether the Bearer token of a request is valid, for proxies",
        "description": "For nginx auth_request, Envoy ext_authz and forward authentication. Every method is answered, \
            no body is read, and a path may follow; then the query is ignored. Tokens that are bound to a key are refused.",
        "security": [{ "Bearer": [] }],
        "parameters": [
            parameter("audience", "query", AUDIENCES),
            parameter("scope", "query", SCOPE),
            parameter("X-Auth-Request-Required-Audience", "header", "The same as audience, in addition to it"),
            parameter("X-Auth-Request-Required-Scope", "header", "The same as scope, in addition to it"),
        ],
        "responses": {
            "200": response("The token is valid; the headers describe it", "Nothing", &identity),
            "401": response("There is no valid token", "CatalogError", &["WWW-Authenticate"]),
            "403": response("The token lacks the scope", "CatalogError", &["WWW-Authenticate"]),
            "500": response("The query is wrong, or an internal error", "CatalogError", &[]),
            "503": response("Try again", "CatalogError", &["Retry-After"]),
        },
    })
}

fn form_operation(id: &str, summary: &str, description: &str, form: &str, success: Value) -> Value {
    json!({
        "operationId": id,
        "summary": summary,
        "description": description,
        // As in Iceberg's own specification; an empty list means that no scheme is required.
        "security": [],
        "requestBody": {
            "required": true,
            "content": {
                "application/x-www-form-urlencoded": { "schema": { "$ref": format!("#/components/schemas/{form}") } },
            },
        },
        "responses": {
            "200": success,
            "400": error("The request is invalid", &[]),
            "401": error("The client was not authenticated", &["WWW-Authenticate"]),
            "405": error("Not POST", &["Allow"]),
            "408": error("The body did not arrive in time", &[]),
            "413": error("The body is too large", &[]),
            "429": error("Too many wrong secrets from this address; try again later", &["Retry-After"]),
            "431": error("The header is too large", &[]),
            "500": error("An internal error", &[]),
            "503": error("Try again", &["Retry-After"]),
        },
    })
}

fn document_operation(id: &str, summary: &str, cached: bool) -> Value {
    let mut responses = json!({
        "200": { "description": summary, "content": { "application/json": { "schema": { "type": "object" } } } },
        "405": error("Neither GET nor HEAD", &["Allow"]),
    });
    if cached {
        responses["304"] = json!({ "description": "Unchanged, by If-None-Match" });
    }
    json!({ "operationId": id, "summary": summary, "security": [], "responses": responses })
}

fn response(description: &str, schema: &str, headers: &[&str]) -> Value {
    let headers: Map<String, Value> =
        headers.iter().map(|name| ((*name).to_owned(), json!({ "schema": { "type": "string" } }))).collect();
    json!({
        "description": description,
        "headers": headers,
        "content": {
            "application/json": { "schema": { "$ref": format!("#/components/schemas/{schema}") } },
        },
    })
}

fn error(description: &str, headers: &[&str]) -> Value {
    response(description, "OAuthError", headers)
}

fn token_request(can: Abilities) -> Value {
    let text = |description: &str| json!({ "type": "string", "description": description });
    let token_type = |description: &str, types: &[TokenType]| {
        let urns: Vec<&str> = types.iter().map(|kind| kind.as_urn()).collect();
        json!({ "type": "string", "description": description, "enum": urns })
    };
    const PRESENTED: [TokenType; 3] = [TokenType::AccessToken, TokenType::IdToken, TokenType::Jwt];
    let mut properties = client_authentication();
    for (name, schema) in [
        ("grant_type", json!({ "type": "string", "enum": can.grants() })),
        ("scope", text("Space-separated; the registered default if absent")),
        (
            "requested_token_type",
            token_type("The requested token type", &[TokenType::AccessToken, TokenType::Jwt]),
        ),
        ("subject_token", text("The token of the subject")),
        ("subject_token_type", token_type("The type of subject_token", &PRESENTED)),
        ("actor_token", text("The token of the actor")),
        ("actor_token_type", token_type("The type of actor_token", &PRESENTED)),
        ("assertion", text("The JWT of a trusted issuer, for the jwt-bearer grant")),
        ("resource", json!({ "type": "array", "items": { "type": "string", "format": "uri" } })),
        ("audience", json!({ "type": "array", "items": { "type": "string" } })),
    ] {
        properties.insert(name.to_owned(), schema);
    }
    json!({ "type": "object", "required": ["grant_type"], "properties": properties })
}

/// The parameters by which a client authenticates in the form.
fn client_authentication() -> Map<String, Value> {
    let kinds = AssertionKind::ALL.map(AssertionKind::as_parameter);
    let members = [
        (
            "client_id",
            json!({ "type": "string", "description": "The client, if it authenticates in the form or by certificate" }),
        ),
        ("client_secret", json!({ "type": "string", "format": "password" })),
        ("client_assertion", json!({ "type": "string", "description": "A JWT of the client, or about it" })),
        ("client_assertion_type", json!({ "type": "string", "enum": kinds })),
    ];
    members.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect()
}

fn token_response() -> Value {
    json!({
        "type": "object",
        "required": ["access_token", "token_type", "expires_in", "issued_token_type", "scope"],
        "properties": {
            "access_token": { "type": "string" },
            "token_type": { "type": "string", "enum": ["bearer", "DPoP"] },
            "expires_in": { "type": "integer", "minimum": 1 },
            "issued_token_type": { "type": "string", "enum": [TokenType::AccessToken.as_urn()] },
            "scope": { "type": "string", "minLength": 1 },
        },
    })
}

fn presented_token() -> Value {
    let mut properties = client_authentication();
    for (name, description) in [("token", "An access token"), ("token_type_hint", "Ignored")] {
        properties.insert(name.to_owned(), json!({ "type": "string", "description": description }));
    }
    json!({ "type": "object", "required": ["token"], "properties": properties })
}

fn introspection() -> Value {
    let text = json!({ "type": "string" });
    json!({
        "type": "object",
        "required": ["active"],
        "properties": {
            "active": { "type": "boolean", "description": "If it is false, there are no other members" },
            "scope": text, "client_id": text, "sub": text, "iss": text, "jti": text,
            "token_type": { "type": "string", "enum": ["bearer", "DPoP"] },
            "exp": { "type": "integer" },
            "iat": { "type": "integer" },
            "aud": { "oneOf": [text, { "type": "array", "items": text }] },
            "act": { "type": "object", "description": "Who acts for the subject (RFC 8693)" },
            "cnf": { "type": "object", "description": "The key that the token is bound to (RFC 7800)" },
        },
    })
}

fn oauth_error() -> Value {
    json!({
        "type": "object",
        "required": ["error"],
        "properties": {
            "error": {
                "type": "string",
                "enum": [
                    "invalid_request", "invalid_client", "invalid_grant", "unauthorized_client",
                    "unsupported_grant_type", "invalid_scope", "invalid_target", "invalid_dpop_proof",
                    "use_dpop_nonce", "temporarily_unavailable", "server_error",
                ],
            },
            "error_description": { "type": "string" },
        },
    })
}

/// The error model of Iceberg's REST specification.
fn catalog_error() -> Value {
    json!({
        "type": "object",
        "required": ["error"],
        "properties": {
            "error": {
                "type": "object",
                "required": ["message", "type", "code"],
                "properties": {
                    "message": { "type": "string" },
                    "type": { "type": "string" },
                    "code": { "type": "integer" },
                },
            },
        },
    })
}
