internal import Records

/// One thing that is wrong with a configuration file, and where.
package struct ConfigurationError: Error, Equatable, Sendable, CustomStringConvertible {
  package let file: String
  /// From 1.
  package let line: Int
  /// In Unicode scalars, from 1.
  package let column: Int
  /// The keys that lead to the place, such as `streams.weather.batch.size`; empty for the whole file.
  package let path: String
  package let message: String
  /// What the author may have meant.
  package let hint: String?

  /// One line; a key may hold line ends and what steers a terminal.
  package var description: String {
    printable(
      "\(file):\(line):\(column): " + (path.isEmpty ? "" : "\(path): ") + message
        + (hint.map { "; \($0)" } ?? ""))
  }
}

/// Everything that is wrong with a configuration file, in the order of the file.
package struct ConfigurationFailure: Error, CustomStringConvertible {
  /// Not empty.
  package let errors: [ConfigurationError]

  package var description: String {
    errors.map(\.description).joined(separator: "\n")
  }
}

/// Where a value stands, for what turns out to be wrong with it once the file is read.
package struct ConfigurationPlace: Sendable, Equatable {
  package let file: String
  package let path: String
  /// The written text, if a variable gave the value, which no error may show.
  package let written: String?
  let mark: SourceMark

  /// An error at this place.
  package func error(_ message: String) -> ConfigurationError {
    ConfigurationError(
      file: file, line: mark.line, column: mark.column, path: path, message: message, hint: nil)
  }
}

/// Where something stands in the file.
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
    // A node that aliases lead to is read more than once.
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
