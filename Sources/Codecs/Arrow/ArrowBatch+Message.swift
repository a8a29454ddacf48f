internal import Records

/// The message of a batch after its features were written.
extension ArrowBatch {
  /// Takes the message out, in pieces. The batch has no values after that.
  ///
  /// The metadata is the old one, with other null counts. The body is the old one too, unless it is compressed or has
  /// no room for a new bitmap. With the name of a stamp, the versions of the rows go into the custom metadata. With a
  /// projection, only its columns go out.
  func takeMessage(stamp: String? = nil, _ projection: ArrowProjection? = nil) -> [[UInt8]] {
    let memory = takeMemory()
    var writer = FlatWriter(metadata)
    for (column, nulls) in zip(layout.columns, nulls) where nulls.count != column.nullCount {
      writer.set(Int64(nulls.count), at: column.node + 8)
    }
    var body = memory.values
    if layout.compression != .none || nulls.contains(where: { $0.newBitmap != nil }),
      let bodyLengthPlace
    {
      body = newBody(memory, &writer)
      writer.set(Int64(body.count), at: bodyLengthPlace)
    }
    var metadata = writer.bytes
    if let projection {
      (metadata, body) = projection.batch(
        metadata, body, isCompressed: layout.compression != .none)
    }
    return [ArrowMetadata.framed(versions.stamped(metadata, as: stamp)), body]
  }

  /// A buffer of the new body.
  private enum Source {
    /// Bytes that go out as they are.
    case kept(ArraySlice<UInt8>)
    /// Bytes that get the compression of the body.
    case changed(ArraySlice<UInt8>)
  }

  /// The body with all buffers one after another, and their offsets in the metadata.
  private func newBody(_ memory: Memory, _ writer: inout FlatWriter) -> [UInt8] {
    let compression = layout.compression
    // arrow-rs reads wide values without a copy only at a multiple of more than 8. Compressed ones are copied anyway.
    let alignment = compression == .none ? 64 : 8
    let sources = sources(memory)
    let capacity = sources.reduce(8) { sum, source in
      switch source {
      case .kept(let bytes): sum + bytes.count + alignment
      case .changed(let bytes):
        sum + ArrowBuffers.bound(of: bytes.count, compression) + alignment
      }
    }
    let buffers = compression == .none ? nil : ArrowBuffersPool.take()
    defer { if let buffers { ArrowBuffersPool.giveBack(buffers) } }
    return ArrowBodyRoom.bytes(capacity: capacity) { room in
      for (index, source) in sources.enumerated() {
        room.pad(to: alignment)
        let start = room.count
        switch source {
        case .kept(let bytes): room.append(bytes)
        case .changed(let bytes): room.append(bytes, compression, by: buffers)
        }
        let place = layout.buffersPlace + index * ArrowBatchLayout.structBytes
        writer.set(Int64(start), at: place)
        writer.set(Int64(room.count - start), at: place + 8)
      }
      room.pad(to: 8)
    }
  }

  /// All buffers of the new body.
  private func sources(_ memory: Memory) -> [Source] {
    var changed: [Int: ArraySlice<UInt8>] = [:]
    let isCompressed = layout.compression != .none
    for (index, column) in layout.columns.enumerated() {
      if isCompressed { changed[column.valuesIndex] = memory.values[memory.places[index].values] }
      guard nulls[index].hasOthers else { continue }
      if let bitmap = nulls[index].newBitmap {
        changed[column.validityIndex] = bitmap[...]
      } else if isCompressed, let range = memory.places[index].validity {
        changed[column.validityIndex] = memory.values[range]
      }
    }
    let opened = Set(layout.columns.map(\.valuesIndex))
    var end = 0
    return (0..<layout.bufferCount).map { index in
      var range = layout.buffer(index, in: metadata)
      if isCompressed, !opened.contains(index) {
        range = end..<end + range.count
        end = range.upperBound
      }
      if let bytes = changed[index] { return .changed(bytes) }
      return .kept(isCompressed ? memory.rest[range] : memory.values[range])
    }
  }
}

extension ByteBuffer {
  /// Adds zeros until the count is a multiple of `alignment`, a power of two.
  func pad(to alignment: Int) {
    append([UInt8](repeating: 0, count: -count & (alignment - 1)))
  }
}
