internal import Codecs
internal import Dataflow
internal import Records

/// Formats a unit of records and compresses it into its own zstd frame.
///
/// No unit depends on another, so the bytes do not depend on the number of workers.
struct EncodeWorker: Worker {
  private let level: Int?
  private let pool: BlockPool?
  private let keepsOrigins: Bool

  /// - Parameters:
  ///   - level: the zstd level; nil leaves the output uncompressed.
  ///   - pool: takes the blocks that are not needed any more.
  ///   - keepsOrigins: whether the sink asks for the messages that the records came in.
  init(
    level: Int?, pool: BlockPool? = nil, keepsOrigins: Bool = false
  ) throws(CompressionError) {
    self.level = level
    self.pool = pool
    self.keepsOrigins = keepsOrigins
    // Reports a level that zstd refuses before the stream starts.
    WorkspacePool.shared.giveBack(try WorkspacePool.shared.take(level: level))
  }

  mutating func work(_ input: consuming OutputUnit) throws -> OutputUnit {
    var unit = input
    let workspace = try WorkspacePool.shared.take(level: level)
    defer { WorkspacePool.shared.giveBack(workspace) }
    let text = workspace.text
    if unit.startsStream {
      text.removeAll()
      unit.encoder?.encodePrologue(into: text)
      // Makes a frame even if it is empty: a file without any frame is not a zstd file.
      unit.prologue = try workspace.frame(keepsEmpty: true)
      unit.epilogue = try epilogue(of: unit.encoder, workspace)
    }
    text.removeAll()
    if let encoder = unit.encoder {
      var changes: [UInt8] = []
      for index in unit.blocks.indices {
        if keepsOrigins, addMessages(ofBlock: index, encoder, to: &unit, &changes) { continue }
        if level == nil, let pieces = encoder.pieces(of: unit.blocks[index]) {
          unit.pieces += pieces
        } else {
          encoder.encode(unit.blocks[index], into: text)
        }
        unit.records += unit.blocks[index].selectedRecords.count
      }
    }
    unit.bytes = try workspace.frame(keepsEmpty: false)
    unit.nextPrologue = try nextPrologue(of: unit, workspace)
    unit.byteCount = (unit.prologue?.count ?? 0) + unit.encodedByteCount + unit.events.byteCount
    // Releases the blocks before they go to the pool: the next user would copy memory with two owners.
    let spent = unit.blocks
    unit.blocks = []
    pool?.giveBack(spent)
    return unit
  }

  /// Adds the messages that records came in, and the bytes of a format that writes many records in a message.
  ///
  /// - Returns: whether it added the bytes too.
  private func addMessages(
    ofBlock index: Int, _ encoder: any RecordEncoder, to unit: inout OutputUnit,
    _ changes: inout [UInt8]
  ) -> Bool {
    let block = unit.blocks[index]
    guard let messages = encoder.messages(of: block, after: &changes) else {
      block.origins.add(block.selectedRecords, to: &unit.origins)
      return false
    }
    for message in messages {
      guard var origin = block.origins.origin(of: message.lastRecord) else { continue }
      // That of its first record.
      origin.part = (origin.part >> MessageOrigin.unitShift) << MessageOrigin.unitShift
      unit.origins.append(origin)
      unit.pieces.append(message.bytes)
    }
    unit.records += block.selectedRecords.count
    return true
  }

  /// The epilogue as it is written. One that reads the file is never compressed: `makeEncoder` refuses it.
  private func epilogue(
    of encoder: (any RecordEncoder)?, _ workspace: Workspace
  ) throws(CompressionError) -> (any Epilogue)? {
    guard let epilogue = encoder?.epilogue, !epilogue.needsFile else { return encoder?.epilogue }
    workspace.text.removeAll()
    workspace.text.append(epilogue.bytes)
    return FixedEpilogue(try workspace.frame(keepsEmpty: false))
  }

  private func nextPrologue(
    of unit: borrowing OutputUnit, _ workspace: Workspace
  ) throws(CompressionError) -> [UInt8]? {
    guard let encoder = unit.encoder else { return nil }
    for index in unit.blocks.indices.reversed() {
      workspace.text.removeAll()
      if encoder.encodePrologue(after: unit.blocks[index], into: workspace.text) {
        return try workspace.frame(keepsEmpty: true)
      }
    }
    return nil
  }
}

/// The buffers and the compressor for encoding one unit, some megabytes.
private struct Workspace {
  let level: Int?
  let compressor: ZstdCompressor?
  let text = ByteBuffer()

  init(level: Int?) throws(CompressionError) {
    self.level = level
    compressor = try level.map { level throws(CompressionError) in try ZstdCompressor(level: level)
    }
  }

  /// The text as a zstd frame, or unchanged without compression.
  func frame(keepsEmpty: Bool) throws(CompressionError) -> [UInt8] {
    guard text.count > 0 || keepsEmpty else { return [] }
    return try compressor?.compress(text.readable) ?? Array(text.readable)
  }
}

/// The workspaces of all streams. There are as many as units are encoded at once, not as many as streams.
private final class WorkspacePool: @unchecked Sendable {
  // @unchecked because `idle` is only touched with `lock` held.

  static let shared = WorkspacePool()

  /// The most idle workspaces that are kept for each level.
  private static let mostIdle = 16

  private let lock = Lock()
  private var idle: [Int?: [Workspace]] = [:]

  func take(level: Int?) throws(CompressionError) -> Workspace {
    let idleOne: Workspace? = lock.withLock {
      // Removes the array first, since a change in place would allocate on the heap.
      guard var idle = idle.removeValue(forKey: level) else { return nil }
      defer { self.idle[level] = idle }
      return idle.popLast()
    }
    if let idleOne { return idleOne }
    return try Workspace(level: level)
  }

  func giveBack(_ workspace: Workspace) {
    lock.withLock {
      var idle = idle.removeValue(forKey: workspace.level) ?? []
      if idle.count < Self.mostIdle { idle.append(workspace) }
      self.idle[workspace.level] = idle
    }
  }
}
