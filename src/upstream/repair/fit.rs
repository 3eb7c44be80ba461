//! Walks a JSON text along the table, and changes what does not fit it.

use super::table::{Default, Member, Rule, Shape, Type};
use super::uris::Uris;
use super::{content, scalar, schema};
use crate::jsonrpc::{Message, to_json};
use crate::mcp::Revision;
use crate::upstream::json::{Object, compact, items, string};

/// Whether a value is what the table wants.
#[derive(Debug, PartialEq)]
pub(super) enum Fit {
    /// It is, and stays as it is written.
    Fits,
    /// This JSON text means the same, and is.
    Becomes(String),
    /// It is not, and means nothing that is.
    Unfit,
}

impl Fit {
    /// The fit of `text`, which stands for the value itself.
    pub(super) fn instead(self, text: String) -> Self {
        match self {
            Self::Fits => Self::Becomes(text),
            fit => fit,
        }
    }
}

/// What the table does not know of a result.
pub(super) struct Context<'a> {
    /// What the client asked.
    pub(super) request: &'a Message,
    /// Where URIs that clients refuse are translated; `None` leaves them as they are.
    pub(super) uris: Option<&'a Uris>,
    /// What we call a server that does not name itself.
    pub(super) server_name: &'a str,
}

/// How `value` fits `holds`.
pub(super) fn fit(value: &str, holds: &Type, context: &Context<'_>) -> Fit {
    let fit = match holds {
        Type::Text => scalar::text(value),
        Type::Name => scalar::name(value),
        Type::Flag => scalar::flag(value),
        Type::Count => scalar::count(value),
        Type::Fraction => scalar::fraction(value),
        Type::Token => scalar::token(value),
        Type::Moment => scalar::moment(value),
        Type::OneOf(known) => scalar::one_of(value, known),
        Type::Base64 => scalar::base64(value),
        Type::Uri => uri(value, context, Uris::offered),
        Type::UriTemplate => uri(value, context, Uris::offered_template),
        Type::Revision => revision(value, context),
        Type::Words => return words(value, context),
        Type::Values => return values(value, context),
        Type::Object(shape) => return object(value, shape, context),
        Type::Feature(shape) => return feature(value, shape, context),
        Type::List(item) => return list(value, item, context),
        Type::Map(item) => return map(value, |value| fit(value, item, context)),
        Type::InputSchema => return schema::input(value),
        Type::OutputSchema => return schema::output(value, context),
        Type::Structured if value.starts_with('{') || context.is_modern() => return Fit::Fits,
        Type::Structured => return Fit::Unfit,
        Type::Content => return content::content(value, context),
        Type::Contents => return content::contents(value, context),
        Type::ContentsList => return content::contents_list(value, context),
        Type::Messages => return content::messages(value, context),
    };
    if fit == Fit::Unfit
        && let Some([only]) = items(value).as_deref()
        && !only.starts_with('[')
    {
        return self::fit(only, holds, context).instead((*only).to_owned());
    }
    fit
}

fn uri(value: &str, context: &Context<'_>, offered: fn(&Uris, &str) -> Option<String>) -> Fit {
    match (string(value), context.uris) {
        (Some(text), _) if text.trim().is_empty() => Fit::Unfit,
        (Some(text), Some(uris)) => match offered(uris, &text) {
            Some(offered) => Fit::Becomes(to_json(&offered)),
            None => Fit::Fits,
        },
        (Some(_), None) => Fit::Fits,
        _ => Fit::Unfit,
    }
}

/// The revision that the server speaks. A client that asks for an older one, or does not know the
/// server's, would give up, and gets its own: what the revisions add, older clients ignore.
fn revision(value: &str, context: &Context<'_>) -> Fit {
    let known = |text: &str| serde_json::from_str::<Revision>(&to_json(&text)).ok();
    let Some(text) = string(value) else { return Fit::Unfit };
    let asked = context.revision();
    if asked.as_ref() == Some(&text) {
        return Fit::Fits;
    }
    let asked = asked.as_deref().and_then(known);
    match (known(&text), asked) {
        (Some(speaks), Some(asked)) if speaks > asked => Fit::Becomes(to_json(&asked)),
        (Some(_), _) => Fit::Fits,
        (None, _) => Fit::Unfit,
    }
}

