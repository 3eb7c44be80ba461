//! What goes wrong below HTTP: connections that do not come about, or are cut at any byte.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::wire::{Fate, Wire, quiet};
use super::{ALL, REQUESTS, RESULT, Sent, TOOLS, is_told};
use crate::support::board::Board;
use crate::support::{
    Line, Reply, SOON, Upstream, after_handshake, call, initialize_result, request, serve_tls,
};

/// A message that never left is always sent again, and so runs once.
#[test]
fn what_surely_never_left_is_sent_again_whatever_it_is() {
    let upstream = Upstream::serve(after_handshake(|exchange| {
        let is_list = exchange.name() == "tools/list";
        exchange.result(if is_list { TOOLS } else { RESULT })
    }));
    let mut line = Line::ready(&upstream.url());
    line.send(request(r#""tools""#, "tools/list", "{}"));
    line.recv_id(r#""tools""#);
    upstream.stop();
    for (id, sent) in ALL.iter().enumerate() {
        line.send(sent.line(id));
    }
    upstream.start();
    for id in 0..REQUESTS.len() {
        assert_eq!(line.recv_id(&id.to_string()).raw_result(), RESULT);
    }
    upstream.nth("notifications/roots/list_changed", 1);
    line.finish_with_nothing_left();
    assert_eq!(upstream.count("tools/call"), 3);
    assert_eq!(upstream.count("resources/list"), 1);
    assert_eq!(upstream.count("notifications/roots/list_changed"), 1);
}

#[test]
fn a_tls_handshake_that_is_cut_is_tried_again_whatever_was_to_be_sent() {
    for fate in [Fate::Close, Fate::ResetUnread, Fate::CutReply(0), Fate::CutReply(20)] {
        let calls = Arc::new(Board::new(0));
        let count = Arc::clone(&calls);
        let url = serve_tls(move |request| {
            if request.method != "POST" {
                return Some(Reply::status(405));
            }
            let rpc = request.rpc();
            if rpc.is_notification() {
                return Some(Reply::status(202));
            }
            count.update(|count| *count += usize::from(rpc.method() == "tools/call"));
            let result = initialize_result("2025-11-25");
            let result = if rpc.method() == "initialize" { result.as_str() } else { RESULT };
            let body = format!(r#"{{"jsonrpc":"2.0","id":{},"result":{result}}}"#, rpc.id());
            Some(Reply::json(body))
        });
        let wire = Wire::to(url.strip_prefix("https://").unwrap());
        let url = format!("https://{}/mcp", wire.authority());
        let mut line = quiet(Line::to(&url).args("--insecure"));
        wire.close_idle();
        wire.next(fate);
        let before = wire.accepted();
        line.send(Sent::Write.line(1));
        assert_eq!(line.recv_id("1").raw_result(), RESULT, "{fate:?}");
        assert!(wire.accepted() > before + 1, "{fate:?} did not happen");
        line.finish_with_nothing_left();
        assert_eq!(calls.read(|count| *count), 1, "{fate:?}");
    }
}

/// A host that swallows connections: it listens, and its queue is full.
#[cfg(target_os = "linux")]
#[test]
fn a_connection_that_does_not_come_about_is_tried_again() {
    use std::net::{Ipv4Addr, SocketAddr, TcpStream};

    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let patience = Duration::from_millis(100);
    let mut filling = Vec::new();
    while let Ok(socket) = TcpStream::connect_timeout(&address, patience) {
        filling.push(socket);
    }
    let options = "--connect-timeout 0.2 --start-timeout 0.1 --retry-for 1";
    let mut line = Line::to(&format!("http://{address}/mcp")).args(options).ready();
    line.send(call(1, "write", "{}"));
    let reply = line.recv_id("1");
    let data = reply.failure(-33001);
    assert!(data["attempts"].as_u64() > Some(1), "{reply}");
    assert_ne!(data["mayHaveRun"], true, "{reply}");
    assert!(reply.error_text().contains("--connect-timeout"), "{reply}");
    line.finish_with_nothing_left();
}

#[test]
fn a_name_that_is_not_known_yet_costs_each_request_its_own_time() {
    let mut line = Line::to("http://no-such-host.invalid/mcp")
        .args("--start-timeout 0.1 --retry-for 1")
        .ready();
    let started = Instant::now();
    for id in 1..=3 {
        line.send(call(id, "write", "{}"));
    }
    for id in 1..=3 {
        let reply = line.recv_id(&id.to_string());
        let data = reply.failure(-33001);
        assert_ne!(data["mayHaveRun"], true, "{reply}");
        assert!(reply.error_text().contains("(tried "), "{reply}");
    }
    assert!(started.elapsed() < SOON, "{:?}", started.elapsed());
    line.finish_with_nothing_left();
}

/// One byte after the other is cut off the way there, and off the way back.
#[test]
fn a_call_whose_connection_is_cut_at_any_byte_is_answered_once_and_runs_once_at_most() {
    let upstream = Upstream::serve(after_handshake(|exchange| exchange.result(RESULT)));
    let wire = Wire::to(&upstream.authority());
    let mut line = quiet(Line::to(&wire.url()));
    let fates = (0..400).step_by(7).map(Fate::CutRequest);
    let fates =
        fates.chain((0..130).map(Fate::CutReply)).chain((0..130).step_by(3).map(Fate::ResetReply));
    let mut lost = 0;
    let mut answers = Vec::new();
    for (id, fate) in fates.enumerate() {
        wire.close_idle();
        wire.next(fate);
        line.send(call(id, "write", "{}"));
        let reply = line.recv();
        assert_eq!(reply.id(), id.to_string(), "{fate:?}: {reply}");
        if reply.is_reply() && reply.value.get("result").is_none() {
            is_told(&reply, -33002, true, 1);
            lost += 1;
        }
        answers.push((fate, reply.value.get("result").is_some()));
    }
    assert!(lost > 100, "{lost} were cut");
    line.finish_with_nothing_left();
    // By the id of the call, because the upstream may get to a call that was cut off right behind
    // its last byte when the next one is on its way.
    let mut runs = vec![0; answers.len()];
    for request in upstream.requests().iter().filter(|request| request.name() == "tools/call") {
        runs[request.rpc().id().parse::<usize>().unwrap()] += 1;
    }
    for ((fate, has_result), ran) in answers.into_iter().zip(runs) {
        assert!(ran <= 1, "{fate:?}: it ran {ran} times");
        assert!(!has_result || ran == 1, "{fate:?}");
    }
}

#[test]
fn a_listing_whose_connection_is_cut_anywhere_succeeds() {
    let upstream = Upstream::serve(after_handshake(|exchange| exchange.result(RESULT)));
    let wire = Wire::to(&upstream.authority());
    let mut line = quiet(Line::to(&wire.url()));
    let fates = (0..400).step_by(80).map(Fate::CutRequest);
    let fates = fates.chain((0..120).step_by(24).map(Fate::CutReply));
    for (id, fate) in fates.chain([Fate::Close, Fate::ResetUnread]).enumerate() {
        wire.close_idle();
        wire.next(fate);
        line.send(Sent::List.line(id));
        assert_eq!(line.recv().raw_result(), RESULT, "{fate:?}");
    }
    line.finish_with_nothing_left();
}

/// A server that closes each connection behind its answer, without a word of it in the answer.
#[test]
fn a_call_is_not_lost_to_a_server_that_closes_after_each_answer() {
    for linger in [0, 1, 3, 10].map(Duration::from_millis) {
        let upstream = Upstream::serve(move |exchange| {
            let name = exchange.name();
            let reply = match name.as_str() {
                "GET" => Reply::status(405),
                "notifications/initialized" => Reply::status(202),
                "initialize" => {
                    let result = initialize_result("2025-11-25");
                    Reply::json(exchange.result_text(&result))
                }
                _ => Reply::json(exchange.result_text(RESULT)),
            };
            exchange.raw_and_close(reply.to_bytes())?;
            std::thread::sleep(linger);
            Ok(())
        });
        let mut line = Line::ready(&upstream.url());
        for id in 0..150 {
            line.send(call(id, "write", "{}"));
            assert_eq!(line.recv_id(&id.to_string()).raw_result(), RESULT, "{linger:?}");
            if id % 10 == 0 {
                line.send(request(1000 + id, "tools/list", "{}"));
                line.recv_id(&(1000 + id).to_string()).result();
            }
        }
        line.finish_with_nothing_left();
        assert_eq!(upstream.count("tools/call"), 150, "{linger:?}");
    }
}

#[test]
fn calls_to_a_server_that_keeps_its_connections_share_one() {
    let upstream = Upstream::serve(after_handshake(|exchange| exchange.result(RESULT)));
    let wire = Wire::to(&upstream.authority());
    let mut line = quiet(Line::to(&wire.url()));
    let before = wire.accepted();
    for id in 0..20 {
        line.send(call(id, "write", "{}"));
        assert_eq!(line.recv_id(&id.to_string()).raw_result(), RESULT);
    }
    assert!(wire.accepted() <= before + 1);
    line.finish_with_nothing_left();
}
