internal import Records
internal import Stream
internal import Supervision

extension Routes {
  /// Shows a stream to a client: `?rate=10&limit=5`.
  ///
  /// Unlike other answers, this one contains records. So over TCP it needs the token, as a change does.
  func tap(_ stream: String, _ request: HTTPRequest) throws(HTTPFault) {
    try Self.allow(["GET"], request.head)
    try policy.authorizeChange(request.head, overUnixSocket: request.isOverUnixSocket, "taps")
    let options = try Self.tapOptions(request.head.query)
    guard let body = makeBody() else {
      throw HTTPFault(503, "expected at most \(ControlAnswers.mostBodies) taps at once")
    }
    do throws(CommandRefusal) {
      try supervision.tap(stream, options, body)
    } catch {
      body.close()
      throw HTTPFault(error)
    }
  }

  /// Reads the query of a tap.
  static func tapOptions(_ query: String) throws(HTTPFault) -> TapOptions {
    var options = TapOptions()
    var seen: Set<Substring> = []
    for parameter in query.split(separator: "&") {
      let parts = parameter.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      let value = parts.count > 1 ? parts[1] : ""
      guard seen.insert(parts[0]).inserted else {
        throw .badRequest("expected \(quoted(parts[0])) once in the query, found it twice")
      }
      switch parts[0] {
      case "rate":
        guard let rate = Double(value), TapOptions.rates.contains(rate) else {
          throw .badRequest("rate: expected 0.01 to 100 records a second, found \(quoted(value))")
        }
        options.rate = rate
      case "limit":
        guard let limit = Int(value), TapOptions.limits.contains(limit) else {
          throw .badRequest("limit: expected 1 to 1000000000 records, found \(quoted(value))")
        }
        options.limit = limit
      default:
        throw .badRequest("expected rate or limit in the query, found \(quoted(parts[0]))")
      }
    }
    return options
  }
}
