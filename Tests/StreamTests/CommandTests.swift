import BatchNormalization
import Codecs
import Configuration
import Dataflow
import Operators
import Records
import Storage
import Synchronization
import TestSupport
import Testing

@testable import Stream

/// Commands to a stream, and the status that it shows.
@Suite struct CommandTests {
  private let snapshot = StreamSnapshot()

  private func stage(
    from initial: InitialState = InitialState()
  ) -> OperateStage {
    OperateStage(
      csvConfiguration { $0.normalization.mode = .running }, from: initial, snapshot: snapshot)
  }

  private func openedStage() throws -> OperateStage {
    var stage = stage()
    try pass(.element(.opened(opening())), to: &stage)
    return stage
  }

  private func opening() throws -> StreamOpening {
    StreamOpening(schema: try FeatureSchema(["x"]), prologue: [])
  }

  /// Gives the stage a signal.
  ///
  /// - Returns: the checkpoint that the stage emitted.
  @discardableResult
  private func pass(
    _ signal: Signal<IngestedItem>, to stage: inout OperateStage
  ) throws -> Checkpoint? {
    var checkpoint: Checkpoint?
    _ = try stage.step(signal) { checkpoint = $0.barrier?.checkpoint ?? checkpoint }
    return checkpoint
  }

  /// A mini-batch of one record.
  private func batch(_ value: Double, endingAt records: Int) -> RecordBlock {
    var features = FeatureColumns(featureCount: 1, capacity: 1, precision: .float64)
    features.withFloat64Columns { (values: inout [Double]) in values[0] = value }
    features.count = 1
    var batch = RecordBlock(columns: features, position: StreamPosition(records: records))
    batch.cut()
    return batch
  }

  @Test func `the status shows a change before the command is answered`() throws {
    let replies = Mutex(0)
    var stage = try openedStage()
    try pass(.element(.records(batch(3, endingAt: 1))), to: &stage)
    func command(_ command: StreamCommand, _ isShown: @escaping @Sendable (StreamSnapshot) -> Bool)
      throws
    {
      let request = StreamRequest(command, of: "test") { [snapshot] answer in
        #expect(throws: Never.self) { try answer.get() }
        #expect(isShown(snapshot), "\(command)")
        replies.withLock { $0 += 1 }
      }
      try pass(.element(.requests([request])), to: &stage)
    }
    try command(.update(StreamUpdate("freeze"))) { $0.settings?.isFrozen == true }
    try command(.update(StreamUpdate("thaw"))) {
      $0.settings?.isFrozen == false && $0.features[0]["values"] == 1
    }
    try command(.update(StreamUpdate("reset"))) { $0.features[0]["values"] == 0 }
    try command(.update(StreamUpdate("mode", ModeBody(mode: .batch)))) {
      $0.settings?.mode == .batch
    }
    try command(.update(StreamUpdate("parameters", ParametersBody(weight: [2], bias: [5])))) {
      $0.features[0]["weight"] == 2 && $0.features[0]["bias"] == 5
    }
    #expect(replies.withLock { $0 } == 5)
  }

  @Test func `a command before the start of a stream is carried out at the start`() throws {
    let replies = Mutex<[Bool]>([])
    let inbox = RequestInbox()
    func freeze() {
      inbox.put(
        StreamRequest(.update(StreamUpdate("freeze")), of: "test") { answer in
          replies.withLock { $0.append((try? answer.get()) != nil) }
        })
    }
    func ingest(_ text: String) throws -> IngestStage {
      try IngestStage(
        IngestContext(
          csvConfiguration { $0.decoder.features = [FeaturePattern("x")] },
          metrics: StreamMetrics(), inbox: inbox, clock: ManualClock().clock),
        source: PieceSource(Array(text.utf8), piece: .max, isLive: true))
    }
    var stage = stage()
    var source = try ingest("k,x\na,1\n")
    freeze()
    var hasOpened = false
    while replies.withLock({ $0.isEmpty }) {
      var items: [IngestedItem] = []
      _ = try source.step(.resume) { items.append($0) }
      for item in items {
        if case .opened = item { hasOpened = true }
        try pass(.element(item), to: &stage)
      }
    }
    #expect(hasOpened && replies.withLock { $0 } == [true])
    #expect(snapshot.settings?.isFrozen == true)
    // A run that ends before its start refuses it.
    source = try ingest("")
    freeze()
    while try source.step(.end, emit: { _ in }) != .finished {}
    #expect(replies.withLock { $0 } == [true, false])
    freeze()
    #expect(replies.withLock { $0 } == [true, false, false])
  }

  @Test func `a step of learning waits for the next checkpoint, another change makes one due`()
    throws
  {
    let inbox = RequestInbox()
    var source = try IngestStage(
      IngestContext(
        csvConfiguration {
          $0.decoder.features = [FeaturePattern("x")]
          $0.batch.size = 1
        },
        schedule: CheckpointSchedule(intervalSeconds: 10), metrics: StreamMetrics(), inbox: inbox,
        clock: ManualClock().clock),
      source: PieceSource(Array("x\n1\n".utf8), piece: .max, isLive: true))
    /// Steps until the source is idle.
    func barriers() throws -> Int {
      var (count, isIdle) = (0, false)
      while !isIdle {
        _ = try source.step(.resume) { item in
          switch item {
          case .barrier: count += 1
          case .idle: isIdle = true
          default: break
          }
        }
      }
      return count
    }
    func put(_ update: StreamUpdate) {
      inbox.put(StreamRequest(.update(update), of: "test") { _ in })
    }
    _ = try barriers()
    put(StreamUpdate("gradients", GradientsBody(version: 0, weight: [1], bias: [1])))
    #expect(try barriers() == 0)
    put(StreamUpdate("freeze"))
    #expect(try barriers() == 1)
  }

