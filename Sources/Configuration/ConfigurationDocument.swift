/// A parsed configuration file: its root section and its faults.
package final class ConfigurationDocument {
  /// The most bytes that a file may have.
  package static let greatestSize = 1 << 20

  private let errors: ConfigurationErrors
  /// The mapping that the file holds.
  package let root: ConfigurationSection

  /// Parses a file.
  ///
  /// - Parameters:
  ///   - bytes: the contents of the file, in UTF-8.
  ///   - file: its name in errors.
  ///   - environment: returns the value of a variable, or nil if it is not set.
  /// - Throws: an error if the file cannot be parsed. `check` throws all other errors.
  package init(
    _ bytes: [UInt8], file: String, environment: @escaping (String) -> String?
  ) throws(ConfigurationFailure) {
    let errors = ConfigurationErrors(file: file)
    var reading = YAMLReading(errors: errors, environment: environment)
    let entries = try reading.rootEntries(of: bytes)
    self.errors = errors
    root = ConfigurationSection(entries: entries, path: "", mark: .start, errors: errors)
  }

  /// Checks the file after every setting was read.
  ///
  /// - Throws: all errors, with the keys that no code has read.
  package func check() throws(ConfigurationFailure) {
    root.reportUnknownKeys()
    try errors.check()
  }
}
