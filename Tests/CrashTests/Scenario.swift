import Foundation
import Glibc
import TestSupport
import Testing

/// A stream of the real daemon. It runs once undisturbed, and once with kills.
struct Scenario: Sendable, CustomTestStringConvertible {
  enum Source: Sendable {
    case file
    /// A directory. The test moves the last files into it during the run.
    case directory
    /// A file. The test appends to it during the run.
    case follow
    /// A directory that is complete, and then a file to which the test appends.
    case sequence
    /// A topic. The test writes messages to it during the run.
    case kafka
  }

  /// The moments beside those of all records.
  enum Rows: String, Sendable {
    case none
    /// Keys, more of them than the stream keeps.
    case fewKeys = "few keys"
    /// Keys of almost every record, so that checkpoints are deltas.
    case manyKeys = "many keys"
    /// Classes, more of them than the stream keeps.
    case classes
  }

  var source: Source
  var format = "csv"
  var isCompressed = true
  var badRecords = "dead_letter"
  var rotates = false
  var rows = Rows.none
  /// The number of kills of a short run; a full one has ten times as many.
  var kills: Int

  var testDescription: String {
    "\(source) of \(isCompressed ? "compressed" : "plain") \(format), \(badRecords), to "
      + (rotates ? "rotating files" : "a file") + (rows == .none ? "" : ", by \(rows.rawValue)")
  }

  private var features: (count: Int, names: String) {
    switch rows {
    case .none: (4, "\"f*\"")
    case .fewKeys, .classes: (4, "f0, f1, f2")
    // Enough memory for deltas.
    case .manyKeys: (12, "\"f*\", \"!f2\"")
    }
  }

  var featureCount: Int { features.count }

  private var normalize: String {
    switch rows {
    case .none: ""
    case .fewKeys: "normalize: { key: { columns: [f3], max: 300 } }"
    case .manyKeys: "normalize: { key: { columns: [f2] } }"
    case .classes: "normalize: { weight: { class: f3 } }"
    }
  }

  var output: String { "out.\(format)" + (isCompressed ? ".zst" : "") }
  var reference: String { "ref.\(format)" + (isCompressed ? ".zst" : "") }

  /// The configuration of the stream, with an output and a state directory.
  ///
  /// - Parameter brokers: of the topic.
  func configuration(output: String, state: String, brokers: [String] = []) -> String {
    let input = isCompressed ? "in.zst" : "in"
    let place =
      switch source {
      case .file: "file: { path: \(input) }"
      case .directory: "directory: { path: dir }"
      case .follow: "follow: { path: \(input) }"
      case .sequence:
        "sequence: [ { directory: { path: dir } }, { follow: { path: \(input) } } ]"
      case .kafka: "kafka: { brokers: [\(brokers.joined(separator: ", "))], topic: rows }"
      }
    // A long delay, because batches that are cut by time differ from run to run.
    return """
      state_directory: \(state)
      control: { listen: off }
      streams:
        s:
          source: { \(place) }
          format: \(format)
          features: [\(features.names)]
          \(normalize)
          batch: { size: 64\(source == .file ? "" : ", max_delay: 1h") }
          on_bad_record: \(badRecords)
          checkpoint: { every_batches: 30, interval: 1h, keep: 3 }
          compression: \(isCompressed ? "{ level: 1 }" : "off")
          sink: { file: { path: \(output)\(rotates ? ", rotate: { size: 48KiB }" : "") } }

      """
  }
}

/// The input of a scenario. A part of it comes during the run.
struct ScenarioInput {
  /// The number of lines of a whole output.
  let outputLines: Int
  private let scenario: Scenario
  private let place: Workplace
  /// The bytes that are still to be appended to the followed file.
  private var rest: [UInt8] = []
  /// The files that are still to be moved into the directory, in the order of their names.
  private var lateFiles: [String] = []
  /// The cluster with the topic.
  private var kafka: MockKafka?
  /// The messages that are still to be written.
  private var messages: ArraySlice<[UInt8]> = []

  var brokers: [String] { kafka?.addresses ?? [] }

  /// Enough records that the daemon still works at the last kills.
  static let rows = runsFullDose ? 60_000 : 6_000
  private static let badLine = Array("{broken\n".utf8)

