internal import Dataflow
internal import Supervision

/// Decides by the head of a request whether its body may be larger than that of others, before the body is read.
///
/// Only a file of γ and β may, from a client that may make changes, and one at a time. The loop asks on its own thread, so
/// the sizes are those of the last look at the streams: no lock of a stream is taken.
final class BodyAdmission: @unchecked Sendable {
  // @unchecked because every stored variable is only touched with `lock` held.
  private let lock = Lock()
  private var access: AccessPolicy
  /// The most bytes of a file of γ and β, by the name of its stream; nil for a stream that has not begun.
  private var fileBytes: [String: Int?] = [:]

  init(_ policy: AccessPolicy) { access = policy }

  /// The access policy with the token in force.
  var policy: AccessPolicy { lock.withLock { access } }

  func setToken(_ token: BearerToken?) { lock.withLock { access.token = token } }

  /// Notes the features of all streams.
  func set(_ statuses: [StreamStatus]) {
    let known = statuses.map { ($0.name, $0.parametersFileBytes) }
    lock.withLock { fileBytes = Dictionary(known) { first, _ in first } }
  }

  /// The most bytes of a large body; 0 if the request may have none, nil if the streams are to be looked at first.
  ///
  /// - Parameters:
  ///   - isBusy: whether another large body is being read.
  ///   - mayLookUp: whether the streams were not looked at for this request.
  /// - Throws: `HTTPFault` if the client may not make changes, or has to wait.
  func mostBytes(
    _ head: HTTPRequestHead, isOverUnixSocket: Bool, isBusy: Bool, mayLookUp: Bool
  ) throws(HTTPFault) -> Int? {
    let parts = head.path.split(separator: "/", omittingEmptySubsequences: true)
    guard head.method == "PUT", head.mediaType == HTTPRequestHead.fileType, parts.count == 5,
      parts[0...2] == ["api", "v1", "streams"], parts[4] == "parameters",
      let name = percentDecoded(parts[3])
    else { return 0 }
    let policy = policy
    try policy.authorizeReading(head, overUnixSocket: isOverUnixSocket)
    try policy.authorizeChange(head, overUnixSocket: isOverUnixSocket)
    guard !isBusy else {
      throw HTTPFault(503, "another large body is being read; send this one again")
    }
    let known = lock.withLock { fileBytes[name] }
    if let known, let most = known { return most }
    // The stream may have begun since the last look.
    if mayLookUp { return nil }
    guard known == nil else {
      throw HTTPFault(
        503,
        "stream '\(name)' has not begun, so that its features are not known; send the file again")
    }
    return 0
  }
}
