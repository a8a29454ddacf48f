internal import Foundation
internal import Logging
internal import Pipeline

/// Logs to stderr, one line a message, as text or as JSON.
struct LineLogHandler: LogHandler {
  var metadata: Logger.Metadata = [:]
  var logLevel: Logger.Level
  private let label: String
  private let format: LogFormat

  init(label: String, level: Logger.Level, format: LogFormat) {
    self.label = label
    self.format = format
    logLevel = level
  }

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) {
    let all = metadata.merging(event.metadata ?? [:]) { _, new in new }
    let time = Date().formatted(.iso8601.time(includingFractionalSeconds: true))
    switch format {
    case .text:
      let details = all.sorted { $0.key < $1.key }.map { " \($0.key)=\(oneLine("\($0.value)"))" }
      let line = "\(time) \(event.level) \(oneLine("\(event.message)"))\(details.joined())\n"
      writeToStandardError(line)
    case .json:
      var fields = all.mapValues { "\($0)" }
      fields["time"] = time
      fields["level"] = event.level.rawValue
      fields["message"] = "\(event.message)"
      writeToStandardError(jsonText(fields) + "\n")
    }
  }

  /// A text without line ends and other control characters, which could pass for lines of the log.
  private func oneLine(_ text: String) -> String {
    text.unicodeScalars.map { scalar in
      scalar.properties.generalCategory == .control ? scalar.escaped(asASCII: true) : "\(scalar)"
    }.joined()
  }
}
