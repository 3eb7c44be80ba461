//! Kind `1c`: who comes in, and the environment of the program that this one replaces.

use std::fs;

use crate::support::{Generation, Line, Onec, Setup, Upstream, call, pages, request};

const USER: &str = "Иванов И. И.";

fn lists_tools(mut line: Line) {
    line.send(request(1, "tools/list", "{}"));
    let reply = line.recv_id("1");
    assert!(reply.result()["tools"].is_array(), "{reply}");
    line.finish_with_nothing_left();
}

#[test]
fn a_russian_name_with_spaces_and_a_russian_password_come_in() {
    let publish = || Onec::publish(Generation::NoHandshake).user(USER, "пароль: 1").serve();
    let onec = publish();
    lists_tools(onec.line().arg("--user").arg(USER).env("MCPLINE_PASSWORD", "пароль: 1").ready());
    // The manifest is asked for with the same credentials.
    assert_eq!(onec.to_path("GET", "/manifest").len(), 1);

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("пароль.txt");
    fs::write(&file, "\u{feff}пароль: 1\r\n").unwrap();
    let onec = publish();
    let line = onec.line().env("MCPLINE_USER", USER).arg("--password-file").arg(&file);
    lists_tools(line.ready());
}

#[test]
fn a_password_may_be_empty() {
    for password in [None, Some("")] {
        let onec = Onec::publish(Generation::LenientKeys).user(USER, "").serve();
        let mut setup = onec.line().arg("--user").arg(USER);
        if let Some(password) = password {
            setup = setup.env("MCPLINE_PASSWORD", password);
        }
        lists_tools(setup.ready());
    }
}

#[test]
fn old_platforms_read_names_in_windows_1251() {
    let onec = Onec::publish(Generation::LenientKeys).user_in_1251("Администратор", "ключ").serve();
    let setup = onec.line().args("--user Администратор --basic-charset windows-1251");
    lists_tools(setup.env("MCPLINE_PASSWORD", "ключ").ready());

    let onec = Onec::publish(Generation::LenientKeys).user_in_1251("Администратор", "ключ").serve();
    let setup = onec.line().args("--user Администратор").env("MCPLINE_PASSWORD", "ключ");
    lists_tools(setup.env("MCPLINE_BASIC_CHARSET", "windows-1251").ready());
}

#[test]
fn a_token_comes_in() {
    let publish = || Onec::publish(Generation::LenientKeys).token("eyJ.abc.def").serve();
    let onec = publish();
    lists_tools(onec.line().env("MCPLINE_BEARER", "eyJ.abc.def").ready());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    fs::write(&file, "eyJ.abc.def\n").unwrap();
    let onec = publish();
    lists_tools(onec.line().arg("--bearer-file").arg(&file).ready());
}

#[test]
fn without_credentials_none_are_sent() {
    let onec = Onec::publish(Generation::NoHandshake).serve();
    lists_tools(onec.line().ready());
    assert!(onec.requests().iter().all(|request| request.header("authorization").is_none()));
}

#[test]
fn the_environment_of_the_old_proxy_is_enough() {
    for (user, password) in [(USER, "тайна"), (USER, "")] {
        let onec = Onec::publish(Generation::LenientKeys).root("api").user(user, password).serve();
        let line = Line::run("")
            .env("MCP_ONEC_URL", &(onec.url() + "/"))
            .env("MCP_ONEC_USERNAME", user)
            .env("MCP_ONEC_PASSWORD", password)
            .env("MCP_ONEC_SERVICE_ROOT", "api")
            .env("MCP_SERVER_NAME", "1C")
            .env("MCP_SERVER_VERSION", "1.0")
            .env("MCP_AUTH_MODE", "none")
            .env("PYTHONIOENCODING", "utf-8");
        lists_tools(line.ready());
        assert_eq!(onec.nth("initialize", 1).path, "/base/hs/api/rpc");
    }
}

