internal import Configuration
internal import Records

/// The columns that the user wants in the output, in its order (`output.columns`).
struct ColumnChoice: Sendable {
  private let kept: [FeaturePattern]
  private let dropped: [FeaturePattern]

  /// Nil if the settings choose none.
  init?(_ settings: SettingValues) {
    guard let patterns = settings[RecordSettings.columns]?.divided else { return nil }
    (kept, dropped) = patterns
  }

  /// The chosen columns, as indices into the names of all.
  ///
  /// - Throws: an error if a pattern matches none of them, or no column is left.
  func order(of names: [String]) throws(FormatError) -> [Int] {
    do throws(FeatureError) {
      let dropped = try dropped.matching(names)
      let chosen =
        kept.isEmpty ? Array(names.indices) : try FeaturePattern.select(kept, from: names)
      let left = chosen.filter { !dropped.contains($0) }
      guard !left.isEmpty else { throw .noneLeft }
      return left
    } catch {
      throw FormatError(RecordSettings.columns, "\(RecordFault(error))")
    }
  }

  /// The place of a column among those of other patterns; nil if it is left out.
  func rank(of name: String) -> Int? {
    guard !dropped.matches(name) else { return nil }
    return kept.isEmpty ? 0 : kept.firstIndex { $0.matches(name) }
  }

  /// The names without wildcards, which some record must have.
  var names: [String] { (kept + dropped).filter { !$0.isGlob }.map(\.text) }
}

extension EncoderOptions {
  /// Refuses names of the stamp that the output has already.
  ///
  /// - Parameters:
  ///   - stamped: the names of the columns that the stamp adds.
  ///   - names: those of the other columns.
  func requireNew(_ stamped: [String], besides names: some Sequence<String>) throws(FormatError) {
    let names = Set(names.map { Name($0) })
    guard let taken = stamped.first(where: { names.contains(Name($0)) }) else { return }
    throw FormatError(
      RecordSettings.stamp,
      "expected a name that the output does not have yet, found column \(quoted(taken)): choose another"
    )
  }
}