  @Test
  func `steps of learning that come together are made in their order, shown once, and answered`()
    throws
  {
    let answers = Mutex<[String]>([])
    var stage = OperateStage(
      csvConfiguration {
        $0.operatorSettings[LearnSettings.optimizer] = .sgd
        $0.operatorSettings[LearnSettings.learningRate] = 1
        $0.operatorSettings[LearnSettings.maxStaleness] = 1
      }, from: InitialState(), snapshot: snapshot)
    try pass(.element(.opened(opening())), to: &stage)
    let requests = [0, 1, 0, 2].map { version in
      let body = GradientsBody(version: version, weight: [0], bias: [-1])
      return StreamRequest(.update(StreamUpdate("gradients", body)), of: "test") { [snapshot] in
        var text: String
        switch $0 {
        case .success(.done(let versions)): text = "\(versions?.parameters ?? -1)"
        case .success: text = "other"
        case .failure(.refused(let error)) where error.cause is StaleGradients: text = "stale"
        case .failure: text = "refused"
        }
        // The changes of all of them are shown before the first answer.
        if snapshot.parametersVersion != 3 || snapshot.features[0]["bias"] != 3 { text += " early" }
        answers.withLock { $0.append(text) }
      }
    }
    try pass(.element(.requests(requests)), to: &stage)
    #expect(answers.withLock { $0 } == ["1", "2", "stale", "3"])
  }

  @Test func `requests that wait for a batch go on together`() throws {
    let inbox = RequestInbox()
    var source = try IngestStage(
      IngestContext(
        csvConfiguration { $0.decoder.features = [FeaturePattern("x")] },
        metrics: StreamMetrics(), inbox: inbox, clock: ManualClock().clock),
      source: PieceSource(Array("x\n1\n2\n3\n4\n".utf8), piece: .max, isLive: true))
    for version in 0..<5 {
      let body = GradientsBody(version: version, weight: [0], bias: [-1])
      inbox.put(StreamRequest(.update(StreamUpdate("gradients", body)), of: "test") { _ in })
    }
    var groups: [Int] = []
    for _ in 0..<20 {
      _ = try source.step(.resume) { item in
        if case .requests(let requests) = item { groups.append(requests.count) }
      }
    }
    #expect(groups == [5])
  }

  @Test func `the status shows the initial state before the first record`() throws {
    let configuration = csvConfiguration { $0.normalization.mode = .running }
    let run = try SerialRun(configuration, csv([("x", [1, 2, 3, 4, 5])]))
    let checkpoint = try #require(run.checkpoint)
    var initial = InitialState(checkpoint: checkpoint, cursor: checkpoint.input)
    stage(from: initial).showStart()
    #expect(snapshot.position.records == 5)
    #expect(snapshot.settings?.mode == .running)
    #expect(snapshot.features.map(\.name) == ["x"])
    #expect(snapshot.features[0]["mean"] == checkpoint.runningMean[0])
    #expect(snapshot.features[0]["values"] == 5)
    // Given γ and β take precedence.
    initial.parameters = Parameters(features: ["x"], weight: [2], bias: [5])
    stage(from: initial).showStart()
    #expect(snapshot.features[0]["weight"] == 2 && snapshot.features[0]["bias"] == 5)
    #expect(snapshot.features[0]["values"] == 5)
  }

  @Test func `the status shows nothing of a checkpoint that the run refuses`() throws {
    var checkpoint = try #require(
      try SerialRun(csvConfiguration(), csv([("x", [1, 2])])).checkpoint)
    checkpoint.settings["momentum"] = "0.5"
    stage(from: InitialState(checkpoint: checkpoint, cursor: checkpoint.input)).showStart()
    #expect(snapshot.features.isEmpty && snapshot.position.records == 0)
  }

  @Test func `thawed moments have the settings of the run`() throws {
    var before = try #require(
      try SerialRun(csvConfiguration(), csv([("x", [1, 2, 3, 4, 5])])).checkpoint)
    before.adoptedBy = ["momentum": "0.5"]
    let configuration = csvConfiguration {
      $0.normalization.momentum = .weight(0.5)
      $0.normalization.isFrozen = true
    }
    var stage = OperateStage(configuration, from: InitialState(checkpoint: before))
    try pass(.element(.opened(opening())), to: &stage)
    func checkpoint() throws -> Checkpoint {
      try #require(try pass(.element(.barrier(Barrier(input: InputCursor()))), to: &stage))
    }
    let standing = try checkpoint()
    #expect(standing.settings["momentum"] == before.settings["momentum"])
    #expect(standing.adoptedBy == before.adoptedBy)
    try pass(
      .element(
        .requests([StreamRequest(.update(StreamUpdate("thaw")), of: "test") { _ in }])),
      to: &stage)
    let moved = try checkpoint()
    #expect(moved.settings["momentum"] == "0.5" && moved.adoptedBy == nil)
  }

  @Test func `the status shows the last record at the end`() throws {
    var stage = try openedStage()
    for record in 1...3 {
      try pass(.element(.records(batch(Double(record), endingAt: record))), to: &stage)
    }
    try pass(.element(.ended(goesOn: false)), to: &stage)
    try pass(.end, to: &stage)
    #expect(snapshot.position.records == 3)
    #expect(snapshot.features[0]["values"] == 3)
  }
}
