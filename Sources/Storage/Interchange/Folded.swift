internal import Records
internal import State

extension ExportFormat {
  /// The transform as one multiply-add, y = scale · x + shift, for model servers: with
  /// scale = γ / σ and shift = β − scale · μ, where σ² is the denominator that the settings say. If that is
  /// 0, scale is 0. Without centring μ is 0, without scaling σ is 1.
  ///
  /// A limit on |x̂| cannot be expressed, and the checkpoint has no moments of a prior; the metadata names the ones that
  /// are left out.
  static let folded = ExportFormat(name: "folded", hasKeys: false) {
    checkpoint throws(ContentError) in
    let denominator = try Denominator(checkpoint, neededFor: "folding")
    var scale: [Double] = []
    var shift: [Double] = []
    let state = checkpoint.state
    let (weight, bias) = (state[real: "weight"], state[real: "bias"])
    let (mean, variance) = (state[real: "running_mean"], state[real: "running_var"])
    for (index, feature) in checkpoint.features.enumerated() {
      let deviation = denominator(variance[index]).squareRoot()
      let factor = deviation > 0 ? weight[index] / deviation : 0
      let offset = bias[index] - factor * (denominator.isCentred ? mean[index] : 0)
      guard factor.isFinite, offset.isFinite else {
        throw .unexpected(
          part: "feature \(quoted(feature))", expected: "a finite scale and shift",
          found: "\(factor) and \(offset)")
      }
      scale.append(factor)
      shift.append(offset)
    }
    return try Safetensors(
      tensors: ["scale": .init(scale), "shift": .init(shift)],
      metadata: denominator.metadata.merging(checkpoint.leftOutKeys) { $1 }.merging(
        [MetadataKey.features: try JSON.encode(checkpoint.features)]) { $1 }
    ).serialized()
  }
}

/// The denominator of x̂ before the square root, by the settings of a checkpoint.
struct Denominator {
  private let epsilon: Double
  private let isRelative: Bool
  /// Whether the mean is subtracted, and whether anything is divided by.
  let isCentred, isScaled: Bool
  private let floor: Double
  /// The lines about it in the metadata of an export.
  let metadata: [String: String]

  /// - Parameter purpose: why it must be known, for the error.
  /// - Throws: if the checkpoint does not name ε, as one that was imported may not.
  init(_ checkpoint: Checkpoint, neededFor purpose: String) throws(ContentError) {
    let relative = try Self.number("epsilon.relative", in: checkpoint)
    let absolute = try Self.number("epsilon", in: checkpoint)
    guard let epsilon = relative ?? absolute else {
      throw .unexpected(
        part: "settings", expected: "epsilon, which \(purpose) needs", found: "nothing")
    }
    self.epsilon = epsilon
    let parts = checkpoint.settings["parts"]
    guard parts == nil || parts == "center" || parts == "scale" else {
      throw .unexpected(
        part: "settings: parts", expected: "center or scale", found: quoted(parts ?? ""))
    }
    (isCentred, isScaled) = (parts != "scale", parts != "center")
    isRelative = relative != nil
    floor = try Self.number("variance_floor", in: checkpoint) ?? 0
    var metadata = [
      isRelative ? MetadataKey.relativeEpsilon : MetadataKey.epsilon: "\(epsilon)"
    ]
    if let clip = try Self.number("clip", in: checkpoint) {
      metadata[MetadataKey.clipLeftOut] = "\(clip)"
    }
    if let values = try Self.number("prior.values", in: checkpoint) {
      metadata[MetadataKey.priorLeftOut] = "\(values)"
    }
    if let parts { metadata[MetadataKey.parts] = parts }
    self.metadata = metadata
  }

  /// ε, if it is all that is added to a variance, as in the modules of other tools; else nil.
  var onlyEpsilon: Double? { isScaled && !isRelative && floor == 0 && epsilon > 0 ? epsilon : nil }

  /// 1 if nothing is divided by.
  func callAsFunction(_ variance: Double) -> Double {
    guard isScaled else { return 1 }
    let least = max(variance, floor)
    return isRelative ? least * (1 + epsilon) : least + epsilon
  }

  /// The value of a setting, a number of 0 or more; nil if the checkpoint does not contain the setting.
  private static func number(
    _ name: String, in checkpoint: Checkpoint
  ) throws(ContentError) -> Double? {
    guard let text = checkpoint.settings[name] else { return nil }
    guard let value = Double(text), value.isFinite, value >= 0 else {
      throw .unexpected(
        part: "settings: \(name)", expected: "a number of 0 or more", found: quoted(text))
    }
    return value
  }
}
