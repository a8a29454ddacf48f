import Foundation
import Glibc
import TestSupport
import Testing

/// Every decoder reads or refuses mutated input. It never traps, hangs or takes much memory.
@Suite(.serialized) struct FuzzTests {
  /// The most processor time of one input; a read takes a thousandth of it. A mutated width makes 100,000 features,
  /// and sanitizers make their names ten times slower.
  private static let mostSeconds = isSanitized ? 40.0 : 6.0
  /// The most memory that the inputs may add; an input of a few kilobytes takes less than a hundredth of it.
  private static let mostBytes = 1 << 30

  @Test(.timeLimit(.minutes(60)), arguments: FuzzTarget.all)
  func `mutated input is read or refused, within bounds of time and memory`(
    _ target: FuzzTarget
  ) throws {
    let dose = fuzzDose(shareOf: FuzzTarget.all.count)
    let seed = testSeed
    var random = SeededGenerator(seed: seed)
    let seeds = try target.seeds()
    let memory = try residentBytes()
    var read = 0
    for index in 0..<dose {
      let input = random.mutated(seeds[index % seeds.count], with: target.pieces)
      let began = threadSeconds()
      if target.read(input) { read += 1 }
      let seconds = threadSeconds() - began
      guard seconds < Self.mostSeconds else {
        try keep(input, of: target)
        Issue.record("\(target): \(seconds) s for input \(index), seed \(seed)")
        return
      }
      if index % 100 == 0 {
        let growth = try residentBytes() - memory
        guard growth < Self.mostBytes else {
          try keep(input, of: target)
          Issue.record("\(target): \(growth >> 20) MiB more by input \(index), seed \(seed)")
          return
        }
      }
    }
    print("\(target): \(dose) inputs, \(read) of them read whole, seed \(seed)")
    // Mutations that are all accepted test little.
    #expect(read < dose, "seed \(seed)")
  }

  @Test(arguments: FuzzTarget.all)
  func `the inputs that the mutations change are read`(_ target: FuzzTarget) throws {
    for (index, input) in try target.seeds().enumerated() {
      #expect(target.read(input), "seed input \(index)")
    }
  }

  /// Writes an input to a temporary file.
  private func keep(_ input: [UInt8], of target: FuzzTarget) throws {
    let path = FileManager.default.temporaryDirectory
      .appendingPathComponent("evenkeel-fuzz-\(target)-\(UUID().uuidString)")
    try Data(input).write(to: path)
    print("kept \(path.path)")
  }

  private func residentBytes() throws -> Int {
    let pages = try String(contentsOfFile: "/proc/self/statm", encoding: .utf8).split(
      separator: " ")
    return (Int(pages[1]) ?? 0) * Int(sysconf(Int32(_SC_PAGESIZE)))
  }
}
