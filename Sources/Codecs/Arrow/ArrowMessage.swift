internal import Records

/// A message of an Arrow stream: its metadata, and the length of the body that follows.
struct ArrowMessage {
  /// The kinds of header that Evenkeel reads (`MessageHeader` in Message.fbs).
  enum Kind: UInt8 {
    case schema = 1
    case dictionaryBatch = 2
    case recordBatch = 3
  }

  /// `MetadataVersion` of format 0.8 to 0.17, and since 1.0.
  static let versions: ClosedRange<Int16> = 3...4

  let table: FlatTable
  let version: Int16
  /// Whether unions have a validity buffer, as before format 1.0.
  var hasUnionValidity: Bool { version < 4 }
  let kind: Kind
  let header: FlatTable
  /// Bytes of the body.
  let bodyBytes: Int

  /// Reads the metadata of one message, without the prefix that frames it.
  init(_ bytes: FlatBytes, bodyLimit: Int) throws(RecordFault) {
    table = try FlatTable(rootOf: bytes)
    version = try table.integer(0, absent: 0)
    guard Self.versions.contains(version) else {
      throw RecordFault(
        expected: "Arrow metadata of version 4 or 5", found: "version \(Int(version) + 1)")
    }
    let number: UInt8 = try table.integer(1, absent: 0)
    guard let kind = Kind(rawValue: number) else {
      throw RecordFault(
        expected: "an Arrow schema, dictionary or record batch",
        found: "a message of kind \(number)")
    }
    self.kind = kind
    guard let header = try table.table(2) else {
      throw RecordFault(expected: "an Arrow message with a header", found: "none")
    }
    self.header = header
    let length: Int64 = try table.integer(3, absent: 0)
    guard length >= 0, length <= Int64(bodyLimit) else {
      throw RecordFault(
        expected: "an Arrow message with a body of at most \(bodyLimit) bytes", found: "\(length)")
    }
    bodyBytes = Int(length)
  }
}

/// Where a message stands in a stream: a prefix, metadata and a body, one after another.
struct ArrowFrame: Equatable {
  /// The most bytes of metadata that are read.
  static let metadataLimit = 256 << 20
  /// Marks a length that follows; streams before format 0.15 lack it.
  static let continuation: UInt32 = 0xFFFF_FFFF

  /// 8; 4 before format 0.15.
  var prefixBytes: Int
  /// With the padding after it.
  var metadataBytes: Int
  var bodyBytes: Int

  var headBytes: Int { prefixBytes + metadataBytes }
  var byteCount: Int { headBytes + bodyBytes }

  /// What a stream begins with at some place.
  enum Start: Equatable {
    /// More bytes are needed: so many in all.
    case needs(Int)
    /// A message with so many bytes of prefix and of metadata.
    case message(prefixBytes: Int, metadataBytes: Int)
    /// The end mark, of so many bytes.
    case end(Int)
  }

  /// Reads the prefix of a message at the start of `bytes`.
  static func start(of bytes: FlatBytes) throws(RecordFault) -> Start {
    guard bytes.count >= 4 else { return .needs(4) }
    var length = try bytes.integer(at: 0, as: UInt32.self)
    var prefixBytes = 4
    if length == continuation {
      guard bytes.count >= 8 else { return .needs(8) }
      length = try bytes.integer(at: 4, as: UInt32.self)
      prefixBytes = 8
    }
    guard length > 0 else { return .end(prefixBytes) }
    guard length <= metadataLimit else {
      throw RecordFault(
        expected: "an Arrow message with at most \(metadataLimit) bytes of metadata",
        found: "\(length)")
    }
    return .message(prefixBytes: prefixBytes, metadataBytes: Int(length))
  }
}
