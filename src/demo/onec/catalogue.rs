//! The data of the sample infobase: what there is, what belongs together, and the two ways in
//! which it changes. `catalogue.json` is the state at the start.

use std::fmt;

use serde::Deserialize;

use super::values::{Date, Money};

const SHIPPED_DATA: &str = include_str!("catalogue.json");

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Catalogue {
    pub(super) firm: String,
    /// The infobase's notion of today. The clock is not asked, so that the answers of the demo
    /// are the same every day and reports are never empty.
    pub(super) work_date: Date,
    pub(super) customers: Vec<Customer>,
    pub(super) goods: Vec<Item>,
    /// In the order of their numbers.
    pub(super) orders: Vec<Order>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Customer {
    pub(super) code: String,
    pub(super) name: String,
    /// Invented, like everything here, and with a wrong check digit: it belongs to nobody.
    pub(super) inn: String,
    pub(super) city: String,
    pub(super) manager: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Item {
    pub(super) article: String,
    pub(super) name: String,
    pub(super) unit: String,
    pub(super) price: Money,
    pub(super) stock: u32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Order {
    pub(super) number: String,
    pub(super) date: Date,
    /// The customer's code.
    pub(super) customer: String,
    pub(super) status: Status,
    pub(super) paid: Money,
    pub(super) lines: Vec<Line>,
    #[serde(default)]
    pub(super) comment: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Line {
    pub(super) article: String,
    pub(super) quantity: u32,
    /// As agreed in the order; the item's own may have changed since.
    pub(super) price: Money,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(super) enum Status {
    #[serde(rename = "Новый")]
    New,
    #[serde(rename = "В работе")]
    InProgress,
    #[serde(rename = "Отгружен")]
    Shipped,
    #[serde(rename = "Закрыт")]
    Closed,
    #[serde(rename = "Отменён")]
    Cancelled,
}

impl Status {
    pub(super) const ALL: [Self; 5] =
        [Self::New, Self::InProgress, Self::Shipped, Self::Closed, Self::Cancelled];

    /// The status of that name, whatever its case and with `е` for `ё` as people type it.
    pub(super) fn named(name: &str) -> Option<Self> {
        let name = folded(name);
        let mut all = Self::ALL.into_iter();
        all.find(|status| folded(status.name()) == name)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::New => "Новый",
            Self::InProgress => "В работе",
            Self::Shipped => "Отгружен",
            Self::Closed => "Закрыт",
            Self::Cancelled => "Отменён",
        }
    }

    /// The goods are promised and still on the shelf.
    fn reserves(self) -> bool {
        matches!(self, Self::New | Self::InProgress)
    }

    /// The goods have left, so there is something to pay for.
    pub(super) fn is_sale(self) -> bool {
        matches!(self, Self::Shipped | Self::Closed)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Line {
    pub(super) fn sum(&self) -> Money {
        self.price * self.quantity
    }
}

impl Order {
    pub(super) fn sum(&self) -> Money {
        self.lines.iter().map(Line::sum).sum()
    }

    pub(super) fn debt(&self) -> Money {
        if self.status.is_sale() { self.sum() - self.paid } else { Money::default() }
    }
}

impl Item {
    pub(super) fn matches(&self, words: &str) -> bool {
        contains(&[&self.article, &self.name], words)
    }
}

impl Customer {
    pub(super) fn matches(&self, words: &str) -> bool {
        contains(&[&self.code, &self.name, &self.inn, &self.city, &self.manager], words)
    }
}

impl Catalogue {
    pub(super) fn load() -> serde_json::Result<Self> {
        serde_json::from_str(SHIPPED_DATA)
    }

    /// Leading zeros may be left out, as people do when they read a code aloud.
    pub(super) fn customer(&self, code: &str) -> Option<&Customer> {
        let significant = |code: &str| code.trim_start_matches('0').to_owned();
        let code = significant(code);
        let mut customers = self.customers.iter();
        customers.find(|customer| significant(&customer.code) == code)
    }

    pub(super) fn item(&self, article: &str) -> Option<&Item> {
        let mut goods = self.goods.iter();
        goods.find(|item| item.article.eq_ignore_ascii_case(article))
    }

    /// An order by `НФ-000123` or by `123`: the letters are easily typed on the wrong keyboard.
    pub(super) fn order(&self, number: &str) -> Option<&Order> {
        let position = self.position(number)?;
        self.orders.get(position)
    }

    fn position(&self, number: &str) -> Option<usize> {
        let number = ordinal(number)?;
        let mut orders = self.orders.iter();
        orders.position(|order| ordinal(&order.number) == Some(number))
    }

    pub(super) fn orders_of<'a>(
        &'a self,
        customer: &'a Customer,
    ) -> impl Iterator<Item = &'a Order> {
        let orders = self.orders.iter();
        orders.filter(|order| order.customer == customer.code)
    }

    pub(super) fn debt(&self, customer: &Customer) -> Money {
        self.orders_of(customer).map(Order::debt).sum()
    }

    pub(super) fn reserved(&self, item: &Item) -> u32 {
        let orders = self.orders.iter().filter(|order| order.status.reserves());
        let lines = orders.flat_map(|order| &order.lines);
        let lines = lines.filter(|line| line.article == item.article);
        lines.map(|line| line.quantity).sum()
    }

    /// What may still be promised to somebody.
    pub(super) fn free(&self, item: &Item) -> u32 {
        item.stock.saturating_sub(self.reserved(item))
    }

    /// Adds an order under the next number. The caller has checked customer, articles and stock.
    pub(super) fn add_order(
        &mut self,
        customer: String,
        lines: Vec<Line>,
        comment: String,
    ) -> &Order {
        let last = self.orders.iter().filter_map(|order| ordinal(&order.number)).max();
        let number = format!("НФ-{:06}", last.unwrap_or(0) + 1);
        let position = self.orders.len();
        self.orders.push(Order {
            number,
            date: self.work_date,
            customer,
            status: Status::New,
            paid: Money::default(),
            lines,
            comment,
        });
        &self.orders[position]
    }

    /// Cancels an order, which gives its goods free; cancelling it again changes nothing.
    /// `Err` holds the status of an order that is too far for that, `None` stands for no order.
    pub(super) fn cancel_order(&mut self, number: &str) -> Option<Result<&Order, Status>> {
        let position = self.position(number)?;
        let order = self.orders.get_mut(position)?;
        if order.status.is_sale() {
            return Some(Err(order.status));
        }
        order.status = Status::Cancelled;
        Some(Ok(order))
    }
}

fn ordinal(number: &str) -> Option<u32> {
    number.rsplit('-').next()?.parse().ok()
}

/// Whether every one of the words occurs in one of the fields.
fn contains(fields: &[&str], words: &str) -> bool {
    let fields: Vec<String> = fields.iter().map(|field| folded(field)).collect();
    let words = folded(words);
    words.split_whitespace().all(|word| fields.iter().any(|field| field.contains(word)))
}

fn folded(text: &str) -> String {
    text.to_lowercase().replace('ё', "е")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digits(text: &str) -> Vec<u32> {
        text.chars().map(|digit| digit.to_digit(10).unwrap()).collect()
    }

    fn check_digit(digits: &[u32], weights: &[u32]) -> u32 {
        let sum: u32 = digits.iter().zip(weights).map(|(digit, weight)| digit * weight).sum();
        sum % 11 % 10
    }

    #[test]
    fn the_shipped_data_are_consistent() {
        let catalogue = Catalogue::load().unwrap();
        for order in &catalogue.orders {
            let number = &order.number;
            assert!(catalogue.customer(&order.customer).is_some(), "{number}");
            assert!(order.date <= catalogue.work_date, "{number}");
            assert!(!order.lines.is_empty(), "{number}");
            assert!(order.lines.iter().all(|line| catalogue.item(&line.article).is_some()));
            assert!(order.paid <= order.sum(), "{number}");
            assert_eq!(
                order.status == Status::Closed,
                order.status.is_sale() && order.paid == order.sum(),
                "{number}"
            );
        }
        for item in &catalogue.goods {
            assert!(catalogue.reserved(item) <= item.stock, "{}", item.article);
        }
        assert!(catalogue.orders.is_sorted_by(|a, b| a.number < b.number && a.date <= b.date));
    }

    #[test]
    fn nobody_has_the_tax_numbers() {
        let weights = [3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8];
        for customer in Catalogue::load().unwrap().customers {
            let inn = digits(&customer.inn);
            let expected = if customer.name.starts_with("ИП") { 12 } else { 10 };
            assert_eq!(inn.len(), expected, "{}", customer.name);
            let last = expected - 1;
            let weights = &weights[weights.len() - last..];
            assert_ne!(check_digit(&inn[..last], weights), inn[last], "{}", customer.name);
        }
    }

    #[test]
    fn things_are_found_as_people_name_them() {
        let catalogue = Catalogue::load().unwrap();
        assert_eq!(catalogue.customer("3").unwrap().code, "000000003");
        assert_eq!(catalogue.item("sh-025").unwrap().article, "SH-025");
        assert_eq!(catalogue.order("123").unwrap().number, "НФ-000123");
        assert!(catalogue.order("НФ-000999").is_none());
        assert!(catalogue.order("НФ").is_none());
        assert_eq!(Status::named("отменен"), Some(Status::Cancelled));
        assert_eq!(Status::named("потерян"), None);
        assert!(catalogue.customers[10].matches("ТЕПЛАЯ воронеж"));
        assert!(!catalogue.customers[10].matches("тёплая москва"));
        for status in Status::ALL {
            let named = format!("\"{status}\"");
            assert_eq!(serde_json::from_str::<Status>(&named).unwrap(), status);
        }
    }

    #[test]
    fn an_order_reserves_until_it_is_cancelled() {
        let mut catalogue = Catalogue::load().unwrap();
        let free = |catalogue: &Catalogue| catalogue.free(catalogue.item("LP-010").unwrap());
        let before = free(&catalogue);

        let line = Line { article: "LP-010".to_owned(), quantity: 3, price: Money::default() };
        let order = catalogue.add_order("000000001".to_owned(), vec![line], String::new());
        assert_eq!(order.number, "НФ-000124");
        assert_eq!(free(&catalogue), before - 3);

        for _ in 0..2 {
            let order = catalogue.cancel_order("124").unwrap().unwrap();
            assert_eq!(order.status, Status::Cancelled);
            assert_eq!(free(&catalogue), before);
        }
        assert_eq!(catalogue.cancel_order("104").unwrap().unwrap_err(), Status::Closed);
        assert!(catalogue.cancel_order("999").is_none());
    }
}
