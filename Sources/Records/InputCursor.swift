/// The position at which a later run resumes the input: everything that a checkpoint contains about it.
package struct InputCursor: Sendable, Equatable, Codable {
  /// The open splits, in the order in which they are resumed.
  package var splits: [SplitCursor]
  /// The opening of the stream, if it is known.
  package var opening: StreamOpening?
  /// The format, its settings and the selected features with which the stream was opened, as text.
  package var form: String
  /// The data of the source about done splits; nil if the source cannot be read again.
  package var done: OpaqueBytes?
  /// The length of the list of done splits, if the source keeps one.
  package var doneList: DoneListMark?

  package init(
    splits: [SplitCursor] = [], opening: StreamOpening? = nil, form: String = "",
    done: OpaqueBytes? = nil, doneList: DoneListMark? = nil
  ) {
    self.splits = splits
    self.opening = opening
    self.form = form
    self.done = done
    self.doneList = doneList
  }

  /// Whether a later source can read the bytes after the cursors again.
  package var isReplayable: Bool { done != nil }

  /// The number of records taken from the open splits.
  package var records: Int { splits.reduce(0) { $0 + $1.records } }

  enum CodingKeys: String, CodingKey {
    case splits, opening, form, done
    case doneList = "done_list"
  }
}

/// The position at which a later run resumes the gradients of γ and β.
package struct GradientCursor: Sendable, Equatable, Codable {
  /// The batches that the stream has cut since it has had gradients.
  package var batches: Int
  /// The position in their source. A line is a record.
  package var input: InputCursor

  package init(batches: Int = 0, input: InputCursor = InputCursor()) {
    self.batches = batches
    self.input = input
  }
}

/// The position at which a later run resumes one split: between two of its records.
package struct SplitCursor: Sendable, Equatable, Codable {
  /// The name of the split in its source, such as the name of a file.
  package var split: String
  /// The data by which the source finds the split and the offset in it; nil if it cannot read the split again.
  package var source: OpaqueBytes?
  /// The offset at which decompressing starts; nil for bytes that are not compressed.
  package var container: ContainerOffset?
  /// The number of decompressed bytes before the cursor.
  package var byteOffset: Int
  /// The number of records taken, rejected ones included.
  package var records: Int
  /// The data with which the format's decoder resumes.
  package var decoder: OpaqueBytes

  package init(
    split: String, source: OpaqueBytes? = nil, container: ContainerOffset? = nil,
    byteOffset: Int = 0, records: Int = 0, decoder: OpaqueBytes = OpaqueBytes()
  ) {
    self.split = split
    self.source = source
    self.container = container
    self.byteOffset = byteOffset
    self.records = records
    self.decoder = decoder
  }

  /// The offset in the bytes of the source from which the source must read again.
  package var sourceOffset: Int { container?.offset ?? byteOffset }

  enum CodingKeys: String, CodingKey {
    case split, source, container, records, decoder
    case byteOffset = "byte_offset"
  }
}

/// An offset at which decompressing can start, such as that of a zstd frame, and the number of decompressed bytes
/// between it and a cursor.
package struct ContainerOffset: Sendable, Equatable, Codable {
  /// The offset in the compressed bytes.
  package var offset: Int
  package var bytesWithin: Int

  package init(offset: Int, bytesWithin: Int) {
    self.offset = offset
    self.bytesWithin = bytesWithin
  }

  enum CodingKeys: String, CodingKey {
    case offset
    case bytesWithin = "bytes_within"
  }
}

/// The length of one file of the list of done splits.
package struct DoneListMark: Sendable, Equatable, Codable {
  /// The number of the file.
  package var file: Int
  package var byteCount: Int

  package init(file: Int, byteCount: Int) {
    self.file = file
    self.byteCount = byteCount
  }

  enum CodingKeys: String, CodingKey {
    case file
    case byteCount = "byte_count"
  }
}
