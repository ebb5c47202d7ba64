//! Whose is what: taken from the gateway's own description of itself, so that no route is forgotten.

use super::{
    routes::{Route, routes},
    user::{Purchase, User},
    world::{SERVICE_SECRET, World},
};
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_somebody_elses_isnt_there() {
    let world = World::start().await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let bobs = bob.buys("starter").await;
    let of_bob = routes(&world).await.into_iter().filter(Route::has_parameters);
    let of_bob: Vec<Route> = of_bob.filter(|route| route.path.starts_with("/v1/")).collect();
    assert!(of_bob.len() >= 2, "{of_bob:?}");
    let nobodys = Purchase { id: "00000000-0000-4000-8000-000000000000".into(), ..bobs.clone() };
    for route in &of_bob {
        let path = route.about(&bobs);
        let answer = route.with_body(ada.ask(&route.method, &path)).send().await;
        assert!([403, 404].contains(&answer.status), "{path}: {} {}", answer.status, answer.text());
        assert!(!answer.text().contains("bob"), "{path}: {}", answer.text());
        // It can't be told from what isn't there at all.
        let nothing = route.with_body(ada.ask(&route.method, &route.about(&nobodys))).send().await;
        assert_eq!(nothing.status, answer.status, "{path}");
        for strange in ["%00", "..%2f..", "1'%20OR%20'1'='1", "%F0%9F%92%B8", &"9".repeat(300)] {
            let strange = Purchase { id: strange.to_owned(), ..bobs.clone() };
            let answer =
                route.with_body(ada.ask(&route.method, &route.about(&strange))).send().await;
            assert!((400..500).contains(&answer.status), "{route:?}: {}", answer.text());
        }
    }
    assert_eq!(bob.purchase(&bobs.id).await["state"], "open", "nothing was done to it");
    // All of it is there for its owner, so that the tests above could have failed.
    for route in &of_bob {
        let path = route.about(&bobs);
        route.with_body(bob.ask(&route.method, &path)).send().await.expect(200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_and_sums_are_ones_own() {
    let world = World::start().await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let bobs = bob.buys("starter").await;
    world.stripe.pay(&bobs.session).await;
    bob.sees(&bobs.id, "credited").await;
    for route in routes(&world).await {
        let is_own = route.method == "GET" && !route.is_for_anybody() && !route.has_parameters();
        if !is_own || !route.path.starts_with("/v1/") {
            continue;
        }
        for query in ["", "?account_id=bob", "?account=bob&user_id=bob&sub=bob"] {
            let path = format!("{}{query}", route.path);
            let answer = ada.ask("GET", &path).header("x-account-id", "bob").send().await;
            assert!(answer.status < 500, "{path}: {}", answer.text());
            assert!(!answer.text().contains(&bobs.id), "{path}: {}", answer.text());
            assert!(!answer.text().contains("\"bob\""), "{path}: {}", answer.text());
        }
    }
    assert_eq!((ada.balance().await, bob.balance().await), (0, 50));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_credentials_nothing_that_is_a_users_is_answered() {
    let world = World::start().await;
    let bob = world.user("bob").await;
    let bobs = bob.buys("starter").await;
    let service = world.http.post(&world.at("/v1/sessions")).json(&json!({"account_id": "bob"}));
    service.send().await.refused(401, "unauthenticated");
    // A user's token opens no sessions, and the service's secret isn't a user.
    let by_bob = bob.post("/v1/sessions", &json!({"account_id": "ada", "use": "bearer"})).await;
    assert!([401, 403].contains(&by_bob.status), "{}", by_bob.text());
    let half = bob.token.split_at(bob.token.len() / 2).0.to_owned();
    let forged = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJib2IifQ.".to_owned();
    let tokens = [
        "",
        "x",
        SERVICE_SECRET,
        &half,
        &format!("{}x", bob.token),
        &forged,
        world.secret.as_str(),
    ];
    let mut asked = 0;
    for route in routes(&world).await.iter().filter(|route| !route.is_for_anybody()) {
        if !route.path.starts_with("/v1/") {
            continue;
        }
        let url = world.at(&route.about(&bobs));
        let bare = route.with_body(world.http.ask(&route.method, &url)).send().await;
        bare.refused(401, "unauthenticated");
        for token in tokens {
            let asking = world.http.ask(&route.method, &url).bearer(token);
            route.with_body(asking).send().await.refused(401, "unauthenticated");
        }
        let asking =
            world.http.ask(&route.method, &url).header("cookie", "session=x; __Host-session=y");
        let answer = route.with_body(asking).header("origin", &world.at("")).send().await;
        assert!([401, 403].contains(&answer.status), "{route:?}: {}", answer.text());
        asked += 1;
    }
    assert!(asked >= 10, "{asked} routes are for users");
    for path in ["/v1/packages", "/livez", "/readyz", "/openapi.json"] {
        world.http.get(&world.at(path)).send().await.expect(200);
    }
}

/// Nobody but the owner of a purchase may look at it, whoever holds its number.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bearer_is_of_one_user_only() {
    let world = World::start().await;
    let users: Vec<User> = [world.user("ada").await, world.user("bob").await].into();
    assert_ne!(users[0].token, users[1].token);
    for user in &users {
        let balance = user.get("/v1/balance").await.expect(200);
        assert_eq!(balance["account_id"], user.account.as_str());
    }
}
