internal import Records

/// The end of an Arrow file: the end mark, and the footer with the places of the messages in the file.
///
/// It reads the prefix and the metadata of each message, so a file that several runs wrote gets one footer.
struct ArrowFileEnd: Epilogue {
  private enum Phase {
    /// The prefix of the message at `offset` is read next.
    case prefix
    /// Its metadata is read next; the prefix has this many bytes.
    case metadata(prefixBytes: Int, metadataBytes: Int)
    /// The file has no other message.
    case done
  }

  private var phase = Phase.prefix
  private var offset = ArrowFooter.fileStart.count
  private var schema: [UInt8]?
  private var dictionaries: [ArrowBlock] = []
  private var batches: [ArrowBlock] = []

  var needsFile: Bool { true }

  mutating func wants(ofBytes byteCount: Int) -> Range<Int>? {
    switch phase {
    case .prefix:
      guard byteCount - offset >= 8 else { return nil }
      return offset..<offset + 8
    case .metadata(let prefixBytes, let metadataBytes):
      let start = offset + prefixBytes
      guard byteCount - start >= metadataBytes else { return nil }
      return start..<start + metadataBytes
    case .done: return nil
    }
  }

  mutating func take(_ bytes: [UInt8]) {
    // The file has what this program wrote. Anything else ends the list.
    do throws(RecordFault) {
      try read(bytes)
    } catch {
      phase = .done
    }
  }

  private mutating func read(_ bytes: [UInt8]) throws(RecordFault) {
    switch phase {
    case .prefix:
      let start = try FlatBytes.read(bytes) { view throws(RecordFault) in
        try ArrowFrame.start(of: view)
      }
      guard case .message(let prefixBytes, let metadataBytes) = start else {
        phase = .done
        return
      }
      phase = .metadata(prefixBytes: prefixBytes, metadataBytes: metadataBytes)
    case .metadata(let prefixBytes, let metadataBytes):
      let (kind, bodyBytes) = try FlatBytes.read(bytes) { view throws(RecordFault) in
        let message = try ArrowMessage(view, bodyLimit: .max)
        return (message.kind, message.bodyBytes)
      }
      let block = ArrowBlock(
        offset: offset, headBytes: prefixBytes + metadataBytes, bodyBytes: bodyBytes)
      switch kind {
      case .schema: schema = bytes
      case .dictionaryBatch: dictionaries.append(block)
      case .recordBatch: batches.append(block)
      }
      offset = block.end
      phase = .prefix
    case .done: break
    }
  }

  var bytes: [UInt8] {
    guard let schema,
      let footer = try? ArrowMetadata.footer(
        around: schema, dictionaries: dictionaries, batches: batches)
    else { return ArrowEncoder.endMark }
    var writer = FlatWriter(ArrowEncoder.endMark)
    writer.append(footer)
    writer.append(UInt32(footer.count))
    writer.append(ArrowFooter.magic)
    return writer.bytes
  }
}
