//! The tools. `tools.json` is what `tools/list` answers, word for word; here is what they do.

use std::collections::BTreeMap;

use super::Service;
use super::arguments::{Arguments, Complaint};
use super::catalogue::{Catalogue, Customer, Item, Line, Status};
use super::text;
use super::values::{Date, Money};

pub(super) const LIST: &str = include_str!("tools.json");

/// The longest that `sales_report` may be told to take, in seconds.
const LONGEST_REPORT: u32 = 30;

/// What a tool says, or why it cannot do what it was told.
type Outcome = Result<String, Complaint>;

/// Runs a tool; `None` when there is none of that name.
pub(super) async fn call(service: &Service, name: &str, arguments: &Arguments) -> Option<Outcome> {
    if name == "sales_report" {
        // The wait stands in for a long query. It comes before the data are looked at, so that
        // nobody else waits meanwhile.
        match arguments.seconds("seconds", LONGEST_REPORT) {
            Ok(duration) => tokio::time::sleep(duration).await,
            Err(complaint) => return Some(Err(complaint)),
        }
    }
    run(&mut service.catalogue(), name, arguments)
}

fn run(catalogue: &mut Catalogue, name: &str, arguments: &Arguments) -> Option<Outcome> {
    Some(match name {
        "find_customers" => find_customers(catalogue, arguments),
        "get_customer" => get_customer(catalogue, arguments),
        "list_orders" => list_orders(catalogue, arguments),
        "get_order" => get_order(catalogue, arguments),
        "create_order" => create_order(catalogue, arguments),
        "cancel_order" => cancel_order(catalogue, arguments),
        "get_stock" => get_stock(catalogue, arguments),
        "sales_report" => sales_report(catalogue, arguments),
        _ => return None,
    })
}

fn find_customers(catalogue: &Catalogue, arguments: &Arguments) -> Outcome {
    let query = arguments.required_text("query")?;
    let limit = limit(arguments)?;
    let customers = catalogue.customers.iter();
    let found: Vec<_> = customers.filter(|customer| customer.matches(query)).collect();
    let shown = found.iter().take(limit);
    let lines: Vec<_> = shown.map(|customer| text::customer_line(customer)).collect();
    Ok(text::list("Найдено контрагентов", found.len(), &lines))
}

fn get_customer(catalogue: &Catalogue, arguments: &Arguments) -> Outcome {
    let customer = customer(catalogue, arguments.required_text("code")?)?;
    Ok(text::customer_card(catalogue, customer))
}

fn list_orders(catalogue: &Catalogue, arguments: &Arguments) -> Outcome {
    let customer = match arguments.text("customer")? {
        Some(code) => Some(customer(catalogue, code)?),
        None => None,
    };
    let status = match arguments.text("status")? {
        Some(name) => Some(status(name)?),
        None => None,
    };
    let (from, to) = (arguments.date("from")?, arguments.date("to")?);
    if let (Some(from), Some(to)) = (from, to) {
        period(from, to)?;
    }
    let limit = limit(arguments)?;

    // The latest first, as everybody asks for them.
    let orders = catalogue.orders.iter().rev();
    let found: Vec<_> = orders
        .filter(|order| customer.is_none_or(|customer| order.customer == customer.code))
        .filter(|order| status.is_none_or(|status| order.status == status))
        .filter(|order| from.is_none_or(|from| order.date >= from))
        .filter(|order| to.is_none_or(|to| order.date <= to))
        .collect();
    let shown = found.iter().take(limit);
    let lines: Vec<_> = shown.map(|order| text::order_line(catalogue, order)).collect();
    Ok(text::list("Найдено заказов", found.len(), &lines))
}

fn get_order(catalogue: &Catalogue, arguments: &Arguments) -> Outcome {
    let number = arguments.required_text("number")?;
    let order = catalogue.order(number).ok_or_else(|| no_order(number))?;
    Ok(text::order_card(catalogue, order))
}

