internal import Operators
internal import Records
internal import Stream
internal import Supervision

/// The outcome of a request.
enum RouteOutcome: Sendable {
  case response(HTTPResponse)
  /// The answer to a change that may come many times a second, so that the log does not tell each. It is made later, on
  /// another thread.
  case frequent(@Sendable () -> HTTPResponse)
  /// A change that is not in effect yet. This makes the answer if it takes too long.
  case pending(@Sendable () -> HTTPResponse)
}

/// The routes of docs/HTTP.md: from a request to its answer.
struct Routes {
  let supervision: any StreamSupervision
  let settings: ControlSettings
  let rates: RateSampler
  let statistics: ControlStatistics
  let policy: AccessPolicy
  /// Makes the body of an answer that goes on; nil if there are too many.
  let makeBody: () -> LiveBody?

  /// The answer to `/healthz`; nil for other paths.
  ///
  /// It only tells that the process lives, so it needs neither a stream nor a permission.
  static func health(_ head: HTTPRequestHead) -> HTTPResponse? {
    guard head.path == "/healthz" else { return nil }
    do throws(HTTPFault) {
      try allow(["GET", "HEAD"], head)
      return HTTPResponse(json: ["status": "ok"])
    } catch {
      return HTTPResponse(error)
    }
  }

  /// Calls `reply` with the answer. For a change, waits until the stream has made it.
  ///
  /// - Throws: `HTTPFault` for every refused request.
  func answer(
    _ request: HTTPRequest, _ reply: @escaping @Sendable (RouteOutcome) -> Void
  ) throws(HTTPFault) {
    let head = request.head
    try policy.authorizeReading(head, overUnixSocket: request.isOverUnixSocket)
    let parts = head.path.split(separator: "/", omittingEmptySubsequences: true)
    switch parts.count {
    case 0:
      try Self.allow(["GET", "HEAD"], head)
      reply(.response(LivePage.response()))
    case 1 where parts[0] == "readyz":
      try Self.allow(["GET", "HEAD"], head)
      let reasons = supervision.unreadiness()
      let readiness = Readiness(status: reasons.isEmpty ? "ready" : "not ready", reasons: reasons)
      reply(.response(HTTPResponse(status: reasons.isEmpty ? 200 : 503, json: readiness)))
    case 1 where parts[0] == "metrics":
      try Self.allow(["GET", "HEAD"], head)
      reply(.response(metrics()))
    case 3 where parts[0...2] == ["api", "v1", "daemon"]:
      try Self.allow(["GET", "HEAD"], head)
      let view = DaemonView(supervision.daemonStatus, version: settings.version)
      reply(.response(HTTPResponse(json: view)))
    case 3... where parts[0...2] == ["api", "v1", "streams"]:
      try streams(parts.dropFirst(3), request, reply)
    default:
      throw HTTPFault(404, "no such route")
    }
  }

  private func streams(
    _ parts: ArraySlice<Substring>, _ request: HTTPRequest,
    _ reply: @escaping @Sendable (RouteOutcome) -> Void
  ) throws(HTTPFault) {
    let head = request.head
    guard let encodedName = parts.first else {
      try Self.allow(["GET", "HEAD"], head)
      let views = supervision.statuses().map(view)
      let answer = StreamsView(version: settings.version, streams: views)
      return reply(.response(HTTPResponse(json: answer)))
    }
    let name = try Self.streamName(encodedName)
    guard parts.count > 1 else {
      try Self.allow(["GET", "HEAD"], head)
      guard let status = supervision.statuses().first(where: { $0.name == name }) else {
        throw HTTPFault(CommandRefusal.noSuchStream(name))
      }
      return reply(.response(HTTPResponse(json: view(of: status))))
    }
    // An update may have two words: `drift/accept`.
    guard parts.count <= 3 else { throw HTTPFault(404, "no such route") }
    let route = parts.dropFirst().joined(separator: "/")
    if route == "tap" { return try tap(name, request) }
    if route == "keys" { return try keys(name, request, reply) }
    guard ["features", "drift", "events"].contains(route) else {
      return try change(route, of: name, request, reply)
    }
    try Self.allow(["GET", "HEAD"], head)
    if route == "drift" { return reply(.response(try drift(of: name))) }
    if route == "events" { return reply(.response(try events(of: name, head))) }
    do {
      let features = try supervision.features(of: name).map(FeatureView.init)
      reply(.response(HTTPResponse(json: FeaturesView(stream: name, features: features))))
    } catch {
      throw HTTPFault(error)
    }
  }

