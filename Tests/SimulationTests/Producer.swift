import Storage
import Synthetic

/// Another program that writes what a stream reads, by steps that are drawn from a seed and do not depend
/// on the stream.
protocol Producer {
  typealias Step = ProducerStep<Self>

  var ledger: Ledger { get set }
  var steps: [Step] { get set }
  /// How many more times steps are drawn.
  var turns: Int { get set }
  static var directory: String { get }
  /// Draws what is done next.
  mutating func draw()
}

/// One thing that a producer does.
struct ProducerStep<Owner> {
  /// Whether the stream must have read everything and have a checkpoint of it before.
  var needsRest = false
  let body: (inout Owner, SimulatedFileSystem) throws -> Void
}

/// The files that a producer may destroy.
enum Loss: CaseIterable {
  case nothing
  /// Files that the stream is done with.
  case afterRest
  case anything
}

extension Producer {
  var isDone: Bool { steps.isEmpty && turns == 0 }

  /// Whether the next step waits for a rest of the stream.
  var needsRest: Bool { steps.first?.needsRest ?? false }

  /// Draws the next steps, if there are none.
  mutating func prepare() {
    while steps.isEmpty, turns > 0 {
      turns -= 1
      draw()
    }
  }

  /// Takes the next step.
  mutating func act(on disk: SimulatedFileSystem) throws {
    prepare()
    guard !steps.isEmpty else { return }
    let step = steps.removeFirst()
    try disk.outside(in: Self.directory) { try step.body(&self, $0) }
  }

  mutating func then(
    needsRest: Bool = false, _ body: @escaping (inout Self, SimulatedFileSystem) throws -> Void
  ) {
    steps.append(ProducerStep(needsRest: needsRest, body: body))
  }
}

extension SimulatedFileSystem {
  /// Writes to the end of a file, and closes it.
  func append(_ bytes: [UInt8], to path: String) throws {
    let file = try open(path, for: .updating)
    try file.seek(to: try file.status().size)
    try file.write(bytes)
    try file.close()
  }

  func contents(of path: String) throws -> [UInt8] {
    let file = try open(path, for: .reading)
    return try file.bytes(from: 0, count: try file.status().size)
  }
}
