internal import Records

/// A kind of event that an operator can raise.
package struct EventKind: Sendable, Equatable {
  /// The severity of an event.
  package enum Level: Int, Sendable, Comparable {
    case info, notice, warning, error

    package static func < (left: Level, right: Level) -> Bool { left.rawValue < right.rawValue }
  }

  /// The name in logs and metrics, in snake case.
  package let name: String
  package let level: Level
  /// Its meaning, in one sentence.
  package let help: String

  package init(_ name: String, _ level: Level, help: String) {
    self.name = name
    self.level = level
    self.help = help
  }
}

/// A number or a word of an event.
package enum EventValue: Sendable, Equatable {
  case number(Double)
  case count(Int)
  case text(String)
}

/// An event of an operator. It leaves the stream with its batch.
package struct OperatorEvent: Sendable, Equatable, CustomStringConvertible {
  package let kind: EventKind
  /// The feature of the event; nil if it concerns the whole stream.
  package let feature: String?
  /// A sentence for people.
  package let text: String
  /// Its numbers and words for programs, by name in snake case.
  package var fields: [String: EventValue] = [:]
  /// Whether the log tells it. Events and metrics do always.
  package var isLogged = true
  /// Whether it is posted to the address that the stream names.
  package var isPosted = false

  package init(_ kind: EventKind, feature: String? = nil, _ text: String) {
    self.kind = kind
    self.feature = feature
    self.text = text
  }

  package var description: String {
    feature.map { "feature \(quoted($0)): \(text)" } ?? text
  }
}
