internal import Logging
internal import Operators
internal import Records
internal import Stream

extension Logger {
  /// Logs an event of a stream. Does not log single bad records: they are counted, and dead letters contain them.
  func report(_ event: StreamEvent) {
    switch event {
    case .opened(let opening):
      if let text = opening.choiceText { notice("\(Catalogue.wordsOfFile(text))") }
      if let text = opening.warning { warning("\(Catalogue.wordsOfFile(text))") }
    case .badRecord: break
    case .applied(let update, let stateVersion):
      notice(
        "update applied", metadata: ["update": "\(update)", "stateVersion": "\(stateVersion)"])
    case .raised(let event):
      guard event.isLogged else { return }
      var metadata: Logger.Metadata = ["event": "\(event.kind.name)"]
      if let feature = event.feature { metadata["feature"] = "\(feature)" }
      log(level: Logger.Level(event.kind.level), "\(event.text)", metadata: metadata)
    }
  }
}

extension Logger.Level {
  fileprivate init(_ level: EventKind.Level) {
    self =
      switch level {
      case .info: .info
      case .notice: .notice
      case .warning: .warning
      case .error: .error
      }
  }
}
