//! The gateway's routes, as it describes them itself: so no test forgets one.

use super::{user::Purchase, world::World};
use serde_json::json;
use tests::http::Asking;

/// Routes that nobody has to be a user for. Of all others the tests below ask who it is.
const ANYBODY: [&str; 6] =
    ["/v1/packages", "/v1/sessions", "/webhooks/stripe", "/openapi.json", "/livez", "/readyz"];

/// A route: its method, and its path with names in braces.
#[derive(Clone, Debug)]
pub struct Route {
    pub method: String,
    pub path: String,
}

impl Route {
    /// Its path about these objects, of which each is the value of the parameter that it is named by.
    pub fn about(&self, bought: &Purchase) -> String {
        let mut path = self.path.clone();
        for name in ["purchase", "id", "purchase_id"] {
            path = path.replace(&format!("{{{name}}}"), &bought.id);
        }
        assert!(!path.contains('{'), "tell this test what {} is about", self.path);
        path
    }

    pub fn has_parameters(&self) -> bool {
        self.path.contains('{')
    }

    pub fn is_for_anybody(&self) -> bool {
        ANYBODY.contains(&self.path.as_str())
    }

    /// A body that such a route may take.
    pub fn with_body(&self, asking: Asking) -> Asking {
        if self.method == "POST" { asking.json(&json!({"package": "starter"})) } else { asking }
    }
}

/// All that there is by the description.
pub async fn routes(world: &World) -> Vec<Route> {
    let described = world.http.get(&world.at("/openapi.json")).send().await.expect(200);
    let mut routes = Vec::new();
    for (path, methods) in described["paths"].as_object().expect("paths") {
        for method in methods.as_object().expect("methods").keys() {
            let method = method.to_uppercase();
            if ["GET", "POST", "PUT", "PATCH", "DELETE"].contains(&method.as_str()) {
                routes.push(Route { method, path: path.clone() });
            }
        }
    }
    for known in ["/v1/purchases/{", "/v1/checkout/sessions", "/v1/balance", "/v1/payment-intents"]
    {
        assert!(routes.iter().any(|it| it.path.starts_with(known)), "{known} in {routes:?}");
    }
    routes
}
