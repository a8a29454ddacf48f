/// The position from which a later run goes on with the input: all that a checkpoint says of it.
package struct InputCursor: Sendable, Equatable, Codable {
  /// The splits that are open, in the order in which they are read on.
  package var splits: [SplitCursor]
  /// The opening of the stream, once it is known.
  package var opening: StreamOpening?
  /// The format, its settings and the choice of features that the opening was read by, as text.
  package var form: String
  /// The source's own note of the splits that are done; nil if nothing can be read again.
  package var done: OpaqueBytes?
  /// How far the list of the splits that are done had come, if the source keeps one.
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

  /// Whether a later source can read again what follows the cursors.
  package var isReplayable: Bool { done != nil }

  /// The records taken from the open splits.
  package var records: Int { splits.reduce(0) { $0 + $1.records } }

  enum CodingKeys: String, CodingKey {
    case splits, opening, form, done
    case doneList = "done_list"
  }
}

/// The position from which a later run goes on with one split: between two of its records.
package struct SplitCursor: Sendable, Equatable, Codable {
  /// The name of the split within its source, such as that of a file.
  package var split: String
  /// Leads the source to the split and the offset in it; nil if it cannot read it again.
  package var source: OpaqueBytes?
  /// The offset at which decompressing starts; nil for bytes that are not compressed.
  package var container: ContainerOffset?
  /// The decompressed bytes before the cursor.
  package var byteOffset: Int
  /// The records taken, rejected ones included.
  package var records: Int
  /// The format's own note, which it needs to go on.
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

  /// The offset in the bytes of the source, from which it must give them again.
  package var sourceOffset: Int { container?.offset ?? byteOffset }

  enum CodingKeys: String, CodingKey {
    case split, source, container, records, decoder
    case byteOffset = "byte_offset"
  }
}

/// An offset at which decompressing can start, such as that of a zstd frame, and the decompressed bytes
/// between it and a cursor.
package struct ContainerOffset: Sendable, Equatable, Codable {
  /// In the compressed bytes.
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

/// A length of one of the files in which the splits that are done are listed.
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
