internal import Records

/// The schema of an Arrow stream and the dictionaries that stand: everything that a reader needs before it can begin
/// with the next record batch.
struct ArrowStanding: Sendable {
  /// The most bytes of dictionaries that stand.
  static let limit = 64 << 20

  /// The fault of dictionaries that are larger after decompressing.
  static let tooLarge = RecordFault(
    expected: "Arrow dictionaries of at most \(limit) bytes together",
    found: "larger ones after decompressing")

  private struct Dictionary: Sendable {
    var id: Int64
    var message: [UInt8]
  }

  private let schema: [UInt8]
  private var dictionaries: [Dictionary] = []
  private var dictionaryBytes = 0
  /// Schema and dictionaries as messages.
  private(set) var prologue: [UInt8]
  /// The dictionaries as messages, one after another.
  private(set) var bytes: [UInt8] = []

  /// - Parameter schema: the schema as a message, with its prefix.
  init(schema: [UInt8]) {
    self.schema = schema
    prologue = schema
  }

  /// The messages of the dictionaries.
  var messages: [[UInt8]] { dictionaries.map(\.message) }

  /// Takes a dictionary, which replaces an earlier one with its id, or adds to it.
  ///
  /// - Parameters:
  ///   - batch: the header of its message.
  ///   - message: the message as it is written.
  mutating func take(_ batch: FlatTable, message: [UInt8]) throws(RecordFault) {
    let id: Int64 = try batch.integer(0, absent: 0)
    let isDelta = try batch.integer(2, absent: UInt8(0)) != 0
    let replaces = !isDelta && stands(id)
    if replaces {
      dictionaryBytes -= dictionaries.reduce(0) { $0 + ($1.id == id ? $1.message.count : 0) }
      dictionaries.removeAll { $0.id == id }
    }
    dictionaryBytes += message.count
    guard dictionaryBytes <= Self.limit else {
      throw RecordFault(expected: Self.tooLarge.expected, found: "\(dictionaryBytes)")
    }
    dictionaries.append(Dictionary(id: id, message: message))
    if replaces {
      bytes = dictionaries.flatMap(\.message)
    } else {
      bytes += message
    }
    prologue = schema + bytes
  }

  /// Whether a dictionary with the id stands.
  private func stands(_ id: Int64) -> Bool { dictionaries.contains { $0.id == id } }

  /// Whether a dictionary takes the place of one that stands.
  func isReplaced(by batch: FlatTable) throws(RecordFault) -> Bool {
    let isDelta = try batch.integer(2, absent: UInt8(0)) != 0
    let id: Int64 = try batch.integer(0, absent: 0)
    return !isDelta && stands(id)
  }
}
