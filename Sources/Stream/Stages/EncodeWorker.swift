internal import Codecs
internal import Dataflow
internal import Records

/// Formats a unit of records and compresses it into a zstd frame of its own.
///
/// A unit depends on no other, so any number of workers give the same bytes.
struct EncodeWorker: Worker {
  private let level: Int?
  private let pool: BlockPool?

  /// - Parameters:
  ///   - level: the zstd level; nil leaves the output uncompressed.
  ///   - pool: takes the batches that are done with.
  init(level: Int?, pool: BlockPool? = nil) throws(CompressionError) {
    self.level = level
    self.pool = pool
    // A level that zstd refuses is told at once.
    WorkspacePool.shared.giveBack(try WorkspacePool.shared.take(level: level))
  }

  mutating func work(_ input: consuming RecordUnit) throws -> EncodedBlock {
    let workspace = try WorkspacePool.shared.take(level: level)
    defer { WorkspacePool.shared.giveBack(workspace) }
    let text = workspace.text
    var prologue: [UInt8]?
    if input.startsStream {
      text.removeAll()
      input.encoder?.encodePrologue(into: text)
      // A frame even when empty: what has no frame is no zstd file.
      prologue = try workspace.frame(keepsEmpty: true)
    }
    text.removeAll()
    var records = 0
    if let encoder = input.encoder {
      for index in input.blocks.indices {
        encoder.encode(input.blocks[index], into: text)
        records += input.blocks[index].selectedRecords.count
      }
    }
    let unit = EncodedBlock(
      prologue: prologue, bytes: try workspace.frame(keepsEmpty: false), records: records,
      cuts: input.cuts, events: input.events, barrier: input.barrier)
    // The unit lets go of them first: memory with two owners would be copied by its next user.
    let spent = input.blocks
    input.blocks = []
    pool?.giveBack(spent)
    return unit
  }
}

/// What encoding takes besides the unit, some megabytes.
private struct Workspace {
  let level: Int?
  let compressor: ZstdCompressor?
  let text = ByteBuffer()

  init(level: Int?) throws(CompressionError) {
    self.level = level
    compressor = try level.map { level throws(CompressionError) in try ZstdCompressor(level: level)
    }
  }

  /// The text as a frame, or as it is.
  func frame(keepsEmpty: Bool) throws(CompressionError) -> [UInt8] {
    guard text.count > 0 || keepsEmpty else { return [] }
    return try compressor?.compress(text.readable) ?? Array(text.readable)
  }
}

/// The workspaces of all streams: as many as work at once, however many streams there are.
private final class WorkspacePool: @unchecked Sendable {
  // @unchecked because `idle` is only touched with `lock` held.

  static let shared = WorkspacePool()

  /// So many of a level are kept for the next.
  private static let mostIdle = 16

  private let lock = Lock()
  private var idle: [Int?: [Workspace]] = [:]

  func take(level: Int?) throws(CompressionError) -> Workspace {
    let idleOne: Workspace? = lock.withLock {
      // Taken out: a change in place would allocate frames on the heap.
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
