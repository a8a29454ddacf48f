package import Configuration

/// The settings of one test of a stream. Their keys are within the section of the test.
package enum StreamTestSettings {
  package static let group = SettingGroup(
    "Tests",
    [
      stream, input, inputFile, checkpoint, output, outputFile, tolerance, features, leftOut,
      deadLetters, events, failure,
    ],
    rules: [
      .oneOf([input, inputFile], "input or input_file"),
      .oneOf([output, outputFile], "output or output_file"),
      SettingRule { values in
        guard !values.isGiven(input), !values.isGiven(inputFile) else { return [] }
        return [
          SettingViolation(input, expected: .value("input or input_file"), found: "neither")
        ]
      },
      SettingRule { values in
        guard values.isGiven(tolerance), !values.isGiven(output), !values.isGiven(outputFile)
        else { return [] }
        return [
          SettingViolation(tolerance, expected: .value("output or output_file"), found: "neither")
        ]
      },
    ])

  package static let stream = Setting(
    required: "stream", .text, help: "The stream whose settings and operators the test uses.")

  package static let input = Setting(
    "input", anyText, help: "The input as text. The stream reads it in place of its source.")

  package static let inputFile = Setting(
    "input_file", .path, help: "The file with the input, compressed or not.")

  package static let checkpoint = Setting(
    "checkpoint", .path, defaultText: "a new state",
    help: "The checkpoint file that the stream starts from.")

  package static let output = Setting(
    "output", anyText, defaultText: "any",
    help: "The expected output as text, with its header; not compressed.")

  package static let outputFile = Setting(
    "output_file", .path, defaultText: "any",
    help: "The file with the expected output, not compressed.")

  package static let tolerance = Setting(
    "tolerance", .number(atLeast: 0), default: 0,
    help:
      "The greatest difference between a number and the expected one, as a part of the expected "
      + "one if that is above 1. Two whole numbers must be equal, and so must all other text.")

  package static let features = Setting(
    "features", .texts, defaultText: "any", help: "The expected features, in their order.")

  package static let leftOut = Setting(
    "left_out", .texts, defaultText: "any",
    help:
      "The columns that the program must leave out when it chooses the features, in their order.")

  package static let deadLetters = Setting(
    "dead_letters", lettersType, default: [],
    help:
      "The records that the stream must drop, in their order: the number of the record, from 1, "
      + "a space and a part of the reason.")

  package static let events = Setting(
    "events", .texts, defaultText: "any",
    help:
      "The events that the operators must raise, in their order: a part of `name: text`, such as "
      + "`drift: feature 'temp': its mean`.")

  package static let failure = Setting(
    "failure", .text, defaultText: "none",
    help: "A part of the error that must stop the stream.")

  /// Any text, also an empty one.
  private static let anyText = SettingType<String>(
    expected: "text", text: { $0 }, parse: { (text) throws(SettingRefusal) in text })

  private static let lettersType = SettingType<[ExpectedLetter]>(
    expected: "a list of texts such as '3 a number'", form: .list,
    text: { listText($0.map { "\($0.record) \($0.reason)" }) },
    list: { (texts) throws(SettingRefusal) in
      try texts.map { (text) throws(SettingRefusal) in
        let parts = text.split(separator: " ", maxSplits: 1)
        guard parts.count == 2, let record = Int(parts[0]), record > 0 else {
          throw SettingRefusal(
            hint: "each begins with the number of the record, from 1, and a space")
        }
        return ExpectedLetter(record: record, reason: String(parts[1]))
      }
    })
}

/// A record that a test expects the stream to drop.
package struct ExpectedLetter: Sendable, Equatable {
  /// From 1.
  package var record: Int
  /// A part of the reason.
  package var reason: String
}
