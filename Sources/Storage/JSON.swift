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

/// A type as a message calls its values.
private func words(_ type: any Any.Type) -> String {
  switch type {
  case is String.Type: "a text"
  case is any FixedWidthInteger.Type: "a whole number"
  case is any BinaryFloatingPoint.Type: "a number"
  case is Bool.Type: "true or false"
  case _ where "\(type)".contains("UnkeyedDecodingContainer"): "an array"
  case is any Collection.Type where !(type is any ExpressibleByDictionaryLiteral.Type): "an array"
  default: "an object"
  }
}

/// The kind of value that a coder found, in our words; Foundation names it between two words of its own.
private func found(_ context: DecodingError.Context) -> String {
  let text = context.debugDescription
  guard let start = text.firstRange(of: "but found "), let end = text.firstRange(of: " instead"),
    start.upperBound <= end.lowerBound
  else { return "another kind of value" }
  let kind = text[start.upperBound..<end.lowerBound].split(separator: " ").last ?? ""
  switch kind {
  case "number": return "a number"
  case "string", "string/data": return "a text"
  case "array": return "an array"
  case "dictionary": return "an object"
  case "bool": return "true or false"
  default: return "another kind of value"
  }
}

extension ContentError {
  /// Converts an error of a coder. Adds the path of the wrong member.
  fileprivate init(_ error: any Error, in part: String) {
    var path: [any CodingKey] = []
    var reason = "expected valid JSON"
    switch error {
    case DecodingError.keyNotFound(let key, let context):
      path = context.codingPath + [key]
      reason = "expected a value, found nothing"
    case DecodingError.typeMismatch(let type, let context):
      (path, reason) = (context.codingPath, "expected \(words(type)), found \(found(context))")
    case DecodingError.valueNotFound(let type, let context):
      (path, reason) = (context.codingPath, "expected \(words(type)), found null")
    case DecodingError.dataCorrupted(let context) where !context.codingPath.isEmpty:
      (path, reason) = (
        context.codingPath, "expected a number within range, a whole one for a count"
      )
    case EncodingError.invalidValue(_, let context):
      (path, reason) = (context.codingPath, "expected a finite number")
    default: break
    }
    let place = path.map { $0.intValue.map { "[\($0)]" } ?? "." + $0.stringValue }.joined()
    let member = place.hasPrefix(".") ? place.dropFirst() : place[...]
    self = .invalidJSON(
      part: member.isEmpty ? part : "\(quoted(member)) in the \(part)", reason: reason)
  }
}
