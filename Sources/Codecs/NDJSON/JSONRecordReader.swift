internal import CNumberText
internal import Records

/// A place of a record that objects alone lead to.
struct JSONLeaf: Equatable {
  enum Content: Equatable {
    case value(ColumnProfile.Value)
    /// An array of so many numbers and nulls.
    case vector(length: Int)
    /// An array of arrays or objects.
    case nested
  }

  var keys: [String]
  var content: Content
}

/// A feature to read: its name, its path, and the length of its vector, if it is in one.
struct JSONFeature: Equatable, Sendable {
  var name: String
  var path: JSONPath
  var vectorLength: Int?
}

/// One value of a record, and the bytes that spell it in the record's text.
struct JSONFeatureValue {
  enum Kind {
    case number
    case null
    /// Not a number, or one above the greatest valid number.
    case invalid
    /// A value on the path is not the object or vector that the path needs.
    case misplaced
  }

  var feature: Int
  var value: Double
  var start: UInt32
  var end: UInt32
  var kind: Kind
}

/// The values of one line. Valid until the reader reads the next line.
struct JSONRecord: RandomAccessCollection {
  fileprivate let record: JsonRecord

  var startIndex: Int { 0 }
  var endIndex: Int { record.value_count }

  /// The number of features found, as null or not.
  var foundCount: Int { record.found_count }

  /// The line, with absent features inserted if requested. Spans are offsets into it.
  var text: UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: record.text, count: record.text_length)
  }

  @inline(__always)
  subscript(position: Int) -> JSONFeatureValue {
    guard let values = record.values, position < record.value_count else {
      preconditionFailure("no value \(position) of \(record.value_count)")
    }
    let value = values[position]
    let kind: JSONFeatureValue.Kind =
      switch value.kind {
      case JSON_NUMBER: .number
      case JSON_NULL: .null
      case JSON_MISPLACED: .misplaced
      default: .invalid
      }
    return JSONFeatureValue(
      feature: Int(value.feature), value: value.value, start: value.start, end: value.end,
      kind: kind)
  }
}

extension JSONRecord {
  /// Whether a finite number spells an invalid value, so that it is too great.
  func spellsFiniteNumber(_ value: JSONFeatureValue) -> Bool {
    let text = UnsafeRawBufferPointer(rebasing: self.text[Int(value.start)..<Int(value.end)])
    return text.withMemoryRebound(to: UInt8.self) { bytes in
      guard let base = bytes.baseAddress else { return false }
      let end = base + bytes.count
      return NumberText.parse(base, end).map { $0.end == end && $0.value.isFinite } ?? false
    }
  }
}

/// Reads features from lines of JSON. This is the only Swift file that calls the C functions for it.
///
/// @unchecked because it owns memory of the C side that a read changes. A reader belongs to one decoder, and one
/// stage at a time uses a decoder.
final class JSONRecordReader: @unchecked Sendable {
  let features: [JSONFeature]
  private let limits: DecoderLimits
  private let handle: OpaquePointer

  /// - Throws: an error if one record cannot contain two of the features, such as `a` and `a.b`.
  init(features: [JSONFeature], limits: DecoderLimits) throws(RecordFault) {
    self.features = features
    self.limits = limits
    handle = json_record_reader_create(Self.limits(limits))
    for feature in features {
      var keys: [UInt8] = []
      var lengths: [Int] = []
      for key in feature.path.keys {
        keys.append(contentsOf: key.utf8)
        lengths.append(key.utf8.count)
      }
      // Makes sure that the array has an address even if every key is empty.
      keys.append(0)
      let isTaken = keys.withUnsafeBytes { bytes in
        guard let start = bytes.baseAddress?.assumingMemoryBound(to: CChar.self) else {
          return false
        }
        return json_record_reader_add(
          handle, start, lengths, lengths.count, feature.path.element ?? -1,
          feature.vectorLength ?? 0)
      }
      guard isTaken else {
        throw RecordFault(
          expected: "features of which none contains another", found: "'\(feature.name)' too")
      }
    }
  }

  deinit {
    json_record_reader_destroy(handle)
  }

  /// Reads and checks one line.
  ///
  /// - Parameter completes: whether to insert absent features as `null`.
  func read(_ line: UnsafeRawBufferPointer, completes: Bool) throws(RecordFault) -> JSONRecord {
    var record = JsonRecord()
    var fault = JsonFault()
    guard
      let start = line.baseAddress?.assumingMemoryBound(to: CChar.self),
      json_record_reader_read(handle, start, line.count, completes, &record, &fault)
    else {
      throw Self.fault(fault, in: line, features: features, limits: limits)
    }
    return JSONRecord(record: record)
  }

