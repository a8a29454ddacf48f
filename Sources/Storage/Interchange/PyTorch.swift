internal import Records

extension ExportFormat {
  /// The five tensors of PyTorch's `BatchNorm1d.state_dict()` and no other, so that
  /// `load_state_dict(strict=True)` takes the file.
  static let pytorch = ExportFormat(name: "pytorch") { checkpoint throws(ContentError) in
    let names = ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]
    return try Safetensors(
      tensors: checkpoint.safetensors().tensors.filter { names.contains($0.key) },
      metadata: ["format": "pt", MetadataKey.features: try JSON.encode(checkpoint.features)]
    ).serialized()
  }
}

extension ImportFormat {
  /// The state of a PyTorch `BatchNorm1d`, alone or within a model's.
  ///
  /// With `num_batches_tracked` = k, every feature is taken to have been in k batches. Where the file
  /// lacks it, k = 1: with 0, bias correction would let the first batch replace the moments.
  static let pytorch = ImportFormat(name: "pytorch") { bytes, options throws(ContentError) in
    let file = try Safetensors(serialized: bytes)
    func name(_ tensor: String) -> String { options.prefix + tensor }
    guard file.tensors[name("running_mean")] != nil else {
      throw missingMean(name("running_mean"), in: file)
    }
    let mean = try file.doubles(name("running_mean"))
    // The names in the metadata are those of one module, not of any under a prefix.
    let named = options.prefix.isEmpty ? try file.features() : nil
    let features = options.features ?? named ?? FeatureSchema.unnamed(count: mean.count)
    guard features.count == mean.count else {
      throw .unexpected(
        part: "tensor \(quoted(name("running_mean")))",
        expected: "\(features.count) numbers, one a feature", found: "\(mean.count)")
    }
    var checkpoint = Checkpoint(features: features)
    checkpoint.settings["epsilon"] = options.epsilon.map { "\($0)" }
    checkpoint.runningMean = mean
    checkpoint.runningVariance = try file.doubles(name("running_var"), count: mean.count)
    if file.tensors[name("weight")] != nil {
      checkpoint.weight = try file.doubles(name("weight"), count: mean.count)
    }
    if file.tensors[name("bias")] != nil {
      checkpoint.bias = try file.doubles(name("bias"), count: mean.count)
    }
    let hasCount = file.tensors[name("num_batches_tracked")] != nil
    let batches = hasCount ? try file.integer(name("num_batches_tracked")) : 1
    let (values, overflow) = batches.multipliedReportingOverflow(by: options.valuesPerBatch)
    guard !overflow else {
      throw .unexpected(
        part: "tensor \(quoted(name("num_batches_tracked")))", expected: "a count of batches",
        found: "\(batches)")
    }
    checkpoint.batchesTracked = batches
    checkpoint.batches = Array(repeating: batches, count: mean.count)
    checkpoint.varianceBatches = checkpoint.batches
    checkpoint.values = Array(repeating: values, count: mean.count)
    checkpoint.varianceValues = checkpoint.values
    return checkpoint
  }

  private static func missingMean(_ name: String, in file: Safetensors) -> ContentError {
    let others = file.tensors.keys.filter { $0.hasSuffix("running_mean") }.sorted()
    let hint = others.isEmpty ? "" : "; there is \(listed(others)): is the prefix right?"
    return .unexpected(
      part: "tensor \(quoted(name))", expected: "numbers [d]", found: "nothing" + hint)
  }
}
