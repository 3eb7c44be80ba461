//! `install` and `uninstall` change one entry of a client's file and nothing else.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::home::{Home, copies, json, words, write};

#[test]
fn every_client_gets_an_entry_in_its_own_form() {
    let url = "https://crm.example.com/mcp";
    for (client, file, path) in [
        ("claude-desktop", "config:Claude/claude_desktop_config.json", "/mcpServers/crm"),
        ("claude-code", ".claude.json", "/mcpServers/crm"),
        ("cursor", ".cursor/mcp.json", "/mcpServers/crm"),
        ("vscode", "config:Code/User/mcp.json", "/servers/crm"),
        ("gemini", ".gemini/settings.json", "/mcpServers/crm"),
        ("windsurf", ".codeium/windsurf/mcp_config.json", "/mcpServers/crm"),
        ("opencode", ".config/opencode/opencode.json", "/mcp/crm"),
        (
            "cline",
            "config:Code/User/globalStorage/saoudrizwan.claude-dev/settings/cline_mcp_settings.json",
            "/mcpServers/crm",
        ),
        (
            "roo",
            "config:Code/User/globalStorage/rooveterinaryinc.roo-cline/settings/mcp_settings.json",
            "/mcpServers/crm",
        ),
        ("junie", ".junie/mcp/mcp.json", "/mcpServers/crm"),
    ] {
        let home = Home::new();
        let said = home.run(
            &["install", client, "crm", "--kind", "mcp", url],
            &[("MCPLINE_BEARER", "t0ken-t0ken")],
        );
        let said = said.is_done();
        let file = match file.strip_prefix("config:") {
            Some(file) => home.config(file),
            None => home.path(file),
        };
        assert!(said.contains(&*file.file_name().unwrap().to_string_lossy()), "{said}");
        assert!(said.contains("Next: "), "{said}");
        let entry = json(&file).pointer(path).unwrap().clone();
        let mut started: Vec<String> = Vec::new();
        for part in [&entry["command"], &entry["args"]] {
            match part {
                Value::Array(parts) => {
                    started.extend(parts.iter().map(|part| part.as_str().unwrap().to_owned()));
                }
                part => started.extend(part.as_str().map(str::to_owned)),
            }
        }
        assert!(Path::new(&started[0]).is_absolute() && Path::new(&started[0]).exists());
        assert_eq!(started[1..], ["--kind", "mcp", url], "{client}");
        let env = if client == "opencode" { "environment" } else { "env" };
        assert_eq!(entry[env]["MCPLINE_BEARER"], "t0ken-t0ken", "{client}");
        assert!(copies(&file).is_empty(), "{client}");
    }
}