/// How an object of this shape fits.
pub(super) fn object(value: &str, shape: &Shape, context: &Context<'_>) -> Fit {
    match value.as_bytes().first() {
        Some(b'{') => walk(value, shape, context),
        // Languages with one type for both write an empty object like this.
        Some(b'[') => match items(value).as_deref() {
            Some([]) => object("{}", shape, context).instead("{}".to_owned()),
            Some([only]) if only.starts_with('{') => {
                walk(only, shape, context).instead((*only).to_owned())
            }
            // The names of members, each of which is there.
            Some(names) if names.iter().all(|name| shape.has(string(name))) => {
                named(names).map_or(Fit::Unfit, |named| walk(&named, shape, context).instead(named))
            }
            _ => alone(value, shape, context),
        },
        Some(b'"') => match embedded(value, '{') {
            Some(json) => walk(&json, shape, context).instead(json),
            None if scalar::name(value) == Fit::Fits => alone(value, shape, context),
            None => Fit::Unfit,
        },
        _ => Fit::Unfit,
    }
}

/// The object of which only the main member is given.
fn alone(value: &str, shape: &Shape, context: &Context<'_>) -> Fit {
    let Some(member) = shape.text else { return Fit::Unfit };
    let object = format!("{{{}:{value}}}", to_json(&member));
    walk(&object, shape, context).instead(object)
}

fn walk(value: &str, shape: &Shape, context: &Context<'_>) -> Fit {
    Object::read(value).map_or(Fit::Unfit, |object| members(object, shape, context))
}

/// How an object that has been read fits.
pub(super) fn members(mut object: Object<'_>, shape: &Shape, context: &Context<'_>) -> Fit {
    for member in shape.members {
        if !settle(&mut object, member, context) {
            return Fit::Unfit;
        }
    }
    object.changed().map_or(Fit::Fits, Fit::Becomes)
}

/// Makes one member fit. Whether the object can be used.
fn settle(object: &mut Object<'_>, member: &Member, context: &Context<'_>) -> bool {
    let name = member.name;
    let value = object.get(name);
    let is_missing = value.is_none();
    match value.map_or(Fit::Unfit, |value| fit(value, &member.holds, context)) {
        Fit::Fits => return true,
        Fit::Becomes(value) => {
            tracing::debug!("`{name}` converted");
            object.set(name, value);
            return true;
        }
        Fit::Unfit => {}
    }
    match &member.rule {
        Rule::Needed => return false,
        Rule::Optional if is_missing => return true,
        Rule::Optional => object.remove(name),
        Rule::Required(default) => match value_of(default, object, context) {
            Some(value) => object.set(name, value),
            None => return false,
        },
    }
    tracing::debug!("`{name}` did not fit, or was missing");
    true
}

