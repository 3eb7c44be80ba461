//! Gets one document of metadata.

use reqwest::header::LOCATION;
use url::Url;

use super::problem::{AGAIN_LATER, Problem};
use crate::hint::Hint;
use crate::http::{Page, Web};
use crate::redact;

/// Redirects followed for one document.
const MAX_REDIRECTS: usize = 3;

/// What one place holds.
pub(super) enum Document<T> {
    Found(T),
    None,
    /// Whether there is a document cannot be told.
    Broken(Problem),
}

/// What `place` holds. A 5xx may come from a gateway that knows no such route, so the next place
/// is asked after it.
pub(super) async fn document<T>(
    web: &Web,
    place: &Url,
    check: impl Fn(&[u8]) -> Result<Option<T>, Problem>,
) -> Result<Document<T>, Problem> {
    let page = match get(web, place).await {
        Ok(page) => page,
        Err(problem) => return Ok(Document::Broken(problem)),
    };
    if page.status.is_server_error() {
        let shown = redact::shown(place);
        let what = format!("{shown} answered with HTTP {}", page.status);
        return Ok(Document::Broken(Problem::passing(what, AGAIN_LATER)));
    }
    if !page.status.is_success() {
        return Ok(Document::None);
    }
    Ok(check(&page.body)?.map_or(Document::None, Document::Found))
}

/// Gets `place`, following redirects within its own host: nothing else says that a document from
/// elsewhere speaks for that host.
async fn get(web: &Web, place: &Url) -> Result<Page, Problem> {
    let mut url = place.clone();
    for _ in 0..=MAX_REDIRECTS {
        tracing::debug!("sign-in: asking {}", redact::shown(&url));
        let page = web.get(&url).await.map_err(|error| Problem::of_failure(&error))?;
        let location = page.headers.get(LOCATION).and_then(|value| value.to_str().ok());
        let target = location.and_then(|location| url.join(location).ok());
        let Some(target) = target.filter(|_| page.status.is_redirection()) else {
            return Ok(page);
        };
        if !is_same_place(&url, &target) {
            let (shown, target) = (redact::shown(place), redact::shown(&target));
            return Err(astray(format!("{shown} leads to {target}, which is another server")));
        }
        url = target;
    }
    let shown = redact::shown(place);
    Err(astray(format!("{shown} redirects more than {MAX_REDIRECTS} times")))
}

/// Whether `to` is on the same server as `from`, or on the same host with encryption.
fn is_same_place(from: &Url, to: &Url) -> bool {
    let is_upgrade = from.scheme() == "http"
        && to.scheme() == "https"
        && from.port().is_none()
        && to.port().is_none()
        && from.host_str() == to.host_str();
    from.origin() == to.origin() || is_upgrade
}

fn astray(what: String) -> Problem {
    Problem::new(
        what,
        Hint::both(
            "Such a redirect is not followed. Tell the server's administrator, or name the \
             authorization server with --oauth-issuer.",
            "Такое перенаправление не выполняется. Сообщите администратору сервера или укажите сервер \
             авторизации через --oauth-issuer.",
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_stays_on_its_server() {
        let rows = [
            ("https://h/a", "https://h/b", true),
            ("http://h/a", "https://h/a", true),
            ("https://h/a", "http://h/a", false),
            ("https://h/a", "https://www.h/a", false),
            ("https://h/a", "https://h:8443/a", false),
            ("http://h:80/a", "https://h/a", true),
            ("http://h:8080/a", "https://h/a", false),
        ];
        for (from, to, is_same) in rows {
            let parsed = [from, to].map(|text| Url::parse(text).unwrap());
            assert_eq!(is_same_place(&parsed[0], &parsed[1]), is_same, "{from} {to}");
        }
    }
}
