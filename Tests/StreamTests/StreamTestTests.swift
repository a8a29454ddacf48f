import Configuration
import Foundation
import TestSupport
import Testing

@testable import Stream

/// The tests of streams in a configuration file.
@Suite struct StreamTestTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  private static let passing = """
    stream: pairs
    input: |
      id,x
      a,1
      b,3
      c,10
      d,bad
      e,20
    output: |
      id,x
      a,-1
      b,1
      c,-1
      e,1
    tolerance: 1e-4
    features: [x]
    dead_letters: [4 a number in feature 'x']
    """

  /// A file with two streams, and one test of some lines.
  private func file(_ test: String, more settings: String = "") -> String {
    let lines = test.split(separator: "\n", omittingEmptySubsequences: false)
    return """
      state_directory: /nowhere
      streams:
        pairs:
          source: { unix: { path: \(directory.file("in.sock")) } }
          sink: { fifo: { path: \(directory.file("out.fifo")) } }
          format: csv
          on_bad_record: dead_letter
          features: [x]
          batch: { size: 2, max_delay: 1us }
          normalize: { mode: batch }
          limits: { rate: { records: 1 } }
          \(settings)
        objects:
          source: { file: { path: none } }
          sink: { file: { path: \(directory.file("out.csv")) } }
          format: ndjson
          on_bad_record: fail
          output: { format: csv }
        rows:
          source: { directory: { path: none } }
          sink: { file: { path: \(directory.file("out.raw")) } }
          format: { raw: { columns: 1 } }
          compression: off
        level:
          source: { unix: { path: \(directory.file("level.sock")) } }
          sink: { file: { path: \(directory.file("level.csv")) } }
          format: csv
          batch: { size: 32 }
          drift: { false_alarms: 1 per 100000 batches }
      tests:
        made:

      """ + lines.map { "    \($0)" }.joined(separator: "\n") + "\n"
  }

  private func differences(_ test: String) throws -> [String] {
    let tests = try daemonConfiguration(file(test)).tests
    return try #require(tests.first).differences()
  }

  /// The differences of `passing` with one text replaced.
  private func differences(replacing old: String, with new: String) throws -> [String] {
    try #require(Self.passing.contains(old))
    return try differences(Self.passing.replacingOccurrences(of: old, with: new))
  }

  @Test func `a stream runs over the input with its settings, without its source and sink`() throws
  {
    #expect(try differences(Self.passing) == [])
  }

  @Test(arguments: [
    ("c,-1", "c,-1.5", "output: record 3, column 2 'x': expected '-1.5', found '-0.999995'"),
    ("c,-1", "z,-1", "output: record 3, column 1 'id': expected 'z', found 'c'"),
    ("id,x\n  a,-1", "id,y\n  a,-1", "output: line 1, column 2 'y': expected 'y', found 'x'"),
    ("  e,1\n", "", "output: record 4: expected the end, found 'e,0.99999"),
    ("e,1\n", "e,1\n  f,1\n", "output: record 5: expected 'f,1', found the end"),
    ("features: [x]", "features: [y]", "features: expected 'y', found 'x'"),
    (
      "[4 a number", "[3 a number",
      "dead_letters: expected '3 a number in feature 'x'', found '4 expected a number in feature 'x'"
    ),
    ("[4 a number in feature 'x']", "[]", "dead_letters: expected no more, found '4 expected"),
    ("tolerance", "failure: lost\ntolerance", "failure: expected 'lost', found none"),
    ("tolerance", "events: [drift]\ntolerance", "events: expected 'drift', found no more"),
    ("tolerance", "left_out: [id]\ntolerance", "left_out: expected 'id', found no more"),
  ])
  func `a wrong expectation is told with its place`(old: String, new: String, told: String) throws {
    let found = try differences(replacing: old, with: new)
    try #require(found.count == 1, "\(found)")
    #expect(found[0].hasPrefix(told), "\(found[0])")
  }

  @Test func `without a tolerance the text must be the same`() throws {
    let found = try differences(replacing: "tolerance: 1e-4\n", with: "")
    try #require(found.count == 1)
    #expect(found[0].hasPrefix("output: record 1, column 2 'x': expected '-1', found '-0.9999"))
  }

  @Test func `whole numbers that differ are not near`() throws {
    let text = Self.passing.replacingOccurrences(of: "a,1", with: "1000000,1")
      .replacingOccurrences(of: "a,-1", with: "1000001,-1")
    #expect(
      try differences(text) == [
        "output: record 1, column 1 'id': expected '1000001', found '1000000'"
      ])
  }

  @Test func `a stream that stops is expected by a part of its error`() throws {
    let test = """
      stream: objects
      input: "{\\"x\\": true}\\n"
      """
    let found = try differences(test)
    try #require(found.count == 1)
    #expect(found[0].hasPrefix("expected no failure, found objects: "))
    #expect(try differences(test + "\nfailure: objects") == [])
    let other = try differences(test + "\nfailure: no such text")
    #expect(other.first?.hasPrefix("failure: expected 'no such text', found objects: ") == true)
  }

  @Test func `the output has the format of the stream, and files hold input and output`() throws {
    let input = try directory.write("in.ndjson", #"{"x":1.5,"id":"a"}"#.utf8)
    let output = try directory.write("out.csv", "x\n0\n".utf8)
    let test = "stream: objects\ninput_file: \(input)\noutput_file: \(output)\nleft_out: [id]"
    #expect(try differences(test) == [])
    let other = try directory.write("other.csv", "x\n7\n".utf8)
    #expect(
      try differences(test.replacingOccurrences(of: output, with: other))
        == ["output: record 1, column 1 'x': expected '7', found '0'"])
  }

  @Test func `output that is no text is compared by bytes`() throws {
    let input = try directory.write("in.raw", [UInt8](repeating: 0, count: 8))
    let output = try directory.write("out.raw", [0, 0, 0, 0, 0, 0, 1, 0] as [UInt8])
    let found = try differences("stream: rows\ninput_file: \(input)\noutput_file: \(output)")
    #expect(found == ["output: byte 6: expected 01 00, found 00 00"])
  }

  @Test func `alarms of drift are events, and one that is not expected fails the test`() throws {
    var generator = SeededGenerator(seed: 3)
    var rows = "x\n"
    for record in 0..<6400 {
      // The sum of twelve is nearly normal, with deviation 1.
      let noise = (0..<12).reduce(-6.0) { sum, _ in
        sum + Double.random(in: 0..<1, using: &generator)
      }
      rows += "\(noise + (record < 5760 ? 0 : 5))\n"
    }
    let input = try directory.write("in.csv", rows.utf8)
    let test = "stream: level\ninput_file: \(input)\n"
    #expect(try differences(test + #"events: ["drift: feature 'x': its mean is"]"#) == [])
    let found = try differences(test + "events: []")
    try #require(found.count == 1)
    #expect(
      found[0].hasPrefix("events: expected no more, found 'drift: feature 'x': its mean is"),
      "\(found[0])")
  }

  @Test func `a stream starts from the checkpoint of a test`() throws {
    let missing = try differences("stream: pairs\ninput: x\ncheckpoint: /nowhere/state")
    try #require(missing.count == 1)
    #expect(missing[0].contains("/nowhere/state"))
  }

  @Test(arguments: [
    ("stream: none\ninput: x", "stream: expected one of the streams of the file, found 'none'"),
    ("input: x", "stream: expected text, found nothing"),
    ("stream: pairs", "input: expected input or input_file, found neither"),
    ("stream: pairs\ninput: x\ninput_file: y", "expected input or input_file, found both"),
    ("stream: pairs\ninput: x\ntolerance: 1", "expected output or output_file, found neither"),
    ("stream: rows\ninput: x\noutput: y", "expected output_file, since output of raw is no text"),
    ("stream: pairs\ninput: x\ndead_letters: [a]", "expected a list of texts such as '3 a number'"),
    ("stream: pairs\ninput: x\ndead_letter: []", "unknown key; did you mean 'dead_letters'?"),
  ])
  func `a wrong test is an error of the file`(test: String, message: String) throws {
    let errors = try configurationErrors(file(test))
    try #require(errors.count == 1, "\(errors)")
    #expect("\(errors[0])".contains(message), "\(errors[0])")
    #expect(errors[0].path.hasPrefix("tests.made"))
  }

  @Test func `tests are no part of what a stream is`() throws {
    let with = try daemonConfiguration(file(Self.passing))
    let without = try daemonConfiguration(file("stream: pairs\ninput: x"))
    #expect(with.streams.map(\.fingerprint) == without.streams.map(\.fingerprint))
  }

  @Test func `a file of its own holds tests`() throws {
    let path = try directory.write(
      "tests.yaml", "tests: { other: { stream: rows, input: '' } }".utf8)
    var configuration = try daemonConfiguration(file(Self.passing))
    try configuration.addTests(of: path) { _ in nil }
    #expect(configuration.tests.map(\.name) == ["made", "other"])
    let wrong = try directory.write("wrong.yaml", "streams: {}\n".utf8)
    #expect(throws: DaemonConfigurationError.self) {
      try configuration.addTests(of: wrong) { _ in nil }
    }
  }
}
