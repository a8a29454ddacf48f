internal import Records

/// The message of a batch after its features were written.
extension ArrowBatch {
  /// Appends the message to `output`.
  ///
  /// The metadata is the old one, with other null counts. The body is the old one too, unless it is compressed or has
  /// no room for a new bitmap. With the name of a stamp, the versions of the rows go into the custom metadata.
  func appendMessage(to output: ByteBuffer, stamp: String? = nil) {
    var writer = FlatWriter(metadata)
    for (column, arrays) in zip(layout.columns, arrays) where arrays.nullCount != column.nullCount {
      writer.set(Int64(arrays.nullCount), at: column.node + 8)
    }
    let isRebuilt = layout.compression != .none || arrays.contains { $0.hasNewValidity }
    guard isRebuilt, let bodyLengthPlace else {
      output.append(ArrowMetadata.framed(versions.stamped(writer.bytes, as: stamp)))
      output.append(body)
      return
    }
    let newBody = ByteBuffer(capacity: body.count + body.count / 8)
    let replaced = replacedBuffers()
    let buffers = layout.compression == .none ? nil : ArrowBuffersPool.take()
    for index in 0..<layout.bufferCount {
      newBody.pad(to: alignment)
      let start = newBody.count
      if let bytes = replaced[index] {
        ArrowBuffers.append(bytes, layout.compression, to: newBody, by: buffers)
      } else {
        newBody.append(body[oldRange(index)])
      }
      let place = layout.buffersPlace + index * ArrowBatchLayout.structBytes
      writer.set(Int64(start), at: place)
      writer.set(Int64(newBody.count - start), at: place + 8)
    }
    if let buffers { ArrowBuffersPool.giveBack(buffers) }
    newBody.pad(to: 8)
    writer.set(Int64(newBody.count), at: bodyLengthPlace)
    output.append(ArrowMetadata.framed(versions.stamped(writer.bytes, as: stamp)))
    output.append(newBody.readable)
  }

  /// arrow-rs reads wide values without a copy only at a multiple of more than 8. Compressed ones are copied anyway.
  private var alignment: Int { layout.compression == .none ? 64 : 8 }

  /// The new bytes of buffers, by their index.
  private func replacedBuffers() -> [Int: [UInt8]] {
    var replaced: [Int: [UInt8]] = [:]
    for (column, arrays) in zip(layout.columns, arrays) {
      if let values = arrays.values { replaced[column.valuesIndex] = values }
      if let validity = arrays.validity, arrays.hasOtherNulls {
        replaced[column.validityIndex] = validity
      }
    }
    return replaced
  }

  /// The bytes of a buffer in the old body. The layout has checked them.
  private func oldRange(_ index: Int) -> Range<Int> {
    let place = layout.buffersPlace + index * ArrowBatchLayout.structBytes
    let writer = FlatWriter(metadata)
    let start = writer.integer(at: place)
    return start..<start + writer.integer(at: place + 8)
  }
}

extension ByteBuffer {
  /// Adds zeros until the count is a multiple of `alignment`, a power of two.
  func pad(to alignment: Int) {
    append([UInt8](repeating: 0, count: -count & (alignment - 1)))
  }
}
