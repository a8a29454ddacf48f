internal import Records
internal import State

extension ExportFormat {
  /// The five tensors of PyTorch's `BatchNorm1d.state_dict()` and no other, so that
  /// `load_state_dict(strict=True)` takes the file. The metadata names the `eps` that the module needs.
  ///
  /// A module adds ε to the variance and does nothing else. If the settings do more (a relative ε, a floor),
  /// `running_var` is the whole denominator and `eps` 0. If that is 0, `running_var` is 1 and `weight` 0, so
  /// that y = β. Without centring, `running_mean` is 0. A limit on |x̂| cannot be expressed; the metadata names the one that is left out.
  static let pytorch = ExportFormat(name: "pytorch", hasKeys: false) {
    checkpoint throws(ContentError) in
    let names = ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]
    var metadata = ["format": "pt", MetadataKey.features: try JSON.encode(checkpoint.features)]
    metadata.merge(checkpoint.leftOutKeys) { $1 }
    var checkpoint = checkpoint
    let namesEpsilon = ["epsilon", "epsilon.relative"].contains { checkpoint.settings[$0] != nil }
    if namesEpsilon {
      let denominator = try Denominator(checkpoint, neededFor: "the module")
      metadata.merge(denominator.metadata) { $1 }
      metadata[MetadataKey.moduleEpsilon] = "\(denominator.onlyEpsilon ?? 0)"
      if !denominator.isCentred {
        checkpoint.state[real: "running_mean"] = checkpoint.features.map { _ in 0 }
      }
      if denominator.onlyEpsilon == nil {
        let variance = checkpoint.state[real: "running_var"].map { denominator($0) }
        checkpoint.state[real: "weight"] = zip(variance, checkpoint.state[real: "weight"])
          .map { $0 > 0 ? $1 : 0 }
        checkpoint.state[real: "running_var"] = variance.map { $0 > 0 ? $0 : 1 }
      }
    }
    return try Safetensors(
      tensors: checkpoint.safetensors().tensors.filter { names.contains($0.key) },
      metadata: metadata
    ).serialized()
  }
}

extension ImportFormat {
  /// The state of a PyTorch `BatchNorm1d`, alone or in that of a model.
  ///
  /// With `num_batches_tracked` = k, every feature counts as present in k batches. If the file lacks it, k is 1: with
  /// 0, bias correction would let the first batch replace the moments.
  static let pytorch = ImportFormat(name: "pytorch") { bytes, options throws(ContentError) in
    let file = try Safetensors(serialized: bytes)
    func name(_ tensor: String) -> String { options.prefix + tensor }
    guard file.tensors[name("running_mean")] != nil else {
      throw missingMean(name("running_mean"), in: file)
    }
    let mean = try file.doubles(name("running_mean"))
    // The names in the metadata belong to a single module, not to one with a prefix.
    let named = options.prefix.isEmpty ? try file.features() : nil
    let features = options.features ?? named ?? FeatureSchema.unnamed(count: mean.count)
    guard features.count == mean.count else {
      throw .unexpected(
        part: "tensor \(quoted(name("running_mean")))",
        expected: "\(features.count) number\(features.count == 1 ? "" : "s"), one for each feature",
        found: "\(mean.count)")
    }
    var state = StateTable(options.groups, features: try FeatureSchema(named: features))
    state[real: "running_mean"] = mean
    state[real: "running_var"] = try file.doubles(name("running_var"), count: mean.count)
    for tensor in ["weight", "bias"] where file.tensors[name(tensor)] != nil {
      state[real: tensor] = try file.doubles(name(tensor), count: mean.count)
    }
    let count = name("num_batches_tracked")
    let batches = file.tensors[count] == nil ? 1 : try file.wholeNumber(count)
    let (values, overflow) = batches.multipliedReportingOverflow(by: options.valuesPerBatch)
    guard !overflow else {
      throw .unexpected(
        part: "tensor \(quoted(count))", expected: "a count of batches", found: "\(batches)")
    }
    state.setCounts(
      batches: mean.map { _ in batches }, values: mean.map { _ in Double(values) })
    return Checkpoint(state, settings: options.epsilon.map { ["epsilon": "\($0)"] } ?? [:])
  }

  private static func missingMean(_ name: String, in file: Safetensors) -> ContentError {
    let others = file.tensors.keys.filter { $0.hasSuffix("running_mean") }.sorted()
    let hint = others.isEmpty ? "" : "; there is \(listed(others)): is the prefix right?"
    return .unexpected(
      part: "tensor \(quoted(name))", expected: "numbers [d]", found: "nothing" + hint)
  }
}
