internal import Stream
internal import Supervision

/// The routes of docs/HTTP.md: from a request to its answer.
struct Routes {
  let supervision: any StreamSupervision
  let settings: ControlSettings
  let rates: RateSampler
  let policy: ChangePolicy

  /// How long a change may take before the answer says that it is still to come, in seconds.
  var commandSeconds = 10.0

  /// - Throws: `HTTPFault` for everything that is refused.
  func answer(_ request: HTTPRequest) async throws(HTTPFault) -> HTTPResponse {
    let parts = request.head.path.split(separator: "/", omittingEmptySubsequences: true)
    switch parts.count {
    case 0:
      try allow(["GET", "HEAD"], request)
      return LivePage.response()
    case 1 where parts[0] == "healthz":
      try allow(["GET", "HEAD"], request)
      return HTTPResponse(json: ["status": "ok"])
    case 1 where parts[0] == "readyz":
      try allow(["GET", "HEAD"], request)
      let reasons = supervision.unreadiness()
      return HTTPResponse(
        status: reasons.isEmpty ? 200 : 503,
        json: Readiness(status: reasons.isEmpty ? "ready" : "not ready", reasons: reasons))
    case 1 where parts[0] == "metrics":
      try allow(["GET", "HEAD"], request)
      return metrics()
    case 3... where parts[0...2] == ["api", "v1", "streams"]:
      return try await streams(parts.dropFirst(3), request)
    default:
      throw HTTPFault(404, "no such route")
    }
  }

  private func streams(_ parts: ArraySlice<Substring>, _ request: HTTPRequest)
    async throws(HTTPFault) -> HTTPResponse
  {
    guard let encodedName = parts.first else {
      try allow(["GET", "HEAD"], request)
      var views: [StreamView] = []
      for status in supervision.statuses() { views.append(await view(of: status)) }
      return HTTPResponse(json: StreamsView(version: settings.version, streams: views))
    }
    let name = try Self.streamName(encodedName)
    guard let action = parts.dropFirst().first else {
      try allow(["GET", "HEAD"], request)
      guard let status = supervision.statuses().first(where: { $0.name == name }) else {
        throw HTTPFault(CommandRefusal.noSuchStream(name))
      }
      return HTTPResponse(json: await view(of: status))
    }
    guard parts.count == 2 else { throw HTTPFault(404, "no such route") }
    if action == "features" {
      try allow(["GET", "HEAD"], request)
      do {
        let features = try supervision.features(of: name).map(FeatureView.init)
        return HTTPResponse(json: FeaturesView(stream: name, features: features))
      } catch {
        throw HTTPFault(error)
      }
    }
    return try await change(String(action), of: name, request)
  }

  private func change(_ action: String, of stream: String, _ request: HTTPRequest)
    async throws(HTTPFault) -> HTTPResponse
  {
    let simple: [String: StreamCommand] = [
      "freeze": .freeze, "thaw": .thaw, "reset": .reset, "checkpoint": .checkpoint,
    ]
    guard simple[action] != nil || ["mode", "parameters"].contains(action) else {
      throw HTTPFault(404, "no such route")
    }
    try allow([simple[action] == nil ? "PUT" : "POST"], request)
    try policy.authorize(request.head, overUnixSocket: request.isOverUnixSocket)
    let command: StreamCommand
    if let known = simple[action] {
      command = known
    } else {
      try Self.requireJSON(request.head)
      if action == "mode" {
        command = .mode(try decodedBody(ModeBody.self, request.body).mode)
      } else {
        let body = try decodedBody(ParametersBody.self, request.body)
        command = .parameters(weight: body.weight, bias: body.bias, features: body.features)
      }
    }
    return try await carryOut(command, named: action, on: stream)
  }

