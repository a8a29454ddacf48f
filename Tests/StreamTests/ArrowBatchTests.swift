import BatchNormalization
import Configuration
import Dataflow
import Operators
import Records
import TestSupport
import Testing

@testable import Codecs
@testable import Stream

/// Record batches as mini-batches, and the versions that they tell.
@Suite struct ArrowBatchTests {
  private func configuration(
    batchSize: Int = 10, _ change: (inout StreamConfiguration) -> Void = { _ in }
  ) -> StreamConfiguration {
    var configuration = StreamConfiguration(name: "test", format: .arrow)
    configuration.batch.size = batchSize
    configuration.decoder.features = ["x", "y"].map { FeaturePattern($0) }
    change(&configuration)
    return configuration
  }

  /// The stamps of record batches of 24 rows in mini-batches of 10, 10 and 4.
  private func stamps(first: Int) -> [String] {
    (0..<3).map { batch in
      let marks = (0..<3).map { cut in
        #"{"row":\#(10 * cut),"state_version":\#(3 * batch + cut + first),"parameters_version":0}"#
      }
      return "[" + marks.joined(separator: ",") + "]"
    }
  }

  @Test(arguments: ["pyarrow-none.arrows", "pyarrow-zstd.arrows"], [false, true])
  func `a record batch tells the versions of its rows, and nothing else changes`(
    name: String, isFile: Bool
  ) throws {
    let input = try ArrowInput.golden(name)
    let plain = try SerialRun(
      configuration {
        $0.decoder.settings[ArrowSettings.container] = isFile ? .file : .stream
      }, input)
    let stamped = try SerialRun(
      configuration {
        $0.decoder.settings[ArrowSettings.container] = isFile ? .file : .stream
        $0.decoder.settings[RecordSettings.stamp] = "ek"
      }, input)
    let before = try ArrowInput.messages(plain.output)
    let after = try ArrowInput.messages(stamped.output)
    #expect(before.map(\.kind) == after.map(\.kind))
    var found: [String] = []
    for (old, new) in zip(before, after) {
      guard old.kind == .recordBatch else {
        #expect(old.bytes == new.bytes)
        continue
      }
      var metadata = try ArrowInput.customMetadata(new.bytes)
      found.append(metadata.removeValue(forKey: "ek") ?? "")
      #expect(try ArrowInput.customMetadata(old.bytes) == metadata)
      // The old metadata and the body follow the new table.
      let rest = old.bytes.dropFirst(8)
      #expect(new.bytes.suffix(rest.count) == rest)
    }
    #expect(found == stamps(first: 0))
  }

  @Test func `a batch that has a part in its own normalising tells the version after it`() throws {
    let run = try SerialRun(
      configuration {
        $0.decoder.settings[RecordSettings.stamp] = "ek"
        $0.normalization.mode = .batch
      }, try ArrowInput.golden("pyarrow-none.arrows"))
    let batches = try ArrowInput.messages(run.output).filter { $0.kind == .recordBatch }
    #expect(try batches.map { try ArrowInput.customMetadata($0.bytes)["ek"] } == stamps(first: 1))
  }

  @Test func `frozen moments have one version, also in Arrow from text`() throws {
    let csv = StreamConfiguration(name: "test", format: .csv)
    var there = csv
    there.outputFormat = .arrow
    there.decoder.settings[RecordSettings.stamp] = "ek"
    there.normalization.isFrozen = true
    there.batch.size = 2
    let run = try SerialRun(there, Array("a,b\n1,2\n3,4\n5,6\n7,8\n9,9\n".utf8))
    let batches = try ArrowInput.messages(run.output).filter { $0.kind == .recordBatch }
    let expected = #"[{"row":0,"state_version":0,"parameters_version":0}]"#
    #expect(batches.count == 1)
    #expect(try batches.map { try ArrowInput.customMetadata($0.bytes) } == [["ek": expected]])
  }

