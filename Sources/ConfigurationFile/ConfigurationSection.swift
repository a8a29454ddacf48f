// Invariants:
// - A key is asked for at most once by whoever reads the section.
// - Reading never stops at an error: it is collected, and a value that lets the reader go on is given.

/// One mapping of a configuration file, read key by key by whoever it concerns.
///
/// Every reader method marks its key as known and checks its value; errors are collected in the file's
/// `ConfigurationErrors` with file, line, column and the path of the key.
package final class ConfigurationSection {
  /// The text at a key; `default` where the key is absent. Without a default the key is required.
  package func string(_ key: String, default fallback: String? = nil) -> String { preconditionFailure() }
  package func optionalString(_ key: String) -> String? { preconditionFailure() }
  package func bool(_ key: String, default fallback: Bool) -> Bool { preconditionFailure() }
  package func int(_ key: String, in range: ClosedRange<Int>, default fallback: Int?) -> Int { preconditionFailure() }
  /// A finite number; `allows` says more of it, in the words of `expected`.
  package func double(_ key: String, expected: String, default fallback: Double?, allows: (Double) -> Bool) -> Double { preconditionFailure() }
  /// A duration with its unit (`250ms`, `10s`, `5m`, `1h`, `7d`), in seconds.
  package func seconds(_ key: String, in range: ClosedRange<Double>, default fallback: Double?) -> Double { preconditionFailure() }
  /// A size with its unit (`512B`, `64KiB`, `1MiB`, `1GiB`), in bytes.
  package func bytes(_ key: String, in range: ClosedRange<Int>, default fallback: Int?) -> Int { preconditionFailure() }
  package func choice<Choice: RawRepresentable<String> & CaseIterable>(_ key: String, default fallback: Choice?) -> Choice { preconditionFailure() }
  package func strings(_ key: String, default fallback: [String]?) -> [String] { preconditionFailure() }
  package func section(_ key: String) -> ConfigurationSection? { preconditionFailure() }
  /// Whether the key is there (not marking it as known).
  package func contains(_ key: String) -> Bool { preconditionFailure() }
  /// Adds an error at a key of this section (or at the section itself for nil).
  package func report(_ key: String?, expected: String, found: String) { preconditionFailure() }
  private init() {}
}
