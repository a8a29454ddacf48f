internal import Operators
internal import Records
internal import Stream
internal import Supervision

/// The answer to `GET /api/v1/streams/{name}/keys`. docs/HTTP.md explains each member.
struct KeysView: Encodable {
  struct Key: Encodable {
    var key: KeyName
    var lastRecord: Int
    @OrNull var seenSeconds: Double?
    @OrNull var distance: Double?
    var features: [Feature]
  }

  struct Feature: Encodable {
    var name: String
    var n, mean, stddev: Double
  }

  var stream: String
  var count, unknown, unusable, evicted, expired: Int
  var keys: [Key]

  init(_ stream: String, _ report: KeyReport) {
    self.stream = stream
    let counts = report.counts
    (count, unknown, unusable) = (counts.known, counts.unknown, counts.unusable)
    (evicted, expired) = (counts.evicted, counts.expired)
    keys = report.keys.map { key in
      Key(
        key: key.name, lastRecord: key.lastRecord, seenSeconds: key.seenSeconds,
        distance: key.distance,
        features: key.features.map {
          Feature(name: $0.name, n: $0.weight, mean: $0.mean, stddev: $0.deviation)
        })
    }
  }
}

extension Routes {
  /// Answers with some keys of a stream, as it finds them between two batches.
  func keys(
    _ stream: String, _ request: HTTPRequest, _ reply: @escaping @Sendable (RouteOutcome) -> Void
  ) throws(HTTPFault) {
    try Self.allow(["GET", "HEAD"], request.head)
    let query = try Self.keyQuery(request.head)
    // A stream without a reader has no next batch, and a client must not wait for ever.
    reply(
      .pending {
        HTTPResponse(
          HTTPFault(503, "stream '\(stream)' is within a batch and does not go on; try again"))
      })
    supervision.request(.keys(query), on: stream) { result in
      switch result {
      case .success(.keys(let report)):
        reply(.response(HTTPResponse(json: KeysView(stream, report))))
      case .success: reply(.response(HTTPResponse(HTTPFault(409, "stream '\(stream)' ended"))))
      case .failure(let refusal): reply(.response(HTTPResponse(HTTPFault(refusal))))
      }
    }
  }

  private static func keyQuery(_ head: HTTPRequestHead) throws(HTTPFault) -> KeyQuery {
    var (rank, limit, named) = (KeyRank.oldest, 20, [[UInt8]]())
    for parameter in head.query.split(separator: "&") {
      let parts = parameter.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard parts.count == 2, let value = percentDecoded(parts[1]) else {
        throw .badRequest("expected NAME=VALUE in the query, found \(quoted(parameter))")
      }
      switch parts[0] {
      case "key": named.append(Array(value.utf8))
      case "top":
        guard let found = KeyRank(rawValue: value) else {
          let ranks = KeyRank.allCases.map(\.rawValue).joined(separator: ", ")
          throw .badRequest("top: expected one of \(ranks)")
        }
        rank = found
      case "limit":
        guard let number = Int(value), 1...KeyQuery.mostKeys ~= number else {
          throw .badRequest("limit: expected 1 to \(KeyQuery.mostKeys)")
        }
        limit = number
      default:
        throw .badRequest("expected key, top or limit in the query, found \(quoted(parts[0]))")
      }
    }
    guard !named.isEmpty else { return .top(rank, limit: limit) }
    guard let key = RecordKey.bytes(of: named) else {
      throw .badRequest("key: expected a key of 1 to \(RecordKey.longest) bytes")
    }
    return .named(key)
  }
}
