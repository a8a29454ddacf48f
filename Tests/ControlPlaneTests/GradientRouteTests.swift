import Foundation
import Operators
import Records
import Testing

@testable import ControlPlane
@testable import Stream

/// The route that takes gradients of γ and β.
struct GradientRouteTests {
  private static let path = "/api/v1/streams/weather/gradients"
  private static let body =
    #"{"version":41,"count":256,"weight_grad":[0.5,-1],"bias_grad":[1e-3,2],"features":["b","a"]}"#
  private let fake = FakeSupervision([.made("weather")])

  @Test func `gradients are posted, and answered with the new version`() async throws {
    try await TestServer.run(fake) { server in
      fake.withState { $0.versions = StateVersions(state: 57, parameters: 57) }
      let done = try await server.request("POST", Self.path, body: Self.body, to: server.unix)
      #expect(done.status == 200)
      #expect(try done.json["parameters_version"] as? Int == 57)
      let gradients = GradientsBody(
        version: 41, count: 256, weight: [0.5, -1], bias: [1e-3, 2], features: ["b", "a"])
      #expect(
        fake.withState { $0.commands.map(\.command) }
          == [.update(StreamUpdate("gradients", gradients))])
      // To put them twice would not be to put them once.
      let put = try await server.request("PUT", Self.path, body: Self.body, to: server.unix)
      #expect(put.status == 405)
    }
  }

  @Test func `over TCP they need the token, as every change does`() async throws {
    try await TestServer.run(fake) { server in
      let answer = try await server.request("POST", Self.path, body: Self.body)
      #expect([401, 403].contains(answer.status))
      #expect(fake.withState { $0.commands.isEmpty })
    }
  }

  @Test func `stale gradients are told the version in force`() async throws {
    let stale = StaleGradients(version: 41, found: 57, limit: 8)
    try await TestServer.run(fake) { server in
      fake.withState { $0.refusal = .refused(OperatorError("learn", stale)) }
      let answer = try await server.request("POST", Self.path, body: Self.body, to: server.unix)
      #expect(answer.status == 409)
      #expect(try answer.json["parameters_version"] as? Int == 57)
      #expect(try answer.json["error"] as? String == stale.description)
    }
  }

  @Test func `numbers that the stream cannot use are unprocessable`() async throws {
    let unusable = UnusableBody("weight_grad: expected 3 numbers, one a feature, found 2")
    try await TestServer.run(fake) { server in
      fake.withState { $0.refusal = .refused(OperatorError("learn", unusable)) }
      let answer = try await server.request("POST", Self.path, body: Self.body, to: server.unix)
      #expect(answer.status == 422)
      #expect(try answer.json["error"] as? String == unusable.description)
    }
  }

  @Test(arguments: ["null", #""NaN""#, #""-Infinity""#])
  func `null and words for a number that is not finite are read as such`(text: String) throws {
    let body = try decodedBody(
      GradientsBody.self, Array(#"{"version":1,"weight_grad":[\#(text)],"bias_grad":[1]}"#.utf8))
    guard case .sums(let weight, let bias) = body.content else { throw Unexpected() }
    #expect(weight.count == 1 && !weight[0].isFinite && bias == [1])
  }

  @Test func `rows of y and their gradients are read, with null for a missing y`() throws {
    let body = try decodedBody(
      GradientsBody.self,
      Array(#"{"version":41,"y":[[0.5,null],[2,3]],"y_grad":[[1,0],[-1e-3,4]]}"#.utf8))
    guard case .rows(let y, let gradients) = body.content else { throw Unexpected() }
    #expect(y[0][0] == 0.5 && y[0][1].isNaN && y[1] == [2, 3])
    #expect(gradients == [[1, 0], [-1e-3, 4]] && body.version == 41 && body.count == nil)
  }

  /// A body is not what it was written as.
  private struct Unexpected: Error {}

  @Test(arguments: [
    #"{"version":1,"weight_grad":[1]}"#, #"{"weight_grad":[1],"bias_grad":[1]}"#,
    #"{"version":1,"weight_grad":["1"],"bias_grad":[1]}"#,
    #"{"version":1,"weight_grad":[true],"bias_grad":[1]}"#,
    #"{"version":1,"weight_grad":[[1]],"bias_grad":[1]}"#,
    #"{"version":"1","weight_grad":[1],"bias_grad":[1]}"#,
    #"{"version":1,"count":-1,"weight_grad":[1],"bias_grad":[1]}"#,
    #"{"version":1,"weights":[1],"weight_grad":[1],"bias_grad":[1]}"#,
    #"{"version":1,"weight_grad":[NaN],"bias_grad":[1]}"#,
    #"{"version":1,"weight_grad":[1e999],"bias_grad":[1]}"#, #"{"version":1,"y":[[1]]}"#,
    #"{"version":1,"y":[1],"y_grad":[1]}"#, #"{"version":1,"y":[["1"]],"y_grad":[[1]]}"#,
    #"{"version":1,"y":[[1]],"y_grad":[[1]],"weight_grad":[1]}"#,
  ])
  func `a body of another form is refused`(body: String) async throws {
    try await TestServer.run(fake) { server in
      let answer = try await server.request("POST", Self.path, body: body, to: server.unix)
      #expect(answer.status == 400)
      #expect(fake.withState { $0.commands.isEmpty })
    }
  }

  @Test func `a stream that does not learn says what it needs`() async throws {
    fake.withState { $0.updatesOff = ["gradients"] }
    try await TestServer.run(fake) { server in
      let answer = try await server.request("POST", Self.path, body: Self.body, to: server.unix)
      #expect(answer.status == 404)
      #expect(
        try answer.json["error"] as? String
          == "stream 'weather' takes no 'gradients': expected parameters.learn in its settings")
    }
  }

  @Test func `changes are counted by their outcome`() async throws {
    let stale = CommandRefusal.refused(
      OperatorError("learn", StaleGradients(version: 1, found: 2, limit: 0)))
    let update = StreamUpdate("gradients", GradientsBody(version: 1, weight: [1], bias: [1]))
    #expect(ChangeOutcome(update, .failure(stale)) == ChangeOutcome("gradients", .stale))
    #expect(ChangeOutcome(update, .success(.done(nil))) == ChangeOutcome("gradients", .applied))
    #expect(
      ChangeOutcome(update, .failure(.notRunning("s"))) == ChangeOutcome("gradients", .refused))
    try await TestServer.run(fake) { server in
      let text = try await server.request("GET", "/metrics").body
      #expect(
        text.contains(
          #"evenkeel_stream_changes_total{stream="weather",change="gradients",result="stale"} 3"#))
    }
  }
}
