//! Settings that have no effect: no option is silent.

use reqwest::header::{AUTHORIZATION, HeaderMap};

use super::Target;
use super::credentials::{API_KEY, login_in};
use super::drop_in;
use super::given::{Given, TypedLogin};
use super::options::{Options, ServiceOptions};
use crate::upstream::{Keep, Kind, With};

/// The options that belong to kinds of service.
const OF_KINDS: [(&str, &[Kind]); 4] = [
    ("service_root", &[Kind::OneC]),
    ("managed_sessions", &[Kind::OneC]),
    ("rate", &[Kind::Amocrm, Kind::Auto]),
    ("catalogue", &[Kind::Amocrm, Kind::Auto]),
];

/// What to warn of among the settings for `target`, to which `headers` go.
pub(super) fn without_effect(
    options: &Options,
    target: &Target,
    headers: &HeaderMap,
) -> Vec<String> {
    let given = &options.given;
    let mut warnings = of_other_kinds(given, &options.services, target.kind);
    for (loser, winner) in overridden(given, target, headers) {
        if let (Some(loser), Some(winner)) = (loser, winner) {
            warnings.push(format!("{loser} has no effect, because {winner} goes before it"));
        }
    }
    let password =
        given.secret_name("MCPLINE_PASSWORD").filter(|_| given.name("password_file").is_none());
    let has_user = given.name("user").is_some()
        || login_in(&target.url).is_some()
        || target.kind == Kind::OneC && drop_in::onec_credentials().is_some();
    if let Some(password) = password.filter(|_| !has_user) {
        let hint = "the name of the user is missing (`--user NAME` or MCPLINE_USER)";
        warnings.push(format!("{password} has no effect: {hint}"));
    }
    if let Some(name) = given.name("basic_charset").filter(|_| !has_user) {
        warnings.push(format!("{name} has no effect without a user name (`--user NAME`)"));
    }
    warnings
}

/// What to warn of where nobody signs in.
pub(super) fn of_sign_in(given: &Given) -> Vec<String> {
    let ids =
        ["oauth_client_id", "oauth_scope", "oauth_resource", "oauth_issuer", "oauth_redirect"];
    let others = [
        "oauth_client_secret_file",
        "oauth_client_key_file",
        "oauth_grant",
        "oauth_param",
        "oauth_profile",
    ];
    let warning =
        |name| format!("{name} has no effect: there are other credentials, or --auth none");
    ids.iter().chain(&others).filter_map(|id| given.name(id)).map(warning).collect()
}

/// Options of other kinds of service than `kind`.
fn of_other_kinds(given: &Given, options: &ServiceOptions, kind: Kind) -> Vec<String> {
    let mut found = Vec::new();
    for (id, kinds) in OF_KINDS {
        found.extend(given.name(id).filter(|_| !kinds.contains(&kind)));
    }
    let keep = options.keep.iter().filter_map(|what| {
        let kinds: &[Kind] = match what {
            Keep::Names => &[Kind::OneC],
            Keep::Uris => &[Kind::Bitrix, Kind::Auto],
            Keep::Errors => &[Kind::Amocrm, Kind::Auto],
        };
        unused(given, "keep", what, kinds, kind)
    });
    let with = options.with.iter().filter_map(|what| {
        let kinds: &[Kind] = match what {
            // Warned of below.
            With::Notifications => return None,
            With::Stream => &[Kind::Bitrix, Kind::Auto],
            With::Resources | With::RequestTool => &[Kind::Amocrm, Kind::Auto],
        };
        unused(given, "with", what, kinds, kind)
    });
    found.extend(keep.chain(with));
    let kind_name = value_name(&kind);
    let warning =
        |name| format!("{name} has no effect: a server of the kind `{kind_name}` does not use it");
    let mut warnings: Vec<String> = found.into_iter().map(warning).collect();
    if options.with.contains(&With::Notifications) {
        let gone = unused(given, "with", &With::Notifications, &[], kind);
        warnings.extend(gone.map(|name| {
            format!("{name} has no effect any more: 1C services that know notifications get them")
        }));
    }
    warnings
}

fn unused(
    given: &Given,
    id: &str,
    value: &impl clap::ValueEnum,
    kinds: &[Kind],
    kind: Kind,
) -> Option<String> {
    let name = given.name(id).filter(|_| !kinds.contains(&kind))?;
    Some(format!("{name} {}", value_name(value)))
}

fn value_name(value: &impl clap::ValueEnum) -> String {
    value.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}

/// Pairs of settings of which the second goes before the first, if both are there.
fn overridden(
    given: &Given,
    target: &Target,
    headers: &HeaderMap,
) -> [(Option<String>, Option<String>); 10] {
    let set = |name: &str| given.secret_name(name);
    let user = || given.name("user");
    let bearer = || given.name("bearer_file").or_else(|| set("MCPLINE_BEARER"));
    let is_user_typed = given.typed_login() == TypedLogin::User;
    let authorization = |setting: Option<String>| {
        let header = "the header `Authorization`".to_owned();
        (setting, headers.contains_key(AUTHORIZATION).then_some(header))
    };
    let api_key = || given.name("api_key_file").or_else(|| set("MCPLINE_API_KEY"));
    let login = login_in(&target.url).map(|_| "the login in the URL".to_owned());
    [
        authorization(user()),
        authorization(bearer()),
        authorization(login.clone()),
        if is_user_typed { (bearer(), user()) } else { (user(), bearer()) },
        (login, user().or_else(bearer)),
        (api_key(), headers.contains_key(API_KEY).then(|| "the header `X-API-Key`".to_owned())),
        (set("MCPLINE_PASSWORD"), given.name("password_file")),
        (set("MCPLINE_API_KEY"), given.name("api_key_file")),
        (set("MCPLINE_BEARER"), given.name("bearer_file").filter(|_| !is_user_typed)),
        (given.name("retry_for"), given.name("no_retry")),
    ]
}
