import Configuration
import Operators
import Stream
import Synthetic
import TestSupport

/// Gradients of γ and β on a disk that every process of a simulation reads.
enum PartitionGradients {
  static let path = "/gradients/lines.ndjson"

  /// Gradients for one stream in two, each of which names its batch.
  ///
  /// They have a generator of their own, so that the rest of a simulation is the same with and without them.
  static func draw(
    seed: UInt64, _ configuration: inout StreamConfiguration
  ) -> SimulatedFileSystem? {
    var random = SplitMix64(seed: seed ^ 0x9ead)
    guard random.once(in: 2) else { return nil }
    configuration.operatorSettings[LearnSettings.optimizer] =
      LearnOptimizer.allCases[Int.random(in: 0..<3, using: &random)]
    configuration.operatorSettings[LearnSettings.learningRate] = 0.25
    configuration.operatorSettings[LearnSettings.maxStaleness] = 64
    var (text, batch) = ("", 1)
    for _ in 0..<Int.random(in: 1...40, using: &random) {
      batch += Int.random(in: 0...2, using: &random)
      let numbers = (0..<4).map { _ in Double(Int.random(in: -9...9, using: &random)) / 8 }
      text +=
        #"{"version":0,"weight_grad":[\#(numbers[0]),\#(numbers[1])],"#
        + #""bias_grad":[\#(numbers[2]),\#(numbers[3])],"after_batch":\#(batch)}"# + "\n"
    }
    let files = SimulatedFileSystem(seed: seed)
    try? files.install(path, Array(text.utf8))
    return files
  }
}
