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

const URL: &str = "https://crm.example.com/mcp";

/// Entries for other programs, and the arguments and the environment that do the same here.
fn entries() -> Vec<(Value, Value, Value)> {
    vec![
        (
            json!({"command": "npx", "args": ["-y", "mcp-remote@latest", URL, "--header", "Authorization: Bearer ${TOKEN}", "--transport", "sse-only"], "env": {"TOKEN": "hunter"}}),
            json!(["--kind", "sse", URL]),
            json!({"TOKEN": "hunter", "MCPLINE_HEADER": "Authorization: Bearer hunter"}),
        ),
        (
            json!({"command": "cmd", "args": ["/c", "npx", "mcp-remote", URL, "--header", "X-A:1", "--header", "X-B:2"]}),
            json!([URL]),
            json!({"MCPLINE_HEADER": "X-A:1\nX-B:2"}),
        ),
        (
            json!({"command": "npx", "args": ["-y", "supergateway", "--streamableHttp", URL, "--oauth2Bearer", "hunter"]}),
            json!([URL]),
            json!({"MCPLINE_HEADER": "Authorization:Bearer hunter"}),
        ),
        (
            json!({"command": "uvx", "args": ["mcp-proxy", "--transport", "streamablehttp", URL], "env": {"API_ACCESS_TOKEN": "hunter"}}),
            json!(["--kind", "mcp", URL]),
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
            json!({"type": "http", "url": URL, "headers": {"Authorization": "Bearer hunter"}}),
            json!([URL]),
            json!({"MCPLINE_HEADER": "Authorization:Bearer hunter"}),
        ),
        (
            json!({"command": "npx", "args": ["-y", "mcpline", "--kind", "mcp", URL], "env": {"A": "b"}}),
            json!(["--kind", "mcp", URL]),
            json!({"A": "b"}),
        ),
    ]
}

#[test]
fn other_programs_are_replaced_by_options_that_do_the_same() {
    for (old, args, env) in entries() {
        let (new_args, new_env, said) = taken_over(&old, "");
        assert_eq!(new_args, args, "{old}");
        assert_eq!(new_env, env, "{old}");
        assert!(said.is_empty(), "{old}: {said}");
    }
}

/// What is shown of a change holds no secret of the entry that is replaced, wherever it stands there.
#[test]
fn a_change_is_shown_without_the_secrets_of_the_old_entry() {
    let more = [
        json!({"command": "uvx", "args": ["mcp-proxy", "-H", "X-Key", "hunter", URL]}),
        json!({"command": "uvx", "args": ["mcp-proxy", "--headers", "X-Key", "hunter", URL]}),
        json!({"command": "uvx", "args": ["mcp-proxy", "--username", "me", "--password", "hunter", URL]}),
        json!({"command": "uvx", "args": ["mcp-proxy", "--client-secret=hunter", URL]}),
        json!({"command": "npx", "args": ["mcp-remote", URL, "--static-oauth-client-info", r#"{"client_id":"me","client_secret":"hunter"}"#]}),
        json!({"command": "npx", "args": ["mcp-remote", URL, "--header=X-Key:hunter"]}),
        json!({"command": "npx", "args": ["mcp-remote", "https://me:hunter@h/mcp"]}),
        json!({"command": "npx", "args": ["mcp-remote", "https://hunter22@h/mcp"]}),
        json!({"command": "npx", "args": ["mcp-remote", "https://h/mcp?a=b&key=hunter22"]}),
        json!({"command": "npx", "args": ["mcp-remote", "https://h/rest/1/hunter22abc/mcp"]}),
        json!({"command": "mcpline", "args": ["--user", "me:hunter", "--proxy=http://me:hunter22@proxy:1", URL]}),
        json!({"url": "https://h/mcp?key=hunter22"}),
        json!({"serverUrl": "https://me:hunter22@h/mcp"}),
        json!({"httpUrl": "https://h/rest/1/hunter22abc/mcp"}),
        json!({"url": URL, "oauth": {"clientId": "me", "clientSecret": "hunter"}}),
        json!({"command": "npx", "args": ["mcp-remote", URL], "apiKey": "hunter"}),
    ];
    for old in entries().into_iter().map(|(old, ..)| old).chain(more) {
        let home = Home::new();
        write(&home.claude(), &json!({"mcpServers": {"crm": old}}).to_string());
        let said = home.install("--take-over crm --dry-run");
        said.is_done();
        for shown in [&said.stdout, &said.stderr] {
            assert!(!shown.contains("hunter"), "{old}: {shown}");
        }
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
