//! The MCP tools. Their failures come as successes.

use serde_json::{Value, json};

use super::rest::{Generation, Rest, passed_on};
use super::text_result;
use crate::support::json::compact;

/// The thirteen tools of the variant with sessions; the one without has the first nine.
const TOOLS: &str = include_str!("tools.json");

/// The result of `tools/list`.
pub(crate) fn listed(generation: Generation) -> String {
    if generation == Generation::Streamed {
        return format!(r#"{{"tools":{}}}"#, compact(TOOLS));
    }
    let tools: Vec<Value> = serde_json::from_str(TOOLS).unwrap();
    json!({ "tools": tools[..9] }).to_string()
}

/// Runs a tool; an error is its code and message.
pub(crate) fn run(rest: &Rest, tool: &str, arguments: &Value) -> Result<String, (i64, String)> {
    let need = |name: &str| match arguments.get(name) {
        Some(value) => Ok(value.clone()),
        // What is left of a Python KeyError.
        None => Err((-32603, format!("'{name}'"))),
    };
    let outcome = match tool {
        "create_lead" => {
            let lead = json!({ "name": need("name")?, "price": arguments["price"] });
            rest.perform("leads", "create", None, &[lead], &Value::Null)
        }
        "create_task" => {
            let task = json!({ "text": need("text")?, "complete_till": need("complete_till")? });
            rest.perform("tasks", "create", None, &[task], &Value::Null)
        }
        "search_contacts" => {
            let params = json!({ "query": need("query")? });
            rest.perform("contacts", "get", None, &[], &params)
        }
        "amocrm_request" => {
            let method = arguments["method"].as_str().unwrap_or("GET").to_lowercase();
            let method = if method == "get" { "get" } else { "create" };
            let data = [arguments["data"].clone()];
            rest.perform(
                need("path")?.as_str().unwrap_or_default(),
                method,
                None,
                &data,
                &Value::Null,
            )
        }
        _ if TOOLS.contains(&format!("\"{tool}\"")) => {
            rest.perform(tool, "get", None, &[], &Value::Null)
        }
        _ => return Ok(text_result(&json!({ "error": format!("Unknown tool: {tool}") }))),
    };
    Ok(text_result(&passed_on(outcome)))
}