#[test]
fn codex_gets_a_table_and_zed_keeps_its_comments() {
    let home = Home::new();
    let codex = home.path(".codex/config.toml");
    let before = "# mine\nmodel = \"x\"  # this one\n\n[mcp_servers.other]\ncommand = 'o'\n";
    write(&codex, before);
    home.install("codex crm --timeout 20 http://crm.local/mcp").is_done();
    let after = fs::read_to_string(&codex).unwrap();
    assert!(after.starts_with(before), "{after}");
    assert!(after.contains("[mcp_servers.crm]\ncommand = "), "{after}");
    assert!(after.contains(r#"args = ["--timeout", "20", "http://crm.local/mcp"]"#), "{after}");
    assert_eq!(fs::read_to_string(&copies(&codex)[0]).unwrap(), before);

    let zed = match std::env::consts::OS {
        "windows" => home.config("Zed/settings.json"),
        _ => home.path(".config/zed/settings.json"),
    };
    let before =
        "// Zed settings\n{\n  \"theme\": \"One\", // dark\n  \"context_servers\": {},\n}\n";
    write(&zed, before);
    home.install("zed crm http://crm.local/mcp").is_done();
    let after = fs::read_to_string(&zed).unwrap();
    assert!(after.starts_with("// Zed settings\n{\n  \"theme\": \"One\", // dark\n  \"context_servers\": {\n    \"crm\": {\n"), "{after}");
    assert!(after.ends_with("  },\n}\n"), "{after}");
    home.run(&words("uninstall", "zed crm"), &[]).is_done();
    assert!(fs::read_to_string(&zed).unwrap().contains("// dark"));
}

#[test]
fn bom_line_ends_order_and_spelling_of_the_file_stay() {
    let home = Home::new();
    let before = "\u{feff}{\r\n    \"zeta\": 1.0,\r\n    \"mcpServers\": {\r\n        \"fs\": { \"command\": \"npx\", \"args\": [ \"-y\" ] }\r\n    },\r\n    \"alpha\": \"\\u0416\"\r\n}";
    write(&home.claude(), before);
    home.install("claude-desktop crm http://crm.local/mcp").is_done();
    let after = fs::read_to_string(home.claude()).unwrap();
    let (head, tail) = before.split_once("[ \"-y\" ] }").unwrap();
    assert!(after.starts_with(head) && after.ends_with(tail), "{after}");
    assert_eq!(after.matches('\n').count(), after.matches("\r\n").count(), "{after:?}");
    home.run(&words("uninstall", "claude-desktop crm"), &[]).is_done();
    assert_eq!(fs::read_to_string(home.claude()).unwrap(), before);
}

#[test]
fn no_secret_becomes_an_argument() {
    let home = Home::new();
    let secrets = [
        ("MCPLINE_PASSWORD", "hunter-password"),
        ("MCPLINE_API_KEY", "hunter-api-key"),
        ("KEY", "hunter-header"),
    ];
    let args = [
        "install",
        "claude-desktop",
        "crm",
        "--header",
        "X-Key:${KEY}",
        "--header",
        "Cookie: a=hunter-cookie",
        "--user",
        "Иванов",
        "--proxy",
        "http://me:hunter-proxy@proxy:3128",
        "https://me:hunter-url@crm.example.com/mcp",
    ];
    let shown = home.run(&[&args[..], &["--dry-run"]].concat(), &secrets);
    assert!(shown.is_done().contains("+ "), "{}", shown.stdout);
    assert!(
        !shown.stdout.contains("hunter") && !shown.stderr.contains("hunter"),
        "{}",
        shown.stdout
    );
    assert!(!home.claude().exists());

    let said = home.run(&args, &secrets);
    assert!(!said.is_done().contains("hunter") && !said.stderr.contains("hunter"));
    let entry = &json(&home.claude())["mcpServers"]["crm"];
    assert!(!entry["args"].to_string().contains("hunter"), "{entry}");
    assert_eq!(entry["args"], serde_json::json!(["--user", "Иванов"]));
    let env = &entry["env"];
    assert_eq!(env["MCPLINE_PASSWORD"], "hunter-password");
    assert_eq!(env["MCPLINE_API_KEY"], "hunter-api-key");
    assert_eq!(env["MCPLINE_HEADER"], "X-Key:hunter-header\nCookie: a=hunter-cookie");
    assert_eq!(env["MCPLINE_PROXY"], "http://me:hunter-proxy@proxy:3128");
    assert_eq!(env["MCPLINE_URL"], "https://me:hunter-url@crm.example.com/mcp");
    assert!(env.get("KEY").is_none());

    // A login in one piece is taken apart.
    home.run(&["install", "cursor", "1c", "--user", "Анна:hunter", "http://srv/b/hs/mcp"], &[])
        .is_done();
    let entry = &json(&home.path(".cursor/mcp.json"))["mcpServers"]["1c"];
    assert_eq!(entry["args"], serde_json::json!(["http://srv/b/hs/mcp"]));
    assert_eq!(
        entry["env"],
        serde_json::json!({"MCPLINE_USER": "Анна", "MCPLINE_PASSWORD": "hunter"})
    );
}

#[test]
fn an_entry_is_replaced_only_if_somebody_says_so() {
    let home = Home::new();
    let before = r#"{"mcpServers": {"crm": {"command": "old", "timeout": 5}}}"#;
    write(&home.claude(), before);
    home.install("claude-desktop crm http://crm.local/mcp")
        .refuses(1, &["crm", "--yes", "--dry-run"]);
    assert_eq!(fs::read_to_string(home.claude()).unwrap(), before);
    assert!(copies(&home.claude()).is_empty());
    home.install("claude-desktop crm --yes http://crm.local/mcp").is_done();
    let entry = json(&home.claude())["mcpServers"]["crm"].clone();
    assert_eq!(entry["timeout"], 5);
    assert_eq!(entry["args"][0], "http://crm.local/mcp");
    assert_eq!(fs::read_to_string(&copies(&home.claude())[0]).unwrap(), before);
    // The same again is nothing new.
    let said = home.install("claude-desktop crm http://crm.local/mcp");
    assert!(said.is_done().contains("already"), "{}", said.stdout);
    assert_eq!(copies(&home.claude()).len(), 1);
}

#[test]
fn a_file_that_cannot_be_edited_is_not_touched() {
    for (text, said) in [
        ("{\n  \"mcpServers\": {\n    \"a\" 1\n", "line 3, column "),
        ("{\"mcpServers\": []}", "mcpServers"),
        ("[]", "object"),
    ] {
        let home = Home::new();
        write(&home.claude(), text);
        for args in [
            "claude-desktop crm http://crm.local/mcp",
            "claude-desktop crm --yes http://crm.local/mcp",
        ] {
            home.install(args)
                .refuses(1, &[said, "claude_desktop_config.json", "not been changed"]);
        }
        assert_eq!(fs::read_to_string(home.claude()).unwrap(), text);
        assert!(copies(&home.claude()).is_empty());
    }
    let home = Home::new();
    write(&home.claude(), "");
    fs::write(home.claude(), b"\xff\xfe{\0}\0").unwrap();
    home.install("claude-desktop crm http://crm.local/mcp").refuses(1, &["UTF-8"]);
}

#[test]
fn a_read_only_file_is_not_replaced() {
    let home = Home::new();
    write(&home.claude(), "{}");
    let mut permissions = fs::metadata(home.claude()).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(home.claude(), permissions.clone()).unwrap();
    home.install("claude-desktop crm http://crm.local/mcp").refuses(1, &["read-only"]);
    assert_eq!(fs::read_to_string(home.claude()).unwrap(), "{}");
    assert!(copies(&home.claude()).is_empty());
    // So that the folder can be deleted on Windows.
    #[expect(clippy::permissions_set_readonly_false, reason = "the folder is deleted at once")]
    permissions.set_readonly(false);
    fs::set_permissions(home.claude(), permissions).unwrap();
}

#[cfg(unix)]
#[test]
fn links_are_followed_and_permissions_stay() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let home = Home::new();
    let real = home.path("dotfiles/claude.json");
    write(&real, "{}\n");
    fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
    fs::create_dir_all(home.claude().parent().unwrap()).unwrap();
    symlink(&real, home.claude()).unwrap();
    home.install("claude-desktop crm http://crm.local/mcp").is_done();
    assert!(fs::symlink_metadata(home.claude()).unwrap().is_symlink());
    assert!(json(&real)["mcpServers"]["crm"].is_object());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&real), 0o640);
    assert_eq!(copies(&real).iter().map(|copy| mode(copy)).collect::<Vec<_>>(), [0o640]);
    // A link to nothing yet leads to where the file is made, readable for its owner only.
    let target = home.path("dotfiles/cursor.json");
    fs::create_dir_all(home.path(".cursor")).unwrap();
    symlink("../dotfiles/cursor.json", home.path(".cursor/mcp.json")).unwrap();
    home.install("cursor crm http://crm.local/mcp").is_done();
    assert_eq!(mode(&target), 0o600);
}

