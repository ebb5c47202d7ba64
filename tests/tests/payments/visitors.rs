//! Visitors with a cookie: what they do is what they wanted, whatever other sites make their browser send.

use super::{
    routes::{Route, routes},
    user::Purchase,
    world::{SERVICE_SECRET, World},
};
use serde_json::json;
use tests::{http::Answer, stripe_sim::text};

/// A user with a cookie.
pub struct Visitor {
    cookie: String,
    csrf: String,
    origin: String,
}

impl Visitor {
    pub async fn enter(world: &World, account: &str) -> Self {
        let asked = json!({"account_id": account, "use": "link"});
        let opened = world.http.post(&world.at("/v1/sessions")).bearer(SERVICE_SECRET).json(&asked);
        let link = text(&opened.send().await.expect(201), "url").to_owned();
        let entered = world.http.get(&link).send().await;
        let said = entered.header("set-cookie").to_owned();
        assert!([302, 303].contains(&entered.status), "{}", entered.text());
        assert!(entered.header("location").ends_with("/tokens/buy"), "{:?}", entered.headers);
        let lower = said.to_lowercase();
        assert!(lower.contains("httponly") && lower.contains("samesite=lax"), "{said}");
        let cookie = said.split(';').next().unwrap_or_default().to_owned();
        assert!(cookie.starts_with("session="), "over plain http: {said}");
        // It works once.
        let again = world.http.get(&link).send().await;
        assert!(again.status >= 400 && again.header("set-cookie").is_empty(), "{}", again.status);

        let origin = world.at("");
        let session = world.http.get(&world.at("/v1/session")).header("cookie", &cookie);
        let session = session.send().await.expect(200);
        assert_eq!(session["account_id"], account);
        Self { cookie, csrf: text(&session, "csrf_token").to_owned(), origin }
    }

    /// A page, as the browser asks for it.
    pub async fn sees(&self, world: &World, path: &str) -> Answer {
        world.http.get(&world.at(path)).header("cookie", &self.cookie).send().await
    }

    async fn post(
        &self,
        world: &World,
        route: &Route,
        bought: &Purchase,
        headers: &[(&str, &str)],
    ) -> Answer {
        let asking =
            world.http.post(&world.at(&route.about(bought))).header("cookie", &self.cookie);
        let asking =
            headers.iter().fold(asking, |asking, (name, value)| asking.header(name, value));
        route.with_body(asking).send().await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_other_site_can_make_a_visitor_do_anything() {
    let world = World::start().await;
    let ada = Visitor::enter(&world, "ada").await;
    let other = Visitor::enter(&world, "ada").await;
    let bought = world.user("ada").await.buys("popular").await;
    let posts =
        routes(&world).await.into_iter().filter(|it| it.method == "POST" && !it.is_for_anybody());
    let posts: Vec<Route> = posts.collect();
    assert!(posts.len() >= 3, "{posts:?}");
    let (csrf, origin) = (ada.csrf.as_str(), ada.origin.as_str());
    let foreign = "https://evil.example";
    let lookalike = format!("{origin}.evil.example");
    let refused: [&[(&str, &str)]; 11] = [
        &[],
        &[("origin", origin)],
        &[("x-csrf-token", csrf)],
        &[("origin", foreign), ("x-csrf-token", csrf)],
        &[("origin", &lookalike), ("x-csrf-token", csrf)],
        &[("origin", "null"), ("x-csrf-token", csrf)],
        &[("origin", origin), ("x-csrf-token", "")],
        &[("origin", origin), ("x-csrf-token", "x")],
        &[("origin", origin), ("x-csrf-token", &other.csrf)],
        &[("sec-fetch-site", "cross-site"), ("x-csrf-token", csrf)],
        &[("origin", foreign), ("sec-fetch-site", "cross-site"), ("x-csrf-token", csrf)],
    ];
    let is_same = other.csrf == ada.csrf;
    assert!(!is_same, "each session has a token of its own");
    for route in &posts {
        for headers in refused {
            let answer = ada.post(&world, route, &bought, headers).await;
            assert_eq!(answer.status, 403, "{route:?} {headers:?}: {}", answer.text());
            if route.path.starts_with("/v1/") {
                answer.refused(403, "csrf");
            }
        }
    }
    let purchases = world.user("ada").await.purchases().await;
    assert_eq!(purchases.len(), 1, "nothing was bought: {purchases:?}");
    for headers in [
        [("origin", origin), ("x-csrf-token", csrf)],
        [("sec-fetch-site", "same-origin"), ("x-csrf-token", csrf)],
    ] {
        for route in &posts {
            let answer = ada.post(&world, route, &bought, &headers).await;
            assert!(
                answer.status < 400,
                "{route:?} {headers:?}: {} {}",
                answer.status,
                answer.text()
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_form_needs_the_token_that_its_page_gave() {
    let world = World::start().await;
    let ada = Visitor::enter(&world, "ada").await;
    let post = |path: &str, form: &[(&str, &str)], origin: &str| {
        let asking = world.http.post(&world.at(path)).header("cookie", &ada.cookie);
        asking.header("origin", origin).form(form).send()
    };
    for path in ["/tokens/buy", "/tokens/cancel"] {
        for (form, origin) in [
            (vec![("package", "starter")], ada.origin.as_str()),
            (vec![("package", "starter"), ("csrf", "x")], ada.origin.as_str()),
            (vec![("package", "starter"), ("csrf", ada.csrf.as_str())], "https://evil.example"),
        ] {
            let answer = post(path, &form, origin).await;
            assert_eq!(answer.status, 403, "{path} {form:?} {origin}: {}", answer.text());
        }
    }
    let form = [("package", "starter"), ("csrf", ada.csrf.as_str())];
    let bought = post("/tokens/buy", &form, &ada.origin).await;
    assert_eq!(bought.status, 303, "{}", bought.text());
    assert!(bought.header("location").starts_with(world.stripe.url()), "{:?}", bought.headers);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_signs_out_is_out() {
    let world = World::start().await;
    let ada = Visitor::enter(&world, "ada").await;
    let asking = |method: &str| {
        let asking = world.http.ask(method, &world.at("/v1/session")).header("cookie", &ada.cookie);
        asking.header("origin", &ada.origin).header("x-csrf-token", &ada.csrf)
    };
    let out = asking("DELETE").send().await;
    assert!(out.status < 300, "{}", out.text());
    asking("GET").send().await.refused(401, "unauthenticated");
}
