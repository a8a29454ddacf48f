internal import Configuration
internal import Storage

extension SourceKind {
  /// The standard input of the process, written `-`.
  package static let standardInput = SourceKind(
    name: "stdin", isLive: true, settings: SettingGroup("stdin"), trial: .none, descriptorCount: 0,
    locate: { location, _ in location == "-" ? factory : nil },
    place: { _ in .process },
    open: { _ in factory })

  private static let factory: SourceFactory = { _ throws(FileError) in
    try FileSource(POSIXFile.standardInput())
  }
}
