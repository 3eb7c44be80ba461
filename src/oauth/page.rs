//! The pages that the browser ends on, in English and Russian. They load nothing, and show what comes
//! from elsewhere as text.

use ::http::{Response, StatusCode, header};
use bytes::Bytes;
use http_body_util::Full;

/// What a page tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Told {
    /// There is a token.
    SignedIn,
    /// There is none, and why.
    Failed { english: String, russian: String },
    /// The request belongs to no sign-in of ours.
    Foreign,
    /// Nobody knows yet.
    Waiting,
}

const STYLE: &str = "body{font:1.1em/1.5 system-ui,sans-serif;max-width:34em;margin:15vh auto;\
                     padding:0 1em;color:#222;background:#fff}h1{font-size:1.5em}\
                     @media(prefers-color-scheme:dark){body{color:#eee;background:#222}}";

/// What a browser may do with a page: show it, with the style that stands in it.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The page that tells `told`, in the language that `accepted` (`Accept-Language`) prefers.
pub(super) fn page(status: StatusCode, told: &Told, accepted: &str) -> Response<Full<Bytes>> {
    let is_russian = prefers_russian(accepted);
    let language = if is_russian { "ru" } else { "en" };
    let (title, text) = words(told, is_russian);
    let (title, text) = (escaped(title), escaped(&text));
    let body = format!(
        "<!doctype html><html lang={language}><meta charset=utf-8>\
         <meta name=viewport content=\"width=device-width\"><link rel=icon href=data:,>\
         <title>{title}</title><style>{STYLE}</style><h1>{title}</h1><p>{text}</p></html>"
    );
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, header::HeaderValue::from_static("text/html; charset=utf-8"));
    guarded(response)
}

/// `response` with the header fields that keep it to itself.
pub(super) fn guarded(mut response: Response<Full<Bytes>>) -> Response<Full<Bytes>> {
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::CONNECTION, "close"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        response.headers_mut().insert(name, header::HeaderValue::from_static(value));
    }
    response
}

fn words(told: &Told, is_russian: bool) -> (&'static str, String) {
    match (told, is_russian) {
        (Told::SignedIn, false) => (
            "You are signed in",
            "mcpline has its access. You can close this page and go back to your program.".into(),
        ),
        (Told::SignedIn, true) => (
            "Вход выполнен",
            "mcpline получил доступ. Закройте эту страницу и вернитесь в свою программу.".into(),
        ),
        (Told::Failed { english, .. }, false) => ("You are not signed in", english.clone()),
        (Told::Failed { russian, .. }, true) => ("Войти не удалось", russian.clone()),
        (Told::Foreign, false) => (
            "This page belongs to no sign-in",
            "Open the address that your program shows now, or run `mcpline login`.".into(),
        ),
        (Told::Foreign, true) => (
            "Эта страница не относится к текущему входу",
            "Откройте адрес, который программа показывает сейчас, или выполните `mcpline login`."
                .into(),
        ),
        (Told::Waiting, false) => {
            ("The sign-in is not over yet", "Reload this page in a moment.".into())
        }
        (Told::Waiting, true) => {
            ("Вход ещё не завершён", "Обновите эту страницу через минуту.".into())
        }
    }
}

/// Whether Russian stands before English among the languages that a browser accepts.
fn prefers_russian(accepted: &str) -> bool {
    let mut languages = accepted.split(',').map(|part| part.trim().to_ascii_lowercase());
    let known = |language: &String| language.starts_with("ru") || language.starts_with("en");
    languages.find(known).is_some_and(|language| language.starts_with("ru"))
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            character => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_is_the_browsers() {
        assert!(prefers_russian("ru-RU,ru;q=0.9,en-US;q=0.8"));
        assert!(prefers_russian("uk, ru;q=0.9"));
        assert!(!prefers_russian("en-US,ru;q=0.9"));
        assert!(!prefers_russian(""));
    }

    #[test]
    fn what_comes_from_elsewhere_is_shown_as_text() {
        assert_eq!(escaped("<b onload='x'>&"), "&lt;b onload=&#39;x&#39;&gt;&amp;");
    }
}
