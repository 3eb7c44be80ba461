//! The nine tools: which method of the REST API is behind each stands in `service.json`.

use serde_json::Value;

use super::super::shape::{fill, items, members, object, set, text};
use super::DATA;
use super::portal::Portal;

/// Runs a tool that exists; `None` where the original breaks off with an exception.
pub(super) fn call(portal: &mut Portal, tool: &str, arguments: &Value) -> Option<Value> {
    let data = &*DATA;
    let call = &data["calls"][tool];
    if let Some(required) = call["required"].as_str() {
        arguments.get(required)?;
    }
    let request = call.get("params").map_or_else(|| arguments.clone(), |it| fill(it, arguments));
    // A period that is missing is suggested. Without it leads are only counted.
    let mut period = &data["periods"][text(&call["period"])];
    if items(&period["dates"]).iter().any(|date| is_bounded(&arguments["filter"], &text(date))) {
        period = &Value::Null;
    }
    let only_counted = tool == "getLeads" && !period.is_null();
    let mut answer = match call["method"].as_str() {
        Some(method) if only_counted => {
            portal.call(method, &object("filter", period["filters"].clone()))?
        }
        Some(method) => portal.call(method, &request)?,
        None => portal.call(arguments["method"].as_str()?, &arguments["params"])?,
    };
    let mut values = object("call", call.clone());
    if only_counted {
        set(&mut values, "counted", answer["total"].clone());
        set(&mut answer, "result", Value::Array(Vec::new()));
    }
    match answer["result"].as_array() {
        Some(records) => set(&mut values, "fetched", records.len().into()),
        None => set(&mut values, "unlisted", call["resource"].clone()),
    }
    set(&mut values, "tool", tool.into());
    set(&mut values, "request", request);
    set(&mut values, "answer", answer);
    set(&mut values, "period", period.clone());
    // It has the data all the same.
    set(&mut values, "is_error", (!period.is_null()).into());
    let said = fill(&data["texts"], &values);
    let said = items(&said).iter().map(|it| fill(&data["text"], &object("text", it.clone())));
    set(&mut values, "content", said.collect());
    Some(fill(&data["called"], &values))
}

