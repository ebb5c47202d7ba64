//! What people see, as templates: those in the folder of the setting, else those that are built in.

use super::problem::{Code, Problem};
use axum::{
    extract::Path,
    http::{HeaderValue, header},
    response::{IntoResponse as _, Response},
};
use minijinja::{AutoEscape, Environment};
use serde::Serialize;
use std::path::PathBuf;

/// Forms go to us, and on to Stripe's page, which may have a name of the customer's own: browsers hold redirects of
/// forms against this too.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; \
    connect-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self' https: ";

macro_rules! built_in {
    ($folder:literal: $($name:literal),+ $(,)?) => {
        [$(($name, include_str!(concat!("../../", $folder, "/", $name)))),+]
    };
}

static TEMPLATES: [(&str, &str); 8] = built_in!("templates":
    "layout.html", "buy.html", "success.html", "cancel.html", "account.html", "problem.html",
    "_balance.html", "_transactions.html");

static ASSETS: [(&str, &str); 4] =
    built_in!("assets": "style.css", "live.js", "confetti.js", "icon.svg");

/// Writes pages.
pub struct Pages {
    environment: Environment<'static>,
    folder: Option<PathBuf>,
    policy: HeaderValue,
}

impl Pages {
    /// From these templates; forms may lead on to `checkout` too, where a simulator has its pages.
    ///
    /// # Errors
    /// A template makes no sense.
    pub fn new(folder: Option<PathBuf>, checkout: &str) -> Result<Self, String> {
        let policy = HeaderValue::try_from(format!("{POLICY}{checkout}"))
            .map_err(|_| "STRIPE_API_BASE can't be a header".to_owned())?;
        let environment = environment(folder.as_ref())?;
        Ok(Self { environment, folder, policy })
    }

    /// A page.
    ///
    /// # Errors
    /// The template makes no sense with this.
    pub fn write(&self, name: &str, context: impl Serialize) -> Result<Response, Problem> {
        let broken = |why: String| {
            tracing::error!(why, name, "a page can't be written");
            Problem::new(Code::Internal, "this page can't be written; the log knows more")
        };
        // A folder's templates may have changed.
        let fresh = match &self.folder {
            Some(_) => Some(environment(self.folder.as_ref()).map_err(broken)?),
            None => None,
        };
        let environment = fresh.as_ref().unwrap_or(&self.environment);
        let written = environment
            .get_template(name)
            .and_then(|page| page.render(minijinja::value::Serde(context)));
        let written = written.map_err(|error| broken(format!("{error:#}")))?;
        let mut answer = axum::response::Html(written).into_response();
        answer.headers_mut().insert(header::CONTENT_SECURITY_POLICY, self.policy.clone());
        Ok(answer)
    }
}

fn environment(folder: Option<&PathBuf>) -> Result<Environment<'static>, String> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    for (name, built_in) in TEMPLATES {
        let replaced = match folder.map(|folder| std::fs::read_to_string(folder.join(name))) {
            Some(Ok(text)) => text,
            Some(Err(error)) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(format!("the template {name} can't be read: {error}"));
            }
            Some(Err(_)) | None => built_in.to_owned(),
        };
        environment
            .add_template_owned(name, replaced)
            .map_err(|error| format!("the template {name}: {error:#}"))?;
    }
    Ok(environment)
}

/// A file that pages need.
pub async fn asset(Path(name): Path<String>) -> Response {
    let Some((_, text)) = ASSETS.iter().find(|(known, _)| *known == name) else {
        return Problem::not_found("file").into_response();
    };
    let kind = match name.rsplit_once('.') {
        Some((_, "css")) => "text/css; charset=utf-8",
        Some((_, "js")) => "text/javascript; charset=utf-8",
        _ => "image/svg+xml",
    };
    let headers = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "public, max-age=300")];
    (headers, *text).into_response()
}
