
using namespace System.Management.Automation
using namespace System.Management.Automation.Language

Register-ArgumentCompleter -Native -CommandName 'mcpline' -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)

    $commandElements = $commandAst.CommandElements
    $command = @(
        'mcpline'
        for ($i = 1; $i -lt $commandElements.Count; $i++) {
            $element = $commandElements[$i]
            if ($element -isnot [StringConstantExpressionAst] -or
                $element.StringConstantType -ne [StringConstantType]::BareWord -or
                $element.Value.StartsWith('-') -or
                $element.Value -eq $wordToComplete) {
                break
        }
        $element.Value
    }) -join ';'

    $completions = @(switch ($command) {
        'mcpline' {
            [CompletionResult]::new('--kind', '--kind', [CompletionResultType]::ParameterName, 'How the server is reached')
            [CompletionResult]::new('--upstream-era', '--upstream-era', [CompletionResultType]::ParameterName, 'Which revisions of MCP the server is spoken to in')
            [CompletionResult]::new('--header', '--header', [CompletionResultType]::ParameterName, 'Send this header with every request; ${NAME} stands for an environment variable')
            [CompletionResult]::new('--header-file', '--header-file', [CompletionResultType]::ParameterName, 'Read headers from this file, one NAME:VALUE on each line, # for comments')
            [CompletionResult]::new('--user', '--user', [CompletionResultType]::ParameterName, 'Log in with this user name (Basic authentication, UTF-8)')
            [CompletionResult]::new('--password-file', '--password-file', [CompletionResultType]::ParameterName, 'Read the password for --user from this file; or set MCPLINE_PASSWORD')
            [CompletionResult]::new('--api-key-file', '--api-key-file', [CompletionResultType]::ParameterName, 'Send this key as X-API-Key, read from this file; or set MCPLINE_API_KEY')
            [CompletionResult]::new('--bearer-file', '--bearer-file', [CompletionResultType]::ParameterName, 'Read a bearer token from this file; or set MCPLINE_BEARER')
            [CompletionResult]::new('--auth', '--auth', [CompletionResultType]::ParameterName, 'When to sign in')
            [CompletionResult]::new('--oauth-client-id', '--oauth-client-id', [CompletionResultType]::ParameterName, 'Use this client, registered by hand; or the https address of a client metadata document')
            [CompletionResult]::new('--oauth-client-secret-file', '--oauth-client-secret-file', [CompletionResultType]::ParameterName, 'Read the secret of the client from this file; or set MCPLINE_OAUTH_CLIENT_SECRET')
            [CompletionResult]::new('--oauth-client-key-file', '--oauth-client-key-file', [CompletionResultType]::ParameterName, 'Prove by signatures with this private key who the client is (PEM, DER; P-256 or RSA)')
            [CompletionResult]::new('--oauth-scope', '--oauth-scope', [CompletionResultType]::ParameterName, 'Ask for these scopes, separated by spaces, instead of those that the server names')
            [CompletionResult]::new('--oauth-resource', '--oauth-resource', [CompletionResultType]::ParameterName, 'Ask for a token for this resource instead of what the server names; none for no resource')
            [CompletionResult]::new('--oauth-issuer', '--oauth-issuer', [CompletionResultType]::ParameterName, 'The authorization server, where the server names none; the only one that gets the secret')
            [CompletionResult]::new('--oauth-redirect', '--oauth-redirect', [CompletionResultType]::ParameterName, 'Where the browser comes back to, as it was registered by hand [default: http://127.0.0.1/callback at any free port]')
            [CompletionResult]::new('--oauth-grant', '--oauth-grant', [CompletionResultType]::ParameterName, 'Who signs in')
            [CompletionResult]::new('--oauth-param', '--oauth-param', [CompletionResultType]::ParameterName, 'Add this parameter to the authorization request; may be given several times')
            [CompletionResult]::new('--oauth-profile', '--oauth-profile', [CompletionResultType]::ParameterName, 'Keep this sign-in apart from others at the same server, for a second account')
            [CompletionResult]::new('--state-dir', '--state-dir', [CompletionResultType]::ParameterName, 'Keep sign-ins in this folder [default: the system''s folder for the state of programs]')
            [CompletionResult]::new('--service-root', '--service-root', [CompletionResultType]::ParameterName, '1C: the root URL of the HTTP service, where the URL does not name it [default: mcp]')
            [CompletionResult]::new('--managed-sessions', '--managed-sessions', [CompletionResultType]::ParameterName, '1C: keep this many sessions of our own, each of which may take a licence [COUNT: 1]')
            [CompletionResult]::new('--basic-charset', '--basic-charset', [CompletionResultType]::ParameterName, 'Encode name and password in this charset; old 1C platforms on Windows read windows-1251')
            [CompletionResult]::new('--rate', '--rate', [CompletionResultType]::ParameterName, 'AmoCRM: calls of the REST API a second, 0 for no limit')
            [CompletionResult]::new('--catalogue', '--catalogue', [CompletionResultType]::ParameterName, 'AmoCRM: add the tools of this file to the catalogue for the REST API')
            [CompletionResult]::new('--keep', '--keep', [CompletionResultType]::ParameterName, 'Leave these as the service sends them, separated by commas')
            [CompletionResult]::new('--with', '--with', [CompletionResultType]::ParameterName, 'Do these as well, separated by commas')
            [CompletionResult]::new('--ca-file', '--ca-file', [CompletionResultType]::ParameterName, 'Trust the certificates in this file too: a company''s own authority, or the server''s own (PEM, DER, PKCS#7)')
            [CompletionResult]::new('--client-cert', '--client-cert', [CompletionResultType]::ParameterName, 'Show the server this certificate, with its chain (PEM, DER, PKCS#7)')
            [CompletionResult]::new('--client-key', '--client-key', [CompletionResultType]::ParameterName, 'The private key of --client-cert, without a password (PEM, DER); not needed if that file has it too')
            [CompletionResult]::new('--proxy', '--proxy', [CompletionResultType]::ParameterName, 'Connect through this proxy: http://, https:// or socks5://, with USER:PASSWORD@ if needed')
            [CompletionResult]::new('--connect-timeout', '--connect-timeout', [CompletionResultType]::ParameterName, 'Give up connecting after this time, 0 for no limit')
            [CompletionResult]::new('--timeout', '--timeout', [CompletionResultType]::ParameterName, 'Give a request up when the server shows no sign of life for this time, 0 for no limit [default: 300]')
            [CompletionResult]::new('--max-time', '--max-time', [CompletionResultType]::ParameterName, 'Give a request up after this time in any case, 0 for no limit [default: 0]')
            [CompletionResult]::new('--start-timeout', '--start-timeout', [CompletionResultType]::ParameterName, 'Answer the client''s `initialize` without the server after this time')
            [CompletionResult]::new('--retry-for', '--retry-for', [CompletionResultType]::ParameterName, 'Try a failed request again for at most this time, where that cannot do anything twice')
            [CompletionResult]::new('--drain', '--drain', [CompletionResultType]::ParameterName, 'When the input ends, wait for replies for at most this time')
            [CompletionResult]::new('--max-in-flight', '--max-in-flight', [CompletionResultType]::ParameterName, 'Send at most this many requests at once; more wait in order [default: 64, for 1C 4]')
            [CompletionResult]::new('--max-message', '--max-message', [CompletionResultType]::ParameterName, 'Refuse messages longer than this, in either direction: bytes, or with KiB, MiB, GiB')
            [CompletionResult]::new('--log-format', '--log-format', [CompletionResultType]::ParameterName, 'Write the log as text or as one JSON object a line')
            [CompletionResult]::new('--log-file', '--log-file', [CompletionResultType]::ParameterName, 'Write the log of the day to this file too; the last seven days are in FILE.days')
            [CompletionResult]::new('--log-level', '--log-level', [CompletionResultType]::ParameterName, 'How much to log [default: warn on standard error, info in the log file]')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Read settings from this file: options for all servers, and a section for each named one')
            [CompletionResult]::new('--no-browser', '--no-browser', [CompletionResultType]::ParameterName, 'Open no browser: tell only the address')
            [CompletionResult]::new('--insecure', '--insecure', [CompletionResultType]::ParameterName, 'Accept any certificate: anybody in between can read and change everything')
            [CompletionResult]::new('--no-retry', '--no-retry', [CompletionResultType]::ParameterName, 'Never try a failed request again')
            [CompletionResult]::new('--fail', '--fail', [CompletionResultType]::ParameterName, 'End with status 1 when a request was answered with an error; for shells')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('demo', 'demo', [CompletionResultType]::ParameterValue, 'Forward to a sample service of 1C inside the process')
            [CompletionResult]::new('login', 'login', [CompletionResultType]::ParameterValue, 'Sign in to a server with a browser, ahead of its use')
            [CompletionResult]::new('logout', 'logout', [CompletionResultType]::ParameterValue, 'Sign out of a server: give its tokens back, and forget them')
            [CompletionResult]::new('check', 'check', [CompletionResultType]::ParameterValue, 'Say step by step whether a server can be used, and what to do if not')
            [CompletionResult]::new('tools', 'tools', [CompletionResultType]::ParameterValue, 'List the tools of a server')
            [CompletionResult]::new('call', 'call', [CompletionResultType]::ParameterValue, 'Call a tool of a server')
            [CompletionResult]::new('install', 'install', [CompletionResultType]::ParameterValue, 'Write a server into the configuration of an MCP client: `mcpline install CLIENT [NAME] URL`')
            [CompletionResult]::new('uninstall', 'uninstall', [CompletionResultType]::ParameterValue, 'Remove a server from the configuration of an MCP client')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'mcpline;demo' {
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'mcpline;login' {
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'mcpline;logout' {
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'mcpline;check' {
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print one JSON object, for support; secrets are masked')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'mcpline;tools' {
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print JSON; what a pipe gets anyway')
            [CompletionResult]::new('--text', '--text', [CompletionResultType]::ParameterName, 'Print text for people; what a terminal gets anyway')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'mcpline;call' {
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print JSON; what a pipe gets anyway')
            [CompletionResult]::new('--text', '--text', [CompletionResultType]::ParameterName, 'Print text for people; what a terminal gets anyway')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'mcpline;install' {
            [CompletionResult]::new('--take-over', '--take-over', [CompletionResultType]::ParameterName, 'Have this program do what the client''s entry NAME does with mcp-remote, supergateway, mcp-proxy, a script for 1C, Bitrix24 or amoCRM, or a URL; without CLIENT, in every client that has such an entry')
            [CompletionResult]::new('--list', '--list', [CompletionResultType]::ParameterName, 'Show which clients are on this machine, where their files are, and what is in them')
            [CompletionResult]::new('--project', '--project', [CompletionResultType]::ParameterName, 'Change the file of the project in the current folder, not the user''s own')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Show what would change, and change nothing')
            [CompletionResult]::new('-y', '-y', [CompletionResultType]::ParameterName, 'Do not ask before an entry is replaced or removed')
            [CompletionResult]::new('--yes', '--yes', [CompletionResultType]::ParameterName, 'Do not ask before an entry is replaced or removed')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'mcpline;uninstall' {
            [CompletionResult]::new('--project', '--project', [CompletionResultType]::ParameterName, 'Change the file of the project in the current folder, not the user''s own')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Show what would change, and change nothing')
            [CompletionResult]::new('-y', '-y', [CompletionResultType]::ParameterName, 'Do not ask before an entry is replaced or removed')
            [CompletionResult]::new('--yes', '--yes', [CompletionResultType]::ParameterName, 'Do not ask before an entry is replaced or removed')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'mcpline;help' {
            [CompletionResult]::new('demo', 'demo', [CompletionResultType]::ParameterValue, 'Forward to a sample service of 1C inside the process')
            [CompletionResult]::new('login', 'login', [CompletionResultType]::ParameterValue, 'Sign in to a server with a browser, ahead of its use')
            [CompletionResult]::new('logout', 'logout', [CompletionResultType]::ParameterValue, 'Sign out of a server: give its tokens back, and forget them')
            [CompletionResult]::new('check', 'check', [CompletionResultType]::ParameterValue, 'Say step by step whether a server can be used, and what to do if not')
            [CompletionResult]::new('tools', 'tools', [CompletionResultType]::ParameterValue, 'List the tools of a server')
            [CompletionResult]::new('call', 'call', [CompletionResultType]::ParameterValue, 'Call a tool of a server')
            [CompletionResult]::new('install', 'install', [CompletionResultType]::ParameterValue, 'Write a server into the configuration of an MCP client: `mcpline install CLIENT [NAME] URL`')
            [CompletionResult]::new('uninstall', 'uninstall', [CompletionResultType]::ParameterValue, 'Remove a server from the configuration of an MCP client')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'mcpline;help;demo' {
            break
        }
        'mcpline;help;login' {
            break
        }
        'mcpline;help;logout' {
            break
        }
        'mcpline;help;check' {
            break
        }
        'mcpline;help;tools' {
            break
        }
        'mcpline;help;call' {
            break
        }
        'mcpline;help;install' {
            break
        }
        'mcpline;help;uninstall' {
            break
        }
        'mcpline;help;help' {
            break
        }
    })

    $completions.Where{ $_.CompletionText -like "$wordToComplete*" } |
        Sort-Object -Property ListItemText
}
