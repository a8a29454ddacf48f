package import Configuration
internal import Records

/// The settings of Arrow.
package enum ArrowSettings {
  package static let group = SettingGroup("Arrow", [container])

  package static let container = Setting<ArrowContainer>(
    "container", .choice, default: .stream,
    defaultText:
      "`file` for an output whose name ends in `.arrow`, `.feather` or `.ipc`, else `stream`",
    option: .value("arrow-container", "kind"), effects: [.outputForm, .writing],
    help:
      "The form of an Arrow output: an IPC `stream`, or an IPC `file`, which ends with a footer. The "
      + "bytes of an input tell its form.")
}

/// The two forms in which record batches follow one another.
package enum ArrowContainer: String, Sendable, CaseIterable {
  /// Messages one after another.
  case stream
  /// The same between magic bytes, with a footer that lists them.
  case file
}
