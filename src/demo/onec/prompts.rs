//! The one prompt: a letter to a customer who owes money.

use serde::Serialize;

use super::arguments::{Arguments, Complaint};
use super::catalogue::Catalogue;
use super::rpc::{self, Failure, Outcome, TextContent};
use super::values::Money;
use super::{text, tools};

/// What `prompts/list` answers, word for word.
pub(super) const LIST: &str = include_str!("prompts.json");

#[derive(Serialize)]
struct Prompt<'a> {
    description: &'static str,
    messages: [PromptMessage<'a>; 1],
}

#[derive(Serialize)]
struct PromptMessage<'a> {
    role: &'static str,
    content: TextContent<'a>,
}

pub(super) fn get(catalogue: &Catalogue, name: &str, arguments: &Arguments) -> Outcome {
    if name != "debt_letter" {
        return Err(Failure::exception(&format!("Промпт '{name}' не найден")));
    }
    let letter = debt_letter(catalogue, arguments);
    let letter = letter.map_err(|complaint| Failure::exception(&complaint))?;
    rpc::result(&Prompt {
        description: "Письмо контрагенту о задолженности",
        messages: [PromptMessage { role: "user", content: TextContent { text: &letter } }],
    })
}

fn debt_letter(catalogue: &Catalogue, arguments: &Arguments) -> Result<String, Complaint> {
    let customer = tools::customer(catalogue, arguments.required_text("customer")?)?;
    let tone = arguments.text("tone")?.unwrap_or("вежливый");
    let (name, city) = (&customer.name, &customer.city);
    let debt = catalogue.debt(customer);
    if debt == Money::default() {
        return Err(format!("У контрагента {name} нет задолженности"));
    }
    Ok(format!(
        "Составь письмо контрагенту {name} ({city}) от {} с напоминанием о задолженности.\n\
         Тон: {tone}; подпись: {}; дата: {}\n\
         Неоплаченные заказы:{}\n\
         Всего к оплате: {debt} руб.\n\
         Назови номера и суммы заказов, попроси сообщить дату оплаты.",
        catalogue.firm,
        customer.manager,
        catalogue.work_date,
        text::debts(catalogue, customer),
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn prompt(name: &str, arguments: &str) -> Result<Value, Failure> {
        let catalogue = Catalogue::load().unwrap();
        let prompt = get(&catalogue, name, &serde_json::from_str(arguments).unwrap())?;
        Ok(serde_json::from_str(prompt.get()).unwrap())
    }

    #[test]
    fn the_letter_names_what_is_owed() {
        let list: Vec<Value> = serde_json::from_str(LIST).unwrap();
        assert_eq!(list[0]["name"], "debt_letter");

        let prompt = prompt("debt_letter", r#"{"customer": "000000009"}"#).unwrap();
        assert_eq!(prompt["messages"][0]["role"], "user");
        assert_eq!(prompt["messages"][0]["content"]["type"], "text");
        let text = prompt["messages"][0]["content"]["text"].as_str().unwrap();
        assert!(text.contains("\n- заказ НФ-000119 от 06.11.2026"), "{text}");
        assert!(text.contains("Всего к оплате: 28 960,00 руб."), "{text}");
        assert!(text.contains("от ООО «Наша фирма»"), "{text}");
    }

    #[test]
    fn a_letter_without_reason_is_refused() {
        for (name, arguments) in [
            ("debt_letter", "{}"),
            ("debt_letter", r#"{"customer": "000000001"}"#),
            ("debt_letter", r#"{"customer": "77"}"#),
            ("greeting", "{}"),
        ] {
            assert!(prompt(name, arguments).is_err(), "{name} {arguments}");
        }
    }
}
