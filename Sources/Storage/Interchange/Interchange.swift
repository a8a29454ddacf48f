internal import Records
package import State

/// A form that a checkpoint can be given for other tools.
///
/// A new one is one file with such a value, and one line in `BuiltInExports.all`.
package struct ExportFormat: Sendable {
  package let name: String
  package let encode: @Sendable (Checkpoint) throws(ContentError) -> [UInt8]

  /// Writes the checkpoint in this form, replacing the file at `path`.
  package func write(
    _ checkpoint: Checkpoint, to path: String, in fileSystem: any FileSystem = POSIXFileSystem()
  ) throws(StorageError) {
    let bytes: [UInt8]
    do throws(ContentError) {
      try checkpoint.validate()
      bytes = try encode(checkpoint)
    } catch {
      throw .content(path: path, error)
    }
    try fileSystem.replace(path, with: bytes)
  }
}

/// Every form that Evenkeel exports.
package enum BuiltInExports {
  package static let all: [ExportFormat] = [.pytorch, .folded, .json]

  package static func named(_ name: String) -> ExportFormat? {
    all.first { $0.name == name }
  }
}

/// A form of other tools that a checkpoint can be made from.
///
/// A new one is one file with such a value, and one line in `BuiltInImports.all`.
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
      return checkpoint
    } catch {
      throw .content(path: path, error)
    }
  }
}

/// Every form that Evenkeel imports.
package enum BuiltInImports {
  package static let all: [ImportFormat] = [.pytorch, .json]

  package static func named(_ name: String) -> ImportFormat? {
    all.first { $0.name == name }
  }
}

/// Facts that the file of another tool lacks. Each format reads the options that concern it.
package struct ImportOptions: Sendable, Equatable {
  /// The groups of the state that is made; those of a normaliser must be among them.
  package var groups: [StateGroup]
  /// The names of the features, in order; else the file's own, else `f0`, `f1`, ….
  package var features: [String]?
  /// The prefix of the names of the module's tensors, such as `bn1.`.
  package var prefix = ""
  /// The values of each feature in one batch; if 0, their weight is unknown and stands at 0.
  package var valuesPerBatch = 0
  /// ε of the module, which its state lacks; the folded export needs it.
  package var epsilon: Double?

  package init(groups: [StateGroup]) {
    self.groups = groups
  }
}