fn value_of(default: &Default, object: &Object<'_>, context: &Context<'_>) -> Option<String> {
    match default {
        Default::Json(json) => Some((*json).to_owned()),
        Default::Member(names) => names.iter().find_map(|name| {
            let text = object.string(name)?;
            (!text.trim().is_empty()).then(|| to_json(&text))
        }),
        Default::Revision => {
            let asked = context.revision();
            Some(to_json(&asked.as_deref().unwrap_or(Revision::LATEST.as_str())))
        }
        Default::ServerName => Some(to_json(&context.server_name)),
        Default::ServerInfo => {
            Some(format!(r#"{{"name":{},"version":"unknown"}}"#, to_json(&context.server_name)))
        }
    }
}

/// A capability: `true` says that it is there.
fn feature(value: &str, shape: &Shape, context: &Context<'_>) -> Fit {
    match scalar::flag(value) {
        Fit::Fits if value == "true" => Fit::Becomes("{}".to_owned()),
        Fit::Becomes(flag) if flag == "true" => Fit::Becomes("{}".to_owned()),
        _ => object(value, shape, context),
    }
}

fn list(value: &str, item: &Type, context: &Context<'_>) -> Fit {
    match value.as_bytes().first() {
        Some(b'[') => fit_items(value, |value| fit(value, item, context)),
        Some(b'{') => {
            let listed = from_object(value, item, context);
            listed.map_or(Fit::Unfit, |listed| list(&listed, item, context).instead(listed))
        }
        Some(b'"') => match embedded(value, '[') {
            Some(json) => list(&json, item, context).instead(json),
            // A bare string is an item where items are strings, but no tool.
            None if matches!(item, Type::Object(_)) || scalar::name(value) != Fit::Fits => {
                Fit::Unfit
            }
            None => match fit(value, item, context) {
                Fit::Fits => Fit::Becomes(format!("[{value}]")),
                Fit::Becomes(value) => Fit::Becomes(format!("[{value}]")),
                Fit::Unfit => Fit::Unfit,
            },
        },
        _ => Fit::Unfit,
    }
}

/// The items of an array, each as it fits, without those that do not.
pub(super) fn fit_items(value: &str, mut fit: impl FnMut(&str) -> Fit) -> Fit {
    let Some(items) = items(value) else { return Fit::Unfit };
    let fits: Vec<_> = items.iter().map(|item| fit(item)).collect();
    if fits.iter().all(|fit| *fit == Fit::Fits) {
        return Fit::Fits;
    }
    let mut kept = Vec::with_capacity(items.len());
    let mut left_out = Vec::new();
    for (item, fit) in items.iter().zip(&fits) {
        match fit {
            Fit::Fits => kept.push(*item),
            Fit::Becomes(item) => kept.push(item),
            Fit::Unfit => left_out.push(*item),
        }
    }
    if let Some(first) = left_out.first() {
        let excerpt: String = first.chars().take(200).collect();
        tracing::warn!(
            "{} of {} items of a list are left out, because clients would refuse the whole list: \
             {excerpt}",
            left_out.len(),
            items.len(),
        );
    }
    Fit::Becomes(format!("[{}]", kept.join(",")))
}

/// The list that an object stands for: an object from names to items, or the only item.
fn from_object(value: &str, item: &Type, context: &Context<'_>) -> Option<String> {
    let Type::Object(shape) = item else { return None };
    let object = Object::read(value)?;
    if object.is_empty() {
        return Some("[]".to_owned());
    }
    let has_names = shape.members.iter().any(|member| member.name == "name");
    if has_names && object.members().all(|(_, value)| value.starts_with('{')) {
        let named = object.members().filter_map(|(name, value)| {
            let mut item = Object::read(value)?;
            if !item.has("name") {
                item.set_string("name", name);
            }
            Some(item.text())
        });
        return Some(format!("[{}]", named.collect::<Vec<_>>().join(",")));
    }
    (self::object(value, shape, context) != Fit::Unfit).then(|| format!("[{value}]"))
}

/// A list of strings without commas, which may come as one string.
fn words(value: &str, context: &Context<'_>) -> Fit {
    let text = string(value).filter(|text| text.contains([',', ';', '\n']));
    let Some(text) = text.filter(|text| !text.trim_start().starts_with('[')) else {
        return list(value, &Type::Name, context);
    };
    let words = text.split([',', ';', '\n']).map(str::trim).filter(|word| !word.is_empty());
    Fit::Becomes(to_json(&words.collect::<Vec<_>>()))
}

/// The most values of a completion (schema, `CompleteResult`).
const MAX_VALUES: usize = 100;

fn values(value: &str, context: &Context<'_>) -> Fit {
    let fit = list(value, &Type::Text, context);
    let text = match &fit {
        Fit::Fits => value,
        Fit::Becomes(text) => text,
        Fit::Unfit => return fit,
    };
    match items(text) {
        Some(items) if items.len() > MAX_VALUES => {
            Fit::Becomes(format!("[{}]", items[..MAX_VALUES].join(",")))
        }
        _ => fit,
    }
}

/// An object whose members fit, without those that do not.
pub(super) fn map(value: &str, mut fit: impl FnMut(&str) -> Fit) -> Fit {
    let from_text = embedded(value, '{');
    let text = match (from_text.as_deref(), items(value)) {
        (Some(json), _) => json,
        (None, Some(items)) => {
            return named(&items).map_or(Fit::Unfit, |object| map(&object, fit).instead(object));
        }
        (None, None) => value,
    };
    let Some(mut object) = Object::read(text) else { return Fit::Unfit };
    let fits: Vec<_> =
        object.members().map(|(name, value)| (name.to_owned(), fit(value))).collect();
    for (name, fit) in fits {
        match fit {
            Fit::Fits => {}
            Fit::Becomes(value) => object.set(&name, value),
            Fit::Unfit => object.remove(&name),
        }
    }
    let fit = object.changed().map_or(Fit::Fits, Fit::Becomes);
    if let Some(json) = from_text { fit.instead(json) } else { fit }
}

/// The object that a list of named objects, or of names, stands for.
fn named(items: &[&str]) -> Option<String> {
    let mut all = Object::default();
    for item in items {
        if let Some(name) = string(item) {
            all.set(&name, "{}".to_owned());
            continue;
        }
        let mut item = Object::read(item)?;
        let name = item.string("name").filter(|name| !name.is_empty())?;
        item.remove("name");
        all.set(&name, item.text());
    }
    Some(all.text())
}

/// The JSON that begins with `first` and stands in a string.
pub(super) fn embedded(value: &str, first: char) -> Option<String> {
    let start = value.strip_prefix('"')?.trim_start();
    // Decoded only if it may be that: the string may be very long.
    if !start.starts_with([first, '\\', '\u{feff}']) {
        return None;
    }
    let text = string(value)?;
    let text = text.trim_start_matches('\u{feff}').trim();
    let is_json = if first == '{' {
        Object::read(text).is_some()
    } else {
        first == '[' && items(text).is_some()
    };
    (text.starts_with(first) && is_json).then(|| compact(text))
}