#[test]
fn the_list_shows_files_and_entries_without_secrets() {
    let home = Home::new();
    let said = home.install("--list");
    assert!(
        said.is_done().contains("Not found on this machine: claude-desktop"),
        "{}",
        said.stdout
    );
    write(
        &home.claude(),
        r#"{"mcpServers": {"crm": {"command": "mcpline", "args": ["--header", "X-Key:hunter", "https://u:hunter@h/mcp?k=hunter"]}, "web": {"url": "https://h/x?token=hunter"}}}"#,
    );
    write(&home.path(".cursor/mcp.json"), "{ broken");
    let said = home.install("--list");
    let text = said.is_done();
    for part in [
        "claude-desktop",
        "claude_desktop_config.json",
        "crm: mcpline",
        "web: https://h/x",
        "line 1, column",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("hunter"), "{text}");
}

#[test]
fn what_is_mistyped_is_said() {
    let home = Home::new();
    home.install("emacs http://crm.local/mcp").refuses(2, &["emacs", "claude-desktop", "cursor"]);
    home.install("cursor crm").refuses(2, &["crm", "https://"]);
    home.install("cursor").refuses(2, &["no URL", "mcpline install"]);
    home.install("cursor база http://crm.local/mcp").refuses(2, &["база", "Latin"]);
    home.install("cursor crm --header X:${NO_SUCH_KEY} http://crm.local/mcp")
        .refuses(2, &["NO_SUCH_KEY"]);
    home.install("cursor crm --ca-file nowhere.pem http://crm.local/mcp")
        .refuses(2, &["nowhere.pem"]);
    home.install("windsurf crm --project http://crm.local/mcp").refuses(2, &["--project"]);
    home.run(&words("uninstall", "cursor crm"), &[]).refuses(1, &["Cursor", "crm"]);
    assert!(!home.path(".cursor").exists());
}

