//! The data put into words, for the model and for whoever reads over its shoulder.

use std::fmt::Write;

use super::catalogue::{Catalogue, Customer, Item, Order};
use super::values::{Date, Money};

/// One line about a customer, for lists.
pub(super) fn customer_line(customer: &Customer) -> String {
    let Customer { code, name, inn, city, manager } = customer;
    format!("{code} {name}, ИНН {inn}, {city}, менеджер {manager}")
}

pub(super) fn customer_card(catalogue: &Catalogue, customer: &Customer) -> String {
    let Customer { code, name, inn, city, manager } = customer;
    let sales = || {
        let orders = catalogue.orders_of(customer);
        orders.filter(|order| order.status.is_sale())
    };
    let sum: Money = sales().map(Order::sum).sum();
    let mut card = format!(
        "{name} (код {code})\nИНН: {inn}\nГород: {city}\nМенеджер: {manager}\n\
         Заказов: {}, из них отгружено {} на {sum} руб.\nДолг: {} руб.",
        catalogue.orders_of(customer).count(),
        sales().count(),
        catalogue.debt(customer),
    );
    if let Some(last) = catalogue.orders_of(customer).last() {
        card.push_str("\nПоследний заказ: ");
        card.push_str(&order_summary(last));
    }
    card
}

/// One line about a customer's order, for lists that need not name the customer.
pub(super) fn order_summary(order: &Order) -> String {
    let Order { number, date, status, .. } = order;
    let mut line = format!("{number} от {date}, {status}, {} руб.", order.sum());
    if order.debt() > Money::default() {
        push(&mut line, format_args!(", долг {} руб.", order.debt()));
    }
    line
}

/// One line about an order with its customer.
pub(super) fn order_line(catalogue: &Catalogue, order: &Order) -> String {
    format!("{} — {}", order_summary(order), customer_name(catalogue, order))
}

pub(super) fn order_card(catalogue: &Catalogue, order: &Order) -> String {
    let mut card = format!(
        "Заказ покупателя {} от {}\nПокупатель: {} (код {})\nСтатус: {}\nТовары:",
        order.number,
        order.date,
        customer_name(catalogue, order),
        order.customer,
        order.status,
    );
    for (index, line) in order.lines.iter().enumerate() {
        let item = catalogue.item(&line.article);
        let (name, unit) = item.map_or(("", ""), |item| (&item.name, &item.unit));
        push(
            &mut card,
            format_args!(
                "\n{}. {} {name}: {} {unit} × {} = {}",
                index + 1,
                line.article,
                line.quantity,
                line.price,
                line.sum(),
            ),
        );
    }
    push(&mut card, format_args!("\nИтого: {} руб., оплачено: {} руб.", order.sum(), order.paid));
    if !order.comment.is_empty() {
        push(&mut card, format_args!("\nКомментарий: {}", order.comment));
    }
    card
}

/// One line about what there is of an item.
pub(super) fn stock_line(catalogue: &Catalogue, item: &Item) -> String {
    let Item { article, name, unit, price, stock } = item;
    format!(
        "{article} {name}: на складе {stock} {unit}, в резерве {}, свободно {}; цена {price} руб.",
        catalogue.reserved(item),
        catalogue.free(item),
    )
}

/// What a customer has not paid for, an order a line.
pub(super) fn debts(catalogue: &Catalogue, customer: &Customer) -> String {
    let orders = catalogue.orders_of(customer);
    let unpaid = orders.filter(|order| order.debt() > Money::default());
    let lines = unpaid.map(|order| format!("\n- заказ {}", order_summary(order)));
    lines.collect()
}

/// A report of sums by name, the largest first.
pub(super) fn report(from: Date, to: Date, mut rows: Vec<(&str, Money)>) -> String {
    rows.sort_by(|(name, sum), (other_name, other)| other.cmp(sum).then(name.cmp(other_name)));
    let total: Money = rows.iter().map(|(_, sum)| *sum).sum();
    let mut report = format!("Продажи за период с {from} по {to}, руб.:");
    for (name, sum) in rows {
        push(&mut report, format_args!("\n{name}: {sum}"));
    }
    push(&mut report, format_args!("\nИтого: {total}"));
    report
}

/// A heading with the number of lines, and the lines.
pub(super) fn list(heading: &str, found: usize, lines: &[String]) -> String {
    let mut list = format!("{heading}: {found}");
    if lines.len() < found {
        push(&mut list, format_args!(", показаны первые {}", lines.len()));
    }
    for line in lines {
        push(&mut list, format_args!("\n{line}"));
    }
    list
}

fn customer_name<'a>(catalogue: &'a Catalogue, order: &Order) -> &'a str {
    let customer = catalogue.customer(&order.customer);
    customer.map_or("", |customer| &customer.name)
}

fn push(text: &mut String, more: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = text.write_fmt(more);
}