fn create_order(catalogue: &mut Catalogue, arguments: &Arguments) -> Outcome {
    let customer = customer(catalogue, arguments.required_text("customer")?)?;
    let customer = customer.code.clone();
    let comment = arguments.text("comment")?.unwrap_or_default().to_owned();
    let rows = arguments.required_rows("lines")?;
    if rows.is_empty() {
        return Err("В заказе должна быть хотя бы одна строка".to_owned());
    }
    let mut lines: Vec<Line> = Vec::with_capacity(rows.len());
    for (index, row) in rows.iter().enumerate() {
        let in_row = |complaint| format!("Строка {}: {complaint}", index + 1);
        let line = order_line(catalogue, row).map_err(in_row)?;
        // Two rows of one article could together take more than there is.
        if lines.iter().any(|other| other.article == line.article) {
            return Err(in_row(format!("товар '{}' уже есть в заказе", line.article)));
        }
        lines.push(line);
    }
    let number = catalogue.add_order(customer, lines, comment).number.clone();
    let order = catalogue.order(&number).ok_or_else(|| no_order(&number))?;
    Ok(format!("Создан заказ {number}.\n\n{}", text::order_card(catalogue, order)))
}

fn order_line(catalogue: &Catalogue, row: &Arguments) -> Result<Line, Complaint> {
    let article = row.required_text("article")?;
    let quantity = row.required_integer("quantity", &(1..=10_000))?;
    let item = item(catalogue, article)?;
    let free = catalogue.free(item);
    if quantity > free {
        let (name, unit) = (&item.name, &item.unit);
        return Err(format!(
            "Недостаточно товара «{name}»: нужно {quantity} {unit}, свободно {free} {unit}"
        ));
    }
    Ok(Line { article: item.article.clone(), quantity, price: item.price })
}

fn cancel_order(catalogue: &mut Catalogue, arguments: &Arguments) -> Outcome {
    let number = arguments.required_text("number")?;
    match catalogue.cancel_order(number) {
        Some(Ok(order)) => Ok(format!("Заказ {} отменён, товары освобождены.", order.number)),
        Some(Err(status)) => Err(format!("Заказ в статусе «{status}» отменить нельзя")),
        None => Err(no_order(number)),
    }
}

fn get_stock(catalogue: &Catalogue, arguments: &Arguments) -> Outcome {
    let query = arguments.text("query")?.unwrap_or_default();
    let only_free = arguments.flag("only_free")?;
    let goods = catalogue.goods.iter();
    let found = goods.filter(|item| item.matches(query));
    let found = found.filter(|item| !only_free || catalogue.free(item) > 0);
    let lines: Vec<_> = found.map(|item| text::stock_line(catalogue, item)).collect();
    Ok(text::list("Найдено товаров", lines.len(), &lines))
}

fn sales_report<'a>(catalogue: &'a Catalogue, arguments: &Arguments) -> Outcome {
    let to = arguments.date("to")?.unwrap_or(catalogue.work_date);
    let from = arguments.date("from")?.unwrap_or(to.first_of_month());
    period(from, to)?;
    let group_of: fn(&'a Customer, &'a Item) -> &'a str = match arguments.text("group_by")? {
        None | Some("manager") => |customer, _| &customer.manager,
        Some("customer") => |customer, _| &customer.name,
        Some("item") => |_, item| &item.name,
        Some(other) => {
            let known = "manager, customer, item";
            return Err(format!("Неизвестная группировка '{other}'. Возможные: {known}"));
        }
    };

    let mut sums: BTreeMap<&str, Money> = BTreeMap::new();
    let orders = catalogue.orders.iter().filter(|order| order.status.is_sale());
    for order in orders.filter(|order| (from..=to).contains(&order.date)) {
        let customer = customer(catalogue, &order.customer)?;
        for line in &order.lines {
            let item = item(catalogue, &line.article)?;
            *sums.entry(group_of(customer, item)).or_default() += line.sum();
        }
    }
    Ok(text::report(from, to, sums.into_iter().collect()))
}

fn limit(arguments: &Arguments) -> Result<usize, Complaint> {
    let limit = arguments.integer("limit", &(1..=50))?.unwrap_or(10);
    // A `u32` fits wherever this runs.
    Ok(usize::try_from(limit).unwrap_or(usize::MAX))
}

pub(super) fn customer<'a>(
    catalogue: &'a Catalogue,
    code: &str,
) -> Result<&'a Customer, Complaint> {
    let customer = catalogue.customer(code);
    customer.ok_or_else(|| format!("Контрагент с кодом '{code}' не найден"))
}

