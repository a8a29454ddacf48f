import BatchNormalization
import Configuration
import Records
import State
import Storage
import TestSupport
import Testing

@testable import Codecs
@testable import Stream

/// The places of records that are refused after they were decoded, and what such records leave in the state.
@Suite struct RejectedPlaceTests {
  private static let start = ManualClock.startSeconds
  /// Three hours after the clock.
  private static let future = start + 3 * 3600

  private func configuration(
    _ format: String, _ change: (inout StreamConfiguration) -> Void = { _ in }
  ) -> StreamConfiguration {
    var configuration = StreamConfiguration(name: "test", format: .named(format))
    configuration.batch.size = 5
    // So that the bytes of the records are kept, from which their offsets are known.
    configuration.badRecords = .deadLetter
    configuration.decoder.features = [FeaturePattern(format == "raw" ? "f1" : "x")]
    if format == "raw" {
      configuration.decoder.settings[RawSettings.columns] = 2
      configuration.decoder.settings[RawSettings.scalar] = .float64
      configuration.outputFormat = .named("csv")
    }
    configuration.decoder.roles = [
      RoleColumn(.time(.seconds), name: format == "raw" ? "f0" : "t")
    ]
    configuration.normalization = NormalizationSettings(preset: .sklearn)
    configuration.normalization.updateFirst = false
    change(&configuration)
    return configuration
  }

  /// A record; without a number, one that the decoder refuses.
  private func record(_ format: String, _ time: Int, _ value: Double?) -> [UInt8] {
    switch format {
    case "csv": Array("\(time),\(value.map { "\($0)" } ?? "bad")\n".utf8)
    case "ndjson":
      Array("{\"t\":\(time),\"x\":\(value.map { "\($0)" } ?? "\"bad\"")}\n".utf8)
    default:
      [Double(time), value ?? .infinity].flatMap {
        withUnsafeBytes(of: $0.bitPattern.littleEndian, Array.init)
      }
    }
  }

  @Test(arguments: TestStream.formats, [1, 20, Int.max])
  func `a refused record has its own number and offset, whatever the others of its batch are`(
    format: String, piece: Int
  ) throws {
    // In the second batch: the clock refuses records 7 and 12, the decoder 8 and 11, and the output 10.
    var records = (0..<15).map { record(format, Self.start + $0, Double($0)) }
    records[6] = record(format, Self.future, 6)
    records[7] = record(format, Self.start, nil)
    records[9] = record(format, Self.start, 1e60)
    records[10] = record(format, Self.start, nil)
    records[11] = record(format, Self.future, 6)
    let header = format == "csv" ? Array("t,x\n".utf8) : []
    for isLive in [false, true] {
      let run = try SerialRun(
        configuration(format) { $0.isLive = isLive }, header + records.joined(), piece: piece,
        isLive: isLive)
      let found = run.rejected.sorted { $0.record < $1.record }
      #expect(found.map(\.record) == [7, 8, 10, 11, 12])
      let offsets = [6, 7, 9, 10, 11].map { header.count + records[..<$0].joined().count }
      for (found, offset) in zip(found, offsets) { #expect(found.byteOffset == offset) }
      #expect(run.metrics.badRecords == 5 && run.metrics.recordsInFlight == 0)
    }
    let error = #expect(throws: StreamError.self) {
      _ = try SerialRun(
        configuration(format) {
          $0.badRecords = .fail
          $0.batch.size = 2
        }, header + records[8...9].joined())
    }
    let offset = format == "raw" ? "" : ", byte \(header.count + records[8].count)"
    let text = error.map { "\($0)" } ?? ""
    #expect(text.hasPrefix("test: record 2\(offset): "), "\(text)")
  }

  @Test func `a refused record of NDJSON without any feature is taken out like others`() throws {
    let lines = [
      #"{"t":\#(Self.start),"x":1}"#, #"{"t":\#(Self.future)}"#, "", #"{"t":\#(Self.start)}"#,
      #"{"t":\#(Self.future)}"#, #"{"t":\#(Self.start),"x":null}"#, #"{"t":\#(Self.future),"x":2}"#,
    ]
    let run = try SerialRun(
      configuration("ndjson"), Array(lines.map { $0 + "\n" }.joined().utf8))
    #expect(run.rejected.map(\.record) == [2, 4, 6])
    let offsets = [1, 4, 6].map { lines[..<$0].reduce(0) { $0 + $1.utf8.count + 1 } }
    #expect(run.rejected.map(\.byteOffset) == offsets)
    #expect(
      run.rejected.map { String(decoding: $0.bytes, as: UTF8.self) }
        == [1, 4, 6].map { lines[$0] + "\n" })
    #expect(run.lines.dropFirst() == ["", lines[3][...], lines[5][...], ""])
  }

  @Test(arguments: [1, 100])
  func `a refused row of Arrow has the offset of its record batch`(rows: Int) throws {
    var text = "t,x\n"
    for index in 0..<12 {
      text +=
        "\([3, 9].contains(index) ? Self.future : Self.start),\(index == 5 ? 1e60 : Double(index))\n"
    }
    let arrow = try SerialRun(
      betweenFormats(.csv, .arrow, ["x"]) {
        $0.precision = .float64
        $0.batch.size = rows
      }, Array(text.utf8))
    var offsets: [Int] = []
    var (offset, left) = (0, 0)
    for message in try ArrowInput.messages(arrow.output) {
      if message.kind == .recordBatch {
        left += rows == 1 ? 1 : 12
        while offsets.count < left { offsets.append(offset) }
      }
      offset += message.bytes.count
    }
    guard offsets.count == 12 else { return }
    for output in [RecordFormat.arrow, .csv] {
      let run = try SerialRun(configuration("arrow") { $0.outputFormat = output }, arrow.output)
      let found = run.rejected.sorted { $0.record < $1.record }
      #expect(found.map(\.record) == [4, 6, 10])
      #expect(found.map(\.byteOffset) == [offsets[3], offsets[5], offsets[9]])
      #expect(found.map(\.staysInOutput) == found.map { _ in output.name == "arrow" })
    }
  }

  @Test func `a record that is refused for its number does not move the newest time`() throws {
    var text = "t,x\n"
    for index in 0..<10 {
      // Within the limit after the clock.
      text += index == 7 ? "\(Self.start + 3500),1e60\n" : "\(Self.start + index),\(index)\n"
    }
    // Within the limit after the refused record, and not after the others.
    text += "\(Self.start + 3500 + 3000),3\n"
    let run = try SerialRun(configuration("csv"), Array(text.utf8))
    #expect(run.rejected.map(\.record).sorted() == [8, 11])
    let state = try #require(run.checkpoint?.state)
    #expect(state[real: "evenkeel.event_time.newest"] == [Double(Self.start + 9) * 1e6])
  }
}