  init(_ scenario: Scenario, in place: Workplace) throws {
    self.scenario = scenario
    self.place = place
    let generated = try place.evenkeel(
      // A partition of the cluster keeps 5 MB.
      "generate", "--rows", "\(scenario.source == .kafka ? min(Self.rows, 24_000) : Self.rows)",
      "--features", "\(scenario.featureCount)", "--format", scenario.format, "--no-compress")
    var lines = generated.output.split(separator: UInt8(ascii: "\n")).map { Array($0) + [10] }
    let header = scenario.format == "csv" ? [lines.removeFirst()] : []
    outputLines = lines.count + header.count
    // Single bad records, and more in a row than a stage passes on at once.
    for index in stride(from: lines.count - 50, to: 100, by: -19) {
      lines.insert(Self.badLine, at: index)
    }
    lines.insert(contentsOf: Array(repeating: Self.badLine, count: 150), at: lines.count / 2)

    switch scenario.source {
    case .file:
      try write((header + lines).flatMap { $0 }, to: "in")
    case .directory:
      try fillDirectory(lines[...], header)
      for _ in 0..<4 { try moveIn() }
    case .follow: try beginFollowed(lines[...], header)
    case .sequence:
      try fillDirectory(lines[..<(lines.count / 2)], header)
      while !lateFiles.isEmpty { try moveIn() }
      try beginFollowed(lines[(lines.count / 2)...], header)
    case .kafka:
      kafka = try MockKafka()
      try kafka?.makeTopic("rows", partitions: 1)
      messages = lines.map { Array($0.dropLast()) }[...]
      try send(messages.count / 4)
    }
  }

  /// Writes eight files that are to be moved into the directory.
  private mutating func fillDirectory(
    _ lines: ArraySlice<[UInt8]>, _ header: [[UInt8]]
  ) throws {
    try FileManager.default.createDirectory(
      atPath: place.path("dir"), withIntermediateDirectories: false)
    let size = lines.count / 8 + 1
    for (number, start) in stride(from: lines.startIndex, to: lines.endIndex, by: size).enumerated()
    {
      let part = lines[start..<min(start + size, lines.endIndex)]
      lateFiles.append(try write((header + part).flatMap { $0 }, to: "\(number)"))
    }
  }

  /// Writes the beginning of the file to which the test appends.
  private mutating func beginFollowed(_ lines: ArraySlice<[UInt8]>, _ header: [[UInt8]]) throws {
    let name = try write((header + lines).flatMap { $0 }, to: "whole")
    rest = try place.read(name)
    try place.write(scenario.isCompressed ? "in.zst" : "in", rest.prefix(rest.count / 4))
    rest.removeFirst(rest.count / 4)
  }

  private mutating func send(_ count: Int) throws {
    try kafka?.write(Array(messages.prefix(count)), to: "rows")
    messages.removeFirst(count)
  }

  /// Writes a file, compressed if the scenario says so. Its frames begin at any byte.
  ///
  /// - Returns: the name of the file.
  @discardableResult
  private func write(_ bytes: [UInt8], to name: String) throws -> String {
    try place.write(name, bytes)
    guard scenario.isCompressed else { return name }
    let finished = try place.shell(
      "split -b 40000 --filter='zstd -qc' '\(name)' > '\(name).zst'")
    #expect(finished.exitCode == 0, "\(finished.errors)")
    return name + ".zst"
  }

  private mutating func moveIn() throws {
    let name = lateFiles.removeFirst()
    try FileManager.default.moveItem(atPath: place.path(name), toPath: place.path("dir/" + name))
  }

  /// Adds one more part to the input.
  ///
  /// - Returns: false if the input is complete.
  mutating func grow(using random: inout SeededGenerator) throws -> Bool {
    if !lateFiles.isEmpty {
      try moveIn()
    } else if !rest.isEmpty {
      let count = min(rest.count, Int.random(in: 1...24_000, using: &random))
      let name = place.path(scenario.isCompressed ? "in.zst" : "in")
      let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: name))
      try handle.seekToEnd()
      try handle.write(contentsOf: Data(rest.prefix(count)))
      try handle.close()
      rest.removeFirst(count)
    } else if !messages.isEmpty {
      try send(min(messages.count, Int.random(in: 1...400, using: &random)))
    } else {
      return false
    }
    return true
  }
}
