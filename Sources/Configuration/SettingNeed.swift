/// Something without which a setting has no effect, other than the value of another setting of its group.
///
/// One rule holds for all settings: a setting that the user gives and that has no effect is refused. A setting declares
/// its needs. Values of other settings stand in the rules of its group.
package enum SettingNeed: Sendable, CaseIterable {
  /// Batches of the source can be cut by time.
  case liveSource
  /// The source has several splits with columns of their own: files or connections.
  case severalSplits
  /// The source has files that can be left out.
  case severalFiles
  /// The run writes checkpoints while it goes on.
  case stateDirectory
  /// The stream may start from a checkpoint, or has the moments of one as a prior.
  case checkpoint

  /// The words of an error, after "expected".
  var expected: String {
    switch self {
    case .liveSource: "a live source, since time cuts no batch of a file"
    case .severalSplits: "a source of several files or connections"
    case .severalFiles: "a source of several files, directory or follow"
    case .stateDirectory: "--resume beside it"
    case .checkpoint: "a checkpoint, by --checkpoint-in, --resume or --prior"
    }
  }
}

extension SettingValues {
  /// The given settings of groups that have no effect for want of something.
  ///
  /// - Parameters:
  ///   - offered: the needs that are met.
  ///   - found: what is there in their place, in the words of an error.
  package func unmetNeeds(
    of groups: [SettingGroup], offered: Set<SettingNeed>, found: String
  ) -> [SettingViolation] {
    groups.flatMap(\.settings).filter { isGiven($0) }.compactMap { setting in
      guard let need = setting.need, !offered.contains(need) else { return nil }
      return SettingViolation(setting, expected: .value(need.expected), found: found)
    }
  }
}
