import BatchNormalization
import Codecs
import Dataflow
import FoundationEssentials
import Records
import Storage
import TestSupport
import Testing

@testable import Stream

@Suite struct PolicyTests {
  private let text = "k,x,y\na,1,10\nb,NA,20\nc,3,\nd,4,oops\ne,5,50\nf,6,inf\n"

  private func run(
    _ missing: MissingPolicy = .keep, _ invalid: InvalidPolicy = .reject,
    _ bad: BadRecordPolicy = .skip, _ text: String? = nil
  ) throws -> SerialRun {
    let configuration = csvConfiguration {
      $0.decoder.features = [FeaturePattern("x"), FeaturePattern("y")]
      $0.decoder.onMissing = missing
      $0.decoder.onInvalid = invalid
      $0.normalization.imputesMissing = missing == .impute
      $0.badRecords = bad
      $0.batch.size = 8
    }
    return try SerialRun(configuration, Array((text ?? self.text).utf8))
  }

  private func fields(_ run: SerialRun, _ column: Int) -> [String] {
    run.lines.dropFirst().filter { !$0.isEmpty }.map {
      String($0.split(separator: ",", omittingEmptySubsequences: false)[column])
    }
  }

  // MARK: Values

  @Test func `a missing value that is kept is spelled as it came and counted`() throws {
    let run = try run(.keep, .reject)
    #expect(fields(run, 0) == ["a", "b", "c", "e"])
    #expect(fields(run, 1)[1] == "NA" && fields(run, 2)[2] == "")
    #expect(run.checkpoint?.missing == [1, 1])
    #expect(run.checkpoint?.values == [3, 3])
    #expect(run.checkpoint?.runningMean == [3, 80.0 / 3])
  }

  @Test func `a missing value that is imputed becomes the bias`() throws {
    let run = try run(.impute, .reject)
    #expect(fields(run, 1)[1] == "0" && fields(run, 2)[2] == "0")
    #expect(run.checkpoint?.missing == [1, 1])
    #expect(run.checkpoint?.values == [3, 3])
  }

  @Test func `a missing value may make its record a bad one`() throws {
    let run = try run(.reject, .reject)
    #expect(fields(run, 0) == ["a", "e"])
    #expect(run.rejected.map(\.record) == [2, 3, 4, 6])
    #expect(run.rejected[0].fault.description.contains("expected a value of feature 'x'"))
    #expect(run.checkpoint?.missing == [0, 0])
  }

  @Test func `an invalid value taken as missing is kept as it came`() throws {
    let run = try run(.keep, .missing)
    #expect(fields(run, 0) == ["a", "b", "c", "d", "e", "f"])
    #expect(fields(run, 2)[3] == "oops" && fields(run, 2)[5] == "inf")
    #expect(run.checkpoint?.missing == [1, 3])
    #expect(run.rejected.isEmpty)
  }

  @Test func `an invalid value taken as missing may be imputed`() throws {
    let run = try run(.impute, .missing)
    #expect(fields(run, 2)[2] == "0" && fields(run, 2)[3] == "0" && fields(run, 2)[5] == "0")
  }

  @Test func `an invalid value taken as missing may make its record a bad one`() throws {
    #expect(fields(try run(.reject, .missing), 0) == ["a", "e"])
  }

  @Test func `no infinity reaches the moments under any policy`() throws {
    for missing in MissingPolicy.allCases {
      for invalid in InvalidPolicy.allCases {
        let checkpoint = try #require(try run(missing, invalid).checkpoint)
        #expect(checkpoint.runningMean.allSatisfy { $0.isFinite })
        #expect(checkpoint.runningVariance.allSatisfy { $0.isFinite })
      }
    }
  }

  // MARK: Bad records

