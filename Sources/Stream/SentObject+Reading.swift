internal import FoundationEssentials
package import Operators

/// Reads a JSON object that a user sends.
///
/// - Throws: `UpdateBodyError` with the member that is wrong.
package func decodedObject<Object: SentObject>(
  _ type: Object.Type, _ bytes: [UInt8]
) throws(UpdateBodyError) -> Object {
  if let object = plainGradients(type, bytes) { return object }
  do {
    return try JSONDecoder().decode(Checked<Object>.self, from: Data(bytes)).object
  } catch let error as UpdateBodyError {
    throw error
  } catch DecodingError.keyNotFound(let key, _) {
    throw UpdateBodyError("expected the member '\(key.stringValue)'")
  } catch DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context) {
    let path = context.codingPath.map { $0.intValue.map { "[\($0)]" } ?? $0.stringValue }.joined()
    throw UpdateBodyError("\(path.isEmpty ? "the body" : path): unexpected type")
  } catch {
    throw UpdateBodyError("the body is not JSON")
  }
}

/// Gradients that have only numbers; nil for other types and other texts.
private func plainGradients<Object: SentObject>(_ type: Object.Type, _ bytes: [UInt8]) -> Object? {
  let isLine = type == GradientLine.self
  guard isLine || type == GradientsBody.self, let line = GradientLine(plain: bytes) else {
    return nil
  }
  if isLine { return line as? Object }
  return line.afterBatch == nil ? line.body as? Object : nil
}

/// An object without unknown members. A misspelt member would otherwise be ignored.
private struct Checked<Object: SentObject>: Decodable {
  let object: Object

  init(from decoder: any Decoder) throws {
    let known = Object.members
    for key in try decoder.container(keyedBy: AnyKey.self).allKeys
    where !known.contains(key.stringValue) {
      throw UpdateBodyError(
        "unknown member '\(key.stringValue.prefix(64))'; expected \(known.joined(separator: ", "))")
    }
    object = try Object(from: decoder)
  }
}

/// A key of a JSON object whose names are not known before.
package struct AnyKey: CodingKey {
  package var stringValue: String
  package var intValue: Int? { nil }
  package init(stringValue: String) { self.stringValue = stringValue }
  package init?(intValue: Int) { nil }
}