/// Whether a filter gives both ends of a period by that field.
fn is_bounded(filter: &Value, date: &str) -> bool {
    let has = |end: char| {
        let mut rules = members(filter).map(|(rule, _)| rule);
        rules.any(|rule| rule.starts_with(end) && rule.ends_with(date))
    };
    has('>') && has('<')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn run(tool: &str, arguments: &Value) -> Option<Value> {
        call(&mut Portal::new(), tool, arguments)
    }

    fn texts(result: &Value) -> Vec<&str> {
        items(&result["content"]).iter().map(|item| item["text"].as_str().unwrap()).collect()
    }

    #[test]
    fn what_is_listed_exists_and_has_a_schema() {
        let tools = items(&DATA["index"]["tools"]);
        assert_eq!(tools.len(), 9);
        for tool in tools {
            assert!(DATA["calls"].get(text(&tool["name"])).is_some(), "{tool}");
            assert_eq!(tool["inputSchema"]["type"], "object", "{tool}");
            assert!(tool.get("annotations").is_none(), "{tool}");
        }
    }

    #[test]
    fn a_call_with_a_period_is_a_plain_success() {
        let filter = json!({">=DATE_CREATE": "2026-11-01", "<=DATE_CREATE": "2026-11-20"});
        let result = run("getDeals", &json!({"filter": filter, "limit": 1})).unwrap();
        assert_eq!(result["isError"], false);
        assert_eq!(
            texts(&result),
            ["crm/deals: получено 1 из 2 записей. Полный ответ в structuredContent.result."]
        );
        let structured = &result["structuredContent"];
        assert_eq!(
            structured["metadata"],
            json!({"provider": "bitrix24", "resource": "crm/deals", "tool": "getDeals"})
        );
        assert_eq!(structured["request"]["filter"], filter);
        assert_eq!(structured["result"]["result"][0]["ID"], "4");
        assert_eq!(structured["pagination"], json!({"total": 2, "fetched": 1, "next": "1"}));
        for member in ["warnings", "suggestedFix"] {
            assert!(structured.get(member).is_none(), "{member}");
        }
    }

    #[test]
    fn without_a_period_there_are_data_and_a_warning() {
        for (tool, date, zone) in [
            ("getDeals", "DATE_CREATE", "+00:00"),
            ("getContacts", "DATE_CREATE", "+00:00"),
            ("getCompanies", "DATE_CREATE", "+00:00"),
            ("getTasks", "CHANGED_DATE", ""),
        ] {
            // One end is not a period.
            let result = run(tool, &json!({"filter": {format!(">={date}"): "2020-01-01"}}));
            let result = result.unwrap();
            assert_eq!(result["isError"], true, "{tool}");
            let warning = "⚠️ Добавьте фильтры диапазона (`>=";
            assert!(texts(&result)[0].starts_with(warning), "{tool}");
            let structured = &result["structuredContent"];
            assert!(structured["result"]["total"].as_u64() > Some(1), "{tool}");
            let filters = json!({
                format!(">={date}"): format!("2026-11-20T00:00:00{zone}"),
                format!("<={date}"): format!("2026-11-20T23:59:59{zone}"),
            });
            assert_eq!(structured["warnings"][0]["suggested_filters"], filters);
            assert!(structured["warnings"][0]["message"].is_string());
            assert_eq!(structured["suggestedFix"], json!({ "filters": [filters] }));
            // Whoever follows the advice gets something.
            let result = run(tool, &json!({ "filter": filters })).unwrap();
            assert_eq!(result["isError"], false, "{tool}");
            assert_ne!(result["structuredContent"]["result"]["total"], 0, "{tool}");
        }
        assert_eq!(run("getUsers", &json!({})).unwrap()["isError"], false);
    }

    #[test]
    fn leads_are_only_counted_without_a_period() {
        let result = run("getLeads", &json!({"limit": 5})).unwrap();
        assert_eq!(result["isError"], true);
        let structured = &result["structuredContent"];
        assert_eq!(structured["request"], json!({"limit": 5}));
        assert_eq!(structured["result"]["result"], json!([]));
        assert_eq!(structured["result"]["total"], 2);
        let texts = texts(&result);
        assert_eq!(texts.len(), 3);
        assert!(texts[1].contains("получено 0 из 2 записей"), "{texts:?}");
        assert!(texts[2].contains("лидов: 2"), "{texts:?}");

        let filter = json!({">DATE_MODIFY": "2026-11-16", "<DATE_MODIFY": "2026-11-19"});
        let result = run("getLeads", &json!({ "filter": filter })).unwrap();
        assert_eq!(result["isError"], false);
        assert_eq!(result["structuredContent"]["pagination"]["fetched"], 2);
    }

    #[test]
    fn the_other_tools_answer() {
        let result = run("getCompany", &json!({"id": 4, "select": ["TITLE"]})).unwrap();
        let company = &result["structuredContent"]["result"]["result"];
        assert_eq!(*company, json!({"ID": "4", "TITLE": "ООО «Тёплая грядка»"}));
        assert!(texts(&result)[0].starts_with("crm/company: ответ получен."));
        assert!(result["structuredContent"].get("pagination").is_none());

        let result = run("getLeadCalls", &json!({"ownerId": 12})).unwrap();
        let calls = &result["structuredContent"]["result"]["result"];
        assert_eq!((&calls[0]["ID"], &calls[1]["ID"]), (&json!("302"), &json!("301")));

        let add = json!({"method": "crm.lead.add", "params": {"fields": {"TITLE": "Проба"}}});
        let result = run("callBitrixMethod", &add).unwrap();
        assert_eq!(result["structuredContent"]["result"]["result"], 16);
        assert_eq!(result["isError"], false);
    }

    #[test]
    fn what_lacks_an_argument_breaks_off() {
        for (tool, arguments) in [
            ("getCompany", json!({})),
            ("getLeadCalls", json!({})),
            ("callBitrixMethod", json!({})),
            ("callBitrixMethod", json!({"method": "crm.deal.burn"})),
        ] {
            assert!(run(tool, &arguments).is_none(), "{tool}");
        }
    }
}
