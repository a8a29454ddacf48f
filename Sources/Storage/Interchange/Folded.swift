internal import Records
internal import State

extension ExportFormat {
  /// The transform as one multiply-add, y = scale · x + shift, for model servers: scale = γ / sqrt(σ² + ε) and shift
  /// = β − scale · μ.
  ///
  /// ε and the floor under σ² come from the settings `epsilon` and `variance_floor`. A limit on |x̂| cannot be
  /// expressed.
  static let folded = ExportFormat(name: "folded") { checkpoint throws(ContentError) in
    guard let epsilon = try number("epsilon", in: checkpoint) else {
      throw .unexpected(
        part: "settings", expected: "epsilon, which folding needs", found: "nothing")
    }
    let floor = try number("variance_floor", in: checkpoint) ?? 0
    var scale: [Double] = []
    var shift: [Double] = []
    let state = checkpoint.state
    let (weight, bias) = (state[real: "weight"], state[real: "bias"])
    let (mean, variance) = (state[real: "running_mean"], state[real: "running_var"])
    for (index, feature) in checkpoint.features.enumerated() {
      let factor = weight[index] / (max(variance[index], floor) + epsilon).squareRoot()
      let offset = bias[index] - factor * mean[index]
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
      metadata: [
        MetadataKey.features: try JSON.encode(checkpoint.features),
        MetadataKey.epsilon: "\(epsilon)",
      ]
    ).serialized()
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
