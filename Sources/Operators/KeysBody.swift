internal import Records

/// The body of the update `reset_keys`: the keys to forget, each a text, or an array of texts for several columns.
package struct KeysBody: UpdateBody {
  /// The bytes of each key.
  package var keys: [[UInt8]]

  package static let members = CodingKeys.allCases.map(\.rawValue)
  package static let replaces = false
  private static let most = 10_000

  private enum CodingKeys: String, CodingKey, CaseIterable { case keys }

  package init(keys: [[UInt8]]) { self.keys = keys }

  package init(from decoder: any Decoder) throws {
    let named = try decoder.container(keyedBy: CodingKeys.self)
      .decode([KeyName].self, forKey: .keys)
    guard 1...Self.most ~= named.count else {
      throw UpdateBodyError("keys: expected 1 to \(Self.most) keys, found \(named.count)")
    }
    keys = try named.map { name in
      guard let bytes = RecordKey.bytes(of: name.values.map(\.bytes)) else {
        throw UpdateBodyError(
          "keys: expected keys of 1 to \(RecordKey.longest) bytes, found another")
      }
      return bytes
    }
  }
}
