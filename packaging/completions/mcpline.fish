# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_mcpline_global_optspecs
    string join \n kind= upstream-era= header= header-file= user= password-file= api-key-file= bearer-file= auth= oauth-client-id= oauth-client-secret-file= oauth-client-key-file= oauth-scope= oauth-resource= oauth-issuer= oauth-redirect= oauth-grant= oauth-param= oauth-profile= no-browser state-dir= service-root= managed-sessions= basic-charset= rate= catalogue= keep= with= ca-file= client-cert= client-key= insecure proxy= connect-timeout= timeout= max-time= start-timeout= retry-for= no-retry drain= max-in-flight= max-message= fail log-format= log-file= log-level= config= h/help V/version
end

function __fish_mcpline_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_mcpline_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_mcpline_using_subcommand
    set -l cmd (__fish_mcpline_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c mcpline -n "__fish_mcpline_needs_command" -l kind -d 'How the server is reached' -r -f -a "auto\t'Find out: 1C by `/hs/` in the URL, the other services by what answers, else as `mcp`'
mcp\t'An MCP server on Streamable HTTP (revisions 2025-03-26 and later), else on HTTP+SSE'
sse\t'An MCP server on HTTP+SSE (revision 2024-11-05)'
1c\t'An HTTP service of 1C:Enterprise; the URL is the infobase\'s or the service\'s'
bitrix\t'The Bitrix24 server b24-mcp, or another MCP server of Bitrix24'
amocrm\t'The amoCRM server mcp-amocrm-server, over MCP or its REST API, or another one'"
complete -c mcpline -n "__fish_mcpline_needs_command" -l upstream-era -d 'Which revisions of MCP the server is spoken to in' -r -f -a "auto\t'The client\'s own, and the other one where the server refuses that'
legacy\t'With a handshake: revisions 2024-11-05 to 2025-11-25'
modern\t'Without one: revision 2026-07-28'"
complete -c mcpline -n "__fish_mcpline_needs_command" -l header -d 'Send this header with every request; ${NAME} stands for an environment variable' -r
complete -c mcpline -n "__fish_mcpline_needs_command" -l header-file -d 'Read headers from this file, one NAME:VALUE on each line, # for comments' -r -F
complete -c mcpline -n "__fish_mcpline_needs_command" -l user -d 'Log in with this user name (Basic authentication, UTF-8)' -r
complete -c mcpline -n "__fish_mcpline_needs_command" -l password-file -d 'Read the password for --user from this file; or set MCPLINE_PASSWORD' -r -F
complete -c mcpline -n "__fish_mcpline_needs_command" -l api-key-file -d 'Send this key as X-API-Key, read from this file; or set MCPLINE_API_KEY' -r -F
complete -c mcpline -n "__fish_mcpline_needs_command" -l bearer-file -d 'Read a bearer token from this file; or set MCPLINE_BEARER' -r -F
complete -c mcpline -n "__fish_mcpline_needs_command" -l auth -d 'When to sign in' -r -f -a "auto\t'When an MCP server asks for it and no other credentials are given'
oauth\t'Whenever the server refuses, whatever kind it is'
none\t'Never'"
complete -c mcpline -n "__fish_mcpline_needs_command" -l oauth-client-id -d 'Use this client, registered by hand; or the https address of a client metadata document' -r
complete -c mcpline -n "__fish_mcpline_needs_command" -l oauth-client-secret-file -d 'Read the secret of the client from this file; or set MCPLINE_OAUTH_CLIENT_SECRET' -r -F
complete -c mcpline -n "__fish_mcpline_needs_command" -l oauth-client-key-file -d 'Prove by signatures with this private key who the client is (PEM, DER; P-256 or RSA)' -r -F
complete -c mcpline -n "__fish_mcpline_needs_command" -l oauth-scope -d 'Ask for these scopes, separated by spaces, instead of those that the server names' -r
complete -c mcpline -n "__fish_mcpline_needs_command" -l oauth-resource -d 'Ask for a token for this resource instead of what the server names; none for no resource' -r
complete -c mcpline -n "__fish_mcpline_needs_command" -l oauth-issuer -d 'The authorization server, where the server names none; the only one that gets the secret' -r
complete -c mcpline -n "__fish_mcpline_needs_command" -l oauth-redirect -d 'Where the browser comes back to, as it was registered by hand [default: http://127.0.0.1/callback at any free port]' -r
complete -c mcpline -n "__fish_mcpline_needs_command" -l oauth-grant -d 'Who signs in' -r -f -a "code\t'A person signs in with a browser'
device\t'A person signs in with any browser, on this device or another, and types a code'
client-credentials\t'The program signs in with its own id, and a secret or key; no person takes part'"
complete -c mcpline -n "__fish_mcpline_needs_command" -l oauth-param -d 'Add this parameter to the authorization request; may be given several times' -r
complete -c mcpline -n "__fish_mcpline_needs_command" -l oauth-profile -d 'Keep this sign-in apart from others at the same server, for a second account' -r
complete -c mcpline -n "__fish_mcpline_needs_command" -l state-dir -d 'Keep sign-ins in this folder [default: the system\'s folder for the state of programs]' -r -F
complete -c mcpline -n "__fish_mcpline_needs_command" -l service-root -d '1C: the root URL of the HTTP service, where the URL does not name it [default: mcp]' -r
complete -c mcpline -n "__fish_mcpline_needs_command" -l managed-sessions -d '1C: keep this many sessions of our own, each of which may take a licence [COUNT: 1]' -r
complete -c mcpline -n "__fish_mcpline_needs_command" -l basic-charset -d 'Encode name and password in this charset; old 1C platforms on Windows read windows-1251' -r -f -a "utf-8\t'What RFC 7617 recommends, and 1C reads'
windows-1251\t'For very old platforms on Windows'"
complete -c mcpline -n "__fish_mcpline_needs_command" -l rate -d 'AmoCRM: calls of the REST API a second, 0 for no limit' -r
complete -c mcpline -n "__fish_mcpline_needs_command" -l catalogue -d 'AmoCRM: add the tools of this file to the catalogue for the REST API' -r -F
complete -c mcpline -n "__fish_mcpline_needs_command" -l keep -d 'Leave these as the service sends them, separated by commas' -r -f -a "names\t'1C: tool and prompt names that clients or models refuse'
uris\t'Resource URIs that some clients refuse'
errors\t'AmoCRM: failures that come as successful results'"
complete -c mcpline -n "__fish_mcpline_needs_command" -l with -d 'Do these as well, separated by commas' -r -f -a "stream\t'Bitrix24: listen to the stream on which the server tells everybody everything'
resources\t'AmoCRM over MCP: offer the resources of the REST API too'
request-tool\t'AmoCRM over REST: offer the tool `amocrm_request`, which can do anything'"
complete -c mcpline -n "__fish_mcpline_needs_command" -l ca-file -d 'Trust the certificates in this file too: a company\'s own authority, or the server\'s own (PEM, DER, PKCS#7)' -r -F
complete -c mcpline -n "__fish_mcpline_needs_command" -l client-cert -d 'Show the server this certificate, with its chain (PEM, DER, PKCS#7)' -r -F
complete -c mcpline -n "__fish_mcpline_needs_command" -l client-key -d 'The private key of --client-cert, without a password (PEM, DER); not needed if that file has it too' -r -F
complete -c mcpline -n "__fish_mcpline_needs_command" -l proxy -d 'Connect through this proxy: http://, https:// or socks5://, with USER:PASSWORD@ if needed' -r
complete -c mcpline -n "__fish_mcpline_needs_command" -l connect-timeout -d 'Give up connecting after this time, 0 for no limit' -r
complete -c mcpline -n "__fish_mcpline_needs_command" -l timeout -d 'Give a request up when the server shows no sign of life for this time, 0 for no limit [default: 300]' -r
complete -c mcpline -n "__fish_mcpline_needs_command" -l max-time -d 'Give a request up after this time in any case, 0 for no limit [default: 0]' -r
complete -c mcpline -n "__fish_mcpline_needs_command" -l start-timeout -d 'Answer the client\'s `initialize` without the server after this time' -r
complete -c mcpline -n "__fish_mcpline_needs_command" -l retry-for -d 'Try a failed request again for at most this time, where that cannot do anything twice' -r
complete -c mcpline -n "__fish_mcpline_needs_command" -l drain -d 'When the input ends, wait for replies for at most this time' -r
complete -c mcpline -n "__fish_mcpline_needs_command" -l max-in-flight -d 'Send at most this many requests at once; more wait in order [default: 64, for 1C 4]' -r
complete -c mcpline -n "__fish_mcpline_needs_command" -l max-message -d 'Refuse messages longer than this, in either direction: bytes, or with KiB, MiB, GiB' -r
complete -c mcpline -n "__fish_mcpline_needs_command" -l log-format -d 'Write the log as text or as one JSON object a line' -r -f -a "text\t'For people'
json\t'For programs: one JSON object a line'"
complete -c mcpline -n "__fish_mcpline_needs_command" -l log-file -d 'Write the log of the day to this file too; the last seven days are in FILE.days' -r -F
complete -c mcpline -n "__fish_mcpline_needs_command" -l log-level -d 'How much to log [default: warn on standard error, info in the log file]' -r -f -a "off\t'Nothing'
error\t'What stops mcpline from working'
warn\t'What a person should look at'
info\t'Sessions, retries, recoveries'
debug\t'Every request, and what the upstream sends of its own accord'
trace\t'What libraries have to say, too'"
complete -c mcpline -n "__fish_mcpline_needs_command" -l config -d 'Read settings from this file: options for all servers, and a section for each named one' -r -F
complete -c mcpline -n "__fish_mcpline_needs_command" -l no-browser -d 'Open no browser: tell only the address'
complete -c mcpline -n "__fish_mcpline_needs_command" -l insecure -d 'Accept any certificate: anybody in between can read and change everything'
complete -c mcpline -n "__fish_mcpline_needs_command" -l no-retry -d 'Never try a failed request again'
complete -c mcpline -n "__fish_mcpline_needs_command" -l fail -d 'End with status 1 when a request was answered with an error; for shells'
complete -c mcpline -n "__fish_mcpline_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mcpline -n "__fish_mcpline_needs_command" -s V -l version -d 'Print version'
complete -c mcpline -n "__fish_mcpline_needs_command" -a "demo" -d 'Forward to a sample service of 1C inside the process'
complete -c mcpline -n "__fish_mcpline_needs_command" -a "login" -d 'Sign in to a server with a browser, ahead of its use'
complete -c mcpline -n "__fish_mcpline_needs_command" -a "logout" -d 'Sign out of a server: give its tokens back, and forget them'
complete -c mcpline -n "__fish_mcpline_needs_command" -a "check" -d 'Say step by step whether a server can be used, and what to do if not'
complete -c mcpline -n "__fish_mcpline_needs_command" -a "tools" -d 'List the tools of a server'
complete -c mcpline -n "__fish_mcpline_needs_command" -a "call" -d 'Call a tool of a server'
complete -c mcpline -n "__fish_mcpline_needs_command" -a "install" -d 'Write a server into the configuration of an MCP client: `mcpline install CLIENT [NAME] URL`'
complete -c mcpline -n "__fish_mcpline_needs_command" -a "uninstall" -d 'Remove a server from the configuration of an MCP client'
complete -c mcpline -n "__fish_mcpline_needs_command" -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c mcpline -n "__fish_mcpline_using_subcommand demo" -l kind -d 'How the server is reached' -r -f -a "auto\t'Find out: 1C by `/hs/` in the URL, the other services by what answers, else as `mcp`'
mcp\t'An MCP server on Streamable HTTP (revisions 2025-03-26 and later), else on HTTP+SSE'
sse\t'An MCP server on HTTP+SSE (revision 2024-11-05)'
1c\t'An HTTP service of 1C:Enterprise; the URL is the infobase\'s or the service\'s'
bitrix\t'The Bitrix24 server b24-mcp, or another MCP server of Bitrix24'
amocrm\t'The amoCRM server mcp-amocrm-server, over MCP or its REST API, or another one'"
complete -c mcpline -n "__fish_mcpline_using_subcommand demo" -l upstream-era -d 'Which revisions of MCP the server is spoken to in' -r -f -a "auto\t'The client\'s own, and the other one where the server refuses that'
legacy\t'With a handshake: revisions 2024-11-05 to 2025-11-25'
modern\t'Without one: revision 2026-07-28'"
complete -c mcpline -n "__fish_mcpline_using_subcommand demo" -l header -d 'Send this header with every request; ${NAME} stands for an environment variable' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand demo" -l header-file -d 'Read headers from this file, one NAME:VALUE on each line, # for comments' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand demo" -l user -d 'Log in with this user name (Basic authentication, UTF-8)' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand demo" -l password-file -d 'Read the password for --user from this file; or set MCPLINE_PASSWORD' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand demo" -l api-key-file -d 'Send this key as X-API-Key, read from this file; or set MCPLINE_API_KEY' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand demo" -l bearer-file -d 'Read a bearer token from this file; or set MCPLINE_BEARER' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand demo" -l auth -d 'When to sign in' -r -f -a "auto\t'When an MCP server asks for it and no other credentials are given'
oauth\t'Whenever the server refuses, whatever kind it is'
none\t'Never'"
complete -c mcpline -n "__fish_mcpline_using_subcommand demo" -l oauth-client-id -d 'Use this client, registered by hand; or the https address of a client metadata document' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand demo" -l oauth-client-secret-file -d 'Read the secret of the client from this file; or set MCPLINE_OAUTH_CLIENT_SECRET' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand demo" -l oauth-client-key-file -d 'Prove by signatures with this private key who the client is (PEM, DER; P-256 or RSA)' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand demo" -l oauth-scope -d 'Ask for these scopes, separated by spaces, instead of those that the server names' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand demo" -l oauth-resource -d 'Ask for a token for this resource instead of what the server names; none for no resource' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand demo" -l oauth-issuer -d 'The authorization server, where the server names none; the only one that gets the secret' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand demo" -l oauth-redirect -d 'Where the browser comes back to, as it was registered by hand [default: http://127.0.0.1/callback at any free port]' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand demo" -l oauth-grant -d 'Who signs in' -r -f -a "code\t'A person signs in with a browser'
device\t'A person signs in with any browser, on this device or another, and types a code'
client-credentials\t'The program signs in with its own id, and a secret or key; no person takes part'"
complete -c mcpline -n "__fish_mcpline_using_subcommand demo" -l oauth-param -d 'Add this parameter to the authorization request; may be given several times' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand demo" -l oauth-profile -d 'Keep this sign-in apart from others at the same server, for a second account' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand demo" -l state-dir -d 'Keep sign-ins in this folder [default: the system\'s folder for the state of programs]' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand demo" -l service-root -d '1C: the root URL of the HTTP service, where the URL does not name it [default: mcp]' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand demo" -l managed-sessions -d '1C: keep this many sessions of our own, each of which may take a licence [COUNT: 1]' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand demo" -l basic-charset -d 'Encode name and password in this charset; old 1C platforms on Windows read windows-1251' -r -f -a "utf-8\t'What RFC 7617 recommends, and 1C reads'
windows-1251\t'For very old platforms on Windows'"
complete -c mcpline -n "__fish_mcpline_using_subcommand demo" -l rate -d 'AmoCRM: calls of the REST API a second, 0 for no limit' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand demo" -l catalogue -d 'AmoCRM: add the tools of this file to the catalogue for the REST API' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand demo" -l keep -d 'Leave these as the service sends them, separated by commas' -r -f -a "names\t'1C: tool and prompt names that clients or models refuse'
uris\t'Resource URIs that some clients refuse'
errors\t'AmoCRM: failures that come as successful results'"
complete -c mcpline -n "__fish_mcpline_using_subcommand demo" -l with -d 'Do these as well, separated by commas' -r -f -a "stream\t'Bitrix24: listen to the stream on which the server tells everybody everything'
resources\t'AmoCRM over MCP: offer the resources of the REST API too'
request-tool\t'AmoCRM over REST: offer the tool `amocrm_request`, which can do anything'"
complete -c mcpline -n "__fish_mcpline_using_subcommand demo" -l ca-file -d 'Trust the certificates in this file too: a company\'s own authority, or the server\'s own (PEM, DER, PKCS#7)' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand demo" -l client-cert -d 'Show the server this certificate, with its chain (PEM, DER, PKCS#7)' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand demo" -l client-key -d 'The private key of --client-cert, without a password (PEM, DER); not needed if that file has it too' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand demo" -l proxy -d 'Connect through this proxy: http://, https:// or socks5://, with USER:PASSWORD@ if needed' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand demo" -l connect-timeout -d 'Give up connecting after this time, 0 for no limit' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand demo" -l timeout -d 'Give a request up when the server shows no sign of life for this time, 0 for no limit [default: 300]' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand demo" -l max-time -d 'Give a request up after this time in any case, 0 for no limit [default: 0]' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand demo" -l start-timeout -d 'Answer the client\'s `initialize` without the server after this time' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand demo" -l retry-for -d 'Try a failed request again for at most this time, where that cannot do anything twice' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand demo" -l drain -d 'When the input ends, wait for replies for at most this time' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand demo" -l max-in-flight -d 'Send at most this many requests at once; more wait in order [default: 64, for 1C 4]' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand demo" -l max-message -d 'Refuse messages longer than this, in either direction: bytes, or with KiB, MiB, GiB' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand demo" -l log-format -d 'Write the log as text or as one JSON object a line' -r -f -a "text\t'For people'
json\t'For programs: one JSON object a line'"
complete -c mcpline -n "__fish_mcpline_using_subcommand demo" -l log-file -d 'Write the log of the day to this file too; the last seven days are in FILE.days' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand demo" -l log-level -d 'How much to log [default: warn on standard error, info in the log file]' -r -f -a "off\t'Nothing'
error\t'What stops mcpline from working'
warn\t'What a person should look at'
info\t'Sessions, retries, recoveries'
debug\t'Every request, and what the upstream sends of its own accord'
trace\t'What libraries have to say, too'"
complete -c mcpline -n "__fish_mcpline_using_subcommand demo" -l config -d 'Read settings from this file: options for all servers, and a section for each named one' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand demo" -l no-browser -d 'Open no browser: tell only the address'
complete -c mcpline -n "__fish_mcpline_using_subcommand demo" -l insecure -d 'Accept any certificate: anybody in between can read and change everything'
complete -c mcpline -n "__fish_mcpline_using_subcommand demo" -l no-retry -d 'Never try a failed request again'
complete -c mcpline -n "__fish_mcpline_using_subcommand demo" -l fail -d 'End with status 1 when a request was answered with an error; for shells'
complete -c mcpline -n "__fish_mcpline_using_subcommand demo" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mcpline -n "__fish_mcpline_using_subcommand login" -l kind -d 'How the server is reached' -r -f -a "auto\t'Find out: 1C by `/hs/` in the URL, the other services by what answers, else as `mcp`'
mcp\t'An MCP server on Streamable HTTP (revisions 2025-03-26 and later), else on HTTP+SSE'
sse\t'An MCP server on HTTP+SSE (revision 2024-11-05)'
1c\t'An HTTP service of 1C:Enterprise; the URL is the infobase\'s or the service\'s'
bitrix\t'The Bitrix24 server b24-mcp, or another MCP server of Bitrix24'
amocrm\t'The amoCRM server mcp-amocrm-server, over MCP or its REST API, or another one'"
complete -c mcpline -n "__fish_mcpline_using_subcommand login" -l upstream-era -d 'Which revisions of MCP the server is spoken to in' -r -f -a "auto\t'The client\'s own, and the other one where the server refuses that'
legacy\t'With a handshake: revisions 2024-11-05 to 2025-11-25'
modern\t'Without one: revision 2026-07-28'"
complete -c mcpline -n "__fish_mcpline_using_subcommand login" -l header -d 'Send this header with every request; ${NAME} stands for an environment variable' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand login" -l header-file -d 'Read headers from this file, one NAME:VALUE on each line, # for comments' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand login" -l user -d 'Log in with this user name (Basic authentication, UTF-8)' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand login" -l password-file -d 'Read the password for --user from this file; or set MCPLINE_PASSWORD' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand login" -l api-key-file -d 'Send this key as X-API-Key, read from this file; or set MCPLINE_API_KEY' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand login" -l bearer-file -d 'Read a bearer token from this file; or set MCPLINE_BEARER' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand login" -l auth -d 'When to sign in' -r -f -a "auto\t'When an MCP server asks for it and no other credentials are given'
oauth\t'Whenever the server refuses, whatever kind it is'
none\t'Never'"
complete -c mcpline -n "__fish_mcpline_using_subcommand login" -l oauth-client-id -d 'Use this client, registered by hand; or the https address of a client metadata document' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand login" -l oauth-client-secret-file -d 'Read the secret of the client from this file; or set MCPLINE_OAUTH_CLIENT_SECRET' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand login" -l oauth-client-key-file -d 'Prove by signatures with this private key who the client is (PEM, DER; P-256 or RSA)' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand login" -l oauth-scope -d 'Ask for these scopes, separated by spaces, instead of those that the server names' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand login" -l oauth-resource -d 'Ask for a token for this resource instead of what the server names; none for no resource' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand login" -l oauth-issuer -d 'The authorization server, where the server names none; the only one that gets the secret' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand login" -l oauth-redirect -d 'Where the browser comes back to, as it was registered by hand [default: http://127.0.0.1/callback at any free port]' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand login" -l oauth-grant -d 'Who signs in' -r -f -a "code\t'A person signs in with a browser'
device\t'A person signs in with any browser, on this device or another, and types a code'
client-credentials\t'The program signs in with its own id, and a secret or key; no person takes part'"
complete -c mcpline -n "__fish_mcpline_using_subcommand login" -l oauth-param -d 'Add this parameter to the authorization request; may be given several times' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand login" -l oauth-profile -d 'Keep this sign-in apart from others at the same server, for a second account' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand login" -l state-dir -d 'Keep sign-ins in this folder [default: the system\'s folder for the state of programs]' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand login" -l service-root -d '1C: the root URL of the HTTP service, where the URL does not name it [default: mcp]' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand login" -l managed-sessions -d '1C: keep this many sessions of our own, each of which may take a licence [COUNT: 1]' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand login" -l basic-charset -d 'Encode name and password in this charset; old 1C platforms on Windows read windows-1251' -r -f -a "utf-8\t'What RFC 7617 recommends, and 1C reads'
windows-1251\t'For very old platforms on Windows'"
complete -c mcpline -n "__fish_mcpline_using_subcommand login" -l rate -d 'AmoCRM: calls of the REST API a second, 0 for no limit' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand login" -l catalogue -d 'AmoCRM: add the tools of this file to the catalogue for the REST API' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand login" -l keep -d 'Leave these as the service sends them, separated by commas' -r -f -a "names\t'1C: tool and prompt names that clients or models refuse'
uris\t'Resource URIs that some clients refuse'
errors\t'AmoCRM: failures that come as successful results'"
complete -c mcpline -n "__fish_mcpline_using_subcommand login" -l with -d 'Do these as well, separated by commas' -r -f -a "stream\t'Bitrix24: listen to the stream on which the server tells everybody everything'
resources\t'AmoCRM over MCP: offer the resources of the REST API too'
request-tool\t'AmoCRM over REST: offer the tool `amocrm_request`, which can do anything'"
complete -c mcpline -n "__fish_mcpline_using_subcommand login" -l ca-file -d 'Trust the certificates in this file too: a company\'s own authority, or the server\'s own (PEM, DER, PKCS#7)' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand login" -l client-cert -d 'Show the server this certificate, with its chain (PEM, DER, PKCS#7)' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand login" -l client-key -d 'The private key of --client-cert, without a password (PEM, DER); not needed if that file has it too' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand login" -l proxy -d 'Connect through this proxy: http://, https:// or socks5://, with USER:PASSWORD@ if needed' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand login" -l connect-timeout -d 'Give up connecting after this time, 0 for no limit' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand login" -l timeout -d 'Give a request up when the server shows no sign of life for this time, 0 for no limit [default: 300]' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand login" -l max-time -d 'Give a request up after this time in any case, 0 for no limit [default: 0]' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand login" -l start-timeout -d 'Answer the client\'s `initialize` without the server after this time' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand login" -l retry-for -d 'Try a failed request again for at most this time, where that cannot do anything twice' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand login" -l drain -d 'When the input ends, wait for replies for at most this time' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand login" -l max-in-flight -d 'Send at most this many requests at once; more wait in order [default: 64, for 1C 4]' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand login" -l max-message -d 'Refuse messages longer than this, in either direction: bytes, or with KiB, MiB, GiB' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand login" -l log-format -d 'Write the log as text or as one JSON object a line' -r -f -a "text\t'For people'
json\t'For programs: one JSON object a line'"
complete -c mcpline -n "__fish_mcpline_using_subcommand login" -l log-file -d 'Write the log of the day to this file too; the last seven days are in FILE.days' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand login" -l log-level -d 'How much to log [default: warn on standard error, info in the log file]' -r -f -a "off\t'Nothing'
error\t'What stops mcpline from working'
warn\t'What a person should look at'
info\t'Sessions, retries, recoveries'
debug\t'Every request, and what the upstream sends of its own accord'
trace\t'What libraries have to say, too'"
complete -c mcpline -n "__fish_mcpline_using_subcommand login" -l config -d 'Read settings from this file: options for all servers, and a section for each named one' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand login" -l no-browser -d 'Open no browser: tell only the address'
complete -c mcpline -n "__fish_mcpline_using_subcommand login" -l insecure -d 'Accept any certificate: anybody in between can read and change everything'
complete -c mcpline -n "__fish_mcpline_using_subcommand login" -l no-retry -d 'Never try a failed request again'
complete -c mcpline -n "__fish_mcpline_using_subcommand login" -l fail -d 'End with status 1 when a request was answered with an error; for shells'
complete -c mcpline -n "__fish_mcpline_using_subcommand login" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mcpline -n "__fish_mcpline_using_subcommand logout" -l kind -d 'How the server is reached' -r -f -a "auto\t'Find out: 1C by `/hs/` in the URL, the other services by what answers, else as `mcp`'
mcp\t'An MCP server on Streamable HTTP (revisions 2025-03-26 and later), else on HTTP+SSE'
sse\t'An MCP server on HTTP+SSE (revision 2024-11-05)'
1c\t'An HTTP service of 1C:Enterprise; the URL is the infobase\'s or the service\'s'
bitrix\t'The Bitrix24 server b24-mcp, or another MCP server of Bitrix24'
amocrm\t'The amoCRM server mcp-amocrm-server, over MCP or its REST API, or another one'"
complete -c mcpline -n "__fish_mcpline_using_subcommand logout" -l upstream-era -d 'Which revisions of MCP the server is spoken to in' -r -f -a "auto\t'The client\'s own, and the other one where the server refuses that'
legacy\t'With a handshake: revisions 2024-11-05 to 2025-11-25'
modern\t'Without one: revision 2026-07-28'"
complete -c mcpline -n "__fish_mcpline_using_subcommand logout" -l header -d 'Send this header with every request; ${NAME} stands for an environment variable' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand logout" -l header-file -d 'Read headers from this file, one NAME:VALUE on each line, # for comments' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand logout" -l user -d 'Log in with this user name (Basic authentication, UTF-8)' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand logout" -l password-file -d 'Read the password for --user from this file; or set MCPLINE_PASSWORD' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand logout" -l api-key-file -d 'Send this key as X-API-Key, read from this file; or set MCPLINE_API_KEY' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand logout" -l bearer-file -d 'Read a bearer token from this file; or set MCPLINE_BEARER' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand logout" -l auth -d 'When to sign in' -r -f -a "auto\t'When an MCP server asks for it and no other credentials are given'
oauth\t'Whenever the server refuses, whatever kind it is'
none\t'Never'"
complete -c mcpline -n "__fish_mcpline_using_subcommand logout" -l oauth-client-id -d 'Use this client, registered by hand; or the https address of a client metadata document' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand logout" -l oauth-client-secret-file -d 'Read the secret of the client from this file; or set MCPLINE_OAUTH_CLIENT_SECRET' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand logout" -l oauth-client-key-file -d 'Prove by signatures with this private key who the client is (PEM, DER; P-256 or RSA)' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand logout" -l oauth-scope -d 'Ask for these scopes, separated by spaces, instead of those that the server names' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand logout" -l oauth-resource -d 'Ask for a token for this resource instead of what the server names; none for no resource' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand logout" -l oauth-issuer -d 'The authorization server, where the server names none; the only one that gets the secret' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand logout" -l oauth-redirect -d 'Where the browser comes back to, as it was registered by hand [default: http://127.0.0.1/callback at any free port]' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand logout" -l oauth-grant -d 'Who signs in' -r -f -a "code\t'A person signs in with a browser'
device\t'A person signs in with any browser, on this device or another, and types a code'
client-credentials\t'The program signs in with its own id, and a secret or key; no person takes part'"
complete -c mcpline -n "__fish_mcpline_using_subcommand logout" -l oauth-param -d 'Add this parameter to the authorization request; may be given several times' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand logout" -l oauth-profile -d 'Keep this sign-in apart from others at the same server, for a second account' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand logout" -l state-dir -d 'Keep sign-ins in this folder [default: the system\'s folder for the state of programs]' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand logout" -l service-root -d '1C: the root URL of the HTTP service, where the URL does not name it [default: mcp]' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand logout" -l managed-sessions -d '1C: keep this many sessions of our own, each of which may take a licence [COUNT: 1]' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand logout" -l basic-charset -d 'Encode name and password in this charset; old 1C platforms on Windows read windows-1251' -r -f -a "utf-8\t'What RFC 7617 recommends, and 1C reads'
windows-1251\t'For very old platforms on Windows'"
complete -c mcpline -n "__fish_mcpline_using_subcommand logout" -l rate -d 'AmoCRM: calls of the REST API a second, 0 for no limit' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand logout" -l catalogue -d 'AmoCRM: add the tools of this file to the catalogue for the REST API' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand logout" -l keep -d 'Leave these as the service sends them, separated by commas' -r -f -a "names\t'1C: tool and prompt names that clients or models refuse'
uris\t'Resource URIs that some clients refuse'
errors\t'AmoCRM: failures that come as successful results'"
complete -c mcpline -n "__fish_mcpline_using_subcommand logout" -l with -d 'Do these as well, separated by commas' -r -f -a "stream\t'Bitrix24: listen to the stream on which the server tells everybody everything'
resources\t'AmoCRM over MCP: offer the resources of the REST API too'
request-tool\t'AmoCRM over REST: offer the tool `amocrm_request`, which can do anything'"
complete -c mcpline -n "__fish_mcpline_using_subcommand logout" -l ca-file -d 'Trust the certificates in this file too: a company\'s own authority, or the server\'s own (PEM, DER, PKCS#7)' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand logout" -l client-cert -d 'Show the server this certificate, with its chain (PEM, DER, PKCS#7)' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand logout" -l client-key -d 'The private key of --client-cert, without a password (PEM, DER); not needed if that file has it too' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand logout" -l proxy -d 'Connect through this proxy: http://, https:// or socks5://, with USER:PASSWORD@ if needed' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand logout" -l connect-timeout -d 'Give up connecting after this time, 0 for no limit' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand logout" -l timeout -d 'Give a request up when the server shows no sign of life for this time, 0 for no limit [default: 300]' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand logout" -l max-time -d 'Give a request up after this time in any case, 0 for no limit [default: 0]' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand logout" -l start-timeout -d 'Answer the client\'s `initialize` without the server after this time' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand logout" -l retry-for -d 'Try a failed request again for at most this time, where that cannot do anything twice' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand logout" -l drain -d 'When the input ends, wait for replies for at most this time' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand logout" -l max-in-flight -d 'Send at most this many requests at once; more wait in order [default: 64, for 1C 4]' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand logout" -l max-message -d 'Refuse messages longer than this, in either direction: bytes, or with KiB, MiB, GiB' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand logout" -l log-format -d 'Write the log as text or as one JSON object a line' -r -f -a "text\t'For people'
json\t'For programs: one JSON object a line'"
complete -c mcpline -n "__fish_mcpline_using_subcommand logout" -l log-file -d 'Write the log of the day to this file too; the last seven days are in FILE.days' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand logout" -l log-level -d 'How much to log [default: warn on standard error, info in the log file]' -r -f -a "off\t'Nothing'
error\t'What stops mcpline from working'
warn\t'What a person should look at'
info\t'Sessions, retries, recoveries'
debug\t'Every request, and what the upstream sends of its own accord'
trace\t'What libraries have to say, too'"
complete -c mcpline -n "__fish_mcpline_using_subcommand logout" -l config -d 'Read settings from this file: options for all servers, and a section for each named one' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand logout" -l no-browser -d 'Open no browser: tell only the address'
complete -c mcpline -n "__fish_mcpline_using_subcommand logout" -l insecure -d 'Accept any certificate: anybody in between can read and change everything'
complete -c mcpline -n "__fish_mcpline_using_subcommand logout" -l no-retry -d 'Never try a failed request again'
complete -c mcpline -n "__fish_mcpline_using_subcommand logout" -l fail -d 'End with status 1 when a request was answered with an error; for shells'
complete -c mcpline -n "__fish_mcpline_using_subcommand logout" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mcpline -n "__fish_mcpline_using_subcommand check" -l kind -d 'How the server is reached' -r -f -a "auto\t'Find out: 1C by `/hs/` in the URL, the other services by what answers, else as `mcp`'
mcp\t'An MCP server on Streamable HTTP (revisions 2025-03-26 and later), else on HTTP+SSE'
sse\t'An MCP server on HTTP+SSE (revision 2024-11-05)'
1c\t'An HTTP service of 1C:Enterprise; the URL is the infobase\'s or the service\'s'
bitrix\t'The Bitrix24 server b24-mcp, or another MCP server of Bitrix24'
amocrm\t'The amoCRM server mcp-amocrm-server, over MCP or its REST API, or another one'"
complete -c mcpline -n "__fish_mcpline_using_subcommand check" -l upstream-era -d 'Which revisions of MCP the server is spoken to in' -r -f -a "auto\t'The client\'s own, and the other one where the server refuses that'
legacy\t'With a handshake: revisions 2024-11-05 to 2025-11-25'
modern\t'Without one: revision 2026-07-28'"
complete -c mcpline -n "__fish_mcpline_using_subcommand check" -l header -d 'Send this header with every request; ${NAME} stands for an environment variable' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand check" -l header-file -d 'Read headers from this file, one NAME:VALUE on each line, # for comments' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand check" -l user -d 'Log in with this user name (Basic authentication, UTF-8)' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand check" -l password-file -d 'Read the password for --user from this file; or set MCPLINE_PASSWORD' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand check" -l api-key-file -d 'Send this key as X-API-Key, read from this file; or set MCPLINE_API_KEY' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand check" -l bearer-file -d 'Read a bearer token from this file; or set MCPLINE_BEARER' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand check" -l auth -d 'When to sign in' -r -f -a "auto\t'When an MCP server asks for it and no other credentials are given'
oauth\t'Whenever the server refuses, whatever kind it is'
none\t'Never'"
complete -c mcpline -n "__fish_mcpline_using_subcommand check" -l oauth-client-id -d 'Use this client, registered by hand; or the https address of a client metadata document' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand check" -l oauth-client-secret-file -d 'Read the secret of the client from this file; or set MCPLINE_OAUTH_CLIENT_SECRET' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand check" -l oauth-client-key-file -d 'Prove by signatures with this private key who the client is (PEM, DER; P-256 or RSA)' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand check" -l oauth-scope -d 'Ask for these scopes, separated by spaces, instead of those that the server names' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand check" -l oauth-resource -d 'Ask for a token for this resource instead of what the server names; none for no resource' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand check" -l oauth-issuer -d 'The authorization server, where the server names none; the only one that gets the secret' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand check" -l oauth-redirect -d 'Where the browser comes back to, as it was registered by hand [default: http://127.0.0.1/callback at any free port]' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand check" -l oauth-grant -d 'Who signs in' -r -f -a "code\t'A person signs in with a browser'
device\t'A person signs in with any browser, on this device or another, and types a code'
client-credentials\t'The program signs in with its own id, and a secret or key; no person takes part'"
complete -c mcpline -n "__fish_mcpline_using_subcommand check" -l oauth-param -d 'Add this parameter to the authorization request; may be given several times' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand check" -l oauth-profile -d 'Keep this sign-in apart from others at the same server, for a second account' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand check" -l state-dir -d 'Keep sign-ins in this folder [default: the system\'s folder for the state of programs]' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand check" -l service-root -d '1C: the root URL of the HTTP service, where the URL does not name it [default: mcp]' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand check" -l managed-sessions -d '1C: keep this many sessions of our own, each of which may take a licence [COUNT: 1]' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand check" -l basic-charset -d 'Encode name and password in this charset; old 1C platforms on Windows read windows-1251' -r -f -a "utf-8\t'What RFC 7617 recommends, and 1C reads'
windows-1251\t'For very old platforms on Windows'"
complete -c mcpline -n "__fish_mcpline_using_subcommand check" -l rate -d 'AmoCRM: calls of the REST API a second, 0 for no limit' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand check" -l catalogue -d 'AmoCRM: add the tools of this file to the catalogue for the REST API' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand check" -l keep -d 'Leave these as the service sends them, separated by commas' -r -f -a "names\t'1C: tool and prompt names that clients or models refuse'
uris\t'Resource URIs that some clients refuse'
errors\t'AmoCRM: failures that come as successful results'"
complete -c mcpline -n "__fish_mcpline_using_subcommand check" -l with -d 'Do these as well, separated by commas' -r -f -a "stream\t'Bitrix24: listen to the stream on which the server tells everybody everything'
resources\t'AmoCRM over MCP: offer the resources of the REST API too'
request-tool\t'AmoCRM over REST: offer the tool `amocrm_request`, which can do anything'"
complete -c mcpline -n "__fish_mcpline_using_subcommand check" -l ca-file -d 'Trust the certificates in this file too: a company\'s own authority, or the server\'s own (PEM, DER, PKCS#7)' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand check" -l client-cert -d 'Show the server this certificate, with its chain (PEM, DER, PKCS#7)' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand check" -l client-key -d 'The private key of --client-cert, without a password (PEM, DER); not needed if that file has it too' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand check" -l proxy -d 'Connect through this proxy: http://, https:// or socks5://, with USER:PASSWORD@ if needed' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand check" -l connect-timeout -d 'Give up connecting after this time, 0 for no limit' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand check" -l timeout -d 'Give a request up when the server shows no sign of life for this time, 0 for no limit [default: 300]' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand check" -l max-time -d 'Give a request up after this time in any case, 0 for no limit [default: 0]' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand check" -l start-timeout -d 'Answer the client\'s `initialize` without the server after this time' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand check" -l retry-for -d 'Try a failed request again for at most this time, where that cannot do anything twice' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand check" -l drain -d 'When the input ends, wait for replies for at most this time' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand check" -l max-in-flight -d 'Send at most this many requests at once; more wait in order [default: 64, for 1C 4]' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand check" -l max-message -d 'Refuse messages longer than this, in either direction: bytes, or with KiB, MiB, GiB' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand check" -l log-format -d 'Write the log as text or as one JSON object a line' -r -f -a "text\t'For people'
json\t'For programs: one JSON object a line'"
complete -c mcpline -n "__fish_mcpline_using_subcommand check" -l log-file -d 'Write the log of the day to this file too; the last seven days are in FILE.days' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand check" -l log-level -d 'How much to log [default: warn on standard error, info in the log file]' -r -f -a "off\t'Nothing'
error\t'What stops mcpline from working'
warn\t'What a person should look at'
info\t'Sessions, retries, recoveries'
debug\t'Every request, and what the upstream sends of its own accord'
trace\t'What libraries have to say, too'"
complete -c mcpline -n "__fish_mcpline_using_subcommand check" -l config -d 'Read settings from this file: options for all servers, and a section for each named one' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand check" -l json -d 'Print one JSON object, for support; secrets are masked'
complete -c mcpline -n "__fish_mcpline_using_subcommand check" -l no-browser -d 'Open no browser: tell only the address'
complete -c mcpline -n "__fish_mcpline_using_subcommand check" -l insecure -d 'Accept any certificate: anybody in between can read and change everything'
complete -c mcpline -n "__fish_mcpline_using_subcommand check" -l no-retry -d 'Never try a failed request again'
complete -c mcpline -n "__fish_mcpline_using_subcommand check" -l fail -d 'End with status 1 when a request was answered with an error; for shells'
complete -c mcpline -n "__fish_mcpline_using_subcommand check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mcpline -n "__fish_mcpline_using_subcommand tools" -l kind -d 'How the server is reached' -r -f -a "auto\t'Find out: 1C by `/hs/` in the URL, the other services by what answers, else as `mcp`'
mcp\t'An MCP server on Streamable HTTP (revisions 2025-03-26 and later), else on HTTP+SSE'
sse\t'An MCP server on HTTP+SSE (revision 2024-11-05)'
1c\t'An HTTP service of 1C:Enterprise; the URL is the infobase\'s or the service\'s'
bitrix\t'The Bitrix24 server b24-mcp, or another MCP server of Bitrix24'
amocrm\t'The amoCRM server mcp-amocrm-server, over MCP or its REST API, or another one'"
complete -c mcpline -n "__fish_mcpline_using_subcommand tools" -l upstream-era -d 'Which revisions of MCP the server is spoken to in' -r -f -a "auto\t'The client\'s own, and the other one where the server refuses that'
legacy\t'With a handshake: revisions 2024-11-05 to 2025-11-25'
modern\t'Without one: revision 2026-07-28'"
complete -c mcpline -n "__fish_mcpline_using_subcommand tools" -l header -d 'Send this header with every request; ${NAME} stands for an environment variable' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand tools" -l header-file -d 'Read headers from this file, one NAME:VALUE on each line, # for comments' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand tools" -l user -d 'Log in with this user name (Basic authentication, UTF-8)' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand tools" -l password-file -d 'Read the password for --user from this file; or set MCPLINE_PASSWORD' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand tools" -l api-key-file -d 'Send this key as X-API-Key, read from this file; or set MCPLINE_API_KEY' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand tools" -l bearer-file -d 'Read a bearer token from this file; or set MCPLINE_BEARER' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand tools" -l auth -d 'When to sign in' -r -f -a "auto\t'When an MCP server asks for it and no other credentials are given'
oauth\t'Whenever the server refuses, whatever kind it is'
none\t'Never'"
complete -c mcpline -n "__fish_mcpline_using_subcommand tools" -l oauth-client-id -d 'Use this client, registered by hand; or the https address of a client metadata document' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand tools" -l oauth-client-secret-file -d 'Read the secret of the client from this file; or set MCPLINE_OAUTH_CLIENT_SECRET' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand tools" -l oauth-client-key-file -d 'Prove by signatures with this private key who the client is (PEM, DER; P-256 or RSA)' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand tools" -l oauth-scope -d 'Ask for these scopes, separated by spaces, instead of those that the server names' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand tools" -l oauth-resource -d 'Ask for a token for this resource instead of what the server names; none for no resource' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand tools" -l oauth-issuer -d 'The authorization server, where the server names none; the only one that gets the secret' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand tools" -l oauth-redirect -d 'Where the browser comes back to, as it was registered by hand [default: http://127.0.0.1/callback at any free port]' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand tools" -l oauth-grant -d 'Who signs in' -r -f -a "code\t'A person signs in with a browser'
device\t'A person signs in with any browser, on this device or another, and types a code'
client-credentials\t'The program signs in with its own id, and a secret or key; no person takes part'"
complete -c mcpline -n "__fish_mcpline_using_subcommand tools" -l oauth-param -d 'Add this parameter to the authorization request; may be given several times' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand tools" -l oauth-profile -d 'Keep this sign-in apart from others at the same server, for a second account' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand tools" -l state-dir -d 'Keep sign-ins in this folder [default: the system\'s folder for the state of programs]' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand tools" -l service-root -d '1C: the root URL of the HTTP service, where the URL does not name it [default: mcp]' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand tools" -l managed-sessions -d '1C: keep this many sessions of our own, each of which may take a licence [COUNT: 1]' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand tools" -l basic-charset -d 'Encode name and password in this charset; old 1C platforms on Windows read windows-1251' -r -f -a "utf-8\t'What RFC 7617 recommends, and 1C reads'
windows-1251\t'For very old platforms on Windows'"
complete -c mcpline -n "__fish_mcpline_using_subcommand tools" -l rate -d 'AmoCRM: calls of the REST API a second, 0 for no limit' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand tools" -l catalogue -d 'AmoCRM: add the tools of this file to the catalogue for the REST API' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand tools" -l keep -d 'Leave these as the service sends them, separated by commas' -r -f -a "names\t'1C: tool and prompt names that clients or models refuse'
uris\t'Resource URIs that some clients refuse'
errors\t'AmoCRM: failures that come as successful results'"
complete -c mcpline -n "__fish_mcpline_using_subcommand tools" -l with -d 'Do these as well, separated by commas' -r -f -a "stream\t'Bitrix24: listen to the stream on which the server tells everybody everything'
resources\t'AmoCRM over MCP: offer the resources of the REST API too'
request-tool\t'AmoCRM over REST: offer the tool `amocrm_request`, which can do anything'"
complete -c mcpline -n "__fish_mcpline_using_subcommand tools" -l ca-file -d 'Trust the certificates in this file too: a company\'s own authority, or the server\'s own (PEM, DER, PKCS#7)' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand tools" -l client-cert -d 'Show the server this certificate, with its chain (PEM, DER, PKCS#7)' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand tools" -l client-key -d 'The private key of --client-cert, without a password (PEM, DER); not needed if that file has it too' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand tools" -l proxy -d 'Connect through this proxy: http://, https:// or socks5://, with USER:PASSWORD@ if needed' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand tools" -l connect-timeout -d 'Give up connecting after this time, 0 for no limit' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand tools" -l timeout -d 'Give a request up when the server shows no sign of life for this time, 0 for no limit [default: 300]' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand tools" -l max-time -d 'Give a request up after this time in any case, 0 for no limit [default: 0]' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand tools" -l start-timeout -d 'Answer the client\'s `initialize` without the server after this time' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand tools" -l retry-for -d 'Try a failed request again for at most this time, where that cannot do anything twice' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand tools" -l drain -d 'When the input ends, wait for replies for at most this time' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand tools" -l max-in-flight -d 'Send at most this many requests at once; more wait in order [default: 64, for 1C 4]' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand tools" -l max-message -d 'Refuse messages longer than this, in either direction: bytes, or with KiB, MiB, GiB' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand tools" -l log-format -d 'Write the log as text or as one JSON object a line' -r -f -a "text\t'For people'
json\t'For programs: one JSON object a line'"
complete -c mcpline -n "__fish_mcpline_using_subcommand tools" -l log-file -d 'Write the log of the day to this file too; the last seven days are in FILE.days' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand tools" -l log-level -d 'How much to log [default: warn on standard error, info in the log file]' -r -f -a "off\t'Nothing'
error\t'What stops mcpline from working'
warn\t'What a person should look at'
info\t'Sessions, retries, recoveries'
debug\t'Every request, and what the upstream sends of its own accord'
trace\t'What libraries have to say, too'"
complete -c mcpline -n "__fish_mcpline_using_subcommand tools" -l config -d 'Read settings from this file: options for all servers, and a section for each named one' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand tools" -l json -d 'Print JSON; what a pipe gets anyway'
complete -c mcpline -n "__fish_mcpline_using_subcommand tools" -l text -d 'Print text for people; what a terminal gets anyway'
complete -c mcpline -n "__fish_mcpline_using_subcommand tools" -l no-browser -d 'Open no browser: tell only the address'
complete -c mcpline -n "__fish_mcpline_using_subcommand tools" -l insecure -d 'Accept any certificate: anybody in between can read and change everything'
complete -c mcpline -n "__fish_mcpline_using_subcommand tools" -l no-retry -d 'Never try a failed request again'
complete -c mcpline -n "__fish_mcpline_using_subcommand tools" -l fail -d 'End with status 1 when a request was answered with an error; for shells'
complete -c mcpline -n "__fish_mcpline_using_subcommand tools" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mcpline -n "__fish_mcpline_using_subcommand call" -l kind -d 'How the server is reached' -r -f -a "auto\t'Find out: 1C by `/hs/` in the URL, the other services by what answers, else as `mcp`'
mcp\t'An MCP server on Streamable HTTP (revisions 2025-03-26 and later), else on HTTP+SSE'
sse\t'An MCP server on HTTP+SSE (revision 2024-11-05)'
1c\t'An HTTP service of 1C:Enterprise; the URL is the infobase\'s or the service\'s'
bitrix\t'The Bitrix24 server b24-mcp, or another MCP server of Bitrix24'
amocrm\t'The amoCRM server mcp-amocrm-server, over MCP or its REST API, or another one'"
complete -c mcpline -n "__fish_mcpline_using_subcommand call" -l upstream-era -d 'Which revisions of MCP the server is spoken to in' -r -f -a "auto\t'The client\'s own, and the other one where the server refuses that'
legacy\t'With a handshake: revisions 2024-11-05 to 2025-11-25'
modern\t'Without one: revision 2026-07-28'"
complete -c mcpline -n "__fish_mcpline_using_subcommand call" -l header -d 'Send this header with every request; ${NAME} stands for an environment variable' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand call" -l header-file -d 'Read headers from this file, one NAME:VALUE on each line, # for comments' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand call" -l user -d 'Log in with this user name (Basic authentication, UTF-8)' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand call" -l password-file -d 'Read the password for --user from this file; or set MCPLINE_PASSWORD' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand call" -l api-key-file -d 'Send this key as X-API-Key, read from this file; or set MCPLINE_API_KEY' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand call" -l bearer-file -d 'Read a bearer token from this file; or set MCPLINE_BEARER' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand call" -l auth -d 'When to sign in' -r -f -a "auto\t'When an MCP server asks for it and no other credentials are given'
oauth\t'Whenever the server refuses, whatever kind it is'
none\t'Never'"
complete -c mcpline -n "__fish_mcpline_using_subcommand call" -l oauth-client-id -d 'Use this client, registered by hand; or the https address of a client metadata document' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand call" -l oauth-client-secret-file -d 'Read the secret of the client from this file; or set MCPLINE_OAUTH_CLIENT_SECRET' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand call" -l oauth-client-key-file -d 'Prove by signatures with this private key who the client is (PEM, DER; P-256 or RSA)' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand call" -l oauth-scope -d 'Ask for these scopes, separated by spaces, instead of those that the server names' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand call" -l oauth-resource -d 'Ask for a token for this resource instead of what the server names; none for no resource' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand call" -l oauth-issuer -d 'The authorization server, where the server names none; the only one that gets the secret' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand call" -l oauth-redirect -d 'Where the browser comes back to, as it was registered by hand [default: http://127.0.0.1/callback at any free port]' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand call" -l oauth-grant -d 'Who signs in' -r -f -a "code\t'A person signs in with a browser'
device\t'A person signs in with any browser, on this device or another, and types a code'
client-credentials\t'The program signs in with its own id, and a secret or key; no person takes part'"
complete -c mcpline -n "__fish_mcpline_using_subcommand call" -l oauth-param -d 'Add this parameter to the authorization request; may be given several times' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand call" -l oauth-profile -d 'Keep this sign-in apart from others at the same server, for a second account' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand call" -l state-dir -d 'Keep sign-ins in this folder [default: the system\'s folder for the state of programs]' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand call" -l service-root -d '1C: the root URL of the HTTP service, where the URL does not name it [default: mcp]' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand call" -l managed-sessions -d '1C: keep this many sessions of our own, each of which may take a licence [COUNT: 1]' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand call" -l basic-charset -d 'Encode name and password in this charset; old 1C platforms on Windows read windows-1251' -r -f -a "utf-8\t'What RFC 7617 recommends, and 1C reads'
windows-1251\t'For very old platforms on Windows'"
complete -c mcpline -n "__fish_mcpline_using_subcommand call" -l rate -d 'AmoCRM: calls of the REST API a second, 0 for no limit' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand call" -l catalogue -d 'AmoCRM: add the tools of this file to the catalogue for the REST API' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand call" -l keep -d 'Leave these as the service sends them, separated by commas' -r -f -a "names\t'1C: tool and prompt names that clients or models refuse'
uris\t'Resource URIs that some clients refuse'
errors\t'AmoCRM: failures that come as successful results'"
complete -c mcpline -n "__fish_mcpline_using_subcommand call" -l with -d 'Do these as well, separated by commas' -r -f -a "stream\t'Bitrix24: listen to the stream on which the server tells everybody everything'
resources\t'AmoCRM over MCP: offer the resources of the REST API too'
request-tool\t'AmoCRM over REST: offer the tool `amocrm_request`, which can do anything'"
complete -c mcpline -n "__fish_mcpline_using_subcommand call" -l ca-file -d 'Trust the certificates in this file too: a company\'s own authority, or the server\'s own (PEM, DER, PKCS#7)' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand call" -l client-cert -d 'Show the server this certificate, with its chain (PEM, DER, PKCS#7)' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand call" -l client-key -d 'The private key of --client-cert, without a password (PEM, DER); not needed if that file has it too' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand call" -l proxy -d 'Connect through this proxy: http://, https:// or socks5://, with USER:PASSWORD@ if needed' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand call" -l connect-timeout -d 'Give up connecting after this time, 0 for no limit' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand call" -l timeout -d 'Give a request up when the server shows no sign of life for this time, 0 for no limit [default: 300]' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand call" -l max-time -d 'Give a request up after this time in any case, 0 for no limit [default: 0]' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand call" -l start-timeout -d 'Answer the client\'s `initialize` without the server after this time' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand call" -l retry-for -d 'Try a failed request again for at most this time, where that cannot do anything twice' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand call" -l drain -d 'When the input ends, wait for replies for at most this time' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand call" -l max-in-flight -d 'Send at most this many requests at once; more wait in order [default: 64, for 1C 4]' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand call" -l max-message -d 'Refuse messages longer than this, in either direction: bytes, or with KiB, MiB, GiB' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand call" -l log-format -d 'Write the log as text or as one JSON object a line' -r -f -a "text\t'For people'
json\t'For programs: one JSON object a line'"
complete -c mcpline -n "__fish_mcpline_using_subcommand call" -l log-file -d 'Write the log of the day to this file too; the last seven days are in FILE.days' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand call" -l log-level -d 'How much to log [default: warn on standard error, info in the log file]' -r -f -a "off\t'Nothing'
error\t'What stops mcpline from working'
warn\t'What a person should look at'
info\t'Sessions, retries, recoveries'
debug\t'Every request, and what the upstream sends of its own accord'
trace\t'What libraries have to say, too'"
complete -c mcpline -n "__fish_mcpline_using_subcommand call" -l config -d 'Read settings from this file: options for all servers, and a section for each named one' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand call" -l json -d 'Print JSON; what a pipe gets anyway'
complete -c mcpline -n "__fish_mcpline_using_subcommand call" -l text -d 'Print text for people; what a terminal gets anyway'
complete -c mcpline -n "__fish_mcpline_using_subcommand call" -l no-browser -d 'Open no browser: tell only the address'
complete -c mcpline -n "__fish_mcpline_using_subcommand call" -l insecure -d 'Accept any certificate: anybody in between can read and change everything'
complete -c mcpline -n "__fish_mcpline_using_subcommand call" -l no-retry -d 'Never try a failed request again'
complete -c mcpline -n "__fish_mcpline_using_subcommand call" -l fail -d 'End with status 1 when a request was answered with an error; for shells'
complete -c mcpline -n "__fish_mcpline_using_subcommand call" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mcpline -n "__fish_mcpline_using_subcommand install" -l take-over -d 'Have this program do what the client\'s entry NAME does with mcp-remote, supergateway, mcp-proxy, a script for 1C, Bitrix24 or amoCRM, or a URL; without CLIENT, in every client that has such an entry' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand install" -l kind -d 'How the server is reached' -r -f -a "auto\t'Find out: 1C by `/hs/` in the URL, the other services by what answers, else as `mcp`'
mcp\t'An MCP server on Streamable HTTP (revisions 2025-03-26 and later), else on HTTP+SSE'
sse\t'An MCP server on HTTP+SSE (revision 2024-11-05)'
1c\t'An HTTP service of 1C:Enterprise; the URL is the infobase\'s or the service\'s'
bitrix\t'The Bitrix24 server b24-mcp, or another MCP server of Bitrix24'
amocrm\t'The amoCRM server mcp-amocrm-server, over MCP or its REST API, or another one'"
complete -c mcpline -n "__fish_mcpline_using_subcommand install" -l upstream-era -d 'Which revisions of MCP the server is spoken to in' -r -f -a "auto\t'The client\'s own, and the other one where the server refuses that'
legacy\t'With a handshake: revisions 2024-11-05 to 2025-11-25'
modern\t'Without one: revision 2026-07-28'"
complete -c mcpline -n "__fish_mcpline_using_subcommand install" -l header -d 'Send this header with every request; ${NAME} stands for an environment variable' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand install" -l header-file -d 'Read headers from this file, one NAME:VALUE on each line, # for comments' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand install" -l user -d 'Log in with this user name (Basic authentication, UTF-8)' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand install" -l password-file -d 'Read the password for --user from this file; or set MCPLINE_PASSWORD' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand install" -l api-key-file -d 'Send this key as X-API-Key, read from this file; or set MCPLINE_API_KEY' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand install" -l bearer-file -d 'Read a bearer token from this file; or set MCPLINE_BEARER' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand install" -l auth -d 'When to sign in' -r -f -a "auto\t'When an MCP server asks for it and no other credentials are given'
oauth\t'Whenever the server refuses, whatever kind it is'
none\t'Never'"
complete -c mcpline -n "__fish_mcpline_using_subcommand install" -l oauth-client-id -d 'Use this client, registered by hand; or the https address of a client metadata document' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand install" -l oauth-client-secret-file -d 'Read the secret of the client from this file; or set MCPLINE_OAUTH_CLIENT_SECRET' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand install" -l oauth-client-key-file -d 'Prove by signatures with this private key who the client is (PEM, DER; P-256 or RSA)' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand install" -l oauth-scope -d 'Ask for these scopes, separated by spaces, instead of those that the server names' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand install" -l oauth-resource -d 'Ask for a token for this resource instead of what the server names; none for no resource' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand install" -l oauth-issuer -d 'The authorization server, where the server names none; the only one that gets the secret' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand install" -l oauth-redirect -d 'Where the browser comes back to, as it was registered by hand [default: http://127.0.0.1/callback at any free port]' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand install" -l oauth-grant -d 'Who signs in' -r -f -a "code\t'A person signs in with a browser'
device\t'A person signs in with any browser, on this device or another, and types a code'
client-credentials\t'The program signs in with its own id, and a secret or key; no person takes part'"
complete -c mcpline -n "__fish_mcpline_using_subcommand install" -l oauth-param -d 'Add this parameter to the authorization request; may be given several times' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand install" -l oauth-profile -d 'Keep this sign-in apart from others at the same server, for a second account' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand install" -l state-dir -d 'Keep sign-ins in this folder [default: the system\'s folder for the state of programs]' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand install" -l service-root -d '1C: the root URL of the HTTP service, where the URL does not name it [default: mcp]' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand install" -l managed-sessions -d '1C: keep this many sessions of our own, each of which may take a licence [COUNT: 1]' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand install" -l basic-charset -d 'Encode name and password in this charset; old 1C platforms on Windows read windows-1251' -r -f -a "utf-8\t'What RFC 7617 recommends, and 1C reads'
windows-1251\t'For very old platforms on Windows'"
complete -c mcpline -n "__fish_mcpline_using_subcommand install" -l rate -d 'AmoCRM: calls of the REST API a second, 0 for no limit' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand install" -l catalogue -d 'AmoCRM: add the tools of this file to the catalogue for the REST API' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand install" -l keep -d 'Leave these as the service sends them, separated by commas' -r -f -a "names\t'1C: tool and prompt names that clients or models refuse'
uris\t'Resource URIs that some clients refuse'
errors\t'AmoCRM: failures that come as successful results'"
complete -c mcpline -n "__fish_mcpline_using_subcommand install" -l with -d 'Do these as well, separated by commas' -r -f -a "stream\t'Bitrix24: listen to the stream on which the server tells everybody everything'
resources\t'AmoCRM over MCP: offer the resources of the REST API too'
request-tool\t'AmoCRM over REST: offer the tool `amocrm_request`, which can do anything'"
complete -c mcpline -n "__fish_mcpline_using_subcommand install" -l ca-file -d 'Trust the certificates in this file too: a company\'s own authority, or the server\'s own (PEM, DER, PKCS#7)' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand install" -l client-cert -d 'Show the server this certificate, with its chain (PEM, DER, PKCS#7)' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand install" -l client-key -d 'The private key of --client-cert, without a password (PEM, DER); not needed if that file has it too' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand install" -l proxy -d 'Connect through this proxy: http://, https:// or socks5://, with USER:PASSWORD@ if needed' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand install" -l connect-timeout -d 'Give up connecting after this time, 0 for no limit' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand install" -l timeout -d 'Give a request up when the server shows no sign of life for this time, 0 for no limit [default: 300]' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand install" -l max-time -d 'Give a request up after this time in any case, 0 for no limit [default: 0]' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand install" -l start-timeout -d 'Answer the client\'s `initialize` without the server after this time' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand install" -l retry-for -d 'Try a failed request again for at most this time, where that cannot do anything twice' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand install" -l drain -d 'When the input ends, wait for replies for at most this time' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand install" -l max-in-flight -d 'Send at most this many requests at once; more wait in order [default: 64, for 1C 4]' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand install" -l max-message -d 'Refuse messages longer than this, in either direction: bytes, or with KiB, MiB, GiB' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand install" -l log-format -d 'Write the log as text or as one JSON object a line' -r -f -a "text\t'For people'
json\t'For programs: one JSON object a line'"
complete -c mcpline -n "__fish_mcpline_using_subcommand install" -l log-file -d 'Write the log of the day to this file too; the last seven days are in FILE.days' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand install" -l log-level -d 'How much to log [default: warn on standard error, info in the log file]' -r -f -a "off\t'Nothing'
error\t'What stops mcpline from working'
warn\t'What a person should look at'
info\t'Sessions, retries, recoveries'
debug\t'Every request, and what the upstream sends of its own accord'
trace\t'What libraries have to say, too'"
complete -c mcpline -n "__fish_mcpline_using_subcommand install" -l config -d 'Read settings from this file: options for all servers, and a section for each named one' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand install" -l list -d 'Show which clients are on this machine, where their files are, and what is in them'
complete -c mcpline -n "__fish_mcpline_using_subcommand install" -l project -d 'Change the file of the project in the current folder, not the user\'s own'
complete -c mcpline -n "__fish_mcpline_using_subcommand install" -l dry-run -d 'Show what would change, and change nothing'
complete -c mcpline -n "__fish_mcpline_using_subcommand install" -s y -l yes -d 'Do not ask before an entry is replaced or removed'
complete -c mcpline -n "__fish_mcpline_using_subcommand install" -l no-browser -d 'Open no browser: tell only the address'
complete -c mcpline -n "__fish_mcpline_using_subcommand install" -l insecure -d 'Accept any certificate: anybody in between can read and change everything'
complete -c mcpline -n "__fish_mcpline_using_subcommand install" -l no-retry -d 'Never try a failed request again'
complete -c mcpline -n "__fish_mcpline_using_subcommand install" -l fail -d 'End with status 1 when a request was answered with an error; for shells'
complete -c mcpline -n "__fish_mcpline_using_subcommand install" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mcpline -n "__fish_mcpline_using_subcommand uninstall" -l kind -d 'How the server is reached' -r -f -a "auto\t'Find out: 1C by `/hs/` in the URL, the other services by what answers, else as `mcp`'
mcp\t'An MCP server on Streamable HTTP (revisions 2025-03-26 and later), else on HTTP+SSE'
sse\t'An MCP server on HTTP+SSE (revision 2024-11-05)'
1c\t'An HTTP service of 1C:Enterprise; the URL is the infobase\'s or the service\'s'
bitrix\t'The Bitrix24 server b24-mcp, or another MCP server of Bitrix24'
amocrm\t'The amoCRM server mcp-amocrm-server, over MCP or its REST API, or another one'"
complete -c mcpline -n "__fish_mcpline_using_subcommand uninstall" -l upstream-era -d 'Which revisions of MCP the server is spoken to in' -r -f -a "auto\t'The client\'s own, and the other one where the server refuses that'
legacy\t'With a handshake: revisions 2024-11-05 to 2025-11-25'
modern\t'Without one: revision 2026-07-28'"
complete -c mcpline -n "__fish_mcpline_using_subcommand uninstall" -l header -d 'Send this header with every request; ${NAME} stands for an environment variable' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand uninstall" -l header-file -d 'Read headers from this file, one NAME:VALUE on each line, # for comments' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand uninstall" -l user -d 'Log in with this user name (Basic authentication, UTF-8)' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand uninstall" -l password-file -d 'Read the password for --user from this file; or set MCPLINE_PASSWORD' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand uninstall" -l api-key-file -d 'Send this key as X-API-Key, read from this file; or set MCPLINE_API_KEY' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand uninstall" -l bearer-file -d 'Read a bearer token from this file; or set MCPLINE_BEARER' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand uninstall" -l auth -d 'When to sign in' -r -f -a "auto\t'When an MCP server asks for it and no other credentials are given'
oauth\t'Whenever the server refuses, whatever kind it is'
none\t'Never'"
complete -c mcpline -n "__fish_mcpline_using_subcommand uninstall" -l oauth-client-id -d 'Use this client, registered by hand; or the https address of a client metadata document' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand uninstall" -l oauth-client-secret-file -d 'Read the secret of the client from this file; or set MCPLINE_OAUTH_CLIENT_SECRET' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand uninstall" -l oauth-client-key-file -d 'Prove by signatures with this private key who the client is (PEM, DER; P-256 or RSA)' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand uninstall" -l oauth-scope -d 'Ask for these scopes, separated by spaces, instead of those that the server names' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand uninstall" -l oauth-resource -d 'Ask for a token for this resource instead of what the server names; none for no resource' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand uninstall" -l oauth-issuer -d 'The authorization server, where the server names none; the only one that gets the secret' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand uninstall" -l oauth-redirect -d 'Where the browser comes back to, as it was registered by hand [default: http://127.0.0.1/callback at any free port]' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand uninstall" -l oauth-grant -d 'Who signs in' -r -f -a "code\t'A person signs in with a browser'
device\t'A person signs in with any browser, on this device or another, and types a code'
client-credentials\t'The program signs in with its own id, and a secret or key; no person takes part'"
complete -c mcpline -n "__fish_mcpline_using_subcommand uninstall" -l oauth-param -d 'Add this parameter to the authorization request; may be given several times' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand uninstall" -l oauth-profile -d 'Keep this sign-in apart from others at the same server, for a second account' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand uninstall" -l state-dir -d 'Keep sign-ins in this folder [default: the system\'s folder for the state of programs]' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand uninstall" -l service-root -d '1C: the root URL of the HTTP service, where the URL does not name it [default: mcp]' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand uninstall" -l managed-sessions -d '1C: keep this many sessions of our own, each of which may take a licence [COUNT: 1]' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand uninstall" -l basic-charset -d 'Encode name and password in this charset; old 1C platforms on Windows read windows-1251' -r -f -a "utf-8\t'What RFC 7617 recommends, and 1C reads'
windows-1251\t'For very old platforms on Windows'"
complete -c mcpline -n "__fish_mcpline_using_subcommand uninstall" -l rate -d 'AmoCRM: calls of the REST API a second, 0 for no limit' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand uninstall" -l catalogue -d 'AmoCRM: add the tools of this file to the catalogue for the REST API' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand uninstall" -l keep -d 'Leave these as the service sends them, separated by commas' -r -f -a "names\t'1C: tool and prompt names that clients or models refuse'
uris\t'Resource URIs that some clients refuse'
errors\t'AmoCRM: failures that come as successful results'"
complete -c mcpline -n "__fish_mcpline_using_subcommand uninstall" -l with -d 'Do these as well, separated by commas' -r -f -a "stream\t'Bitrix24: listen to the stream on which the server tells everybody everything'
resources\t'AmoCRM over MCP: offer the resources of the REST API too'
request-tool\t'AmoCRM over REST: offer the tool `amocrm_request`, which can do anything'"
complete -c mcpline -n "__fish_mcpline_using_subcommand uninstall" -l ca-file -d 'Trust the certificates in this file too: a company\'s own authority, or the server\'s own (PEM, DER, PKCS#7)' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand uninstall" -l client-cert -d 'Show the server this certificate, with its chain (PEM, DER, PKCS#7)' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand uninstall" -l client-key -d 'The private key of --client-cert, without a password (PEM, DER); not needed if that file has it too' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand uninstall" -l proxy -d 'Connect through this proxy: http://, https:// or socks5://, with USER:PASSWORD@ if needed' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand uninstall" -l connect-timeout -d 'Give up connecting after this time, 0 for no limit' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand uninstall" -l timeout -d 'Give a request up when the server shows no sign of life for this time, 0 for no limit [default: 300]' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand uninstall" -l max-time -d 'Give a request up after this time in any case, 0 for no limit [default: 0]' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand uninstall" -l start-timeout -d 'Answer the client\'s `initialize` without the server after this time' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand uninstall" -l retry-for -d 'Try a failed request again for at most this time, where that cannot do anything twice' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand uninstall" -l drain -d 'When the input ends, wait for replies for at most this time' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand uninstall" -l max-in-flight -d 'Send at most this many requests at once; more wait in order [default: 64, for 1C 4]' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand uninstall" -l max-message -d 'Refuse messages longer than this, in either direction: bytes, or with KiB, MiB, GiB' -r
complete -c mcpline -n "__fish_mcpline_using_subcommand uninstall" -l log-format -d 'Write the log as text or as one JSON object a line' -r -f -a "text\t'For people'
json\t'For programs: one JSON object a line'"
complete -c mcpline -n "__fish_mcpline_using_subcommand uninstall" -l log-file -d 'Write the log of the day to this file too; the last seven days are in FILE.days' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand uninstall" -l log-level -d 'How much to log [default: warn on standard error, info in the log file]' -r -f -a "off\t'Nothing'
error\t'What stops mcpline from working'
warn\t'What a person should look at'
info\t'Sessions, retries, recoveries'
debug\t'Every request, and what the upstream sends of its own accord'
trace\t'What libraries have to say, too'"
complete -c mcpline -n "__fish_mcpline_using_subcommand uninstall" -l config -d 'Read settings from this file: options for all servers, and a section for each named one' -r -F
complete -c mcpline -n "__fish_mcpline_using_subcommand uninstall" -l project -d 'Change the file of the project in the current folder, not the user\'s own'
complete -c mcpline -n "__fish_mcpline_using_subcommand uninstall" -l dry-run -d 'Show what would change, and change nothing'
complete -c mcpline -n "__fish_mcpline_using_subcommand uninstall" -s y -l yes -d 'Do not ask before an entry is replaced or removed'
complete -c mcpline -n "__fish_mcpline_using_subcommand uninstall" -l no-browser -d 'Open no browser: tell only the address'
complete -c mcpline -n "__fish_mcpline_using_subcommand uninstall" -l insecure -d 'Accept any certificate: anybody in between can read and change everything'
complete -c mcpline -n "__fish_mcpline_using_subcommand uninstall" -l no-retry -d 'Never try a failed request again'
complete -c mcpline -n "__fish_mcpline_using_subcommand uninstall" -l fail -d 'End with status 1 when a request was answered with an error; for shells'
complete -c mcpline -n "__fish_mcpline_using_subcommand uninstall" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mcpline -n "__fish_mcpline_using_subcommand help; and not __fish_seen_subcommand_from demo login logout check tools call install uninstall help" -f -a "demo" -d 'Forward to a sample service of 1C inside the process'
complete -c mcpline -n "__fish_mcpline_using_subcommand help; and not __fish_seen_subcommand_from demo login logout check tools call install uninstall help" -f -a "login" -d 'Sign in to a server with a browser, ahead of its use'
complete -c mcpline -n "__fish_mcpline_using_subcommand help; and not __fish_seen_subcommand_from demo login logout check tools call install uninstall help" -f -a "logout" -d 'Sign out of a server: give its tokens back, and forget them'
complete -c mcpline -n "__fish_mcpline_using_subcommand help; and not __fish_seen_subcommand_from demo login logout check tools call install uninstall help" -f -a "check" -d 'Say step by step whether a server can be used, and what to do if not'
complete -c mcpline -n "__fish_mcpline_using_subcommand help; and not __fish_seen_subcommand_from demo login logout check tools call install uninstall help" -f -a "tools" -d 'List the tools of a server'
complete -c mcpline -n "__fish_mcpline_using_subcommand help; and not __fish_seen_subcommand_from demo login logout check tools call install uninstall help" -f -a "call" -d 'Call a tool of a server'
complete -c mcpline -n "__fish_mcpline_using_subcommand help; and not __fish_seen_subcommand_from demo login logout check tools call install uninstall help" -f -a "install" -d 'Write a server into the configuration of an MCP client: `mcpline install CLIENT [NAME] URL`'
complete -c mcpline -n "__fish_mcpline_using_subcommand help; and not __fish_seen_subcommand_from demo login logout check tools call install uninstall help" -f -a "uninstall" -d 'Remove a server from the configuration of an MCP client'
complete -c mcpline -n "__fish_mcpline_using_subcommand help; and not __fish_seen_subcommand_from demo login logout check tools call install uninstall help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
