//! The tools of the sample, which answer with texts for models and people. `service.json` lists them.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::infobase::{Customer, Infobase, Item, Order, Status};

/// The text of a tool's answer, or why it failed.
type Outcome = Result<String, String>;

/// The arguments of all tools. Models often write `null` for what they leave out.
#[derive(Default, Deserialize)]
struct Arguments {
    query: Option<String>,
    only_free: Option<bool>,
    customer: Option<String>,
    status: Option<Status>,
    from: Option<String>,
    to: Option<String>,
    lines: Option<Vec<NewLine>>,
    number: Option<String>,
    group_by: Option<Group>,
}

#[derive(Deserialize)]
struct NewLine {
    article: String,
    quantity: u64,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Group {
    Manager,
    Customer,
    Item,
}

impl Arguments {
    fn read(arguments: &Value) -> Result<Self, String> {
        let read = Option::<Self>::deserialize(arguments).map_err(|error| error.to_string())?;
        Ok(read.unwrap_or_default())
    }
}

fn required<'a>(argument: Option<&'a String>, name: &str) -> Result<&'a str, String> {
    argument.map(String::as_str).ok_or_else(|| format!("'{name}' is missing"))
}

impl Infobase {
    /// Runs a tool; `None` when the name is unknown.
    pub(super) fn call(&mut self, tool: &str, arguments: &Value) -> Option<Outcome> {
        let asked = match Arguments::read(arguments) {
            Ok(asked) => asked,
            Err(why) => return Some(Err(why)),
        };
        Some(match tool {
            "find_customers" => Ok(self.find_customers(&asked)),
            "get_stock" => Ok(self.get_stock(&asked)),
            "list_orders" => self.list_orders(&asked),
            "create_order" => self.create_order(&asked),
            "cancel_order" => self.cancel_order(&asked),
            "sales_report" => self.sales_report(&asked),
            _ => return None,
        })
    }

    fn find_customers(&self, asked: &Arguments) -> String {
        let query = asked.query.as_deref().unwrap_or_default();
        let found = self.customers.iter().filter(|customer| {
            let Customer { code, name, english, city, manager } = customer;
            contains(&[code, name, english, city, manager], query)
        });
        let line = |customer: &Customer| {
            let Customer { code, city, manager, .. } = customer;
            let (named, debt) = (customer.named(), self.debt(code));
            format!("{code} {named}, {city}; manager {manager}; owes {debt} RUB")
        };
        list("customers", found.map(line))
    }

    fn get_stock(&self, asked: &Arguments) -> String {
        let query = asked.query.as_deref().unwrap_or_default();
        let found = self.goods.iter().filter(|item| {
            let is_wanted = contains(&[&item.article, &item.name, &item.english], query);
            is_wanted && (asked.only_free != Some(true) || self.free(item) > 0)
        });
        let line = |item: &Item| {
            let Item { article, name, english, price, stock } = item;
            let free = self.free(item);
            format!(
                "{article} {name} ({english}): {stock} in stock, {} reserved, {free} free; {price} RUB",
                stock - free
            )
        };
        list("goods", found.map(line))
    }

    /// The latest first.
    fn list_orders(&self, asked: &Arguments) -> Outcome {
        let customer = asked.customer.as_deref().map(|code| self.customer(code)).transpose()?;
        let (from, to) = period(asked.from.as_deref(), asked.to.as_deref())?;
        let found = self.orders.iter().rev().filter(|order| {
            customer.is_none_or(|customer| order.customer == customer.code)
                && asked.status.is_none_or(|status| order.status == status)
                && (from..=to).contains(&order.date.as_str())
        });
        Ok(list("orders", found.map(|order| self.order_line(order))))
    }

    fn create_order(&mut self, asked: &Arguments) -> Outcome {
        let customer = self.customer(required(asked.customer.as_ref(), "customer")?)?.code.clone();
        let asked = asked.lines.as_deref().unwrap_or_default();
        if asked.is_empty() {
            return Err("an order needs at least one line".to_owned());
        }
        let mut lines: Vec<(String, u64)> = Vec::new();
        for NewLine { article, quantity } in asked {
            let item = self.goods.iter().find(|item| item.article.eq_ignore_ascii_case(article));
            let item = item.ok_or_else(|| format!("there is no item '{article}'"))?;
            let free = self.free(item);
            if !(1..=free).contains(quantity) {
                return Err(format!("{quantity} of {} asked for, {free} free", item.article));
            }
            // Two lines of one article could take more than is free.
            if lines.iter().any(|(other, _)| *other == item.article) {
                return Err(format!("{} is in the order twice", item.article));
            }
            lines.push((item.article.clone(), *quantity));
        }
        let number = self.orders.last().map_or(1, |order| order.number + 1);
        let order =
            Order { number, date: self.today.clone(), customer, status: Status::New, lines };
        let created = format!("Created: {}", self.order_line(&order));
        self.orders.push(order);
        Ok(created)
    }

