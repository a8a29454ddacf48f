import BatchNormalization
import Dataflow
import Foundation
import Operators
import Records
import Testing

@testable import ControlPlane
@testable import Stream
@testable import Supervision

@Suite struct RouteTests {
  private let fake = FakeSupervision(
    [.made("weather"), .made("a b/ü".replacing("/", with: "-"), state: .failed)],
    features: ["weather": [.made("temp"), .made("wind")]])

  @Test func `a daemon that lives says so`() async throws {
    try await TestServer.run(fake) { server in
      let answer = try await server.request("GET", "/healthz")
      #expect(answer.status == 200)
      #expect(try answer.json["status"] as? String == "ok")
      #expect(answer.headers["x-content-type-options"] == "nosniff")
    }
  }

  @Test func `readiness names its reasons`() async throws {
    try await TestServer.run(fake) { server in
      #expect(try await server.request("GET", "/readyz").status == 200)
      fake.withState { $0.reasons = ["stream 'a' failed"] }
      let answer = try await server.request("GET", "/readyz")
      #expect(answer.status == 503)
      #expect(try answer.json["reasons"] as? [String] == ["stream 'a' failed"])
    }
  }

  @Test func `the list of streams has the documented shape`() async throws {
    try await TestServer.run(fake) { server in
      let answer = try await server.request("GET", "/api/v1/streams")
      #expect(answer.headers["content-type"] == "application/json")
      let json = try answer.json
      #expect(json["version"] as? String == "1.2.3")
      let streams = try #require(json["streams"] as? [[String: Any]])
      #expect(streams.map { $0["name"] as? String } == ["weather", "a b-ü"])
      #expect(
        Set(streams[0].keys) == [
          "name", "state", "source", "sink", "mode", "frozen", "prior_values", "state_version",
          "parameters_version", "parameters_frozen", "keys", "events", "position", "rates",
          "records",
          "batches", "bad_records", "bytes_in", "bytes_out", "restarts", "checkpoints",
          "dropped_writes", "dead_letters", "checkpoint_failures", "rate_limited_reads",
          "checkpoint_seconds",
          "checkpoint_bytes", "producers", "subscribers", "subscriber_lag_bytes", "stalled_seconds",
          "subscriber_timeouts", "backlog_bytes",
          "backlog_files", "backlog_messages", "partitions", "control", "refused_connections",
          "rotated_files",
          "skipped_messages", "lost_messages", "delivered_messages", "broker_errors",
          "records_in_flight", "queue_bytes", "idle_seconds", "checkpoint_age_seconds",
          "last_error", "warnings", "drift",
          "batch_latency_seconds", "batch_size_records",
        ])
      #expect(streams[0]["checkpoint_age_seconds"] is NSNull)
      let position = try #require(streams[0]["position"] as? [String: Int])
      #expect(
        position == [
          "records": 615, "byte_offset": 9000, "frame_offset": 12, "byte_offset_in_frame": 7,
        ])
      let latency = try #require(streams[0]["batch_latency_seconds"] as? [String: Any])
      #expect(latency["p50"] as? Double == 0.01)
      #expect(latency["p99"] is NSNull)
      #expect(latency["count"] as? Int == 4)
    }
  }

  @Test func `a stream is found under its percent-encoded name`() async throws {
    try await TestServer.run(fake) { server in
      let answer = try await server.request("GET", "/api/v1/streams/a%20b-%C3%BC")
      #expect(try answer.json["state"] as? String == "failed")
    }
  }

  @Test func `features carry moments, parameters, ratios and drift`() async throws {
    fake.withState { $0.features["weather"]?[1].set("mean", .infinity) }
    try await TestServer.run(fake) { server in
      let answer = try await server.request("GET", "/api/v1/streams/weather/features")
      let features = try #require(try answer.json["features"] as? [[String: Any]])
      #expect(features.count == 2)
      #expect(
        Set(features[0].keys) == [
          "name", "mean", "stddev", "weight", "bias", "values", "missing", "missing_ratio",
          "clipped", "batch_mean", "batch_stddev", "drift", "limited", "renorm_scale",
          "renorm_shift",
          "drift_alarm", "drift_score", "drift_size", "drift_since_seconds", "drift_alarms",
        ])
      #expect(features[0]["drift"] as? Double == 1.5)
      #expect(features[0]["missing_ratio"] as? Double == 0.1)
      let kinds = try #require(features[0]["drift_alarm"] as? [String: Double])
      #expect(
        kinds == ["mean": 1, "spread": 1, "missing": 1, "clipped": 1, "distribution": 1, "keys": 1])
      #expect(features[1]["mean"] is NSNull)
    }
  }

  @Test(arguments: [
    ("freeze", StreamCommand.update(StreamUpdate("freeze"))),
    ("thaw", .update(StreamUpdate("thaw"))), ("reset", .update(StreamUpdate("reset"))),
    ("checkpoint", .checkpoint),
    ("parameters/freeze", .update(StreamUpdate("parameters/freeze"))),
    ("parameters/thaw", .update(StreamUpdate("parameters/thaw"))),
  ])
  func `a posted change reaches its stream`(action: String, command: StreamCommand) async throws {
    try await TestServer.run(fake) { server in
      let answer = try await server.request(
        "POST", "/api/v1/streams/weather/\(action)", to: server.unix)
      #expect(answer.status == 200)
      #expect(try answer.json["in_effect"] as? Bool == true)
      #expect(fake.withState { $0.commands.map(\.command) } == [command])
      #expect(fake.withState { $0.commands.map(\.stream) } == ["weather"])
    }
  }

  @Test func `mode and parameters are put`() async throws {
    try await TestServer.run(fake) { server in
      let mode = try await server.request(
        "PUT", "/api/v1/streams/weather/mode", body: #"{"mode":"batch"}"#, to: server.unix)
      #expect(mode.status == 200)
      let parameters = try await server.request(
        "PUT", "/api/v1/streams/weather/parameters",
        body: #"{"weight":[1,2.5],"bias":[0,-1e-3],"features":["wind","temp"]}"#, to: server.unix)
      #expect(parameters.status == 200)
      #expect(
        fake.withState { $0.commands.map(\.command) } == [
          .update(StreamUpdate("mode", ModeBody(mode: .batch))),
          .update(
            StreamUpdate(
              "parameters",
              ParametersBody(weight: [1, 2.5], bias: [0, -1e-3], features: ["wind", "temp"]))),
        ])
    }
  }

  @Test func `new parameters may need the version that the client knows`() async throws {
    try await TestServer.run(fake) { server in
      let path = "/api/v1/streams/weather/parameters"
      let body = #"{"weight":[1],"bias":[0],"if_version":41}"#
      fake.withState { $0.versions = StateVersions(state: 58, parameters: 57) }
      let done = try await server.request("PUT", path, body: body, to: server.unix)
      #expect(done.status == 200)
      #expect(try done.json["parameters_version"] as? Int == 57)
      let change = ParametersBody(weight: [1], bias: [0], ifVersion: 41)
      #expect(
        fake.withState { $0.commands.map(\.command) }
          == [.update(StreamUpdate("parameters", change))])
      let other = OperatorError("stream", OtherVersion(expected: 41, found: 43))
      fake.withState { $0.refusal = .refused(other) }
      let refused = try await server.request("PUT", path, body: body, to: server.unix)
      #expect(refused.status == 409)
      #expect(try refused.json["parameters_version"] as? Int == 43)
      #expect(try refused.json["error"] as? String == other.description)
    }
  }

  @Test(arguments: [
    ("mode", #"{"mode":"median"}"#), ("mode", #"{"mode":1}"#), ("mode", "{}"), ("mode", "mode"),
    ("mode", #"{"mode":"batch","extra":1}"#), ("mode", "[]"), ("mode", #"{"mode":null}"#),
    ("parameters", #"{"weight":[1]}"#), ("parameters", #"{"weight":[1],"bias":[0,0]}"#),
    ("parameters", #"{"weight":[],"bias":[]}"#), ("parameters", #"{"weight":[1e999],"bias":[0]}"#),
    ("parameters", #"{"weight":["1"],"bias":[0]}"#),
    ("parameters", #"{"weight":[1],"bias":[0],"features":["a","b"]}"#),
    ("parameters", #"{"weight":[1],"bias":[0],"if_version":"41"}"#),
    ("parameters", #"{"weights":[1],"bias":[0]}"#), ("parameters", "\u{FF}{"),
  ])
  func `a body that does not fit is refused and nothing is done`(action: String, body: String)
    async throws
  {
    try await TestServer.run(fake) { server in
      let answer = try await server.request(
        "PUT", "/api/v1/streams/weather/\(action)", body: body, to: server.unix)
      #expect(answer.status == 400)
      #expect(try answer.json["error"] is String)
      #expect(fake.withState { $0.commands.isEmpty })
    }
  }

  @Test func `a body that is not declared as JSON is refused`() async throws {
    try await TestServer.run(fake) { server in
      let answer = try await server.request(
        "PUT", "/api/v1/streams/weather/mode", headers: ["Content-Type": "text/plain"],
        body: #"{"mode":"batch"}"#, to: server.unix)
      #expect(answer.status == 415)
      let good = try await server.request(
        "PUT", "/api/v1/streams/weather/mode",
        headers: ["Content-Type": "Application/JSON; charset=utf-8"], body: #"{"mode":"batch"}"#,
        to: server.unix)
      #expect(good.status == 200)
    }
  }

  @Test(arguments: [
    ("GET", "/nothing", 404, nil), ("GET", "/api/v1", 404, nil),
    ("GET", "/api/v2/streams", 404, nil),
    ("GET", "/api/v1/streams/none", 404, nil), ("GET", "/api/v1/streams/none/features", 404, nil),
    ("POST", "/api/v1/streams/none/freeze", 404, nil),
    ("POST", "/api/v1/streams/weather/melt", 404, nil),
    ("GET", "/api/v1/streams/weather/features/temp", 404, nil),
    ("GET", "/api/v1/streams/we%2Fther", 400, nil), ("GET", "/api/v1/streams/%ZZ", 400, nil),
    ("GET", "/api/v1/streams/%FF", 400, nil), ("GET", "/api/v1/streams/a%0A", 400, nil),
    ("DELETE", "/", 405, "GET, HEAD"), ("POST", "/metrics", 405, "GET, HEAD"),
    ("PUT", "/api/v1/streams", 405, "GET, HEAD"),
    ("DELETE", "/api/v1/streams/weather", 405, "GET, HEAD"),
    ("GET", "/api/v1/streams/weather/freeze", 405, "POST"),
    ("POST", "/api/v1/streams/weather/mode", 405, "PUT"),
    ("get", "/healthz", 405, "GET, HEAD"),
  ])
  func `an unknown path or method is refused`(
    method: String, path: String, status: Int, allow: String?
  )
    async throws
  {
    try await TestServer.run(fake) { server in
      let answer = try await server.request(method, path, to: server.unix)
      #expect(answer.status == status)
      #expect(answer.headers["allow"] == allow)
      #expect(try answer.json["error"] is String)
    }
  }

  @Test func `a refused command is a conflict with its reason`() async throws {
    try await TestServer.run(fake) { server in
      for refusal in [CommandRefusal.notRunning("weather"), .unfit("expected 3 values, found 2")] {
        fake.withState { $0.refusal = refusal }
        let answer = try await server.request(
          "POST", "/api/v1/streams/weather/reset", to: server.unix)
        #expect(answer.status == 409)
        #expect(try answer.json["error"] as? String == refusal.description)
      }
    }
  }

  @Test func `a change of the whole stream takes no body`() async throws {
    try await TestServer.run(fake) { server in
      for (body, status) in [(#"{"feature":"a"}"#, 400), ("{}", 200)] {
        let answer = try await server.request(
          "POST", "/api/v1/streams/weather/freeze", body: body, to: server.unix)
        #expect(answer.status == status)
      }
      #expect(fake.withState { $0.commands.count } == 1)
    }
  }

  @Test func `a change that waits for its batch is accepted`() async throws {
    fake.withState { $0.hangs = true }
    var limits = HTTPLimits()
    limits.changeSeconds = 0.05
    try await TestServer.run(fake, limits: limits) { server in
      let answer = try await server.request(
        "POST", "/api/v1/streams/weather/freeze", to: server.unix)
      #expect(answer.status == 202)
      #expect(try answer.json["in_effect"] as? Bool == false)
    }
  }

  @Test func `a change that all partitions make is accepted, and the status tells who has it`()
    async throws
  {
    fake.withState { state in
      state.accepted = 17
      state.statuses[0].partitions = [0, 2]
      state.statuses[0].control = [
        ControlStatus(
          change: "freeze", mode: nil, offset: 17, host: "b", pid: 8, wallSeconds: 5,
          partitions: [2], waiting: [0])
      ]
    }
    try await TestServer.run(fake) { server in
      let path = "/api/v1/streams/weather"
      let answer = try await server.request("POST", path + "/freeze", to: server.unix)
      #expect(answer.status == 202)
      #expect(
        answer.body
          == #"{"accepted":true,"change":"freeze","control_offset":17,"in_effect":false,"stream":"weather"}"#
      )
      let control = try await server.request("GET", path).json["control"] as? [[String: Any]]
      #expect(control?.first?["partitions"] as? [Int] == [2])
      #expect(control?.first?["waiting"] as? [Int] == [0])
      #expect(control?.first?["host"] as? String == "b" && control?.first?["mode"] is NSNull)
    }
  }

  @Test func `the daemon tells how its last reload ended`() async throws {
    try await TestServer.run(fake) { server in
      let none = try await server.request("GET", "/api/v1/daemon")
      #expect(try none.json["last_reload"] is NSNull)
      fake.withState {
        $0.daemon.reloads = 3
        $0.daemon.reloadsRefused = 1
        $0.daemon.lastReload = ReloadReport(error: "e.yaml:3:5: x", wallSeconds: 12.5)
        $0.daemon.warnings = ["look"]
      }
      let daemon = try ControlClient(url: "\(server.unix)").daemon()
      #expect(daemon.reloads == 3 && daemon.reloadsRefused == 1)
      #expect(daemon.lastReload?.applied == false)
      #expect(daemon.lastReload?.error == "e.yaml:3:5: x")
      #expect(daemon.lastReload?.time == 12.5)
      #expect(daemon.warnings == ["look"])
    }
  }

  @Test func `a name with control characters is escaped`() async throws {
    let name = "a\u{1B}]0;x\u{7}\u{7F}\u{9B}1m"
    let fake = FakeSupervision([.made("s")], features: ["s": [.made(name)]])
    try await TestServer.run(fake) { server in
      for path in ["/metrics", "/api/v1/streams/s/features"] {
        let answer = try await server.request("GET", path)
        #expect(
          !answer.body.unicodeScalars.contains {
            $0.properties.generalCategory == .control && $0 != "\n"
          }, "\(path)")
      }
      let features = try await server.request("GET", "/api/v1/streams/s/features")
      let first = (try features.json["features"] as? [[String: Any]])?.first
      #expect(first?["name"] as? String == name)
    }
  }

  @Test func `HEAD answers without a body`() async throws {
    try await TestServer.run(fake) { server in
      let answer = try await server.request("HEAD", "/healthz")
      #expect(answer.status == 200)
      #expect(answer.body.isEmpty)
      #expect(answer.headers["content-length"] == "15")
    }
  }

  @Test func `the page is served under a policy that lets nothing in from elsewhere`() async throws
  {
    try await TestServer.run(fake) { server in
      let first = try await server.request("GET", "/?x=1")
      let second = try await server.request("GET", "/")
      #expect(first.headers["content-type"] == "text/html; charset=utf-8")
      let policy = try #require(first.headers["content-security-policy"])
      #expect(policy.hasPrefix("default-src 'none'"))
      #expect(!policy.contains("unsafe"))
      #expect(policy != second.headers["content-security-policy"])
      let nonce = try #require(policy.firstMatch(of: /script-src 'nonce-([a-z0-9]+)'/)?.output.1)
      #expect(first.body.contains("<script nonce=\"\(nonce)\">"))
      #expect(!first.body.contains("NONCE"))
      #expect(!first.body.contains("https://"))
    }
  }

  @Test func `rates are taken over the samples, and begin again when counters go back`() {
    var sampler = RateSampler()
    var status = StreamStatus.made("weather")
    let start = Instant(nanoseconds: 1)
    sampler.take([status], at: start)
    #expect(sampler.rates(of: "weather").windowSeconds == 0)
    status.records += 500
    status.bytesIn += 50
    sampler.take([status], at: start + 2)
    let rates = sampler.rates(of: "weather")
    #expect(rates.windowSeconds == 2)
    #expect(rates.recordsPerSecond == 250)
    #expect(rates.bytesInPerSecond == 25)
    #expect(rates.bytesOutPerSecond == 0)
    status.records = 1
    sampler.take([status], at: start + 3)
    #expect(sampler.rates(of: "weather").windowSeconds == 0)
    sampler.take([], at: start + 4)
    #expect(sampler.rates(of: "weather") == StreamRates())
  }

  @Test func `the client of top reads what the server writes`() async throws {
    try await TestServer.run(fake) { server in
      for url in ["http://\(server.tcp)", "http://\(server.tcp)/", "\(server.unix)"] {
        let streams = try ControlClient(url: url).streams()
        #expect(streams.version == "1.2.3")
        #expect(streams.streams.map(\.name) == ["weather", "a b-ü"])
        #expect(streams.streams[0].position.byteOffsetInFrame == 7)
      }
    }
    #expect(throws: ControlError.self) {
      try ControlClient(url: "http://127.0.0.1:1").streams()
    }
    #expect(throws: ControlError.self) { try ControlClient(url: "ftp://127.0.0.1:1") }
  }
}
