import Configuration
import Foundation
import Records
import TestSupport

@testable import Codecs

extension FuzzTarget {
  private static func golden(_ names: [String]) throws -> [[UInt8]] {
    let directory = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .deletingLastPathComponent().appending(path: "CodecsTests/Golden/arrow")
    return try names.map { [UInt8](try Data(contentsOf: directory.appending(path: $0))) }
  }

  private static let arrowPieces: [[UInt8]] = [
    [0], [1], [4], [8], [0xFF, 0xFF, 0xFF, 0xFF], [0xFF, 0xFF, 0xFF, 0x7F], [0, 0, 0, 0x80],
    [0, 0, 0, 0, 0, 0, 0, 0], [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F],
    [0, 0, 0, 0, 1, 0, 0, 0], Array("ARROW1".utf8),
  ]

  /// The golden streams and files, changed at any byte: prefixes, metadata, bodies, compressed buffers and footers.
  static let arrow = FuzzTarget(
    "arrow",
    bytes: arrowPieces,
    seeds: {
      try golden([
        "pyarrow-deltas.arrows", "pyarrow-none.arrows", "pyarrow-zstd.arrows",
        "pyarrow-lz4.arrow", "polars-lazy.arrow", "polars-newest-none.arrow",
        "pyarrow-legacy.arrows", "pyarrow-words-lz4.arrows",
      ])
    },
    read: { input in
      convert(input, .arrow, to: [.csv, .ndjson], features: [])
      edit(input, .arrow, features: []) {
        $0.settings[RecordSettings.columns] = ["?", "*e*"].map { FeaturePattern($0) }
      }
      return readAndWrite(input)
    })

  /// Streams with lists of numbers, and lists of these.
  static let lists = FuzzTarget(
    "lists", bytes: arrowPieces,
    seeds: {
      try golden(["gradients-lists.arrows", "gradients-large.arrows", "gradient-rows.arrows"])
    },
    read: { input in
      convert(input, .arrow, to: [], features: ["*"]) {
        $0.keepsFields = false
        $0.limits.unitBytes = 4 << 20
        $0.lists = ["weight_grad", "bias_grad", "y", "y_grad"]
      }
    })

  /// Reads an input with all of its columns, as far as it can be read, and writes it in other formats.
  ///
  /// - Returns: whether all of it was read.
  @discardableResult static func convert(
    _ input: [UInt8], _ format: RecordFormat, to outputs: [RecordFormat], features: [String],
    _ change: (inout DecoderOptions) -> Void = { _ in }
  ) -> Bool {
    var options = DecoderOptions()
    options.limits.unitBytes = 64 << 20
    options.features = features.map { FeaturePattern($0) }
    options.keepsFormat = false
    options.keepsFields = true
    options.onInvalid = .missing
    change(&options)
    guard var decoder = try? format.makeDecoder(options) else { return false }
    return input.withUnsafeBufferPointer { input in
      guard let opening = try? decoder.open(InputWindow(bytes: input, isLast: true)) else {
        return false
      }
      var encoding = EncoderOptions(
        schema: opening.schema, prologue: options.keepsFormat ? opening.prologue : nil)
      encoding.columns = opening.columns
      encoding.settings = options.settings
      if options.keepsFields {
        encoding.fields = format.fields.map { $0(opening, options.settings) }
        encoding.scalars = format.scalars.flatMap { $0(opening, options.settings) }
      }
      let encoders = outputs.compactMap { try? $0.makeEncoder(encoding) }
      let output = ByteBuffer()
      var rest = UnsafeBufferPointer(rebasing: input[decoder.byteCount(of: opening)...])
      while true {
        var block = RecordBlock(
          columns: FeatureColumns(
            featureCount: opening.schema.count, capacity: 16, precision: .float64))
        var progress = DecodeProgress()
        let outcome = decoder.decode(
          InputWindow(bytes: rest, isLast: true), into: &block, limit: 16, progress: &progress)
        rest = UnsafeBufferPointer(rebasing: rest[progress.consumed...])
        for encoder in encoders {
          output.removeAll()
          encoder.encode(block, into: output)
        }
        if let lists = ArrowLists(of: block) {
          for record in 0..<block.columns.count {
            for name in options.lists { _ = lists.value(of: name, in: record) }
          }
        }
        switch outcome {
        case .limitReached, .unitEnded, .rejected: continue
        case .failed: return false
        case .needsInput: return rest.isEmpty
        }
      }
    }
  }

  /// Reads an input, and writes it in its own format with other columns and with versions.
  static func edit(
    _ input: [UInt8], _ format: RecordFormat, features: [String],
    _ change: (inout DecoderOptions) -> Void = { _ in }
  ) {
    convert(input, format, to: [format], features: features) {
      ($0.keepsFormat, $0.keepsFields) = (true, false)
      $0.settings[RecordSettings.stamp] = "v"
      $0.settings[RecordSettings.columns] = ["?", "*b*", "!k*"].map { FeaturePattern($0) }
      change(&$0)
    }
  }

  /// Reads a stream or file, raises each value, and writes it as a stream and as a file.
  ///
  /// - Returns: whether all of it was read.
  private static func readAndWrite(_ input: [UInt8]) -> Bool {
    var options = DecoderOptions()
    options.limits.unitBytes = 64 << 20
    options.onInvalid = .missing
    guard var decoder = try? RecordFormat.arrow.makeDecoder(options) else { return false }
    return input.withUnsafeBufferPointer { input in
      guard let opening = try? decoder.open(InputWindow(bytes: input, isLast: true)) else {
        return false
      }
      var encoding = EncoderOptions(schema: opening.schema, prologue: opening.prologue)
      encoding.settings[ArrowSettings.container] = .file
      guard let encoder = try? RecordFormat.arrow.makeEncoder(encoding) else { return false }
      let output = ByteBuffer()
      encoder.encodePrologue(into: output)
      var rest = UnsafeBufferPointer(rebasing: input[decoder.byteCount(of: opening)...])
      var isWhole: Bool?
      while isWhole == nil {
        var block = RecordBlock(
          columns: FeatureColumns(
            featureCount: opening.schema.count, capacity: 16, precision: .float64))
        var progress = DecodeProgress()
        let outcome = decoder.decode(
          InputWindow(bytes: rest, isLast: true), into: &block, limit: 16, progress: &progress)
        rest = UnsafeBufferPointer(rebasing: rest[progress.consumed...])
        block.columns.withFloat64Columns { values in
          for index in values.indices { values[index] += 1 }
        }
        encoder.encode(block, into: output)
        switch outcome {
        case .limitReached, .unitEnded: break
        case .rejected, .failed: isWhole = false
        case .needsInput: isWhole = rest.isEmpty
        }
      }
      var end = encoder.epilogue
      let file = output.readable
      while let range = end?.wants(ofBytes: file.count) { end?.take(Array(file[range])) }
      _ = end?.bytes
      return isWhole == true
    }
  }
}
