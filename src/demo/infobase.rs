//! The data of the sample infobase. `infobase.json` is the state at the start. Prices are whole
//! roubles, and dates are ISO text, which sorts as it is.

use serde::Deserialize;

#[derive(Deserialize)]
pub(super) struct Infobase {
    pub(super) firm: String,
    /// A fixed date, so that answers are the same every day and reports are never empty.
    pub(super) today: String,
    pub(super) customers: Vec<Customer>,
    pub(super) goods: Vec<Item>,
    /// In the order of their numbers.
    pub(super) orders: Vec<Order>,
}

#[derive(Deserialize)]
pub(super) struct Customer {
    pub(super) code: String,
    pub(super) name: String,
    pub(super) english: String,
    pub(super) city: String,
    pub(super) manager: String,
}

#[derive(Deserialize)]
pub(super) struct Item {
    pub(super) article: String,
    pub(super) name: String,
    pub(super) english: String,
    pub(super) price: u64,
    pub(super) stock: u64,
}

#[derive(Deserialize)]
pub(super) struct Order {
    pub(super) number: u64,
    pub(super) date: String,
    /// The customer's code.
    pub(super) customer: String,
    pub(super) status: Status,
    /// Articles and quantities.
    pub(super) lines: Vec<(String, u64)>,
}

#[derive(Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    /// The goods are reserved, and still in stock.
    New,
    /// The goods have left and are not paid.
    Shipped,
    Paid,
    Cancelled,
}

impl Status {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::New => "Новый (new)",
            Self::Shipped => "Отгружен (shipped, not paid)",
            Self::Paid => "Оплачен (paid)",
            Self::Cancelled => "Отменён (cancelled)",
        }
    }
}

impl Customer {
    pub(super) fn named(&self) -> String {
        format!("{} ({})", self.name, self.english)
    }
}

impl Infobase {
    pub(super) fn load() -> serde_json::Result<Self> {
        serde_json::from_str(include_str!("infobase.json"))
    }

    /// People leave leading zeros out when they read a code aloud.
    pub(super) fn customer(&self, code: &str) -> Result<&Customer, String> {
        let significant = |code: &str| code.trim_start_matches('0').to_owned();
        let wanted = significant(code);
        let found = self.customers.iter().find(|customer| significant(&customer.code) == wanted);
        found.ok_or_else(|| format!("there is no customer '{code}'"))
    }

    pub(super) fn lines<'a>(&'a self, order: &'a Order) -> impl Iterator<Item = (&'a Item, u64)> {
        order.lines.iter().filter_map(|(article, quantity)| {
            let item = self.goods.iter().find(|item| item.article == *article)?;
            Some((item, *quantity))
        })
    }

    pub(super) fn sum(&self, order: &Order) -> u64 {
        self.lines(order).map(|(item, quantity)| item.price * quantity).sum()
    }

    pub(super) fn debt(&self, customer: &str) -> u64 {
        let orders = self.orders.iter().filter(|order| order.customer == customer);
        orders.filter(|order| order.status == Status::Shipped).map(|order| self.sum(order)).sum()
    }

    /// What may still be promised.
    pub(super) fn free(&self, item: &Item) -> u64 {
        let orders = self.orders.iter().filter(|order| order.status == Status::New);
        let lines = orders.flat_map(|order| &order.lines);
        let reserved = lines.filter(|(article, _)| *article == item.article);
        item.stock.saturating_sub(reserved.map(|(_, quantity)| quantity).sum())
    }

    pub(super) fn order_line(&self, order: &Order) -> String {
        let Order { number, date, status, .. } = order;
        let customer = self.customer(&order.customer).map_or_else(|why| why, Customer::named);
        let lines = self.lines(order).map(|(item, quantity)| {
            format!("{quantity} × {} {} ({})", item.article, item.name, item.english)
        });
        let lines: Vec<_> = lines.collect();
        let (status, sum) = (status.name(), self.sum(order));
        format!("НФ-{number:06} of {date}, {customer}, {status}, {sum} RUB: {}", lines.join(", "))
    }
}
