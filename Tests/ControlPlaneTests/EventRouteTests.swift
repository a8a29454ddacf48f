import Foundation
import Operators
import Stream
import TestSupport
import Testing

@testable import ControlPlane
@testable import Supervision

/// The routes of drift and of events.
@Suite struct EventRouteTests {
  private let fake: FakeSupervision

  init() {
    let kind = EventKind("drift", .warning, help: "")
    let events = (1...3).map { number in
      var event = OperatorEvent(kind, feature: "x", "its mean moved\nfar")
      event.fields = ["kind": .text("mean"), "since_batch": .count(7), "size": .number(.infinity)]
      return LoggedEvent(number: number, wallSeconds: 1.5, event: event)
    }
    fake = FakeSupervision([.made("weather")])
    fake.withState { $0.events = events }
  }

  @Test func `events come as JSON, after the one that the client has`() async throws {
    try await TestServer.run(fake) { server in
      let path = "/api/v1/streams/weather/events"
      let all = try await server.request("GET", path)
      #expect(all.status == 200 && all.headers["content-type"] == "application/json")
      let events = try #require(try all.json["events"] as? [[String: Any]])
      #expect(events.count == 3)
      #expect(events[0]["event"] as? String == "drift" && events[0]["since_batch"] as? Int == 7)
      #expect(events[0]["level"] as? String == "warning" && events[0]["time"] as? Double == 1.5)
      let later = try await server.request("GET", path, headers: ["Last-Event-ID": "2"])
      #expect((try later.json["events"] as? [[String: Any]])?.map { $0["id"] as? Int } == [3])
      #expect(try await server.request("GET", path, headers: ["Last-Event-ID": "x"]).status == 400)
      #expect(try await server.request("POST", path).status == 405)
      #expect(try await server.request("GET", "/api/v1/streams/none/events").status == 404)
    }
  }

  @Test func `a client that accepts them gets server-sent events, each in one line`() async throws {
    try await TestServer.run(fake) { server in
      let answer = try await server.request(
        "GET", "/api/v1/streams/weather/events",
        headers: ["Accept": "text/event-stream", "Last-Event-ID": "1"])
      #expect(answer.headers["content-type"] == "text/event-stream")
      let blocks = answer.body.components(separatedBy: "\n\n")
      #expect(blocks.count == 4 && blocks[0] == "retry: 1000" && blocks[3] == "")
      let lines = blocks[1].components(separatedBy: "\n")
      #expect(lines.count == 3 && lines[0] == "id: 2" && lines[1] == "event: drift")
      #expect(lines[2].hasPrefix(#"data: {"event":"drift","feature":"x","#))
      #expect(lines[2].contains(#""size":null"#))
    }
  }

  @Test func `drift and events tell the partition`() async throws {
    let alarms = try DriftAlarm.made(["x"]).map { $0.of(partition: 3) }
    #expect("\(try #require(alarms.first))".hasPrefix("partition 3: feature 'x': its mean is "))
    fake.withState { state in
      state.drift["weather"] = alarms
      state.events = state.events.map {
        LoggedEvent(number: $0.number, wallSeconds: 1, event: $0.event, partition: 5)
      }
    }
    try await TestServer.run(fake) { server in
      let path = "/api/v1/streams/weather"
      let charts = try await server.request("GET", path + "/drift").json["charts"]
      #expect((charts as? [[String: Any]])?.first?["partition"] as? Int == 3)
      let events = try await server.request("GET", path + "/events").json["events"]
      #expect((events as? [[String: Any]])?.allSatisfy { $0["partition"] as? Int == 5 } == true)
    }
  }

  @Test func `drift is accepted by a request with two words`() async throws {
    fake.withState { $0.drift["weather"] = [] }
    try await TestServer.run(fake) { server in
      let path = "/api/v1/streams/weather/drift"
      #expect(try await server.request("GET", path).body == #"{"charts":[],"stream":"weather"}"#)
      let accepted = try await server.request("POST", path + "/accept", to: server.unix)
      #expect(accepted.status == 200)
      #expect(
        fake.withState { $0.commands.map(\.command) } == [.update(StreamUpdate("drift/accept"))])
      for wrong in ["/other", "/accept/now", "/accept/now/then"] {
        #expect(try await server.request("POST", path + wrong, to: server.unix).status == 404)
      }
    }
  }
}
