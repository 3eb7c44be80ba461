//! The official Rust SDK before mcpline. Arguments: the binary, the URL, and `legacy` or `modern`.
//! Prints the outcome of each operation, as the other clients do.
#![expect(deprecated, reason = "the SDK deprecates what the newest revision deprecates")]

use std::error::Error;
use std::time::Duration;

use rmcp::model::*;
use rmcp::service::{NotificationContext, PeerRequestOptions, RequestContext, RunningService};
use rmcp::transport::TokioChildProcess;
use rmcp::{ClientHandler, ClientLifecycleMode, ClientServiceExt, ErrorData, RoleClient};
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

type Outcome = Result<(), Box<dyn Error>>;

/// What comes to the client of its own accord: a name, and what it says.
type Heard = (&'static str, Value);

struct Handler(UnboundedSender<Heard>);

impl Handler {
    fn hear(&self, name: &'static str, said: Value) {
        let _ = self.0.send((name, said));
    }
}

impl ClientHandler for Handler {
    fn get_info(&self) -> ClientConfig {
        let capabilities = json!({ "elicitation": {}, "sampling": {}, "roots": {} });
        ClientConfig::new(
            serde_json::from_value(capabilities).unwrap(),
            Implementation::new("rust", "1"),
        )
    }

    async fn create_message(
        &self,
        _: CreateMessageRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<CreateMessageResult, ErrorData> {
        let answer = json!({ "role": "assistant", "model": "m", "content": { "type": "text", "text": "hello" } });
        Ok(serde_json::from_value(answer).unwrap())
    }

    async fn list_roots(
        &self,
        _: RequestContext<RoleClient>,
    ) -> Result<ListRootsResult, ErrorData> {
        Ok(ListRootsResult::new(vec![Root::new("file:///work")]))
    }

    async fn create_elicitation(
        &self,
        _: ElicitRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        Ok(ElicitResult::new(ElicitationAction::Accept).with_content(json!({ "name": "anna" })))
    }

    async fn on_progress(
        &self,
        params: ProgressNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        self.hear("progress", json!(params.progress));
    }

    async fn on_logging_message(
        &self,
        params: LoggingMessageNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        self.hear("log", json!({ "level": params.level, "data": params.data }));
    }

    async fn on_resource_updated(
        &self,
        params: ResourceUpdatedNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        self.hear("updated", json!(params.uri));
    }

    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.hear("tools changed", Value::Null);
    }
}

struct Session {
    client: RunningService<RoleClient, Handler>,
    heard: UnboundedReceiver<Heard>,
    is_modern: bool,
}

fn same(seen: &Value, wanted: &Value) -> Outcome {
    if seen == wanted { Ok(()) } else { Err(format!("{seen} instead of {wanted}").into()) }
}

fn object(value: Value) -> JsonObject {
    value.as_object().cloned().unwrap_or_default()
}

fn call(name: &str, arguments: Value) -> CallToolRequestParams {
    CallToolRequestParams::new(name.to_owned()).with_arguments(object(arguments))
}

impl Session {
    async fn open(mcpline: &str, url: &str, is_modern: bool) -> Result<Self, Box<dyn Error>> {
        let (sender, heard) = unbounded_channel();
        let mut command = Command::new(mcpline);
        command.arg(url);
        let lifecycle = if is_modern {
            let preferred_versions = vec![ProtocolVersion::V_2026_07_28];
            ClientLifecycleMode::Discover { preferred_versions }
        } else {
            ClientLifecycleMode::Initialize
        };
        let transport = TokioChildProcess::new(command)?;
        let client = Handler(sender).serve_with_lifecycle(transport, lifecycle).await?;
        Ok(Self { client, heard, is_modern })
    }

    async fn result(&self, name: &str, arguments: Value) -> Result<Value, Box<dyn Error>> {
        Ok(serde_json::to_value(self.client.call_tool(call(name, arguments)).await?)?)
    }

    async fn call(&self, name: &str, arguments: Value) -> Result<Value, Box<dyn Error>> {
        Ok(self.result(name, arguments).await?["content"][0]["text"].clone())
    }

    async fn read(&self, uri: &str) -> Result<Value, Box<dyn Error>> {
        let read = self.client.read_resource(ReadResourceRequestParams::new(uri)).await?;
        Ok(serde_json::to_value(read)?["contents"][0]["text"].clone())
    }

    async fn tools(&self) -> Result<Vec<String>, Box<dyn Error>> {
        let tools = self.client.list_all_tools().await?;
        Ok(tools.into_iter().map(|tool| tool.name.into_owned()).collect())
    }

    /// The next of this name.
    async fn next(&mut self, wanted: &str) -> Result<Value, Box<dyn Error>> {
        loop {
            let next = tokio::time::timeout(Duration::from_secs(8), self.heard.recv()).await;
            let (name, said) = next.map_err(|_| format!("no {wanted}"))?.ok_or("the end")?;
            if name == wanted {
                return Ok(said);
            }
        }
    }
}

async fn list_and_call(it: &mut Session) -> Outcome {
    let names = it.tools().await?;
    if !names.iter().any(|name| name == "echo") {
        return Err(format!("tools: {names:?}").into());
    }
    same(&it.call("echo", json!({ "text": "ж 1.0" })).await?, &json!("ж 1.0"))?;
    same(&it.read("test://one").await?, &json!("first"))
}

async fn progress(it: &mut Session) -> Outcome {
    same(&it.call("count", json!({ "to": 3 })).await?, &json!("counted"))?;
    for step in 1..=3 {
        same(&it.next("progress").await?, &json!(f64::from(step)))?;
    }
    Ok(())
}

async fn cancellation(it: &mut Session) -> Outcome {
    let count = async |it: &Session| -> Result<u64, Box<dyn Error>> {
        Ok(it.call("cancelled", json!({})).await?.as_str().unwrap_or("").parse()?)
    };
    let before = count(it).await?;
    let request =
        ClientRequest::CallToolRequest(Request::new(call("slow", json!({ "ms": 20000 }))));
    let handle =
        it.client.send_cancellable_request(request, PeerRequestOptions::no_options()).await?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    handle.cancel(Some("enough".to_owned())).await?;
    for _ in 0..50 {
        if count(it).await? == before + 1 {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Err("the server has not noticed".into())
}

async fn elicitation(it: &mut Session) -> Outcome {
    same(&it.call("elicit", json!({})).await?, &json!("hello anna"))
}

async fn sampling(it: &mut Session) -> Outcome {
    same(&it.call("sample", json!({})).await?, &json!("model says hello"))
}

async fn roots(it: &mut Session) -> Outcome {
    let roots = it.call("roots", json!({})).await?;
    same(&json!(roots.as_str().unwrap_or("").trim_end_matches('/')), &json!("file:///work"))
}

async fn subscriptions(it: &mut Session) -> Outcome {
    if it.is_modern {
        let filter = SubscriptionFilter::builder().resource_subscriptions(["test://one"]).build();
        let mut subscription = it.client.listen(filter).await?;
        it.call("touch", json!({})).await?;
        let next = tokio::time::timeout(Duration::from_secs(8), subscription.next()).await??;
        let next = serde_json::to_value(next)?;
        same(&next["params"]["uri"], &json!("test://one"))?;
        return Ok(subscription.cancel().await?);
    }
    it.client.subscribe(SubscribeRequestParams::new("test://one")).await?;
    it.call("touch", json!({})).await?;
    same(&it.next("updated").await?, &json!("test://one"))?;
    Ok(it.client.unsubscribe(UnsubscribeRequestParams::new("test://one")).await?)
}

async fn list_changed(it: &mut Session) -> Outcome {
    if it.is_modern {
        let filter = SubscriptionFilter::builder().tools_list_changed().build();
        let mut subscription = it.client.listen(filter).await?;
        it.call("grow", json!({})).await?;
        tokio::time::timeout(Duration::from_secs(8), subscription.next()).await??;
    } else {
        tokio::time::sleep(Duration::from_millis(500)).await;
        it.call("grow", json!({})).await?;
        it.next("tools changed").await?;
    }
    let names = it.tools().await?;
    if names.iter().any(|name| name == "extra") { Ok(()) } else { Err(format!("{names:?}").into()) }
}

async fn logging(it: &mut Session) -> Outcome {
    let mut log = call("log", json!({}));
    if it.is_modern {
        log.meta_mut().get_or_insert_default().set_log_level(LoggingLevel::Warning);
    } else {
        it.client.set_level(SetLevelRequestParams::new(LoggingLevel::Warning)).await?;
    }
    it.client.call_tool(log).await?;
    // A server may leave the level to its clients.
    let mut logged = it.next("log").await?;
    if logged["level"] == "debug" {
        logged = it.next("log").await?;
    }
    same(&logged["data"], &json!("high"))
}

async fn prompts(it: &mut Session) -> Outcome {
    let params =
        GetPromptRequestParams::new("greet").with_arguments(object(json!({ "who": "anna" })));
    let prompt = serde_json::to_value(it.client.get_prompt(params).await?)?;
    same(&prompt["messages"][0]["content"]["text"], &json!("greet anna"))
}

async fn completion(it: &mut Session) -> Outcome {
    let completed = it.client.complete_prompt_simple("greet", "who", "b").await?;
    same(&json!(completed), &json!(["boris"]))
}

async fn fifty(it: &mut Session) -> Outcome {
    let calls = (0..50).map(|at| {
        let peer = it.client.peer().clone();
        tokio::spawn(async move {
            let called =
                peer.call_tool(call("echo", json!({ "text": format!("call {at}") }))).await;
            called.map(|result| serde_json::to_value(result).unwrap_or_default())
        })
    });
    for (at, called) in calls.collect::<Vec<_>>().into_iter().enumerate() {
        same(&called.await??["content"][0]["text"], &json!(format!("call {at}")))?;
    }
    Ok(())
}

async fn resources(it: &mut Session) -> Outcome {
    let listed = serde_json::to_value(it.client.list_all_resources().await?)?;
    if !listed.as_array().is_some_and(|all| all.iter().any(|one| one["uri"] == "test://one")) {
        return Err(format!("resources: {listed}").into());
    }
    let templates = serde_json::to_value(it.client.list_all_resource_templates().await?)?;
    same(&templates[0]["uriTemplate"], &json!("test://item/{id}"))?;
    same(&it.read("test://item/7").await?, &json!("item 7"))
}

async fn structured(it: &mut Session) -> Outcome {
    let result = it.result("add", json!({ "a": 2, "b": 3 })).await?;
    same(&result["structuredContent"], &json!({ "sum": 5 }))
}

async fn big(it: &mut Session) -> Outcome {
    let text = it.call("big", json!({ "size": 500_000 })).await?;
    same(&json!(text.as_str().map(|text| text.chars().count())), &json!(500_000))
}

async fn errors(it: &mut Session) -> Outcome {
    for (tool, says) in [("fail", "out of paper"), ("nothing", "nothing")] {
        let told = match it.result(tool, json!({})).await {
            Ok(result) if result["isError"] == true => result["content"][0]["text"].to_string(),
            Ok(_) => "no error".to_owned(),
            Err(error) => error.to_string(),
        };
        if !told.contains(says) {
            return Err(format!("{tool}: {told}").into());
        }
    }
    match it.read("test://nothing").await {
        Ok(_) => Err("a resource that is not there was read".into()),
        Err(_) => Ok(()),
    }
}

/// Runs one operation in a session of its own.
macro_rules! operation {
    ($target:expr, $name:literal, $act:ident) => {{
        let (mcpline, url, is_modern) = $target;
        let act = async {
            let mut session = Session::open(mcpline, url, is_modern).await?;
            let outcome = $act(&mut session).await;
            let _ = session.client.cancel().await;
            outcome
        };
        let outcome = tokio::time::timeout(Duration::from_secs(40), act).await;
        let why = match outcome {
            Ok(Ok(())) => Value::Null,
            Ok(Err(error)) => json!(error.to_string()),
            Err(_) => json!("nothing within 40 s"),
        };
        println!("{}", json!({ "operation": $name, "why": why }));
    }};
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<_> = std::env::args().collect();
    let [_, mcpline, url, era] = arguments.as_slice() else { panic!("three arguments") };
    let target = (mcpline.as_str(), url.as_str(), era == "modern");
    operation!(target, "list and call", list_and_call);
    operation!(target, "progress", progress);
    operation!(target, "cancellation", cancellation);
    operation!(target, "elicitation", elicitation);
    operation!(target, "sampling", sampling);
    operation!(target, "roots", roots);
    operation!(target, "subscriptions", subscriptions);
    operation!(target, "list-changed", list_changed);
    operation!(target, "logging", logging);
    operation!(target, "prompts", prompts);
    operation!(target, "completion", completion);
    operation!(target, "50 calls at once", fifty);
    operation!(target, "resources", resources);
    operation!(target, "structured output", structured);
    operation!(target, "big result", big);
    operation!(target, "errors", errors);
}
