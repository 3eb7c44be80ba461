//! The resources: the customers as data, and a page about the infobase.

use serde::Serialize;

use super::catalogue::Catalogue;
use super::rpc::{self, Failure, Outcome};
use super::values::Money;

/// What `resources/list` answers, word for word.
pub(super) const LIST: &str = include_str!("resources.json");

const ABOUT: &str = include_str!("about.md");

#[derive(Serialize)]
struct ReadResult<'a> {
    contents: [Contents<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Contents<'a> {
    uri: &'a str,
    mime_type: &'static str,
    text: &'a str,
}

#[derive(Serialize)]
struct CustomerRow<'a> {
    code: &'a str,
    name: &'a str,
    inn: &'a str,
    city: &'a str,
    manager: &'a str,
    debt: Money,
}

pub(super) fn read(catalogue: &Catalogue, uri: &str) -> Outcome {
    let customers;
    let (mime_type, text) = match uri {
        "demo://catalog/customers" => {
            customers = customers_json(catalogue)?;
            ("application/json", customers.as_str())
        }
        "demo://docs/about" => ("text/markdown", ABOUT),
        _ => return Err(Failure::exception(&format!("Ресурс '{uri}' не найден"))),
    };
    rpc::result(&ReadResult { contents: [Contents { uri, mime_type, text }] })
}

fn customers_json(catalogue: &Catalogue) -> serde_json::Result<String> {
    let customers = catalogue.customers.iter();
    let rows: Vec<_> = customers
        .map(|customer| CustomerRow {
            code: &customer.code,
            name: &customer.name,
            inn: &customer.inn,
            city: &customer.city,
            manager: &customer.manager,
            debt: catalogue.debt(customer),
        })
        .collect();
    serde_json::to_string(&rows)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn contents(uri: &str) -> Value {
        let catalogue = Catalogue::load().unwrap();
        let result = read(&catalogue, uri).unwrap();
        let mut result: Value = serde_json::from_str(result.get()).unwrap();
        result["contents"][0].take()
    }

    #[test]
    fn what_is_listed_can_be_read() {
        let list: Vec<Value> = serde_json::from_str(LIST).unwrap();
        assert_eq!(list.len(), 2);
        for resource in list {
            let contents = contents(resource["uri"].as_str().unwrap());
            assert_eq!(contents["uri"], resource["uri"]);
            assert_eq!(contents["mimeType"], resource["mimeType"]);
        }
    }

    #[test]
    fn customers_are_data() {
        let contents = contents("demo://catalog/customers");
        let text = contents["text"].as_str().unwrap();
        let customers: Vec<Value> = serde_json::from_str(text).unwrap();
        assert_eq!(customers.len(), 12);
        assert_eq!(customers[1]["debt"], json!(19030.0));
        assert!(text.contains("\"debt\":19030.00"), "{text}");
    }

    #[test]
    fn the_prose_knows_the_date() {
        let date = Catalogue::load().unwrap().work_date.to_string();
        assert!(ABOUT.contains(&date) && super::super::INSTRUCTIONS.contains(&date));
    }

    #[test]
    fn an_unknown_resource_is_an_exception() {
        assert!(read(&Catalogue::load().unwrap(), "demo://docs/none").is_err());
    }
}
