internal import Records
package import State

/// A form in which a checkpoint can be exported to other tools.
///
/// A new form is one file with such a value, and one line in `BuiltInExports.all`.
package struct ExportFormat: Sendable {
  package let name: String
  /// Whether it has the moments of each key, and not only those of all records.
  package let hasKeys: Bool
  package let encode: @Sendable (Checkpoint) throws(ContentError) -> [UInt8]

  /// The keys or classes of a checkpoint whose moments this form leaves out, in words; nil if there are none.
  package func leftOut(of checkpoint: Checkpoint) -> String? {
    let count = checkpoint.state.keyCount
    guard !hasKeys, count > 0 else { return nil }
    let isClass = checkpoint.settings["class"] != nil
    return "\(count) \(isClass ? count == 1 ? "class" : "classes" : count == 1 ? "key" : "keys")"
  }

  /// Writes the checkpoint in this form. Replaces the file at `path`.
  package func write(
    _ checkpoint: Checkpoint, to path: String, in fileSystem: any FileSystem = POSIXFileSystem()
  ) throws(StorageError) {
    let bytes: [UInt8]
    do throws(ContentError) {
      bytes = try self.bytes(of: checkpoint)
    } catch {
      throw .content(path: path, error)
    }
    try fileSystem.replace(path, with: bytes)
  }

  /// The checkpoint in this form.
  package func bytes(of checkpoint: Checkpoint) throws(ContentError) -> [UInt8] {
    try checkpoint.validate()
    return try encode(checkpoint)
  }
}

extension Checkpoint {
  /// The line about keys in the metadata of an export without them.
  var leftOutKeys: [String: String] {
    state.keyCount > 0 ? [MetadataKey.keysLeftOut: "\(state.keyCount)"] : [:]
  }
}

/// All export forms of Evenkeel.
package enum BuiltInExports {
  package static let all: [ExportFormat] = [.pytorch, .folded, .json]

  package static func named(_ name: String) -> ExportFormat? {
    all.first { $0.name == name }
  }
}

/// A form of another tool's state that can be imported as a checkpoint.
///
/// A new form is one file with such a value, and one line in `BuiltInImports.all`.
package struct ImportFormat: Sendable {
  package let name: String
  package let decode: @Sendable ([UInt8], ImportOptions) throws(ContentError) -> Checkpoint

  package func read(
    _ path: String, options: ImportOptions,
    in fileSystem: any FileSystem = POSIXFileSystem()
  ) throws(StorageError) -> Checkpoint {
    let bytes = try fileSystem.contents(of: path, limit: Safetensors.fileLimit)
    do throws(ContentError) {
      let checkpoint = try decode(bytes, options)
      try checkpoint.validate()
      guard !checkpoint.features.isEmpty else {
        throw ContentError.unexpected(
          part: "file", expected: "the moments of a feature", found: "none")
      }
      return checkpoint
    } catch {
      throw .content(path: path, error)
    }
  }
}

/// All import forms of Evenkeel.
package enum BuiltInImports {
  package static let all: [ImportFormat] = [.pytorch, .json]

  package static func named(_ name: String) -> ImportFormat? {
    all.first { $0.name == name }
  }
}

/// Information that the file of another tool lacks. Each form uses the options that concern it.
package struct ImportOptions: Sendable, Equatable {
  /// The groups of the state to make. They must include those of a normaliser.
  package var groups: [StateGroup]
  /// The names of the features, in order. If nil, those in the file; without them, `f0`, `f1`, ….
  package var features: [String]?
  /// The prefix of the names of the module's tensors, such as `bn1.`.
  package var prefix = ""
  /// The number of values of each feature in one batch. If 0, their weight is unknown and set to 0.
  package var valuesPerBatch = 0
  /// ε of the module, which its state lacks. The folded export needs it.
  package var epsilon: Double?

  package init(groups: [StateGroup]) {
    self.groups = groups
  }
}
