package import Storage

/// The reason why the control plane cannot be started or reached.
package enum ControlError: Error, Equatable, CustomStringConvertible {
  /// An address that cannot be parsed or must not be used.
  case address(String, expected: String)
  /// The system refused to listen, for this reason.
  case cannotListen(String, reason: String)
  case tokenFile(StorageError)
  /// A token file whose contents are not a token.
  case unfitToken(path: String, expected: String)
  /// A token file that every user of the machine can read or write.
  case openToken(path: String)
  /// A client got no valid answer.
  case noAnswer(String, reason: String)
  /// The daemon refused the request of a client, for this reason.
  case refused(String, reason: String)

  package var description: String {
    switch self {
    case .address(let text, let expected): "control address '\(text)': expected \(expected)"
    case .cannotListen(let address, let reason): "cannot listen on \(address): \(reason)"
    case .tokenFile(let error): "token file: \(error)"
    case .unfitToken(let path, let expected): "token file \(path): expected \(expected)"
    case .openToken(let path):
      "token file \(path): expected a file that other users cannot read; run: chmod o-rw \(path)"
    case .noAnswer(let address, let reason): "no answer from \(address): \(reason)"
    case .refused(let address, let reason): "\(address): refused: \(reason)"
    }
  }

  /// The exit code, of sysexits(3).
  package var exitCode: Int32 {
    switch self {
    // A restart does not help.
    case .address, .tokenFile, .unfitToken, .openToken: 78
    // Another process may release the address.
    case .cannotListen: 75
    case .noAnswer, .refused: 69
    }
  }
}