  /// The outcome, or 202 where the batch under way lasts: a stream whose sink is absent has no next
  /// batch, and a client must not wait for ever.
  private func carryOut(_ command: StreamCommand, named action: String, on stream: String)
    async throws(HTTPFault) -> HTTPResponse
  {
    let (outcomes, outcome) = AsyncStream.makeStream(of: CommandOutcome.self)
    let supervision = supervision
    Task {
      do throws(CommandRefusal) {
        try await supervision.carryOut(command, on: stream)
        outcome.yield(.done)
      } catch {
        outcome.yield(.refused(error))
      }
    }
    let seconds = commandSeconds
    let timer = Task {
      try? await Task.sleep(for: .seconds(seconds))
      outcome.yield(.pending)
    }
    defer { timer.cancel() }
    switch await outcomes.first(where: { _ in true }) {
    case .done:
      return HTTPResponse(json: ChangeView(stream: stream, change: action, isInEffect: true))
    case .refused(let refusal):
      throw HTTPFault(refusal)
    case .pending, nil:
      return HTTPResponse(
        status: 202, json: ChangeView(stream: stream, change: action, isInEffect: false))
    }
  }

  private func view(of status: StreamStatus) async -> StreamView {
    StreamView(status, rates: await rates.rates(of: status.name))
  }

  private func metrics() -> HTTPResponse {
    let statuses = supervision.statuses()
    var features: [String: [FeatureStatus]] = [:]
    if settings.featureMetrics != .none {
      for status in statuses {
        // A stream that a reload has just removed has no features to tell.
        guard let known = try? supervision.features(of: status.name),
          settings.featureMetrics.includes(featureCount: known.count)
        else { continue }
        features[status.name] = known
      }
    }
    let text = metricsText(
      streams: statuses, features: features, version: settings.version,
      process: ProcessStatistics.current())
    return HTTPResponse(
      contentType: "text/plain; version=0.0.4; charset=utf-8", body: Array(text.utf8))
  }

  private func allow(_ methods: [String], _ request: HTTPRequest) throws(HTTPFault) {
    guard methods.contains(request.head.method) else {
      let allowed = methods.joined(separator: ", ")
      throw HTTPFault(405, "expected \(allowed)", fields: ["Allow": allowed])
    }
  }

  private static func requireJSON(_ head: HTTPRequestHead) throws(HTTPFault) {
    let type = (head.fields["content-type"] ?? "").split(separator: ";").first ?? ""
    guard type.lowercased().filter({ $0 != " " }) == "application/json" else {
      throw HTTPFault(415, "expected Content-Type: application/json")
    }
  }

  /// A stream's name out of a path.
  static func streamName(_ encoded: Substring) throws(HTTPFault) -> String {
    guard let name = percentDecoded(encoded), !name.isEmpty, name.utf8.count <= 255,
      !name.unicodeScalars.contains(where: {
        $0.properties.generalCategory == .control || $0 == "/"
      })
    else { throw .badRequest("malformed stream name") }
    return name
  }
}

/// Text whose %XX are replaced by the bytes they spell, or nil where it is malformed or no UTF-8.
func percentDecoded(_ text: Substring) -> String? {
  var bytes: [UInt8] = []
  var rest = text.utf8[...]
  while let byte = rest.popFirst() {
    guard byte == UInt8(ascii: "%") else {
      bytes.append(byte)
      continue
    }
    guard rest.count >= 2, let high = hexadecimal(rest.removeFirst()),
      let low = hexadecimal(rest.removeFirst())
    else { return nil }
    bytes.append(high << 4 | low)
  }
  return String(validating: bytes, as: UTF8.self)
}

private func hexadecimal(_ byte: UInt8) -> UInt8? {
  switch byte {
  case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
  case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
  case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
  default: nil
  }
}

private enum CommandOutcome: Sendable {
  case done
  case refused(CommandRefusal)
  case pending
}

/// The answer to `GET /readyz`.
private struct Readiness: Encodable {
  var status: String
  var reasons: [String]
}

/// The answer to a change.
private struct ChangeView: Encodable {
  var stream: String
  var change: String
  var isInEffect: Bool

  enum CodingKeys: String, CodingKey {
    case stream, change
    case isInEffect = "inEffect"
  }
}

extension HTTPFault {
  init(_ refusal: CommandRefusal) {
    let status =
      switch refusal {
      case .noSuchStream: 404
      case .notRunning, .unfit: 409
      }
    self.init(status, refusal.description)
  }
}