  @Test func `a bad record stops the stream with its number, place and fault`() throws {
    let error = #expect(throws: StreamError.self) { try run(.keep, .reject, .fail) }
    #expect(error?.exitCode == 65)
    #expect(
      error?.description
        == "test: record 4, byte 26: expected a number in feature 'y', found 'oops'"
    )
  }

  @Test func `a record with too few fields stops the stream`() throws {
    let error = #expect(throws: StreamError.self) { try run(.keep, .reject, .fail, "k,x,y\na,1\n") }
    #expect(error?.description == "test: record 1, byte 6: expected 3 fields, found 2")
  }

  private struct Letter: Decodable {
    var stream: String
    var record: Int
    var byteOffset: Int
    var expected: String
    var found: String
    var text: String?
    var base64: String?
  }

  private func letters(_ run: SerialRun) throws -> [Letter] {
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    return try run.deadLetters.split(separator: 0x0A).map {
      try decoder.decode(Letter.self, from: Data($0))
    }
  }

  @Test func `a dead letter is JSON with the record as it came, its place and the reason`() throws {
    let text = "k,x,y\na,1,10\n\"q\"\"uote\n\t\u{1}ü\",2\r\nb,2,20\nc,no,3\n"
    let run = try run(.keep, .reject, .deadLetter, text)
    let letters = try letters(run)
    #expect(letters.count == 2)
    #expect(letters.map(\.stream) == ["test", "test"])
    #expect(letters.map(\.record) == [2, 4])
    #expect(letters[0].text == "\"q\"\"uote\n\t\u{1}ü\",2\r\n")
    #expect(letters[0].expected == "3 fields" && letters[0].found == "2")
    #expect(letters[1].text == "c,no,3\n")
    for letter in letters {
      let record = try #require(letter.text).utf8
      #expect(Array(text.utf8.dropFirst(letter.byteOffset).prefix(record.count)) == Array(record))
    }
    #expect(run.deadLetters.filter { $0 == 0x0A }.count == 2)
  }

  @Test func `a dead letter that is no text stands in base 64`() throws {
    let input = Array("k,x,y\na,1,10\nb,".utf8) + [0xFF, 0xFE] + Array(",3\n".utf8)
    let configuration = csvConfiguration {
      $0.decoder.features = [FeaturePattern("x"), FeaturePattern("y")]
      $0.badRecords = .deadLetter
    }
    let letter = try #require(letters(SerialRun(configuration, input)).first)
    #expect(letter.text == nil)
    #expect(
      letter.base64.flatMap { Data(base64Encoded: $0) }.map { Array($0) }
        == Array("b,".utf8) + [0xFF, 0xFE] + Array(",3\n".utf8))
  }

  @Test func `a record that is skipped is counted and not kept`() throws {
    let run = try run(.keep, .reject, .skip)
    #expect(run.metrics.badRecords == 2)
    #expect(run.rejected.allSatisfy { $0.bytes.isEmpty })
  }

  @Test func `a stream of bad records alone tells of them as it goes`() throws {
    let bad = String(repeating: "x,1\n", count: 1000)
    let run = try run(.keep, .reject, .deadLetter, "k,x,y\n" + bad)
    #expect(run.metrics.badRecords == 1000 && run.metrics.records == 0)
    #expect(try letters(run).map(\.record) == Array(1...1000))
    #expect(run.text == "k,x,y\n")
  }

  @Test func `the bytes of bad records count against what a stage hands on at once`() throws {
    let long = "x," + String(repeating: "1", count: 200 << 10) + "\n"
    let text = "k,x,y\n" + String(repeating: long, count: 10)
    let configuration = csvConfiguration {
      $0.decoder.features = [FeaturePattern("x"), FeaturePattern("y")]
      $0.badRecords = .deadLetter
    }
    var ingest = try IngestStage(
      IngestContext(
        configuration, metrics: StreamMetrics(), inbox: RequestInbox(), clock: ManualClock().clock),
      source: PieceSource(Array(text.utf8), piece: .max, isLive: false))
    var sizes: [Int] = []
    while try ingest.step(.resume, emit: { sizes.append($0.byteCount) }) != .finished {}
    #expect(sizes.reduce(0, +) >= 10 * (200 << 10))
    #expect(sizes.allSatisfy { $0 <= 3 * (200 << 10) })
  }
}