  private func change(
    _ action: String, of stream: String, _ request: HTTPRequest,
    _ reply: @escaping @Sendable (RouteOutcome) -> Void
  ) throws(HTTPFault) {
    let update = try update(action, of: stream)
    guard update != nil || action == "checkpoint" else { throw HTTPFault(404, "no such route") }
    // A body that replaces something is put.
    try Self.allow([update?.body?.replaces == true ? "PUT" : "POST"], request.head)
    try policy.authorizeChange(request.head, overUnixSocket: request.isOverUnixSocket)
    var command = StreamCommand.checkpoint
    if let update {
      command = .update(try Self.read(update, request))
    }
    // A stream without a reader has no next batch, and a client must not wait for ever.
    let pending = ChangeView(stream: stream, change: action, isInEffect: false)
    reply(.pending { HTTPResponse(status: 202, json: pending) })
    supervision.request(command, on: stream) { result in
      switch result {
      case .success(.accepted(let offset)):
        let accepted = ChangeView(
          stream: stream, change: action, isInEffect: false, accepted: true, controlOffset: offset)
        reply(.response(HTTPResponse(status: 202, json: accepted)))
      case .success(let answer):
        let versions =
          if case .done(let versions) = answer { versions } else { StateVersions?.none }
        let done = ChangeView(
          stream: stream, change: action, isInEffect: true,
          parametersVersion: versions?.parameters)
        if update?.body?.addsUp == true {
          reply(.frequent { HTTPResponse(json: done) })
        } else {
          reply(.response(HTTPResponse(json: done)))
        }
      case .failure(let refusal): reply(.response(HTTPResponse(HTTPFault(refusal))))
      }
    }
  }

  /// The update with this name that the stream's operators declare; nil if there is none.
  private func update(_ name: String, of stream: String) throws(HTTPFault) -> UpdateKind? {
    let found: (kind: UpdateKind, isOn: Bool)?
    do {
      found = try supervision.updates(of: stream).first { $0.kind.name == name }
    } catch {
      throw HTTPFault(error)
    }
    guard let found, !found.isOn else { return found?.kind }
    throw HTTPFault(
      404,
      "stream '\(stream)' takes no '\(name)': expected \(found.kind.needs ?? "its operator") in its settings"
    )
  }

  private static func read(
    _ update: UpdateKind, _ request: HTTPRequest
  ) throws(HTTPFault) -> StreamUpdate {
    let bytes = request.body
    func body<Body: UpdateBody>(_ type: Body.Type) throws(HTTPFault) -> any UpdateBody {
      try decodedBody(type, bytes)
    }
    if update.body is ParametersBody.Type {
      return StreamUpdate(update.name, try parameters(request))
    }
    if update.body != nil { try requireJSON(request.head) }
    guard let type = update.body else {
      guard bytes.isEmpty || bytes == Array("{}".utf8) else {
        throw .badRequest("expected no body: '\(update.name)' concerns the whole stream")
      }
      return StreamUpdate(update.name)
    }
    return StreamUpdate(update.name, try body(type))
  }

  private func view(of status: StreamStatus) -> StreamView {
    StreamView(status, rates: rates.rates(of: status.name))
  }

  private func metrics() -> HTTPResponse {
    let statuses = supervision.statuses()
    var features: [String: [FeatureStatus]] = [:]
    if settings.featureMetrics != .none {
      for status in statuses {
        // A reload may have removed the stream meanwhile.
        guard let known = try? supervision.features(of: status.name),
          settings.featureMetrics.includes(featureCount: known.count)
        else { continue }
        features[status.name] = known
      }
    }
    let text = metricsText(
      streams: statuses, features: features, daemon: supervision.daemonStatus,
      control: statistics, version: settings.version, process: ProcessStatistics.current())
    return HTTPResponse(
      contentType: "text/plain; version=0.0.4; charset=utf-8", body: Array(text.utf8))
  }

  static func allow(_ methods: [String], _ head: HTTPRequestHead) throws(HTTPFault) {
    guard methods.contains(head.method) else {
      let allowed = methods.joined(separator: ", ")
      throw HTTPFault(405, "expected \(allowed)", fields: ["Allow": allowed])
    }
  }

  static func requireJSON(
    _ head: HTTPRequestHead, orElse other: String = ""
  ) throws(HTTPFault) {
    guard head.mediaType == "application/json" else {
      throw HTTPFault(415, "expected Content-Type: application/json\(other)")
    }
  }

  /// The name of a stream in a path.
  static func streamName(_ encoded: Substring) throws(HTTPFault) -> String {
    guard let name = percentDecoded(encoded), !name.isEmpty, name.utf8.count <= 255,
      !name.unicodeScalars.contains(where: {
        $0.properties.generalCategory == .control || $0 == "/"
      })
    else { throw .badRequest("malformed stream name") }
    return name
  }
}

/// Replaces each %XX by its byte. Returns nil if the text is malformed or not UTF-8.
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

/// The answer to `GET /readyz`.
private struct Readiness: Encodable {
  var status: String
  var reasons: [String]
}

/// The answer to a change.
private struct ChangeView: Encodable, Sendable {
  var stream: String
  var change: String
  var isInEffect: Bool
  /// The version of γ and β after the change.
  var parametersVersion: Int?
  /// Whether it is stored for all partitions of the stream; absent for other streams.
  var accepted: Bool?
  /// Its offset in the state topic.
  var controlOffset: Int?

  enum CodingKeys: String, CodingKey {
    case stream, change, parametersVersion, accepted, controlOffset
    case isInEffect = "inEffect"
  }
}

extension HTTPFault {
  init(_ refusal: CommandRefusal) {
    let status =
      switch refusal {
      case .noSuchStream: 404
      case .refused(let error) where error.cause is UnusableBody: 422
      case .notRunning, .refused, .unfit: 409
      }
    self.init(status, refusal.description)
    if case .refused(let error) = refusal, let other = error.cause as? any VersionConflict {
      members["parameters_version"] = other.found
    }
  }
}
