import BatchNormalization
import Codecs
import Dataflow
import Features
import Synchronization
import Testing

@testable import Pipeline

@Suite struct StreamBoardTests {
  private let board = StreamBoard()

  private func stage() throws -> NormalizeStage {
    var stage = NormalizeStage(
      csvConfiguration { $0.normalization.mode = .running }, initial: nil, parameters: nil,
      checkpoints: .atEnd, board: board)
    let opening = StreamOpening(schema: try FeatureSchema(["x"]), prologue: [])
    try pass(.element(.opened(opening, at: nil)), to: &stage)
    return stage
  }

  private func pass(_ signal: Signal<IngestedItem>, to stage: inout NormalizeStage) throws {
    _ = try stage.step(signal) { _ in }
  }

  /// A mini-batch of one record.
  private func batch(_ value: Double, endingAt records: Int) -> RecordBatch {
    var features = FeatureBatch(featureCount: 1, capacity: 1, precision: .float64)
    features.withFloat64Columns { (values: inout [Double]) in values[0] = value }
    features.count = 1
    var batch = RecordBatch(features: features, end: StreamPosition(records: records))
    batch.cut()
    return batch
  }

  @Test func `who has the reply to a command sees what it changed`() throws {
    let replies = Mutex(0)
    var stage = try stage()
    try pass(.element(.records(batch(3, endingAt: 1))), to: &stage)
    func command(_ command: StreamCommand, _ isShown: @escaping @Sendable (StreamBoard) -> Bool)
      throws
    {
      let request = StreamRequest(command: command) { [board] answer in
        #expect(throws: Never.self) { try answer.get() }
        #expect(isShown(board), "\(command)")
        replies.withLock { $0 += 1 }
      }
      try pass(.element(.request(request)), to: &stage)
    }
    try command(.freeze) { $0.settings?.isFrozen == true }
    try command(.thaw) { $0.settings?.isFrozen == false && $0.features[0].values == 1 }
    try command(.reset) { $0.features[0].values == 0 }
    try command(.mode(.batch)) { $0.settings?.mode == .batch }
    try command(.parameters(weight: [2], bias: [5], features: nil)) {
      $0.features[0].weight == 2 && $0.features[0].bias == 5
    }
    #expect(replies.withLock { $0 } == 5)
  }

  @Test func `what is shown at the end is the end`() throws {
    var stage = try stage()
    for record in 1...3 {
      try pass(.element(.records(batch(Double(record), endingAt: record))), to: &stage)
    }
    try pass(.element(.ended(StreamPosition(records: 3), goesOn: false)), to: &stage)
    try pass(.end, to: &stage)
    #expect(board.position.records == 3)
    #expect(board.features[0].values == 3)
  }
}
