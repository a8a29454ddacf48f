internal import Records

/// One fault of a configuration file, with its position.
package struct ConfigurationError: Error, Equatable, Sendable, CustomStringConvertible {
  package let file: String
  /// From 1.
  package let line: Int
  /// In Unicode scalars, from 1.
  package let column: Int
  /// The keys that lead to the position, such as `streams.weather.batch.size`; empty for the whole file.
  package let path: String
  package let message: String
  /// A correction that the author may have meant.
  package let hint: String?

  /// One line. Escapes line ends and terminal control characters, which keys may contain.
  package var description: String {
    printable(
      "\(file):\(line):\(column): " + (path.isEmpty ? "" : "\(path): ") + message
        + (hint.map { "; \($0)" } ?? ""))
  }
}

/// All faults of a configuration file, in the order of the file.
package struct ConfigurationFailure: Error, CustomStringConvertible {
  /// Not empty.
  package let errors: [ConfigurationError]

  package var description: String {
    errors.map(\.description).joined(separator: "\n")
  }
}

/// The position of a value. A check that runs after the file was read reports its error there.
package struct ConfigurationPlace: Sendable, Equatable {
  package let file: String
  package let path: String
  /// The text in the file, if the value came from a variable. No error may show the value of a variable.
  package let written: String?
  let mark: SourceMark

  /// Makes an error at this position.
  package func error(_ message: String) -> ConfigurationError {
    ConfigurationError(
      file: file, line: mark.line, column: mark.column, path: path, message: message, hint: nil)
  }
}

/// A line and a column of the file.
struct SourceMark: Equatable, Sendable {
  /// From 1.
  var line: Int
  /// In Unicode scalars, from 1.
  var column: Int

  static let start = SourceMark(line: 1, column: 1)
}

/// Collects the errors of one file.
final class ConfigurationErrors {
  let file: String
  private(set) var errors: [ConfigurationError] = []

  init(file: String) {
    self.file = file
  }

  func report(_ message: String, path: String, at mark: SourceMark, hint: String? = nil) {
    let error = ConfigurationError(
      file: file, line: mark.line, column: mark.column, path: path, message: message, hint: hint)
    // A node may be read more than once, because several aliases lead to it.
    if !errors.contains(error) { errors.append(error) }
  }

  /// - Throws: the collected errors, if there are any.
  func check() throws(ConfigurationFailure) {
    guard !errors.isEmpty else { return }
    throw ConfigurationFailure(
      errors: errors.enumerated().sorted {
        ($0.element.line, $0.element.column, $0.offset)
          < ($1.element.line, $1.element.column, $1.offset)
      }.map(\.element))
  }
}