fn item<'a>(catalogue: &'a Catalogue, article: &str) -> Result<&'a Item, Complaint> {
    let item = catalogue.item(article);
    item.ok_or_else(|| format!("Товар с артикулом '{article}' не найден"))
}

fn status(name: &str) -> Result<Status, Complaint> {
    Status::named(name).ok_or_else(|| {
        let known = Status::ALL.map(Status::name).join(", ");
        format!("Неизвестный статус '{name}'. Возможные: {known}")
    })
}

fn period(from: Date, to: Date) -> Result<(), Complaint> {
    if from > to {
        return Err(format!("Начало периода ({from}) позже его конца ({to})"));
    }
    Ok(())
}

fn no_order(number: &str) -> Complaint {
    format!("Заказ с номером '{number}' не найден")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::Value;

    use super::*;

    /// Runs one tool on the data as shipped.
    fn outcome(name: &str, arguments: &str) -> Outcome {
        let mut catalogue = Catalogue::load().unwrap();
        let arguments = serde_json::from_str(arguments).unwrap();
        run(&mut catalogue, name, &arguments).unwrap()
    }

    #[test]
    fn what_is_listed_exists_and_says_whether_it_may_be_repeated() {
        let tools: Vec<Value> = serde_json::from_str(LIST).unwrap();
        assert_eq!(tools.len(), 8);
        for tool in tools {
            let name = tool["name"].as_str().unwrap();
            let mut catalogue = Catalogue::load().unwrap();
            assert!(run(&mut catalogue, name, &Arguments::default()).is_some(), "{name}");
            assert_eq!(tool["inputSchema"]["type"], "object", "{name}");
            let hints = &tool["annotations"];
            let writes = matches!(name, "create_order" | "cancel_order");
            assert_eq!(hints["readOnlyHint"], !writes, "{name}");
            assert_eq!(hints["idempotentHint"], name != "create_order", "{name}");
        }
    }

    #[test]
    fn customers_are_found_and_shown() {
        assert_eq!(
            outcome("find_customers", r#"{"query": "теплая"}"#).unwrap(),
            "Найдено контрагентов: 1\n\
             000000011 ООО «Тёплая грядка», ИНН 3600740414, Воронеж, менеджер Лебедева О. Н."
        );
        let few = outcome("find_customers", r#"{"query": "", "limit": 2}"#).unwrap();
        assert!(few.starts_with("Найдено контрагентов: 12, показаны первые 2\n"), "{few}");
        assert_eq!(few.lines().count(), 3);

        let card = outcome("get_customer", r#"{"code": "2"}"#).unwrap();
        assert!(card.contains("Заказов: 2, из них отгружено 1 на 39 030,00 руб."), "{card}");
        assert!(card.contains("Долг: 19 030,00 руб."), "{card}");
    }

    #[test]
    fn orders_are_filtered_latest_first() {
        let october = r#"{"status": "отгружен", "from": "2026-10-01", "to": "2026-10-31"}"#;
        let orders = outcome("list_orders", october).unwrap();
        let starts = orders.lines().map(|line| line.split(' ').next());
        let starts: Vec<_> = starts.flatten().collect();
        assert_eq!(starts, ["Найдено", "НФ-000117", "НФ-000115", "НФ-000113"]);
    }

    #[test]
    fn an_order_is_shown_with_its_sums() {
        assert_eq!(
            outcome("get_order", r#"{"number": "НФ-000123"}"#).unwrap(),
            "Заказ покупателя НФ-000123 от 18.11.2026\n\
             Покупатель: ООО «Тёплая грядка» (код 000000011)\n\
             Статус: Новый\n\
             Товары:\n\
             1. SH-025 Шланг поливочный 25 м: 10 шт × 1 890,00 = 18 900,00\n\
             2. PL-310 Плёнка укрывная 3×10 м: 30 рул × 980,00 = 29 400,00\n\
             3. SK-007 Секатор плоскостной: 4 шт × 1 150,00 = 4 600,00\n\
             Итого: 52 900,00 руб., оплачено: 0,00 руб."
        );
    }

    #[test]
    fn every_order_created_is_a_new_one() {
        let mut catalogue = Catalogue::load().unwrap();
        let order = r#"{"customer": "1", "lines": [{"article": "lk-010", "quantity": 2}],
            "comment": "Самовывоз"}"#;
        let order = serde_json::from_str(order).unwrap();
        for number in ["НФ-000124", "НФ-000125"] {
            let text = run(&mut catalogue, "create_order", &order).unwrap().unwrap();
            assert!(text.starts_with(&format!("Создан заказ {number}.\n")), "{text}");
            assert!(text.contains("Итого: 641,00 руб."), "{text}");
            assert!(text.ends_with("Комментарий: Самовывоз"), "{text}");
        }
    }

    #[test]
    fn stock_counts_what_is_promised() {
        assert_eq!(
            outcome("get_stock", r#"{"query": "мотоблок"}"#).unwrap(),
            "Найдено товаров: 1\nMB-070 Мотоблок 7 л. с.: на складе 3 шт, в резерве 1, \
             свободно 2; цена 42 500,00 руб."
        );
        let free = outcome("get_stock", r#"{"only_free": true}"#).unwrap();
        assert!(!free.contains("GZ-002"), "{free}");
    }

    #[test]
    fn the_report_adds_up_in_every_grouping() {
        let totals = ["manager", "customer", "item"].map(|group| {
            let arguments = format!(r#"{{"from": "2026-09-01", "group_by": "{group}"}}"#);
            let report = outcome("sales_report", &arguments).unwrap();
            report.lines().last().unwrap().to_owned()
        });
        assert!(totals[0].starts_with("Итого: "), "{totals:?}");
        assert!(totals.iter().all(|total| *total == totals[0]), "{totals:?}");
        assert_eq!(
            outcome("sales_report", "{}").unwrap(),
            "Продажи за период с 01.11.2026 по 20.11.2026, руб.:\n\
             Гусев Д. А.: 36 042,00\nЛебедева О. Н.: 28 960,00\nИтого: 65 002,00"
        );
    }

    #[test]
    fn what_cannot_be_done_is_explained() {
        for (name, arguments, complaint) in [
            ("find_customers", "{}", "обязательный параметр 'query'"),
            ("find_customers", r#"{"query": "", "limit": 51}"#, "от 1 до 50"),
            ("get_customer", r#"{"code": "77"}"#, "'77' не найден"),
            ("list_orders", r#"{"status": "Потерян"}"#, "Возможные: Новый, В работе"),
            ("list_orders", r#"{"customer": "99"}"#, "'99' не найден"),
            ("list_orders", r#"{"from": "2026-11-02", "to": "2026-11-01"}"#, "(02.11.2026) позже"),
            ("get_order", r#"{"number": "А-1"}"#, "'А-1' не найден"),
            ("cancel_order", r#"{"number": "104"}"#, "в статусе «Закрыт»"),
            ("sales_report", r#"{"group_by": "город"}"#, "группировка 'город'"),
            ("create_order", r#"{"customer": "1", "lines": []}"#, "хотя бы одна строка"),
            (
                "create_order",
                r#"{"customer": "1", "lines": [{"article": "BK-200", "quantity": 13}]}"#,
                "Строка 1: Недостаточно товара «Бочка пластиковая 200 л»: нужно 13 шт, свободно 12",
            ),
            (
                "create_order",
                r#"{"customer": "1", "lines": [{"article": "BK-200", "quantity": 1},
                    {"article": "bk-200", "quantity": 1}]}"#,
                "Строка 2: товар 'BK-200' уже есть",
            ),
        ] {
            let told = outcome(name, arguments).unwrap_err();
            assert!(told.contains(complaint), "{name}: {told}");
        }
    }

    #[tokio::test]
    async fn the_report_takes_as_long_as_it_is_told_to() {
        let service = Service::new().unwrap();
        let report = async |seconds: &str| {
            let arguments = format!(r#"{{"seconds": {seconds}}}"#);
            let arguments = serde_json::from_str(&arguments).unwrap();
            call(&service, "sales_report", &arguments).await.unwrap()
        };
        assert!(report("0.01").await.is_ok());
        assert!(report("30.5").await.is_err());
        let soon = Duration::from_millis(20);
        assert!(tokio::time::timeout(soon, report("30")).await.is_err());
    }
}
