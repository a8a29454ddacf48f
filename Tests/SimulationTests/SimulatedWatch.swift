import Storage
import Synthetic

/// Tells the changes of a simulated file system; like inotify(7), it forgets them when too many wait.
final class SimulatedWatch: FileWatch, @unchecked Sendable {
  // @unchecked because a simulation runs on one thread.

  /// Events are lost when as many wait.
  private static let mostWaiting = 40

  let descriptor: Int32 = -1
  private let fileSystem: SimulatedFileSystem
  private var watched: [Int32: (number: UInt64, events: FileEvents)] = [:]
  private var last: Int32 = 0
  private var waiting: [FileEvent] = []

  init(in fileSystem: SimulatedFileSystem) { self.fileSystem = fileSystem }

  func watch(_ path: String, for events: FileEvents) throws(FileError) -> Int32 {
    let number = try fileSystem.number(of: path)
    let known = watched.first { $0.value.number == number }?.key
    if known == nil { last += 1 }
    watched[known ?? last] = (number, events)
    return known ?? last
  }

  func forget(_ watch: Int32) { watched[watch] = nil }

  /// Whether the descriptor could be read.
  var hasEvents: Bool { !waiting.isEmpty }

  func events() throws(FileError) -> [FileEvent] {
    defer { waiting = [] }
    return waiting
  }

  /// Takes a change of the file or directory with this number, if it is watched for it.
  func notice(
    _ number: UInt64, _ events: FileEvents, name: String, _ random: inout SplitMix64
  ) {
    for (watch, asked) in watched where asked.number == number {
      let told = asked.events.intersection(events)
      guard !told.isEmpty else { continue }
      if waiting.count >= Self.mostWaiting || Int.random(in: 0..<200, using: &random) == 0 {
        waiting = [FileEvent(watch: -1, events: .overflow)]
      } else {
        waiting.append(FileEvent(watch: watch, events: told, name: name))
      }
    }
  }
}

/// A watch that ends when its process lets it go.
struct WeakWatch {
  weak var watch: SimulatedWatch?
}
