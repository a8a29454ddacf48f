internal import Records

/// A message of an Arrow stream: its metadata, and the length of the body after it.
struct ArrowMessage {
  /// The kinds of header that Evenkeel reads (`MessageHeader` in Message.fbs).
  enum Kind: UInt8 {
    case schema = 1
    case dictionaryBatch = 2
    case recordBatch = 3
  }

  /// The `MetadataVersion` of the formats 0.8 to 0.17 (3), and since 1.0 (4).
  static let versions: ClosedRange<Int16> = 3...4

  let table: FlatTable
  let version: Int16
  /// Whether unions have a validity buffer, as in formats before 1.0.
  var hasUnionValidity: Bool { version < 4 }
  let kind: Kind
  let header: FlatTable
  /// The size of the body, in bytes.
  let bodyBytes: Int

  /// Reads the metadata of one message, without its prefix.
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

extension ArrowMessage {
  /// The item at the start of `bytes`.
  enum Next {
    case message(ArrowFrame, ArrowMessage)
    /// The end mark, with its size in bytes.
    case end(Int)
  }

  /// Reads the item at the start of a stream's bytes; nil if it is not whole.
  static func next(in bytes: FlatBytes, bodyLimit: Int) throws(RecordFault) -> Next? {
    switch try ArrowFrame.start(of: bytes) {
    case .needs: return nil
    case .end(let byteCount): return .end(byteCount)
    case .message(let prefixBytes, let metadataBytes):
      guard bytes.count - prefixBytes >= metadataBytes else { return nil }
      let metadata = try bytes.slice(at: prefixBytes, count: metadataBytes)
      let message = try ArrowMessage(FlatBytes(metadata), bodyLimit: bodyLimit)
      let frame = ArrowFrame(
        prefixBytes: prefixBytes, metadataBytes: metadataBytes, bodyBytes: message.bodyBytes)
      return bytes.count >= frame.byteCount ? .message(frame, message) : nil
    }
  }
}

/// The sizes of a message in a stream: a prefix, metadata and a body, one after another.
struct ArrowFrame: Equatable {
  /// The greatest size of metadata, in bytes.
  static let metadataLimit = 256 << 20
  /// The mark before a length. Streams before format 0.15 do not have it.
  static let continuation: UInt32 = 0xFFFF_FFFF

  /// 8; 4 before format 0.15.
  var prefixBytes: Int
  /// Includes the padding after the metadata.
  var metadataBytes: Int
  var bodyBytes: Int

  var headBytes: Int { prefixBytes + metadataBytes }
  var byteCount: Int { headBytes + bodyBytes }

  /// The item at a position of a stream.
  enum Start: Equatable {
    /// Too few bytes to decide; this number is needed.
    case needs(Int)
    /// A message, with the sizes of its prefix and metadata in bytes.
    case message(prefixBytes: Int, metadataBytes: Int)
    /// The end mark, with its size in bytes.
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
