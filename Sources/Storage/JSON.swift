internal import FoundationEssentials
internal import Records

/// Reads and writes JSON with Foundation's coders.
enum JSON {
  /// The text of `value`, with members sorted by name, so that equal values give equal bytes.
  ///
  /// - Throws: an error for a number that is not finite.
  static func encode(
    _ value: some Encodable, indented: Bool = false
  ) throws(ContentError) -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    if indented { encoder.outputFormatting.insert(.prettyPrinted) }
    do {
      return String(decoding: try encoder.encode(value), as: UTF8.self)
    } catch {
      throw ContentError(error, in: "JSON")
    }
  }

  /// Reads a text with one JSON value. If an object has two members with one name, the first counts.
  ///
  /// - Parameters:
  ///   - part: the name of the text in errors.
  ///   - userInfo: passed to the value's `init(from:)`, which may throw a `ContentError`.
  static func decode<Value: Decodable>(
    _ type: Value.Type = Value.self, from text: some Sequence<UInt8>, part: String,
    userInfo: [CodingUserInfoKey: any Sendable] = [:]
  ) throws(ContentError) -> Value {
    let decoder = JSONDecoder()
    decoder.userInfo = userInfo
    do {
      return try decoder.decode(type, from: Data(text))
    } catch let error as ContentError {
      throw error
    } catch {
      throw ContentError(error, in: part)
    }
  }
}

extension ContentError {
  /// Converts an error of a coder. Adds the path of the wrong member.
  fileprivate init(_ error: any Error, in part: String) {
    var path: [any CodingKey] = []
    var reason = "expected valid JSON, with whole integers and numbers within range"
    switch error {
    case DecodingError.keyNotFound(let key, let context):
      path = context.codingPath + [key]
      reason = "expected a value, found nothing"
    case DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context):
      (path, reason) = (context.codingPath, context.debugDescription)
    case EncodingError.invalidValue(_, let context):
      (path, reason) = (context.codingPath, context.debugDescription)
    default: break
    }
    let place = path.map { $0.intValue.map { "[\($0)]" } ?? "." + $0.stringValue }.joined()
    let member = place.hasPrefix(".") ? place.dropFirst() : place[...]
    self = .invalidJSON(
      part: member.isEmpty ? part : "\(quoted(member)) in the \(part)", reason: reason)
  }
}
