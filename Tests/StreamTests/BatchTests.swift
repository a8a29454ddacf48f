import BatchNormalization
import Codecs
import Dataflow
import Records
import Storage
import TestSupport
import Testing

@testable import Stream

@Suite struct BatchTests {
  private func numbered(_ count: Int) -> [UInt8] {
    csv([("x", (0..<count).map { Double($0 * $0 % 101) })])
  }

  private func keys(_ run: SerialRun) -> [String] {
    run.lines.dropFirst().filter { !$0.isEmpty }.map { String($0.prefix { $0 != "," }) }
  }

  // MARK: Cutting

  @Test func `batches that precede a bad record are emitted before it ends the stream`() throws {
    var ingest = try IngestStage(
      IngestContext(
        csvConfiguration(), metrics: StreamMetrics(), inbox: RequestInbox(),
        clock: ManualClock().clock),
      source: PieceSource(numbered(10) + Array("k,x\n".utf8), piece: .max, isLive: false))
    var sizes: [Int] = []
    #expect(throws: StreamError.self) {
      while true {
        let progress = try ingest.step(.resume) { item in
          if case .records(let records) = item { sizes += records.sizes }
        }
        if progress == .finished { break }
      }
    }
    // Those of the batch under way are lost with it, and read again by a later run.
    #expect(sizes == [4, 4])
  }

  @Test func `a stream that stops at a bad record resumes in the frame in which the record begins`()
    throws
  {
    let good = numbered(6)
    let frames = try framed(good + Array("b".utf8), count: 1) + framed(Array("ad\n".utf8), count: 1)
    var configuration = csvConfiguration { $0.badRecords = .fail }
    configuration.decoder.features = [FeaturePattern("x")]
    configuration.isLive = true
    var ingest = try IngestStage(
      IngestContext(
        configuration, schedule: CheckpointSchedule(everyBatches: 1), metrics: StreamMetrics(),
        inbox: RequestInbox(), clock: ManualClock().clock),
      source: PieceSource(frames, piece: .max, isLive: true))
    var cursors: [SplitCursor] = []
    #expect(throws: StreamError.self) {
      for _ in 0..<100 {
        _ = try ingest.step(.resume) { item in
          if case .barrier(let barrier) = item { cursors = barrier.input.splits }
        }
      }
    }
    #expect(cursors.map(\.records) == [6])
    #expect(cursors.map(\.container?.bytesWithin) == [good.count])
  }

  @Test(arguments: [
    (8, [4, 4]), (9, [4, 4, 1]), (3, [3]), (1, [1]), (0, []),
  ])
  func `batches have the size asked for and the last one what is left`(
    records: Int, sizes: [Int]
  ) throws {
    let run = try SerialRun(
      csvConfiguration { $0.decoder.features = [FeaturePattern("x")] }, numbered(records))
    #expect(run.batchSizes == sizes)
    #expect(run.metrics.batches == sizes.count)
    #expect(run.metrics.records == records)
    #expect(run.checkpoint?.batchesTracked == sizes.count)
    #expect(run.checkpoint?.values == [Double(records)])
  }

  @Test func `a last line without an end is a record`() throws {
    let run = try SerialRun(csvConfiguration(), numbered(5).dropLast())
    #expect(run.batchSizes == [4, 1])
    #expect(run.output.last != 0x0A)
  }

  @Test func `blank lines are no records and pass where they stand`() throws {
    let text = "k,x\n\na,1\n\n\nb,2\nc,3\n\nd,4\ne,5\n\n"
    let configuration = csvConfiguration { $0.decoder.features = [FeaturePattern("x")] }
    let run = try SerialRun(configuration, Array(text.utf8))
    #expect(run.batchSizes == [4, 1])
    #expect(run.lines.map { $0.isEmpty } == [0, 1, 0, 1, 1, 0, 0, 1, 0, 0, 1, 1].map { $0 == 1 })
    #expect(run.checkpoint?.cursor?.records == 5)
    #expect(run.checkpoint?.cursor?.byteOffset == text.utf8.count)
  }

  @Test func `blank lines alone after a header pass`() throws {
    let configuration = csvConfiguration { $0.decoder.features = [FeaturePattern("x")] }
    let run = try SerialRun(configuration, Array("k,x\n\n\n".utf8))
    #expect(run.text == "k,x\n\n\n")
    #expect(run.metrics.records == 0 && run.metrics.batches == 0)
    #expect(run.checkpoint?.batchesTracked == 0)
  }

  @Test func `blank lines of a live source do not wait for a record`() throws {
    var configuration = csvConfiguration { $0.decoder.features = [FeaturePattern("x")] }
    configuration.isLive = true
    let metrics = StreamMetrics()
    var stage = try IngestStage(
      IngestContext(
        configuration, schedule: .atEnd, metrics: metrics, inbox: RequestInbox(),
        clock: ManualClock().clock),
      source: PieceSource(Array("k,x\n\n\n".utf8), piece: .max, isLive: true))
    var text: [UInt8] = []
    while true {
      let progress = try stage.step(.resume) { item in
        if case .records(let records) = item { text += records.text }
      }
      if case .waits = progress { break }
    }
    #expect(text == Array("\n\n".utf8))
    #expect(metrics.records == 0)
  }

  @Test func `records that are left out do not count for a batch`() throws {
    let text = "k,x\na,1\nb,oops\nc,2\nd\ne,3\nf,4\ng,5\n"
    let run = try SerialRun(csvConfiguration { $0.badRecords = .skip }, Array(text.utf8))
    #expect(run.batchSizes == [4, 1])
    #expect(run.rejected.map(\.record) == [2, 4])
    #expect(keys(run) == ["a", "c", "e", "f", "g"])
    #expect(run.checkpoint?.cursor?.records == 7)
    #expect(run.metrics.badRecords == 2)
  }

  @Test func `a short batch is normalised by the running moments and still updates them`() throws {
    let configuration = csvConfiguration {
      $0.normalization = NormalizationSettings(preset: .pytorch)
      $0.normalization.biasCorrection = true
      $0.normalization.mode = .batch
      $0.normalization.minBatchSize = 3
      $0.precision = .float64
    }
    let values = [1.0, 2, 3, 4, 10, 20]
    let run = try SerialRun(configuration, csv([("x", values)]))
    // The first batch replaces the initial values: mean 2.5, unbiased variance 5/3.
    let scale = 1 / (5.0 / 3 + 1e-5).squareRoot()
    let last = column(1, of: run.text).suffix(2)
    #expect(zip(last, [10.0, 20]).allSatisfy { abs($0 - ($1 - 2.5) * scale) < 1e-12 })
    #expect(run.checkpoint?.batchesTracked == 2)
    #expect(run.checkpoint?.values == [6])
  }

  @Test func `a batch of one record in batch mode is not its own mean`() throws {
    let configuration = csvConfiguration {
      $0.normalization.mode = .batch
      $0.normalization.warmUp.records = 0
    }
    // Initial values: mean 0, variance 1.
    let run = try SerialRun(configuration, csv([("x", [8])]))
    #expect(abs(column(1, of: run.text)[0] - 8) < 1e-3)
  }

  // MARK: Warm-up

  @Test(arguments: WarmUp.Emission.allCases, [0, 1, 12, 20, 36])
  func `warm-up keeps every record in its place`(emission: WarmUp.Emission, records: Int) throws {
    let configuration = csvConfiguration {
      $0.normalization.warmUp.emission = emission
      $0.normalization.warmUp.records = records
    }
    // 22 records make six batches, the last of them short.
    let run = try SerialRun(configuration, numbered(22))
    #expect(keys(run) == (0..<22).map { "k\($0)" })
    #expect(run.metrics.records == 22 && run.metrics.batches == 6)
    #expect(run.checkpoint?.batchesTracked == 6)
  }

  @Test func `warm-up with pass emits the first records as they came`() throws {
    let input = numbered(12)
    let run = try SerialRun(
      csvConfiguration {
        $0.normalization.warmUp.emission = .pass
        $0.normalization.warmUp.records = 8
      }, input)
    let before = String(decoding: input, as: UTF8.self).split(separator: "\n")
    let after = run.text.split(separator: "\n")
    #expect(after[...8] == before[...8])
    #expect(zip(after, before).dropFirst(9).allSatisfy { $0 != $1 })
  }

  @Test func `warm-up with missing empties the cold values alone`() throws {
    let input = Array(
      "k,x,flag,note\na,1,\"0\",s\nb,2,0,t\nc,4,NA,u\nd,3,0,v\ne,2.5,0,w\nf,2,1,x\n".utf8)
    let run = try SerialRun(
      csvConfiguration {
        $0.decoder.features = ["x", "flag"].map { FeaturePattern($0) }
        $0.batch.size = 2
        $0.normalization.warmUp.records = 4
        $0.normalization.warmUp.emission = .missing
        $0.normalization.momentum = .cumulative
      }, input)
    #expect(
      run.lines.prefix(6).map { String($0) } == [
        "k,x,flag,note", "a,,\"\",s", "b,,,t", "c,,,u", "d,,,v", "e,0,,w",
      ])
  }

  @Test func `warm-up by prefixes never waits, and a live stream gives the bytes of a file`() throws
  {
    let configuration = csvConfiguration { $0.precision = .float64 }
    let whole = try SerialRun(configuration, numbered(23))
    let live = try SerialRun(configuration, numbered(23), piece: 5, isLive: true)
    #expect(live.output == whole.output)
    #expect(column(1, of: whole.text)[0] == 0)
    #expect(abs(column(1, of: whole.text)[1] - 1) < 1e-4)
  }

  @Test func `warm-up with hold normalises the first records by the moments that end it`() throws {
    var configuration = csvConfiguration {
      $0.normalization.warmUp.emission = .hold
      $0.normalization.warmUp.records = 12
      $0.precision = .float64
    }
    let input = numbered(12)
    let run = try SerialRun(configuration, input)
    configuration.normalization.isFrozen = true
    let frozen = try SerialRun(configuration, input, initial: run.checkpoint)
    #expect(run.output == frozen.output)
  }

  @Test func `held batches leave at the end of a stream that never gets warm`() throws {
    var configuration = csvConfiguration {
      $0.normalization.warmUp.emission = .hold
      $0.normalization.warmUp.records = 400
      $0.precision = .float64
    }
    let input = numbered(7)
    let run = try SerialRun(configuration, input)
    #expect(keys(run) == (0..<7).map { "k\($0)" })
    configuration.normalization.isFrozen = true
    #expect(try SerialRun(configuration, input, initial: run.checkpoint).output == run.output)
  }

  @Test func `the cursor of a checkpoint is the end of the stream, by frame and by byte`() throws {
    let input = numbered(10)
    let plain = try #require(SerialRun(csvConfiguration(), input).checkpoint?.cursor)
    #expect(plain == SplitCursor(split: "pieces", byteOffset: input.count, records: 10))
    let frames = try framed(input, count: 2)
    let cursor = try #require(SerialRun(csvConfiguration(), frames).checkpoint?.cursor)
    #expect(cursor.byteOffset == input.count && cursor.records == 10)
    let container = try #require(cursor.container)
    let rest = try decompressed(Array(frames[container.offset...]))
    #expect(rest.count == container.bytesWithin)
  }
}
