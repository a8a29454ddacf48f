internal import Codecs
internal import Configuration
internal import Operators
internal import Records
package import Storage

/// A test of a stream: its input, and the results that are expected.
package struct StreamTest: Sendable {
  package let name: String
  let stream: StreamDefinition
  let values: SettingValues
}

extension StreamTest {
  /// Reads the section `tests`, in the order of the file; nil if something is wrong in it, which is reported.
  ///
  /// - Parameter definitions: the streams of the file; nil for one that has an error.
  static func all(
    in root: ConfigurationSection, of definitions: [String: StreamDefinition?]
  ) -> [StreamTest]? {
    guard root.contains("tests") else { return [] }
    let sections = root.namedSections("tests")
    let tests = sections.compactMap { name, section in
      StreamTest(name: name, section, of: definitions)
    }
    return tests.count == sections.count ? tests : nil
  }

  private init?(
    name: String, _ section: ConfigurationSection, of definitions: [String: StreamDefinition?]
  ) {
    guard let values = section.values(of: StreamTestSettings.group) else { return nil }
    let named = values[StreamTestSettings.stream]
    guard let definition = definitions[named] else {
      let near = definitions.keys.sorted()
      section.report(
        "stream", expected: "one of the streams of the file",
        found: "'\(named)'", hint: near.isEmpty ? nil : "they are \(near.joined(separator: ", "))")
      return nil
    }
    guard let definition else { return nil }
    let written = definition.stream.outputFormat ?? definition.stream.format
    if values.isGiven(StreamTestSettings.output), !written.isText {
      section.report(
        SettingViolation(
          StreamTestSettings.output,
          expected: .value("output_file, since output of \(written.name) is no text"),
          found: "text"))
      return nil
    }
    self.name = name
    stream = definition
    self.values = values
  }
}

extension StreamTest {
  /// The most bytes of the output and of the expected output.
  private static let greatestOutput = 64 << 20

  /// Runs the stream over the input of the test, on the threads of all streams. Waits for its end.
  ///
  /// - Returns: the differences from the expected results; empty if the test passes.
  package func differences(in fileSystem: any FileSystem = POSIXFileSystem()) -> [String] {
    let found: StreamTestRun
    let expected: [UInt8]?
    do throws(StreamError) {
      expected = try expectedOutput(in: fileSystem)
      found = try StreamTestRun(plan, greatestOutput: Self.greatestOutput, in: fileSystem)
    } catch {
      // A stream that does not open has failed too.
      return failureDifference(error).map { [$0] } ?? []
    }
    var differences: [String] = []
    if let difference = failureDifference(found.failure) { differences.append(difference) }
    differences += nameDifferences(found)
    if let expected {
      let comparison = OutputComparison(
        tolerance: values[StreamTestSettings.tolerance], of: stream.stream,
        prologue: found.prologue)
      if let difference = comparison.difference(found: found.output, expected: expected) {
        differences.append(difference)
      }
    }
    return differences
  }

  private func expectedOutput(in fileSystem: any FileSystem) throws(StreamError) -> [UInt8]? {
    if let text = values[StreamTestSettings.output] { return Array(text.utf8) }
    guard let path = values[StreamTestSettings.outputFile] else { return nil }
    do {
      return try fileSystem.contents(of: path, limit: Self.greatestOutput)
    } catch {
      throw StreamError(error)
    }
  }

  private var plan: StreamPlan {
    StreamPlan(
      testing: stream, checkpoint: values[StreamTestSettings.checkpoint],
      input: values[StreamTestSettings.input], file: values[StreamTestSettings.inputFile])
  }

  private func failureDifference(_ failure: StreamError?) -> String? {
    switch (values[StreamTestSettings.failure], failure.map { "\($0)" }) {
    case (nil, nil): return nil
    case (nil, let message?): return "expected no failure, found \(message)"
    case (let part?, nil): return "failure: expected '\(part)', found none"
    case (let part?, let message?):
      return message.contains(part) ? nil : "failure: expected '\(part)', found \(message)"
    }
  }

  /// The differences of features, columns left out, dropped records and events.
  private func nameDifferences(_ found: StreamTestRun) -> [String] {
    var differences: [String] = []
    if let names = values[StreamTestSettings.features] {
      differences += Self.difference(
        "features", expected: names, found: found.opening?.schema.names ?? [], ==)
    }
    if let names = values[StreamTestSettings.leftOut] {
      differences += Self.difference(
        "left_out", expected: names,
        found: found.opening?.choice?.leftOut.map(\.name) ?? [], ==)
    }
    differences += Self.difference(
      "dead_letters",
      expected: values[StreamTestSettings.deadLetters].map { "\($0.record) \($0.reason)" },
      found: found.rejected.map { "\($0.record) \($0.fault)" }
    ) { expected, found in
      let parts = expected.split(separator: " ", maxSplits: 1)
      return found.hasPrefix("\(parts[0]) ") && found.dropFirst(parts[0].count).contains(parts[1])
    }
    if let parts = values[StreamTestSettings.events] {
      differences += Self.difference(
        "events", expected: parts, found: found.raised.map { "\($0.kind.name): \($0)" }
      ) { $1.contains($0) }
    }
    return differences
  }

  /// The first difference of two lists, or none.
  private static func difference(
    _ key: String, expected: [String], found: [String],
    _ isEqual: (_ expected: String, _ found: String) -> Bool
  ) -> [String] {
    for index in 0..<max(expected.count, found.count) {
      let left = index < expected.count ? expected[index] : nil
      let right = index < found.count ? found[index] : nil
      if let left, let right, isEqual(left, right) { continue }
      return [
        "\(key): expected \(left.map { "'\($0)'" } ?? "no more"), "
          + "found \(right.map { "'\($0)'" } ?? "no more")"
      ]
    }
    return []
  }
}