    /// Takes `НФ-000123` or `123`: the letters are easily typed on the wrong keyboard.
    fn cancel_order(&mut self, asked: &Arguments) -> Outcome {
        let number = required(asked.number.as_ref(), "number")?;
        let digits = number.rsplit('-').next().and_then(|digits| digits.parse().ok());
        let order = self.orders.iter_mut().find(|order| Some(order.number) == digits);
        let order = order.ok_or_else(|| format!("there is no order '{number}'"))?;
        if matches!(order.status, Status::Shipped | Status::Paid) {
            return Err(format!("an order that is {} cannot be cancelled", order.status.name()));
        }
        order.status = Status::Cancelled;
        Ok(format!("НФ-{:06} is cancelled, its goods are free", order.number))
    }

    fn sales_report(&self, asked: &Arguments) -> Outcome {
        let to = asked.to.clone().unwrap_or_else(|| self.today.clone());
        let start_of_month = format!("{}-01", to.get(..7).unwrap_or_default());
        let from = asked.from.clone().unwrap_or(start_of_month);
        let (from, to) = period(Some(&from), Some(&to))?;
        let group = asked.group_by.unwrap_or(Group::Manager);
        let mut sums: BTreeMap<String, u64> = BTreeMap::new();
        for order in &self.orders {
            let is_sale = matches!(order.status, Status::Shipped | Status::Paid);
            if !is_sale || !(from..=to).contains(&order.date.as_str()) {
                continue;
            }
            let customer = self.customer(&order.customer)?;
            for (item, quantity) in self.lines(order) {
                let name = match group {
                    Group::Manager => customer.manager.clone(),
                    Group::Customer => customer.named(),
                    Group::Item => format!("{} ({})", item.name, item.english),
                };
                *sums.entry(name).or_default() += item.price * quantity;
            }
        }
        let mut rows: Vec<_> = sums.iter().map(|(name, sum)| format!("{name}: {sum}")).collect();
        rows.push(format!("Итого (total): {}", sums.values().sum::<u64>()));
        Ok(format!("Sales from {from} to {to}, RUB:\n{}", rows.join("\n")))
    }

    /// The prompt `debt_letter`: a letter to a customer who owes money.
    pub(super) fn debt_letter(&self, arguments: &Value) -> Outcome {
        let asked = Arguments::read(arguments)?;
        let customer = self.customer(required(asked.customer.as_ref(), "customer")?)?;
        let unpaid =
            |order: &&Order| order.customer == customer.code && order.status == Status::Shipped;
        let orders = self.orders.iter().filter(unpaid);
        let lines: Vec<_> = orders.map(|order| self.order_line(order)).collect();
        if lines.is_empty() {
            return Err(format!("{} owes nothing", customer.named()));
        }
        let (firm, today, debt) = (&self.firm, &self.today, self.debt(&customer.code));
        Ok(format!(
            "Write a letter from {firm} to {}, {}: a reminder of what is not paid. \
             Signed: {}. Date: {today}.\nOrders:\n{}\nIn all: {debt} RUB.\nName the \
             orders with their sums, and ask for the day of the payment.",
            customer.named(),
            customer.city,
            customer.manager,
            lines.join("\n"),
        ))
    }

    /// The customers with their debts, as data.
    pub(super) fn customers_json(&self) -> String {
        let row = |customer: &Customer| {
            let Customer { code, name, english, city, manager } = customer;
            let debt = self.debt(code);
            json!({"code": code, "name": name, "english": english, "city": city,
                "manager": manager, "debt": debt})
        };
        self.customers.iter().map(row).collect::<Value>().to_string()
    }
}

/// The bounds of a period; either may be open.
fn period<'a>(from: Option<&'a str>, to: Option<&'a str>) -> Result<(&'a str, &'a str), String> {
    let is_digit = |(at, byte): (usize, u8)| {
        if at == 4 || at == 7 { byte == b'-' } else { byte.is_ascii_digit() }
    };
    for date in [from, to].into_iter().flatten() {
        if date.len() != 10 || !date.bytes().enumerate().all(is_digit) {
            return Err(format!("'{date}' is not a date like 2026-11-20"));
        }
    }
    Ok((from.unwrap_or("0000-00-00"), to.unwrap_or("9999-99-99")))
}

/// A heading with the number of lines, and the lines.
fn list(what: &str, lines: impl Iterator<Item = String>) -> String {
    let lines: Vec<_> = lines.map(|line| format!("\n{line}")).collect();
    format!("Found {what}: {}{}", lines.len(), lines.concat())
}

