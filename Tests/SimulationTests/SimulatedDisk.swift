import Storage
import Synthetic

/// A file or a directory that a name refers to.
enum SimulatedNode {
  case file(SimulatedInode)
  case directory(SimulatedDirectory)

  var number: UInt64 {
    switch self {
    case .file(let inode): inode.number
    case .directory(let directory): directory.number
    }
  }
}

/// The content of a file: what a reader sees, what a crash leaves for certain, and what came since.
final class SimulatedInode {
  enum Change {
    case write(offset: Int, bytes: [UInt8])
    case resize(Int)
  }

  let number: UInt64
  private(set) var visible: [UInt8]
  /// When the contents changed last.
  var modified = 0
  private var durable: [UInt8]
  private var unsynced: [Change] = []

  init(number: UInt64, durable: [UInt8] = []) {
    self.number = number
    self.durable = durable
    visible = durable
  }

  func apply(_ change: Change) {
    Self.apply(change, to: &visible)
    unsynced.append(change)
  }

  func sync() {
    for change in unsynced { Self.apply(change, to: &durable) }
    unsynced = []
  }

  /// A failed sync loses what was not synced: no later one makes it durable, whether readers still
  /// see it (clean pages in the cache) or not (they were evicted).
  func failSync(_ random: inout SplitMix64) {
    unsynced = []
    if Bool.random(using: &random) { visible = durable }
  }

  /// Keeps a random subset of the unsynced changes, writes in pieces, the last of which may be torn.
  func crash(_ random: inout SplitMix64) {
    let size = visible.count
    // All, none and something between are worth about as much.
    let odds = [0, 25, 50, 90, 100][Int.random(in: 0..<5, using: &random)]
    func survives() -> Bool { Int.random(in: 0..<100, using: &random) < odds }
    for change in unsynced {
      switch change {
      case .resize: if survives() { Self.apply(change, to: &durable) }
      case .write(let offset, let bytes):
        let pieces = Int.random(in: 1...4, using: &random)
        let length = (bytes.count + pieces - 1) / pieces
        for start in stride(from: 0, to: bytes.count, by: max(1, length)) where survives() {
          var piece = Array(bytes[start..<min(start + length, bytes.count)])
          let isTorn = Int.random(in: 0..<4, using: &random) == 0
          if isTorn { piece = Array(piece.prefix(Int.random(in: 0...piece.count, using: &random))) }
          Self.apply(.write(offset: offset + start, bytes: piece), to: &durable)
        }
      }
    }
    // The size may have come to the disk without the data.
    if !unsynced.isEmpty, size > durable.count, Int.random(in: 0..<4, using: &random) == 0 {
      Self.apply(.resize(size), to: &durable)
    }
    unsynced = []
    visible = durable
  }

  private static func apply(_ change: Change, to content: inout [UInt8]) {
    switch change {
    case .resize(let size):
      content = Array(content.prefix(size))
      content += Array(repeating: 0, count: size - content.count)
    case .write(let offset, let bytes):
      guard !bytes.isEmpty else { return }
      let end = offset + bytes.count
      if content.count < end { content += Array(repeating: 0, count: end - content.count) }
      content.replaceSubrange(offset..<end, with: bytes)
    }
  }
}

/// The names in a directory: those that are seen, those that a crash leaves for certain, and what
/// changed since, in order.
final class SimulatedDirectory {
  enum Change {
    case add(String, SimulatedNode)
    case remove(String)
    case rename(String, SimulatedNode, to: String)
  }

  let number: UInt64
  private(set) var visible: [String: SimulatedNode] = [:]
  private var durable: [String: SimulatedNode] = [:]
  private var unsynced: [Change] = []

  init(number: UInt64) { self.number = number }

  func apply(_ change: Change) {
    Self.apply(change, to: &visible)
    unsynced.append(change)
  }

  func sync() {
    for change in unsynced { Self.apply(change, to: &durable) }
    unsynced = []
  }

  /// Makes everything in the directory durable.
  func syncAll() {
    sync()
    for node in visible.values {
      switch node {
      case .file(let inode): inode.sync()
      case .directory(let directory): directory.syncAll()
      }
    }
  }

  /// Keeps some of the unsynced changes: a random number of the first ones, as a file system with a journal does, or
  /// any of them, as POSIX allows.
  func crash(_ random: inout SplitMix64) {
    let keepsOrder = Bool.random(using: &random)
    let count = keepsOrder ? Int.random(in: 0...unsynced.count, using: &random) : unsynced.count
    for change in unsynced.prefix(count) where keepsOrder || Bool.random(using: &random) {
      Self.apply(change, to: &durable)
    }
    unsynced = []
    visible = durable
    for name in durable.keys.sorted() {
      switch durable[name] {
      case .file(let inode): inode.crash(&random)
      case .directory(let directory): directory.crash(&random)
      case nil: break
      }
    }
  }

  private static func apply(_ change: Change, to names: inout [String: SimulatedNode]) {
    switch change {
    case .add(let name, let node): names[name] = node
    case .remove(let name): names[name] = nil
    case .rename(let name, let node, let newName):
      names[name] = nil
      names[newName] = node
    }
  }
}
