internal import FoundationEssentials
internal import Glibc
internal import Logging
internal import Records
internal import Stream

/// Logs to stderr, one line for each message, as text or as JSON.
struct LineLogHandler: LogHandler {
  var metadata: Logger.Metadata = [:]
  var logLevel: Logger.Level
  private let label: String
  private let format: LogFormat

  /// Whether stderr is connected to systemd's journal, by JOURNAL_STREAM (systemd.exec(5)).
  private static let isReadByJournal: Bool = {
    var status = stat()
    guard let stream = ProcessInfo.processInfo.environment["JOURNAL_STREAM"],
      fstat(STDERR_FILENO, &status) == 0
    else { return false }
    return stream == "\(status.st_dev):\(status.st_ino)"
  }()

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
    let time = Date().formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true))
    let priority = Self.isReadByJournal ? "<\(event.level.journalPriority)>" : ""
    switch format {
    case .text:
      let details = all.sorted { $0.key < $1.key }.map { " \($0.key)=\(printable("\($0.value)"))" }
      let line =
        "\(priority)\(time) \(event.level) \(printable("\(event.message)"))\(details.joined())\n"
      writeToStandardError(line)
    case .json:
      var fields = all.mapValues { "\($0)" }
      fields["time"] = time
      fields["level"] = event.level.rawValue
      fields["message"] = "\(event.message)"
      writeToStandardError(priority + jsonText(fields) + "\n")
    }
  }
}

extension Logger.Level {
  /// The priority before a line, in the form of sd-daemon(3).
  fileprivate var journalPriority: Int {
    switch self {
    case .trace, .debug: 7
    case .info: 6
    case .notice: 5
    case .warning: 4
    case .error: 3
    case .critical: 2
    }
  }
}
