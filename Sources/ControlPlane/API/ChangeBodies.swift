internal import FoundationEssentials
internal import Operators

/// Reads the JSON body of an update.
///
/// - Throws: `HTTPFault` 400 with the member that is wrong.
func decodedBody<Body: UpdateBody>(_ type: Body.Type, _ bytes: [UInt8]) throws(HTTPFault) -> Body {
  do {
    return try JSONDecoder().decode(Checked<Body>.self, from: Data(bytes)).body
  } catch let fault as HTTPFault {
    throw fault
  } catch let error as UpdateBodyError {
    throw .badRequest(error.description)
  } catch DecodingError.keyNotFound(let key, _) {
    throw .badRequest("expected the member '\(key.stringValue)'")
  } catch DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context) {
    let path = context.codingPath.map { $0.intValue.map { "[\($0)]" } ?? $0.stringValue }.joined()
    throw .badRequest("\(path.isEmpty ? "the body" : path): unexpected type")
  } catch {
    throw .badRequest("the body is not JSON")
  }
}

/// A body without unknown members. A misspelt member would otherwise be ignored.
private struct Checked<Body: UpdateBody>: Decodable {
  let body: Body

  init(from decoder: any Decoder) throws {
    let known = Body.members
    for key in try decoder.container(keyedBy: AnyKey.self).allKeys
    where !known.contains(key.stringValue) {
      throw HTTPFault.badRequest(
        "unknown member '\(key.stringValue.prefix(64))'; expected \(known.joined(separator: ", "))")
    }
    body = try Body(from: decoder)
  }
}

/// A key of a JSON object whose names are not known before.
struct AnyKey: CodingKey {
  var stringValue: String
  var intValue: Int? { nil }
  init(stringValue: String) { self.stringValue = stringValue }
  init?(intValue: Int) { nil }
}