#[test]
fn a_russian_system_is_told_in_russian() {
    let home = Home::new();
    let run = |args| home.run(&words("install", args), &[("LC_ALL", "ru_RU.UTF-8")]);
    let said = run("cursor crm https://h/mcp --user me");
    assert!(
        said.stdout.contains("`crm` записан в") && said.stdout.contains("Дальше: "),
        "{}",
        said.stdout
    );
    assert!(said.stderr.contains("нет пароля для me"), "{}", said.stderr);
    assert!(run("cursor crm https://h/mcp --user me").stdout.contains("уже так записан"));
    run("cursor crm https://other/mcp").refuses(1, &["Replace its entry `crm`?"]);
}

/// What the settings file says is read there by the client's run too, and so is not written down.
#[test]
fn a_section_of_the_settings_file_is_installed_by_its_name() {
    let home = Home::new();
    let text = "user = 'me'\npassword = 'hunter'\n\
                [crm]\nurl = 'http://crm.local/mcp'\nkind = 'mcp'\n[1c]\nurl = 'http://srv/b/hs/mcp'\n";
    write(&home.path("settings.toml"), text);
    let file = home.path("settings.toml");
    let file = file.to_str().unwrap();
    let entry = |name: &str| json(&home.path(".cursor/mcp.json"))["mcpServers"][name].clone();
    for (args, name, section) in
        [("crm", "crm", "crm"), ("1c", "1c", "1c"), ("shop crm", "shop", "crm")]
    {
        let args = format!("cursor {args} --config settings.toml");
        home.install(&args).is_done();
        let written = &entry(name)["args"];
        assert_eq!(written[0], "--config", "{written}");
        assert!(Path::new(written[1].as_str().unwrap()).is_absolute(), "{written}");
        assert_eq!(written[2], section, "{written}");
        assert_eq!(entry(name).get("env"), None);
    }
    home.install("cursor crn --config settings.toml").refuses(2, &["did you mean `crm`", file]);
    home.install("cursor warehouse --config settings.toml").refuses(2, &["[warehouse]"]);
    home.install("cursor demo --config settings.toml").is_done();
    assert_eq!(entry("demo")["args"][2], "demo");
}

#[test]
fn an_entry_that_is_not_ours_is_removed_only_if_somebody_says_so() {
    let home = Home::new();
    write(&home.claude(), r#"{"mcpServers": {"fs": {"command": "npx"}, "b": {}}}"#);
    let uninstall = |args: &str| home.run(&words("uninstall", args), &[]);
    uninstall("claude-desktop fs").refuses(1, &["fs", "--yes"]);
    uninstall("claude-desktop none").refuses(1, &["none", "fs"]);
    uninstall("claude-desktop fs --yes").is_done();
    assert_eq!(json(&home.claude()), serde_json::json!({"mcpServers": {"b": {}}}));
}

#[test]
fn a_project_gets_a_file_of_its_own() {
    let home = Home::new();
    home.install("vscode --project --log-file log.txt demo").is_done();
    let entry = &json(&home.path(".vscode/mcp.json"))["servers"]["demo"];
    assert_eq!(entry["type"], "stdio");
    // The client starts it in some other folder.
    let log = Path::new(entry["args"][1].as_str().unwrap());
    assert!(log.is_absolute() && log.ends_with("log.txt"), "{entry}");
    assert_eq!(entry["args"][2], "demo");
}
