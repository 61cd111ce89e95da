//! A small catalog, and how it is tested: handlers with a token made by hand, routes with real tokens and a clock that is set.

use actix_web::{App, HttpResponse, HttpServer, Responder, web};
use tokenberg_actix::{Bearer, BearerConfig, BearerError};

async fn drop_table(token: Bearer) -> Result<HttpResponse, BearerError> {
    token.require_scope("PRINCIPAL_ROLE:admin")?;
    Ok(HttpResponse::NoContent().finish())
}

async fn who(token: Bearer) -> impl Responder {
    token.subject().to_string()
}

fn routes(bearer: BearerConfig) -> impl FnOnce(&mut web::ServiceConfig) {
    move |config| {
        config.app_data(bearer);
        config.route("/who", web::get().to(who)).route("/drop", web::post().to(drop_table));
    }
}

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    // A real program has a `BearerConfig` here; see the example `mounted`. Without one, every request is answered with 500.
    HttpServer::new(|| App::new().route("/who", web::get().to(who))).bind("127.0.0.1:8185")?.run().await
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::ResponseError;
    use actix_web::http::StatusCode;
    use actix_web::test::{TestRequest, call_service, init_service};
    use tokenberg_core::registration::AllowedScope;
    use tokenberg_core::{ClientId, Issuer, Lifetime, Rights, Secret, Timestamp};
    use tokenberg_service::testing::{MemoryTokens, bearer, claims};

    fn now() -> Timestamp {
        Timestamp::from_seconds(1_800_000_000).unwrap()
    }

    fn issuer() -> Issuer {
        "https://catalog.example".parse().unwrap()
    }

    #[actix_web::test]
    async fn a_handler_alone() {
        let client: ClientId = "spark".parse().unwrap();
        let admin = claims(&issuer(), &client, &"catalog PRINCIPAL_ROLE:admin".parse().unwrap(), now());
        assert_eq!(drop_table(bearer(admin)).await.unwrap().status(), StatusCode::NO_CONTENT);
        let other = claims(&issuer(), &client, &"catalog".parse().unwrap(), now());
        assert_eq!(drop_table(bearer(other)).await.unwrap_err().status_code(), StatusCode::FORBIDDEN);
    }

    #[actix_web::test]
    async fn routes_with_real_tokens() {
        let tokens = MemoryTokens::new(issuer(), now()).unwrap();
        let spark: ClientId = "spark".parse().unwrap();
        let rights = Rights::new(AllowedScope::Only("catalog".parse().unwrap()));
        tokens.add_client(&spark, rights, Secret::new("s1".to_owned()));
        let app = init_service(App::new().configure(routes(tokens.bearer()))).await;
        let token = tokens.token(&spark, &"catalog".parse().unwrap()).unwrap();
        let status = async |token: &Secret| {
            let header = ("Authorization", format!("Bearer {}", token.expose()));
            let request = TestRequest::get().uri("/who").insert_header(header).to_request();
            call_service(&app, request).await.status()
        };
        assert_eq!(status(&token).await, StatusCode::OK);
        tokens.clock().pass(Lifetime::from_hours(1));
        assert_eq!(status(&token).await, StatusCode::UNAUTHORIZED, "it has expired");
        let fresh = tokens.token(&spark, &"catalog".parse().unwrap()).unwrap();
        assert_eq!(status(&fresh).await, StatusCode::OK);
        tokens.remove_client(&spark);
        assert_eq!(status(&fresh).await, StatusCode::UNAUTHORIZED);
        assert!(tokens.token(&spark, &"catalog".parse().unwrap()).is_err());
    }
}
