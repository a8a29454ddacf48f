import Records
import State
import Storage
import TestSupport

/// A valid checkpoint of `count` features with any finite numbers.
func randomCheckpoint(_ count: Int, using random: inout SeededGenerator) -> Checkpoint {
  func finite(_ random: inout SeededGenerator) -> Double {
    let number = Double(bitPattern: random.next())
    return number.isFinite ? number : 0
  }
  func numbers(_ random: inout SeededGenerator) -> [Double] {
    (0..<count).map { _ in finite(&random) }
  }
  func counts(_ random: inout SeededGenerator) -> [Int] {
    (0..<count).map { _ in .random(in: 0...StateColumn.countLimit, using: &random) }
  }
  let odd = ["", "\"", "\\", "\n", "é", "😀", "\0", ",", "evenkeel.checksum\":\""]
  var checkpoint = Checkpoint(
    features: (0..<count).map { "\($0)\(odd.randomElement(using: &random) ?? "")" },
    settings: ["momentum": "\(finite(&random))", "odd \"": "\n", "bias_correction": "true"])
  checkpoint.weight = numbers(&random)
  checkpoint.bias = numbers(&random)
  checkpoint.runningMean = numbers(&random)
  checkpoint.runningVariance = numbers(&random).map(abs)
  checkpoint.batchesTracked = .random(in: 0...StateColumn.countLimit, using: &random)
  checkpoint.values = counts(&random).map(Double.init)
  checkpoint.batches = counts(&random)
  checkpoint.varianceValues = counts(&random).map(Double.init)
  checkpoint.varianceBatches = counts(&random)
  checkpoint.missing = counts(&random)
  checkpoint.clipped = counts(&random)
  checkpoint.stateVersion = .random(in: 0...StateColumn.countLimit, using: &random)
  checkpoint.parametersVersion = checkpoint.stateVersion / 2
  if Bool.random(using: &random) {
    var split = SplitCursor(
      split: "\u{1F30D}\"", byteOffset: .random(in: 0...StateColumn.countLimit, using: &random),
      records: StateColumn.countLimit)
    split.source = OpaqueBytes((0..<5).map { _ in UInt8.random(in: .min ... .max, using: &random) })
    checkpoint.input = InputCursor(splits: [split, SplitCursor(split: "")])
    checkpoint.input?.doneList = DoneListMark(file: 7, byteCount: 18)
  }
  return checkpoint
}