/// Whether each of the words occurs in one of the fields, in any case, with `ё` read as `е`.
fn contains(fields: &[&str], words: &str) -> bool {
    let folded = |text: &str| text.to_lowercase().replace('ё', "е");
    let fields: Vec<_> = fields.iter().map(|field| folded(field)).collect();
    folded(words).split_whitespace().all(|word| fields.iter().any(|field| field.contains(word)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a tool says to arguments on the data as shipped.
    fn outcome(tool: &str, arguments: &str) -> Outcome {
        let arguments = serde_json::from_str(arguments).unwrap();
        Infobase::load().unwrap().call(tool, &arguments).unwrap()
    }

    #[test]
    fn the_shipped_data_are_consistent() {
        let infobase = Infobase::load().unwrap();
        for order in &infobase.orders {
            assert!(infobase.customer(&order.customer).is_ok(), "{}", order.number);
            assert_eq!(infobase.lines(order).count(), order.lines.len(), "{}", order.number);
            assert!(order.date <= infobase.today && !order.lines.is_empty(), "{}", order.number);
        }
        assert!(infobase.orders.is_sorted_by(|a, b| a.number < b.number && a.date <= b.date));
        assert!(infobase.customers.iter().any(|customer| infobase.debt(&customer.code) == 0));
    }

    #[test]
    fn what_is_asked_for_is_found() {
        for (tool, arguments, expected) in [
            (
                "get_stock",
                r#"{"query": "SH-025"}"#,
                "Found goods: 1\nSH-025 Шланг поливочный 25 м (garden hose, 25 m): 72 in stock, \
                 10 reserved, 62 free; 1890 RUB",
            ),
            (
                "find_customers",
                r#"{"query": "теплая"}"#,
                "Found customers: 1\n000000011 ООО «Тёплая грядка» (Warm Garden Bed), \
                 Воронеж (Voronezh); manager Лебедева (Lebedeva); owes 0 RUB",
            ),
            (
                "list_orders",
                r#"{"customer": "9", "status": "shipped", "from": "2026-11-01", "to": null}"#,
                "Found orders: 1\nНФ-000119 of 2026-11-06, ООО «Уральский огород» (Ural Kitchen \
                 Garden), Отгружен (shipped, not paid), 28960 RUB: 4 × TC-085 Тачка садовая 85 л \
                 (wheelbarrow, 85 l), 6 × OP-005 Опрыскиватель ручной 5 л (hand sprayer, 5 l)",
            ),
            (
                "sales_report",
                "null",
                "Sales from 2026-11-01 to 2026-11-20, RUB:\nГусев (Gusev): 36030\n\
                 Лебедева (Lebedeva): 28960\nИтого (total): 64990",
            ),
        ] {
            assert_eq!(outcome(tool, arguments).as_deref(), Ok(expected));
        }
        let free = outcome("get_stock", r#"{"only_free": true}"#).unwrap();
        assert!(!free.contains("GZ-002"), "{free}");
    }

    #[test]
    fn an_order_reserves_until_it_is_cancelled() {
        let mut infobase = Infobase::load().unwrap();
        let mut say = |tool: &str, arguments: &str| {
            infobase.call(tool, &serde_json::from_str(arguments).unwrap()).unwrap().unwrap()
        };
        let stock = r#"{"query": "LP-010"}"#;
        let before = say("get_stock", stock);
        let order = r#"{"customer": "1", "lines": [{"article": "lp-010", "quantity": 3}]}"#;
        for number in ["НФ-000124", "НФ-000125"] {
            let created = say("create_order", order);
            assert!(created.starts_with(&format!("Created: {number} of 2026-11-20")), "{created}");
        }
        assert_ne!(say("get_stock", stock), before);
        for number in ["НФ-000124", "125", "125"] {
            say("cancel_order", &json!({"number": number}).to_string());
        }
        assert_eq!(say("get_stock", stock), before);
    }

    #[test]
    fn what_cannot_be_done_is_explained() {
        let order = |lines: &str| format!(r#"{{"customer": "1", "lines": [{lines}]}}"#);
        for (tool, arguments, why) in [
            ("list_orders", r#"{"status": "lost"}"#, "unknown variant `lost`, expected one of"),
            ("list_orders", r#"{"customer": "99"}"#, "there is no customer '99'"),
            ("list_orders", r#"{"from": "20.11.2026"}"#, "'20.11.2026' is not a date"),
            ("sales_report", r#"{"to": "вчера"}"#, "is not a date"),
            ("cancel_order", r#"{"number": "104"}"#, "Оплачен (paid) cannot be cancelled"),
            ("cancel_order", r#"{"number": "А-1"}"#, "there is no order 'А-1'"),
            ("create_order", "{}", "'customer' is missing"),
            ("create_order", &order(""), "at least one line"),
            ("create_order", &order(r#"{"article": "BK-200", "quantity": 13}"#), "12 free"),
            (
                "create_order",
                &order(
                    r#"{"article": "BK-200", "quantity": 1}, {"article": "bk-200", "quantity": 1}"#,
                ),
                "BK-200 is in the order twice",
            ),
        ] {
            let told = outcome(tool, arguments).unwrap_err();
            assert!(told.contains(why), "{tool}: {told}");
        }
        let letter =
            |customer: &str| Infobase::load().unwrap().debt_letter(&json!({"customer": customer}));
        assert!(letter("11").unwrap_err().ends_with("owes nothing"));
        assert!(letter("9").unwrap().contains("In all: 28960 RUB."));
    }
}
