internal import BatchNormalization
internal import FoundationEssentials

/// The body of `PUT …/mode`.
struct ModeBody: Decodable {
  var mode: NormalizationMode

  private enum CodingKeys: String, CodingKey, CaseIterable { case mode }

  init(from decoder: any Decoder) throws {
    try decoder.requireOnly(CodingKeys.allCases.map(\.rawValue))
    let name = try decoder.container(keyedBy: CodingKeys.self).decode(String.self, forKey: .mode)
    guard let mode = NormalizationMode(rawValue: name) else {
      let modes = NormalizationMode.allCases.map(\.rawValue).joined(separator: ", ")
      throw HTTPFault.badRequest("mode: expected one of \(modes)")
    }
    self.mode = mode
  }
}

/// The body of `PUT …/parameters`: γ and β.
struct ParametersBody: Decodable {
  var weight: [Double]
  var bias: [Double]
  var features: [String]?

  private enum CodingKeys: String, CodingKey, CaseIterable { case weight, bias, features }

  init(from decoder: any Decoder) throws {
    try decoder.requireOnly(CodingKeys.allCases.map(\.rawValue))
    let container = try decoder.container(keyedBy: CodingKeys.self)
    weight = try container.decode([Double].self, forKey: .weight)
    bias = try container.decode([Double].self, forKey: .bias)
    features = try container.decodeIfPresent([String].self, forKey: .features)
    guard !weight.isEmpty, weight.count == bias.count,
      features.map(\.count) ?? weight.count == weight.count
    else {
      throw HTTPFault.badRequest(
        "weight, bias and features: expected the same number of each, and at least one")
    }
    guard (weight + bias).allSatisfy(\.isFinite) else {
      throw HTTPFault.badRequest("weight and bias: expected finite numbers")
    }
  }
}

/// Reads a JSON body.
///
/// - Throws: `HTTPFault` 400 with the member that is wrong.
func decodedBody<Value: Decodable>(_ type: Value.Type, _ body: [UInt8]) throws(HTTPFault) -> Value {
  do {
    return try JSONDecoder().decode(type, from: Data(body))
  } catch let fault as HTTPFault {
    throw fault
  } catch DecodingError.keyNotFound(let key, _) {
    throw .badRequest("expected the member '\(key.stringValue)'")
  } catch DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context) {
    let path = context.codingPath.map { $0.intValue.map { "[\($0)]" } ?? $0.stringValue }.joined()
    throw .badRequest("\(path.isEmpty ? "the body" : path): unexpected type")
  } catch {
    throw .badRequest("the body is not JSON")
  }
}

extension Decoder {
  /// Refuses members that would otherwise be passed over, such as a misspelt one.
  fileprivate func requireOnly(_ names: [String]) throws {
    for key in try container(keyedBy: AnyKey.self).allKeys where !names.contains(key.stringValue) {
      throw HTTPFault.badRequest(
        "unknown member '\(key.stringValue.prefix(64))'; expected \(names.joined(separator: ", "))")
    }
  }
}

private struct AnyKey: CodingKey {
  var stringValue: String
  var intValue: Int? { nil }
  init(stringValue: String) { self.stringValue = stringValue }
  init?(intValue: Int) { nil }
}