  @Test(arguments: ["pyarrow-none.arrows", "pyarrow-zstd.arrows"])
  func `a record batch tells the row from which on other γ and β are in force`(
    name: String
  ) throws {
    let configuration = configuration {
      $0.decoder.settings[RecordSettings.stamp] = "ek"
      $0.normalization.mode = .running
    }
    var ingest = try IngestStage(
      IngestContext(
        configuration, metrics: StreamMetrics(), inbox: RequestInbox(), clock: ManualClock().clock),
      source: PieceSource(ArrowInput.golden(name), piece: .max, isLive: false))
    var items: [IngestedItem] = []
    while try ingest.step(.resume, emit: { items.append($0) }) != .finished {}
    var operate = OperateStage(configuration, from: InitialState())
    var units: [OutputUnit] = []
    func pass(_ item: IngestedItem) throws {
      _ = try operate.step(.element(item)) { units.append($0) }
    }
    // IngestStage lets an update in between two record batches. It is passed in after each cut of the first one here.
    var updates: [StreamUpdate] = [
      StreamUpdate("parameters", ParametersBody(weight: [2, 2], bias: [1, 1])),
      StreamUpdate("parameters", ParametersBody(weight: [3, 3], bias: [1, 1])),
    ]
    for item in items {
      guard case .records(let block) = item else {
        try pass(item)
        continue
      }
      var start = BlockOffset()
      for cut in block.cuts {
        var piece = block.part(start..<cut.end)
        piece.position = cut.position
        if piece.cuts.isEmpty { piece.cut() }
        start = cut.end
        try pass(.records(piece))
        guard !updates.isEmpty else { continue }
        let request = StreamRequest(.update(updates.removeFirst()), of: "test") { answer in
          #expect(throws: Never.self) { try answer.get() }
        }
        try pass(.requests([request]))
      }
    }
    _ = try operate.step(.end) { units.append($0) }
    var worker = try EncodeWorker(level: nil)
    var output: [UInt8] = []
    for unit in units {
      let encoded = try worker.work(unit)
      output += (encoded.prologue ?? []) + encoded.bytes + encoded.pieces.joined()
    }
    let batches = try ArrowInput.messages(output).filter { $0.kind == .recordBatch }
    let marks = [(0, 0, 0), (10, 2, 2), (20, 4, 4)].map {
      #"{"row":\#($0.0),"state_version":\#($0.1),"parameters_version":\#($0.2)}"#
    }
    let second = [(0, 5, 4), (10, 6, 4), (20, 7, 4)].map {
      #"{"row":\#($0.0),"state_version":\#($0.1),"parameters_version":\#($0.2)}"#
    }
    #expect(
      try batches.prefix(2).map { try ArrowInput.customMetadata($0.bytes)["ek"] } == [
        "[" + marks.joined(separator: ",") + "]", "[" + second.joined(separator: ",") + "]",
      ])
  }

  @Test func `custom metadata that has the name of the stamp is refused`() throws {
    let stamped = configuration { $0.decoder.settings[RecordSettings.stamp] = "ek" }
    let first = try SerialRun(stamped, try ArrowInput.golden("pyarrow-none.arrows")).output
    let error = #expect(throws: StreamError.self) { try SerialRun(stamped, first) }
    #expect(error.map { "\($0)" }?.contains("without custom metadata 'ek'") == true)
    // Another name stands beside it.
    let second = try SerialRun(
      configuration { $0.decoder.settings[RecordSettings.stamp] = "next" }, first)
    let batch = try #require(
      try ArrowInput.messages(second.output).first { $0.kind == .recordBatch })
    #expect(try ArrowInput.customMetadata(batch.bytes).keys.contains("ek"))
    #expect(try ArrowInput.customMetadata(batch.bytes).keys.contains("next"))
  }

  @Test(arguments: [MissingPolicy.keep, .impute], ["pyarrow-none.arrows", "pyarrow-zstd.arrows"])
  func `nulls become values on request alone`(policy: MissingPolicy, name: String) throws {
    let run = try SerialRun(
      configuration {
        $0.decoder.onMissing = policy
        $0.normalization.imputesMissing = policy == .impute
      }, try ArrowInput.golden(name))
    let messages = try ArrowInput.messages(run.output)
    let schema = try ArrowMetadata.schema(
      of: ArrowMetadata.firstMessage(of: messages[0].bytes), DecoderLimits())
    let features = try ArrowFeatures(
      ["x", "y"].map { FeaturePattern($0) }, of: schema, limits: DecoderLimits())
    for message in messages where message.kind == .recordBatch {
      let metadata = try ArrowMetadata.firstMessage(of: message.bytes)
      let layout = try FlatBytes.read(metadata) { view throws(RecordFault) in
        try ArrowBatchLayout(
          ArrowMessage(view, bodyLimit: .max), schema: schema, features: features,
          byteLimit: 1 << 20)
      }
      #expect(layout.columns.allSatisfy { ($0.nullCount == 0) == (policy == .impute) })
    }
  }

  // MARK: Mini-batches

  @Test func `each record batch is a mini-batch, of any size`() throws {
    let input = try ArrowInput.batches([10_000, 3, 1, 4097, 10])
    for piece in [1000, Int.max] {
      let run = try SerialRun(configuration { $0.batch.isRecordBatch = true }, input, piece: piece)
      #expect(run.batchSizes == [10_000, 3, 1, 4097, 10])
      #expect(try ArrowInput.messages(run.output).count == 6)
    }
  }

  @Test func `a record batch gives what a mini-batch of its size gives`() throws {
    let input = try ArrowInput.batches([6000, 6000, 6000])
    let byCount = try SerialRun(
      configuration(batchSize: 6000) { $0.normalization.mode = .batch }, input)
    let byBatch = try SerialRun(
      configuration {
        $0.normalization.mode = .batch
        $0.batch.isRecordBatch = true
      }, input)
    #expect(byCount.output.count > 200_000 && byBatch.output == byCount.output)
  }

  @Test func `small record batches share a block, and stay mini-batches`() throws {
    let rows = (0..<500).map { $0 % 5 }
    let run = try SerialRun(
      configuration { $0.batch.isRecordBatch = true }, try ArrowInput.batches(rows))
    #expect(run.batchSizes.filter { $0 > 0 } == rows.filter { $0 > 0 })
  }

  @Test func `a record batch above the limit is refused`() throws {
    let input = try ArrowInput.batches([5, 20_000])
    let error = #expect(throws: StreamError.self) {
      try SerialRun(
        configuration {
          $0.batch.isRecordBatch = true
          $0.batch.maxBytes = 200_000
        }, input)
    }
    #expect(error.map { "\($0)" }?.contains("write smaller record batches") == true)
  }
}
