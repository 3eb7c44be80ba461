//! `install --take-over` has this program do what an entry does with another one.

use std::fs;

use serde_json::{Value, json};

use crate::support::home::{Home, copies, json as read, write};

/// Takes the entry `old` of Claude Desktop over: its arguments and environment, and what was said.
fn taken_over(old: &Value, args: &str) -> (Value, Value, String) {
    let home = Home::new();
    let file = json!({"mcpServers": {"crm": old, "other": {"command": "o"}}});
    write(&home.claude(), &file.to_string());
    let said = home.install(&format!("claude-desktop --take-over crm {args}"));
    said.is_done();
    assert_eq!(fs::read_to_string(&copies(&home.claude())[0]).unwrap(), file.to_string());
    let entries = read(&home.claude())["mcpServers"].clone();
    assert_eq!(entries["other"], file["mcpServers"]["other"]);
    let command = entries["crm"]["command"].as_str().unwrap().to_owned();
    assert!(command.contains("mcpline"), "{command}");
    (entries["crm"]["args"].clone(), entries["crm"]["env"].clone(), said.stderr)
}

#[test]
fn other_programs_are_replaced_by_options_that_do_the_same() {
    let url = "https://crm.example.com/mcp";
    for (old, args, env) in [
        (
            json!({"command": "npx", "args": ["-y", "mcp-remote@latest", url, "--header", "Authorization: Bearer ${TOKEN}", "--transport", "sse-only"], "env": {"TOKEN": "hunter"}}),
            json!(["--kind", "sse", url]),
            json!({"TOKEN": "hunter", "MCPLINE_HEADER": "Authorization: Bearer hunter"}),
        ),
        (
            json!({"command": "cmd", "args": ["/c", "npx", "mcp-remote", url, "--header", "X-A:1", "--header", "X-B:2"]}),
            json!([url]),
            json!({"MCPLINE_HEADER": "X-A:1\nX-B:2"}),
        ),
        (
            json!({"command": "npx", "args": ["-y", "supergateway", "--streamableHttp", url, "--oauth2Bearer", "hunter"]}),
            json!([url]),
            json!({"MCPLINE_HEADER": "Authorization:Bearer hunter"}),
        ),
        (
            json!({"command": "uvx", "args": ["mcp-proxy", "--transport", "streamablehttp", url], "env": {"API_ACCESS_TOKEN": "hunter"}}),
            json!(["--kind", "mcp", url]),
            json!({"MCPLINE_BEARER": "hunter"}),
        ),
        (
            json!({"command": "python", "args": ["-m", "proxy.main"], "env": {"MCP_ONEC_URL": "http://srv/base", "MCP_ONEC_USERNAME": "Иванов", "MCP_ONEC_PASSWORD": "hunter"}}),
            json!([]),
            json!({"MCP_ONEC_URL": "http://srv/base", "MCP_ONEC_USERNAME": "Иванов", "MCP_ONEC_PASSWORD": "hunter"}),
        ),
        (
            json!({"command": "python", "args": [r"C:\b24\mcp_stdio_proxy.py"]}),
            json!(["--kind", "bitrix"]),
            Value::Null,
        ),
        (
            json!({"command": "py", "args": ["amo.py"], "env": {"AMOCRM_SERVER_URL": "https://amo.local"}}),
            json!([]),
            json!({"AMOCRM_SERVER_URL": "https://amo.local"}),
        ),
        (
            json!({"type": "http", "url": url, "headers": {"Authorization": "Bearer hunter"}}),
            json!([url]),
            json!({"MCPLINE_HEADER": "Authorization:Bearer hunter"}),
        ),
        (
            json!({"command": "npx", "args": ["-y", "mcpline", "--kind", "mcp", url], "env": {"A": "b"}}),
            json!(["--kind", "mcp", url]),
            json!({"A": "b"}),
        ),
    ] {
        let (new_args, new_env, said) = taken_over(&old, "");
        assert_eq!(new_args, args, "{old}");
        assert_eq!(new_env, env, "{old}");
        assert!(said.is_empty(), "{old}: {said}");
    }
}

#[test]
fn what_is_lost_is_said_and_options_are_added() {
    let old = json!({"command": "npx", "args": ["mcp-remote", "https://h/mcp", "3334", "--ignore-tool", "rm*", "--use-id-token", "--static-oauth-client-info", r#"{"client_id":"x","client_secret":"hunter"}"#], "timeout": 7});
    let (args, env, said) = taken_over(&old, "--timeout 20");
    let redirect = "http://localhost:3334/oauth/callback";
    assert_eq!(
        args,
        json!([
            "--timeout",
            "20",
            "--oauth-client-id",
            "x",
            "--oauth-redirect",
            redirect,
            "https://h/mcp"
        ])
    );
    assert_eq!(env, json!({"MCPLINE_OAUTH_CLIENT_SECRET": "hunter"}));
    for lost in ["crm: ", "--use-id-token", "--ignore-tool"] {
        assert!(said.contains(lost), "{said}");
    }
    assert!(!said.contains("hunter"), "{said}");
}

#[test]
fn an_entry_that_does_something_else_stays() {
    for old in [
        json!({"command": "npx", "args": ["-y", "@modelcontextprotocol/server-filesystem", "/"]}),
        json!({"command": "npx", "args": ["-y", "supergateway", "--stdio", "server"]}),
        json!({"command": "python", "args": ["server.py"]}),
    ] {
        let home = Home::new();
        let before = json!({"mcpServers": {"crm": old}}).to_string();
        write(&home.claude(), &before);
        home.install("claude-desktop --take-over crm").refuses(1, &["crm", "not been changed"]);
        home.install("claude-desktop --take-over none").refuses(1, &["none", "--list"]);
        assert_eq!(fs::read_to_string(home.claude()).unwrap(), before);
    }
}

#[test]
fn without_a_client_every_one_that_has_the_entry_is_changed() {
    let home = Home::new();
    let old =
        r#"{"mcpServers": {"crm": {"command": "npx", "args": ["mcp-remote", "https://h/mcp"]}}}"#;
    let cursor = home.path(".cursor/mcp.json");
    write(&home.claude(), old);
    write(&cursor, old);
    write(&home.path(".codex/config.toml"), "");
    let said = home.install("--take-over crm --dry-run");
    assert_eq!(said.is_done().matches("@@").count(), 4, "{}", said.stdout);
    home.install("--take-over crm").is_done();
    for file in [home.claude(), cursor] {
        assert_eq!(read(&file)["mcpServers"]["crm"]["args"], json!(["https://h/mcp"]));
    }
    assert_eq!(fs::read_to_string(home.path(".codex/config.toml")).unwrap(), "");
}
