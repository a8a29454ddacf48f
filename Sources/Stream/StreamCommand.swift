package import Operators
package import Records

/// A command to a running stream. It takes effect between two batches.
package enum StreamCommand: Sendable, Equatable {
  /// Writes a checkpoint now.
  case checkpoint
  /// Changes an operator of the stream.
  case update(StreamUpdate)
  /// Shows keys of the stream, and changes nothing.
  case keys(KeyQuery)

  /// Whether it may come many times a second: it waits for the next checkpoint, and the log does not tell it.
  package var isFrequent: Bool {
    if case .update(let update) = self, let body = update.body {
      type(of: body).addsUp
    } else {
      false
    }
  }
}

/// The outcome of a command that was not refused.
package enum CommandAnswer: Sendable, Equatable {
  /// The versions of the state after an update; nil after a checkpoint.
  case done(StateVersions?)
  /// The change is stored for all partitions of the stream. Each makes it at its next state. The number is the offset of
  /// the change in the state topic.
  case accepted(Int)
  case keys(KeyReport)
}

/// Gets the outcome of a command, once.
package typealias CommandReply = @Sendable (Result<CommandAnswer, CommandRefusal>) -> Void

/// The outcome of an update that a user requested.
package struct ChangeOutcome: Sendable, Hashable {
  package enum Result: String, Sendable {
    case applied
    /// γ and β have another version than the update was made for.
    case stale
    case refused
  }

  /// The name of the update.
  package let change: String
  package let result: Result

  package init(_ change: String, _ result: Result) {
    self.change = change
    self.result = result
  }

  package init(_ update: StreamUpdate, _ result: Swift.Result<CommandAnswer, CommandRefusal>) {
    change = update.name
    switch result {
    case .success: self.result = .applied
    case .failure(.refused(let error)) where error.cause is any VersionConflict:
      self.result = .stale
    case .failure: self.result = .refused
    }
  }
}

/// The reason why a command was not run.
package enum CommandRefusal: Error, Equatable, CustomStringConvertible {
  case noSuchStream(String)
  /// The stream does not run now.
  case notRunning(String)
  /// An operator refuses the update.
  case refused(OperatorError)
  /// The command does not fit the stream. The text tells the expected and the found value, in one line.
  case unfit(String)

  package var description: String {
    switch self {
    case .noSuchStream(let name): "no stream '\(name)'"
    case .notRunning(let name): "stream '\(name)' does not run"
    case .refused(let error): error.description
    case .unfit(let reason): reason
    }
  }
}