#[test]
fn a_field_that_the_client_left_unfilled_counts_as_unset() {
    let onec = Onec::publish(Generation::LenientKeys).user(USER, "").serve();
    let line = Line::run("--kind 1c")
        .env("MCP_ONEC_URL", &onec.url())
        .env("MCP_ONEC_USERNAME", USER)
        .env("MCP_ONEC_PASSWORD", "${user_config.password}")
        .env("MCP_ONEC_SERVICE_ROOT", "${user_config.root}")
        .env("MCP_LOG_LEVEL", "${user_config.level}");
    lists_tools(line.ready());

    let onec = Onec::g3();
    let line = Line::run("--kind 1c")
        .env("MCP_ONEC_URL", &onec.url())
        .env("MCP_ONEC_USERNAME", "${user_config.user}")
        .env("MCP_ONEC_PASSWORD", "");
    lists_tools(line.ready());
    assert!(onec.requests().iter().all(|request| request.header("authorization").is_none()));
}

#[test]
fn our_own_settings_go_before_the_old_proxys() {
    let onec = Onec::publish(Generation::LenientKeys).user(USER, "верный").root("api").serve();
    let old = |setup: Setup| {
        setup
            .env("MCP_ONEC_URL", "http://127.0.0.1:9/elsewhere")
            .env("MCP_ONEC_USERNAME", "nobody")
            .env("MCP_ONEC_PASSWORD", "wrong")
            .env("MCP_ONEC_SERVICE_ROOT", "nowhere")
    };
    let typed = onec.line().args("--service-root api").arg("--user").arg(USER);
    lists_tools(old(typed.env("MCPLINE_PASSWORD", "верный")).ready());
    let variables = Line::run("")
        .env("MCPLINE_URL", &onec.url())
        .env("MCPLINE_KIND", "1c")
        .env("MCPLINE_SERVICE_ROOT", "api")
        .env("MCPLINE_USER", USER)
        .env("MCPLINE_PASSWORD", "верный");
    lists_tools(old(variables).ready());
}

#[test]
fn the_old_proxys_credentials_count_with_a_url_of_ours_too() {
    let onec = Onec::publish(Generation::LenientKeys).user(USER, "тайна").serve();
    let line = onec.line().env("MCP_ONEC_USERNAME", USER).env("MCP_ONEC_PASSWORD", "тайна");
    lists_tools(line.ready());
    let line = Line::to(&(onec.url() + "/hs/mcp"))
        .env("MCP_ONEC_USERNAME", USER)
        .env("MCP_ONEC_PASSWORD", "тайна");
    lists_tools(line.ready());
}

#[test]
fn the_old_proxys_credentials_go_to_no_other_kind_of_server() {
    let upstream = Upstream::streamable();
    let line = Line::to(&upstream.url())
        .env("MCP_ONEC_URL", "http://127.0.0.1:9/elsewhere")
        .env("MCP_ONEC_USERNAME", USER)
        .env("MCP_ONEC_PASSWORD", "тайна")
        .ready();
    line.finish_with_nothing_left();
    for request in upstream.requests() {
        assert_eq!(request.header("authorization"), None, "{}", request.name());
    }
}

#[test]
fn the_old_proxys_log_level_counts_until_another_is_set() {
    let stderr = |args: &str| {
        let onec = Onec::g3();
        let setup = onec.line().args(args).env("MCP_LOG_LEVEL", "DEBUG");
        let mut line = setup.ready();
        line.close_stdin();
        line.wait().stderr
    };
    assert!(stderr("").contains("DEBUG"));
    assert_eq!(stderr("--log-level off"), "");
}

#[test]
fn a_password_is_never_shown() {
    let onec = Onec::publish(Generation::LenientKeys).user(USER, "тайна-77").serve();
    let mut line = onec
        .line()
        .args("--log-level trace")
        .env("MCP_ONEC_USERNAME", USER)
        .env("MCP_ONEC_PASSWORD", "тайна-77")
        .ready();
    onec.refuse(1, pages::plain(500, "Неверный пароль тайна-77"));
    line.send(call(1, "get_stock", "{}"));
    let mut shown = line.recv_id("1").text;
    line.close_stdin();
    shown += &line.wait().stderr;
    let found = shown.lines().find(|line| line.contains("тайна-77"));
    assert_eq!(found, None);
}
