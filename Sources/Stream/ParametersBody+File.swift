package import Operators
internal import Storage

/// γ and β as a safetensors file that a user sends.
extension ParametersBody {
  /// The most bytes of such a file for a stream with these features.
  ///
  /// A feature takes at most eight columns of 8 bytes, which leaves room for a file of `evenkeel export --to pytorch`, and its
  /// name. The name is JSON within JSON, so that a byte of it becomes eight at most: `\\u00e9`.
  package static func mostFileBytes(for features: [String]) -> Int {
    features.reduce(64 << 10) { $0 + 64 + 8 * $1.utf8.count }
  }

  /// Reads the bytes of a file, which may be hostile.
  ///
  /// - Throws: `UpdateBodyError` with the part of the file that is wrong.
  package init(file bytes: [UInt8], ifVersion: Int?) throws(UpdateBodyError) {
    let parameters: Parameters
    do throws(ContentError) {
      parameters = try Parameters(serialized: bytes)
    } catch {
      throw UpdateBodyError("the safetensors file: \(error)")
    }
    self.init(
      weight: parameters.weight, bias: parameters.bias, features: parameters.features,
      ifVersion: ifVersion)
  }
}
