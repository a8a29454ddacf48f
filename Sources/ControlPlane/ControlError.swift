package import Storage

/// Why the control plane cannot be started or reached.
package enum ControlError: Error, Equatable, CustomStringConvertible {
  /// An address that cannot be understood or may not be used.
  case address(String, expected: String)
  /// The system refused to listen; the reason is the system's.
  case cannotListen(String, reason: String)
  case tokenFile(StorageError)
  /// A token file whose content is no token.
  case unfitToken(path: String, expected: String)
  /// A client got no usable answer.
  case noAnswer(String, reason: String)

  package var description: String {
    switch self {
    case .address(let text, let expected): "control address '\(text)': expected \(expected)"
    case .cannotListen(let address, let reason): "cannot listen on \(address): \(reason)"
    case .tokenFile(let error): "token file: \(error)"
    case .unfitToken(let path, let expected): "token file \(path): expected \(expected)"
    case .noAnswer(let address, let reason): "no answer from \(address): \(reason)"
    }
  }
}