  /// Appends lines from the start of `bytes` until `columns` contain `limit` records. Stops at a line that differs
  /// from one that was read in more than its scalars.
  ///
  /// - Returns: the number of lines and their bytes. None of them is blank.
  func readAlike(
    _ bytes: UnsafeBufferPointer<UInt8>, into columns: inout FeatureColumns,
    _ text: inout SplicedText, limit: Int, _ rows: PlainRows, allowsNull: Bool
  ) -> (records: Int, bytes: Int) {
    rows.append(bytes, to: &columns, &text, limit: limit) {
      json_rows_read(handle, $0, $1, limits.recordBytes, allowsNull, $2)
    }
  }

  /// Whether any line so far contained the feature, as null or not.
  func hasSeen(_ feature: Int) -> Bool {
    json_record_reader_has_seen(handle, Int32(feature))
  }

  /// The places of a record that hold a number, a vector or something else but null, in the order in which they
  /// stand.
  static func leaves(
    of line: UnsafeRawBufferPointer, limits: DecoderLimits
  ) throws(RecordFault) -> [JSONLeaf] {
    var fault = JsonFault()
    guard
      let start = line.baseAddress?.assumingMemoryBound(to: CChar.self),
      let leaves = json_leaves_create(start, line.count, Self.limits(limits), &fault)
    else {
      throw Self.fault(fault, in: line, features: [], limits: limits)
    }
    defer { json_leaves_destroy(leaves) }
    return (0..<json_leaves_count(leaves)).map { index in
      let leaf = json_leaves_get(leaves, index)
      var keys = UnsafeRawPointer(leaf.keys)
      let names = (0..<leaf.key_count).map { position in
        let length = leaf.key_lengths[position]
        defer { keys += length }
        return String(
          decoding: UnsafeRawBufferPointer(start: keys, count: length), as: UTF8.self)
      }
      let content: JSONLeaf.Content =
        switch leaf.kind {
        case JSON_LEAF_VECTOR: .vector(length: leaf.length)
        case JSON_LEAF_NESTED: .nested
        case JSON_LEAF_OTHER: .value(.other)
        case _ where leaf.number.isInfinite: .value(.other)
        case let kind: .value(.number(leaf.number, isInteger: kind == JSON_LEAF_INTEGER))
        }
      return JSONLeaf(keys: names, content: content)
    }
  }

  /// `text` as a JSON string, quotes included.
  static func quoted(_ text: String) -> [UInt8] {
    let bytes = Array(text.utf8)
    return Array(unsafeUninitializedCapacity: 6 * bytes.count + 2) { quoted, count in
      bytes.withUnsafeBytes { bytes in
        guard let output = quoted.baseAddress else { return }
        let input = bytes.baseAddress?.assumingMemoryBound(to: CChar.self)
        count = output.withMemoryRebound(to: CChar.self, capacity: quoted.count) {
          json_quote(input, bytes.count, $0)
        }
      }
    }
  }

  private static func limits(_ limits: DecoderLimits) -> JsonLimits {
    JsonLimits(
      depth: limits.depth, members: limits.fields, allows_not_finite: limits.allowsNotFinite,
      greatest: FeatureColumns.greatest, quoted_numbers: limits.readsQuotedNumbers)
  }

  private static func fault(
    _ fault: JsonFault, in line: UnsafeRawBufferPointer, features: [JSONFeature],
    limits: DecoderLimits
  ) -> RecordFault {
    let feature = fault.feature >= 0 ? features[Int(fault.feature)] : nil
    let name = feature?.name ?? ""
    let place = fault.offset >= 0 ? " at byte \(fault.offset) of the line" : ""
    switch fault.reason {
    case JSON_NOT_AN_OBJECT:
      let isArray = line.first { ![0x20, 0x09].contains($0) } == UInt8(ascii: "[")
      return RecordFault(
        expected: "a JSON object in each line",
        found: RecordFault.quote(line)
          + (isArray ? "; `jq -c '.[]'` writes each element of an array on a line" : ""))
    case JSON_TOO_DEEP:
      return RecordFault(
        expected: "at most \(limits.depth) levels of nesting", found: "more\(place)")
    case JSON_TOO_MANY_MEMBERS:
      return RecordFault(expected: "at most \(limits.fields) members", found: "more")
    case JSON_MEMBER_TWICE:
      return RecordFault(expected: "the member of feature '\(name)' once", found: "it twice")
    case JSON_VECTOR_LENGTH:
      let length = feature?.vectorLength ?? 0
      return RecordFault(
        expected: "\(length) values in the array of feature '\(name)'",
        found: "\(fault.count)")
    default:
      var found = (fault.message.map { String(cString: $0) } ?? "an error") + place
      if line.indices.contains(fault.offset) {
        let rest = UnsafeRawBufferPointer(rebasing: line[fault.offset...])
        found += ": " + RecordFault.quote(rest)
      }
      return RecordFault(expected: "valid JSON", found: found)
    }
  }
}
