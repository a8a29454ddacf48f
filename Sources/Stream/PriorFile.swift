internal import BatchNormalization
internal import Operators
internal import Records
internal import State
internal import Storage

/// The checkpoint with the moments of a prior. It is read once, with the configuration.
package struct PriorFile: Sendable {
  private let path: String
  private let state: StateTable
  /// The same for files with the same moments, whatever else they hold.
  let identity: String

  /// - Throws: an error if the file cannot be read.
  init(
    _ path: String, dropsUnknownState: Bool, in fileSystem: any FileSystem
  ) throws(StorageError) {
    let reading = StateReading(
      StateReading.ofOperators.groups, unknown: dropsUnknownState ? .drop : .refuse)
    self.path = path
    state = try CheckpointFile.read(path, reading, in: fileSystem).state
      .regrouped(to: NormalizerColumns.groups)
    var bytes: [UInt8] = []
    let columns = NormalizerColumns(in: state)
    for (name, (mean, variance)) in zip(
      state.features.names, zip(state[columns.mean], state[columns.variance]))
    {
      bytes += Array(name.utf8) + [0]
      for number in [mean, variance] {
        bytes += stride(from: 0, to: 64, by: 8).map {
          UInt8(truncatingIfNeeded: number.bitPattern >> UInt64($0))
        }
      }
    }
    identity = hexDigits(xxh3(bytes))
  }

  /// The moments of the features of a stream.
  ///
  /// - Parameter allowsUnknown: whether the file may lack a feature, which then has no prior.
  /// - Throws: `StreamError.configuration` for a feature that has no moments in the file, for a deviation of 0 beside a
  ///   limit, and for numbers that are too great.
  func moments(
    for schema: FeatureSchema, _ limit: PriorLimit, allowsUnknown: Bool, of stream: String
  ) throws(StreamError) -> PriorMoments {
    let matched = state.matched(to: schema)
    do throws(NormalizationError) {
      try NormalizerColumns(in: matched).requireSizes(matched)
    } catch {
      throw .configuration("\(stream): the prior \(path): \(error)")
    }
    let moments = PriorMoments(matched)
    let unknown = moments.unknown(of: schema)
    guard unknown.isEmpty || allowsUnknown else {
      throw .configuration(
        "\(stream): the prior \(path): expected moments of every feature, found none of \(listed(unknown)); "
          + "--exclude leaves a feature out, --on-mismatch match_by_name gives it no prior")
    }
    let constant = moments.constant(of: schema)
    guard constant.isEmpty || !limit.isOn else {
      throw .configuration(
        "\(stream): the prior \(path): expected deviations above 0, which a limit is measured by, found 0 of "
          + listed(constant))
    }
    return moments
  }
}
