package import Configuration

/// A kind of source or of sink: its name in a configuration, its settings, and how it is opened.
package protocol ConnectorKind: Sendable {
  /// Opens it.
  associatedtype Factory: Sendable

  static var role: ConnectorRole { get }
  var name: String { get }
  /// Its settings, in the section under its name and by options.
  var settings: SettingGroup { get }
  /// How `check --connect` tries it.
  var trial: ConnectorTrial { get }
  /// Opens a location of the command line; nil if the location does not mean this kind.
  var locate: @Sendable (_ location: String, SettingValues) -> Factory? { get }
  /// The place that the values of its settings lead to.
  var place: @Sendable (SettingValues) -> ConnectorPlace { get }
  /// Opens the place that the values of its settings lead to.
  var open: @Sendable (SettingValues) -> Factory { get }
  /// The number of descriptors that it holds, with one connection.
  var descriptorCount: Int { get }
  /// The number of threads that a library starts for it, with a few servers.
  var threadCount: Int { get }
  /// Whether several streams may use the same one.
  var isShareable: Bool { get }
}

/// The part that a connector plays for its stream; the raw value is its key in a configuration.
package enum ConnectorRole: String, Sendable {
  case source
  case sink
}

extension Array where Element: ConnectorKind {
  /// Opens a location of the command line by the first kind that it means.
  ///
  /// - Parameter values: those of the kinds' options.
  package func factory(
    _ location: String, _ values: SettingValues = SettingValues()
  ) -> Element.Factory {
    let factory = lazy.compactMap { $0.locate(location, values) }.first
    guard let factory else { preconditionFailure("the last kind takes every location") }
    return factory
  }
}
